"""Frames of the y-websocket protocol ⇄ messages; the sync messages within serve Hocuspocus too.

Encoding as in https://github.com/yjs/y-protocols (``sync.js``, ``auth.js``) and
https://github.com/yjs/y-websocket. Refuses with PeerError what no honest client sends.
"""

from __future__ import annotations

from typing import Final, TypeAlias, assert_never

from crdtsync.core.values.late import dataclass
from crdtsync.core.wire.awareness import ClientState, decode_awareness, encode_awareness
from crdtsync.core.wire.lib0 import Reader, varbytes, varstring, varuint
from crdtsync.errors import PeerError

SYNC, AWARENESS, AUTH, QUERY_AWARENESS = 0, 1, 2, 3
_STEP_1, _STEP_2, _UPDATE = 0, 1, 2
_PERMISSION_DENIED: Final = 0
_AN_UPDATE: Final = bytes((SYNC, _UPDATE))
_A_STEP_2: Final = bytes((SYNC, _STEP_2))


@dataclass(frozen=True, slots=True)
class SyncStep1:
    """What the sender has; to be answered by a SyncStep2."""

    state_vector: bytes


@dataclass(frozen=True, slots=True)
class SyncStep2:
    """All that the receiver lacked."""

    update: bytes


@dataclass(frozen=True, slots=True)
class SyncUpdate:
    """A change that was made just now."""

    update: bytes


@dataclass(frozen=True, slots=True)
class Awareness:
    states: tuple[ClientState, ...]


@dataclass(frozen=True, slots=True)
class QueryAwareness:
    """To be answered by the Awareness of everyone."""


@dataclass(frozen=True, slots=True)
class PermissionDenied:
    """Hub → client. The client shows ``reason`` to nobody but a developer."""

    reason: str


Sync: TypeAlias = SyncStep1 | SyncStep2 | SyncUpdate
YjsMessage: TypeAlias = Sync | Awareness | QueryAwareness | PermissionDenied


def encode_yjs(message: YjsMessage) -> bytes:
    match message:
        case SyncUpdate(update):
            return _AN_UPDATE + varbytes(update)
        case SyncStep2(update):
            return _A_STEP_2 + varuint(len(update)) + update  # copied once, however long it is
        case SyncStep1():
            return varuint(SYNC) + encode_sync(message)
        case Awareness(states):
            return varuint(AWARENESS) + varbytes(encode_awareness(states))
        case QueryAwareness():
            return varuint(QUERY_AWARENESS)
        case PermissionDenied(reason):
            return varuint(AUTH) + varuint(_PERMISSION_DENIED) + varstring(reason)
        case _:
            assert_never(message)


def short_update(frame: bytes) -> bytes | None:
    """The update that a frame holds if it is one of a SyncUpdate below 128 bytes, as nearly all are.

    Then ``frame`` is as ``encode_yjs`` would write it.
    """
    if frame[:2] == _AN_UPDATE and len(frame) > 2 and frame[2] == len(frame) - 3 < 0x80:
        return frame[3:]
    return None


def decode_yjs(frame: bytes) -> YjsMessage:
    """Raises PeerError for anything malformed."""
    if (update := short_update(frame)) is not None:
        return SyncUpdate(update)
    reader = Reader(frame)
    message: YjsMessage
    match reader.varuint():
        case 0:
            message = read_sync(reader)
        case 1:
            message = Awareness(decode_awareness(reader.varbytes()))
        case 2:
            message = _read_auth(reader)
        case 3:
            message = QueryAwareness()
        case kind:
            raise PeerError(f"a message of the unknown kind {kind}")
    reader.end()
    return message


def encode_sync(message: Sync) -> bytes:
    """Without the kind that tells it from other messages."""
    match message:
        case SyncStep1(state_vector):
            return varuint(_STEP_1) + varbytes(state_vector)
        case SyncStep2(update):
            return varuint(_STEP_2) + varbytes(update)
        case SyncUpdate(update):
            return varuint(_UPDATE) + varbytes(update)
        case _:
            assert_never(message)


def read_sync(reader: Reader) -> Sync:
    match reader.varuint():
        case 0:
            return SyncStep1(reader.varbytes())
        case 1:
            return SyncStep2(reader.varbytes())
        case 2:
            return SyncUpdate(reader.varbytes())
        case kind:
            raise PeerError(f"a sync message of the unknown kind {kind}")


def _read_auth(reader: Reader) -> PermissionDenied:
    if (kind := reader.varuint()) != _PERMISSION_DENIED:
        raise PeerError(f"an auth message of the unknown kind {kind}")
    return PermissionDenied(reader.varstring())
