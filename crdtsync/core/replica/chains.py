"""Who stands where a file is to go, and where that one is to go in turn: chains and cycles of renames.

Also who stands in a folder that would get another spelling by it.
"""

from __future__ import annotations

from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.paths import parent, parents


def occupant_of(state: ReplicaState, path: str, entry: EntryId) -> Synced | None:
    """Who else stands at a path that ``entry`` wants, in whatever spelling, or in a folder there."""
    there = (path, *state.synced.twins(path), *state.synced.below(path))
    found = map(state.synced.at, there)
    return next((state.synced.get(each) for each in found if each is not None and each != entry), None)


def waits_for_spelling(state: ReplicaState, placed: Placement, now: float) -> bool:
    """Whether a folder would be spelled anew while something stands in it that the room has yet to be told
    of: that would seem to be renamed along with it. Then the entry is tried again later."""
    if not state.view.folding or state.session.read_only:
        return False
    key = state.view.folding.path_key
    for folder in (placed.path, *parents(placed.path)) if placed.kind is Kind.DIR else parents(placed.path):
        beside = state.disk.within(parent(folder))
        if folder in beside and folder != placed.path:
            continue
        above = {each for path in state.looking.open_paths for each in parents(path)} - {folder}
        twins = [each for each in beside if key(each) == key(folder)]
        shared = (path for twin in twins for path in state.disk.below(twin) if not state.ignored(path))
        standing = map(state.synced.at, shared)
        untold = any(entry is None or state.view.get(entry) is None for entry in standing)
        if untold or key(folder) in map(key, above):
            state.retry_later(placed.entry, placed.path, now)
            return True
    return False


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
