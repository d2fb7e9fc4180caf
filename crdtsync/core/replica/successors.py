"""Tells what has become of an entry at whose path something else stands now.

Knows the trees; what follows for the room is left to ``reconcile`` and ``materialise``.
"""

from __future__ import annotations

from collections.abc import Container

from crdtsync.core.replica.passed import was_text
from crdtsync.core.replica.planner import Disk
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.trees import OnDisk, is_that
from crdtsync.core.text.statevector import EMPTY_STATE_VECTOR
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.paths import parents


def arrived(state: ReplicaState, agreed: Synced, placed: Placement, seen: OnDisk | None) -> bool:
    """Whether the file stands where the room has it, and what is ``seen`` at its old path is another.

    So it is if we were killed after the step that moved it, or remember an agreement of before that. Then it
    is agreed on there, and both are looked at. So are those that made room for it.
    """
    if is_that(seen, agreed):
        return False
    reused = state.disk.reused.get(placed.path) == agreed.entry
    very = is_that(state.disk.get(placed.path), agreed) and not reused
    moved = [(agreed, placed.path)] if very else _row(state, agreed, placed)
    for each, path in moved:
        state.replan(stood.entry for stood in state.synced.all_at(path))  # they must stand elsewhere
        state.agree(each._replace(path=path))
        state.looking.want(path)
        state.looking.want(each.path)
    state.replan([each.entry for each, _ in moved])
    return bool(moved)


def _row(state: ReplicaState, agreed: Synced, placed: Placement) -> list[tuple[Synced, str]]:
    """The file and those that it took the places of, each from the next, if the disk holds of each all that
    the room has, or had since, where the room has it, and not what it held where it was. The last one's place
    was nobody's, or is that of the first."""
    row: list[tuple[Synced, str]] = []
    here: Synced | None = agreed
    target: Placement | None = placed
    while here is not None and not (row and here.entry == agreed.entry):
        if target is None or target.path == here.path or not _holds_it(state, here, target.path):
            return []
        row.append((here, target.path))
        following = state.synced.at(target.path)
        here = None if following is None else state.synced.get(following)
        target = None if following is None else state.view.get(following)
    return row


def _holds_it(state: ReplicaState, agreed: Synced, path: str) -> bool:
    """Whether at the path is what the room has of a file, or had since it was agreed on, and not what it
    held where it was."""
    there, before = state.disk.get(path), state.disk.get(agreed.path)
    if there is None or there.kind is not agreed.kind or there.digest is None:
        return False
    if before is not None and before.digest == agreed.digest:
        return False
    return there.digest == state.room_digest(agreed.entry) or (
        agreed.kind is Kind.TEXT
        and was_text(state.documents.log(agreed.entry), there.digest, agreed.state_vector)
    )


def succeeded(state: ReplicaState, agreed: Synced, disk: Disk, now: float) -> bool:
    """Another entry has taken the place of one that is gone in the room: the file goes on as that one.

    So two who created the same file see no deletion, and a file that was replaced is never absent.
    """
    heir = state.view.at(agreed.path)
    placed = None if heir is None else state.view.get(heir)
    if placed is None or placed.kind is not agreed.kind:
        return False
    if placed.entry in state.busy:
        return False  # its own file is being written, elsewhere yet
    related = agreed.digest == state.room_digest(placed.entry)
    stood = state.synced.get(placed.entry)
    if stood is not None and not (related and _is_missing(state, stood.path)):
        return False  # else it is its own file, which came here and was taken for another one
    if disk is not Disk.SAME and not (disk is Disk.EDITED and related):
        return False
    if agreed.kind is Kind.TEXT and not related:
        state.documents.inherits(placed.entry, agreed.entry, agreed.digest, now)
    state.forget(agreed.entry)
    state.agree(agreed._replace(entry=placed.entry, state_vector=EMPTY_STATE_VECTOR, provisional=None))
    state.replan([placed.entry])
    state.looking.want(agreed.path)  # whoever misses the heir's file finds it here
    return True


def _is_missing(state: ReplicaState, path: str) -> bool:
    return state.disk.get(path) is None or state.looking.is_absent(path)


def may_have_arrived(state: ReplicaState, agreed: Synced, placed: Placement) -> bool:
    """Whether it is not known yet what stands where the room has the file; the look there plans it again."""
    return placed.path != agreed.path and state.looking.is_open(placed.path)


def steps_hide(state: ReplicaState) -> bool:
    """Whether a file may have come to where a step of ours is to write: that is looked at once it is done."""
    raced = [retry.path for retry in state.retries.values() if retry.races]
    return any(state.synced.at(path) is None for path in (*state.looking.resting, *state.postponed, *raced))


def in_ruins(state: ReplicaState, path: str, held: Container[EntryId]) -> bool:
    """Whether what stood here before, below it or as a file above it, has yet to be found gone.

    A file that became a folder, or the other way round, keeps its name if that is told first. What is
    ``held``, as a mass deletion, is not waited for.
    """
    synced = state.synced
    before = [synced.at(each) for each in (*parents(path), *synced.below(path))]
    agreed = [synced.get(entry) for entry in before if entry is not None]
    return any(each is not None and each.kind is not Kind.DIR and each.entry not in held for each in agreed)
