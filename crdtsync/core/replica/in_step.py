"""Tells of an entry whether disk, agreement and room say the same of it, so that it needs no plan."""

from __future__ import annotations

from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId


def replan_all(state: ReplicaState) -> None:
    """Plan whatever needs it, at a start; nearly all of a large folder does not."""
    placements = state.view.placements
    state.replan(entry for entry in placements if not in_step(state, entry))
    state.replan(agreed.entry for agreed in state.synced if agreed.entry not in placements)
    for path in state.disk.paths():
        if state.synced.at(path) is None:
            state.replan_path(path)


def in_step(state: ReplicaState, entry: EntryId) -> bool:
    """Whether a plan of the entry would find nothing to do."""
    placed, agreed = state.view.get(entry), state.synced.get(entry)
    if placed is None or agreed is None or entry in state.unsure:
        return False
    path = agreed.path
    seen = state.disk.get(path)
    return (
        seen is not None
        and (seen.kind, seen.digest, seen.fingerprint) == (agreed.kind, agreed.digest, agreed.fingerprint)
        and (placed.kind, placed.path, placed.executable) == (agreed.kind, path, agreed.executable)
        and agreed.digest == state.room_digest(entry)
        and state.synced.at(path) == entry
        and (agreed.kind in (Kind.DIR, Kind.LINK) or seen.executable == agreed.executable)
        and (agreed.kind is not Kind.TEXT or agreed.state_vector == state.documents.state_vector(entry))
    )
