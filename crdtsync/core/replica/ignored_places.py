"""What becomes of a file that others move to where it is ignored on this disk, or away from there."""

from __future__ import annotations

from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.paths import conflict_path


def place_here(state: ReplicaState, agreed: Synced, placed: Placement) -> Placement:
    """Where this disk is to have the file. As the room has it, also where that is ignored: the name that it
    leaves may be wanted for another, and what would be saved to it there would reach nobody. If something
    that is not shared turned out to stand at the place, or another file that is ignored there, then beside
    it.
    """
    if placed.path == agreed.path or not state.ignored(placed.path):
        return placed
    retry, aside = state.retries.get(agreed.entry), conflict_path(placed.path, state.name, agreed.entry)
    untried = state.synced.at(placed.path) is None and (retry is None or not retry.races)
    return placed if untried and agreed.path != aside else placed._replace(path=aside)


def left_behind(state: ReplicaState, agreed: Synced, placed: Placement | None) -> bool:
    """Whether others have the file at a shared path now, while here it is ignored where it stands. That one
    belongs to this disk alone from then on, and theirs comes beside it.
    """
    if placed is None or placed.path == agreed.path:
        return False
    if not state.ignored(agreed.path) or state.ignored(placed.path):
        return False
    state.forget(agreed.entry)
    state.replan([agreed.entry])
    return True


def rests_ignored(state: ReplicaState, entry: EntryId, path: str) -> bool:
    """Whether the path of the entry is ignored here: then nothing that was put off is left to try."""
    if not state.ignored(path):
        return False
    state.give_up(entry)
    return True
