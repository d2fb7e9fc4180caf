"""How the load generator speaks to each hub: websocket frames, and the Yjs protocols' few messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import quote

from crdtsync.core.wire.lib0 import varbytes, varstring

STEP_1: Final = b"\0\0\1\0"
"""Sync step 1 with the state vector of an empty document."""
EMPTY_STEP_2: Final = b"\0\1\2\0\0"


class Dialect(Protocol):
    """One hub's way of naming a document and of wrapping a message for it."""

    def target(self, room: str) -> str:
        """The request's path."""
        ...

    def opening(self, room: str) -> tuple[bytes, ...]:
        """The first messages of a client."""
        ...

    def is_open(self, room: str, message: bytes) -> bool:
        """Whether this message of the hub says that it has the document."""
        ...

    def update(self, room: str, update: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class YWebsocket:
    """y-websocket's protocol; ``prefix`` and ``suffix`` make the path of a room's document."""

    prefix: str = "/"
    suffix: str = ""

    def target(self, room: str) -> str:
        return self.prefix + quote(room + self.suffix, safe="/")

    def opening(self, room: str) -> tuple[bytes, ...]:
        return (STEP_1, EMPTY_STEP_2)

    def is_open(self, room: str, message: bytes) -> bool:
        return message[:2] == b"\0\1"

    def update(self, room: str, update: bytes) -> bytes:
        return b"\0\2" + varbytes(update)


@dataclass(frozen=True, slots=True)
class Hocuspocus:
    """As a provider of version 4 speaks; ``suffix`` is the path within the room."""

    path: str = "/"
    suffix: str = ""

    def target(self, room: str) -> str:
        return self.path

    def opening(self, room: str) -> tuple[bytes, ...]:
        name = varstring(room + self.suffix)
        return (name + b"\2\0" + varstring("token"), name + STEP_1)

    def is_open(self, room: str, message: bytes) -> bool:
        rest = message.removeprefix(varstring(room + self.suffix))
        return rest[:2] in (b"\0\1", b"\4\1")

    def update(self, room: str, update: bytes) -> bytes:
        return varstring(room + self.suffix) + b"\0\2" + varbytes(update)


@dataclass(frozen=True, slots=True)
class Bare:
    """The relay that hands every message on: nothing to open."""

    def target(self, room: str) -> str:
        return f"/{room}"

    def opening(self, room: str) -> tuple[bytes, ...]:
        return ()

    def is_open(self, room: str, message: bytes) -> bool:
        return True

    def update(self, room: str, update: bytes) -> bytes:
        return b"\0\2" + varbytes(update)


def masked_frame(payload: bytes, opcode: int = 2) -> bytes:
    """A final frame as a client sends it. The mask is zero, which RFC 6455 allows and which costs nothing."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0xFF)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


def server_frame(buffer: bytearray) -> tuple[int, bool, bytes] | None:
    """Take one unmasked frame off the front, if it is whole: opcode, whether it ends a message, payload."""
    if len(buffer) < 2:
        return None
    size, start = buffer[1] & 127, 2
    if size == 126:
        size, start = int.from_bytes(buffer[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(buffer[2:10], "big"), 10
    if len(buffer) < start + size:
        return None
    frame = buffer[0] & 15, buffer[0] >= 128, bytes(buffer[start : start + size])
    del buffer[: start + size]
    return frame
