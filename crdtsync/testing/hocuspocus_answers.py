"""What a hub says to a Hocuspocus client, as the provider reads it: the hub reads only what clients say."""

from __future__ import annotations

from crdtsync.core.wire.hocuspocus import (
    PING,
    PONG,
    Authenticated,
    CloseDocument,
    Named,
    Ping,
    Pong,
    Stateless,
    SyncStatus,
)
from crdtsync.core.wire.lib0 import Reader
from crdtsync.core.wire.yjs import PermissionDenied, decode_yjs


def read_answer(frame: bytes) -> Named | Ping | Pong:
    """A message of a kind that no provider knows is an AssertionError."""
    if frame in (bytes((PING,)), bytes((PONG,))):
        return Ping() if frame[0] == PING else Pong()
    reader = Reader(frame)
    name = reader.varstring()
    rest = reader.take(reader.remaining)
    fields = Reader(rest[1:])
    match rest[0]:
        case 0 | 1 | 3:
            return Named(name, decode_yjs(rest))
        case 2:
            if fields.varuint() == 1:
                return Named(name, PermissionDenied(fields.varstring()))
            return Named(name, Authenticated(fields.varstring() == "readonly"))
        case 5:
            return Named(name, Stateless(fields.varstring()))
        case 7:
            return Named(name, CloseDocument(fields.varstring()))
        case 8:
            return Named(name, SyncStatus(bool(fields.varuint())))
    raise AssertionError(f"the provider knows no message {rest[0]}")
