"""Blobs that the room has at another path by now and the hub may have lost: the last file of one stays."""

from __future__ import annotations

from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.trees import OnDisk
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId


def is_spared(state: ReplicaState, entry: EntryId, path: str, seen: OnDisk, now: float) -> bool:
    """Whether the file that stands there must stay until its content has come for the entry that wants it.

    It is offered to the hub meanwhile; a replica that may only read has nothing to offer.
    """
    digest = seen.digest
    if seen.kind is not Kind.BLOB or digest is None or state.session.read_only:
        return False
    if digest not in state.fetching and digest not in state.missing:
        return False
    versions = [(each.entry, each.version) for each in state.view.placements.values()]
    if not any(other != entry and version and version.digest == digest for other, version in versions):
        return False
    if digest not in state.asked:
        state.asked.add(digest)
        state.reseeding.add(path)
        state.looking.want(path)
    state.retry_later(entry, path, now)
    return True
