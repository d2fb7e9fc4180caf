"""Frames of the Hocuspocus protocol, versions 2 to 4 ⇄ messages: many documents on one socket.

Encoding as in https://github.com/ueberdosis/hocuspocus (``packages/common`` and ``packages/provider``): the
name of a document, then a message for it; a ping is one byte without a name. Refuses with PeerError what no
honest client sends.
"""

from __future__ import annotations

from typing import Final, TypeAlias, assert_never

from crdtsync.core.values import limits
from crdtsync.core.values.late import dataclass
from crdtsync.core.wire.awareness import decode_awareness, encode_awareness
from crdtsync.core.wire.lib0 import Reader, varbytes, varstring, varuint
from crdtsync.core.wire.yjs import (
    Awareness,
    PermissionDenied,
    QueryAwareness,
    Sync,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    encode_sync,
    read_sync,
)
from crdtsync.errors import PeerError

SYNC, AWARENESS, AUTH, QUERY_AWARENESS, SYNC_REPLY, STATELESS = 0, 1, 2, 3, 4, 5
CLOSE, SYNC_STATUS, PING, PONG = 7, 8, 9, 10
_TOKEN, _DENIED, _AUTHENTICATED = 0, 1, 2

SESSION_SEPARATOR: Final = "\0"
"""Between the document and the session in the name that a client with session awareness uses."""


@dataclass(frozen=True, slots=True)
class Token:
    """Client → hub. ``version`` of the provider is sent since version 4 and is "" before."""

    token: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Hub → client."""

    read_only: bool


@dataclass(frozen=True, slots=True)
class Stateless:
    """Either way: a message of the application, which is not stored."""

    payload: str


@dataclass(frozen=True, slots=True)
class CloseDocument:
    """Either way: this document is not spoken of any more. The client's has no reason."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """Hub → client, for each step 2 and update: whether it was applied."""

    applied: bool


@dataclass(frozen=True, slots=True)
class Ping:
    """Either way, without a document."""


@dataclass(frozen=True, slots=True)
class Pong:
    """Either way, without a document."""


Message: TypeAlias = (
    Sync
    | Awareness
    | QueryAwareness
    | PermissionDenied
    | Token
    | Authenticated
    | Stateless
    | CloseDocument
    | SyncStatus
)


@dataclass(frozen=True, slots=True)
class Named:
    """``name`` of a document, and after a SESSION_SEPARATOR maybe of a session."""

    name: str
    message: Message


def encode_hocuspocus(frame: Named | Ping | Pong) -> bytes:
    """As the hub sends it; a client's Token and Stateless too."""
    match frame:
        case Ping():
            return varuint(PING)
        case Pong():
            return varuint(PONG)
        case Named(name, message):
            return varstring(name) + _encode(message)
        case _:
            assert_never(frame)


def decode_hocuspocus(frame: bytes) -> Named | Ping | Pong:
    """As a client sends it. Raises PeerError for anything malformed."""
    if frame in (bytes((PING,)), bytes((PONG,))):
        return Ping() if frame[0] == PING else Pong()
    reader = Reader(frame)
    name = reader.varstring()
    if len(name) > limits.DOCUMENT_NAME_MAX_CHARS:
        raise PeerError(f"a document name of {len(name)} characters")
    message: Message
    match reader.varuint():
        case 0 | 4:
            message = read_sync(reader)
        case 1:
            message = Awareness(decode_awareness(reader.varbytes()))
        case 2:
            message = _read_token(reader)
        case 3:
            message = QueryAwareness()
        case 5:
            message = Stateless(reader.varstring())
        case 7:
            message = CloseDocument(reader.varstring() if reader.remaining else "")
        case kind:
            raise PeerError(f"a message of the unknown kind {kind}")
    reader.end()
    return Named(name, message)


def document_of(name: str) -> str:
    """The document's name, without the session."""
    return name.partition(SESSION_SEPARATOR)[0]


def _encode(message: Message) -> bytes:
    match message:
        case SyncStep1() | SyncStep2() | SyncUpdate():
            return varuint(SYNC) + encode_sync(message)
        case Awareness(states):
            return varuint(AWARENESS) + varbytes(encode_awareness(states))
        case QueryAwareness():
            return varuint(QUERY_AWARENESS)
        case PermissionDenied(reason):
            return varuint(AUTH) + varuint(_DENIED) + varstring(reason)
        case Token(token, version):
            return (
                varuint(AUTH) + varuint(_TOKEN) + varstring(token) + (varstring(version) if version else b"")
            )
        case Authenticated(read_only):
            scope = "readonly" if read_only else "read-write"
            return varuint(AUTH) + varuint(_AUTHENTICATED) + varstring(scope)
        case Stateless(payload):
            return varuint(STATELESS) + varstring(payload)
        case CloseDocument(reason):
            return varuint(CLOSE) + varstring(reason)
        case SyncStatus(applied):
            return varuint(SYNC_STATUS) + varuint(applied)
        case _:
            assert_never(message)


def _read_token(reader: Reader) -> Token:
    if (kind := reader.varuint()) != _TOKEN:
        raise PeerError(f"an auth message of the unknown kind {kind}")
    token = reader.varstring()
    if len(token) > limits.TOKEN_MAX_CHARS:
        raise PeerError(f"a token of {len(token)} characters, above {limits.TOKEN_MAX_CHARS}")
    return Token(token, reader.varstring()[:64] if reader.remaining else "")
