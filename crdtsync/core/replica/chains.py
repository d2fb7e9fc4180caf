"""Who stands where a file is to go, and where that one is to go in turn: chains and cycles of renames."""

from __future__ import annotations

from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.values.ids import EntryId


def occupant_of(state: ReplicaState, path: str, entry: EntryId) -> Synced | None:
    """Who else stands at a path that ``entry`` wants, in whatever spelling."""
    found = [state.synced.at(each) for each in (path, *state.synced.twins(path))]
    return next((state.synced.get(each) for each in found if each is not None and each != entry), None)


def chain_of(state: ReplicaState, first: Synced, occupant: Synced) -> tuple[set[EntryId], EntryId]:
    """The entries that wait for each other from ``first`` on, and the last: ``first`` again in a cycle."""
    chain = {first.entry}
    at = occupant
    while at.entry not in chain:
        chain.add(at.entry)
        target = state.view.get(at.entry)
        if target is None or target.path == at.path:
            break
        following = occupant_of(state, target.path, at.entry)
        if following is None:
            break
        at = following
    return chain, at.entry
