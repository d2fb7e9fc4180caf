"""Knows files that were given the inode of another: who saves several as new files, one after the other, has
each take the inode of the one before. So they look as if they had been renamed onto each other.
"""

from __future__ import annotations

from collections.abc import Iterable

from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.values.files import Present, Seen
from crdtsync.core.values.ids import EntryId


def note_reused(state: ReplicaState, seen: Iterable[tuple[str, Seen]]) -> None:
    """Take in what was looked at."""
    for path, each in seen:
        origin = _origin(state, path, each) if isinstance(each, Present) else None
        if origin is None:
            state.disk.reused.pop(path, None)
        else:
            state.disk.reused[path] = origin


def _origin(state: ReplicaState, path: str, seen: Present) -> EntryId | None:
    """The entry whose inode the file has, if by what it holds it is rather the one that stood there."""
    origin, here = state.synced.with_inode(seen.fingerprint), state.agreed_at(path)
    if origin is None or here is None or origin.entry == here.entry:
        return None
    apart = state.documents.apart
    near = apart(here, seen.content, 0.5)
    return None if near is None or apart(origin, seen.content, near) is not None else origin.entry
