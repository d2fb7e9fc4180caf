"""One connection of the load generator: opens a document, sends prepared frames, tells which came through.

Each update types a numbered tag, ``<00000042>``, at the end of the text. A reader looks for the last tag in
what came, so merged updates count for as many as they hold, and reading costs the generator next to nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from benchmarks.load.wire import Dialect, masked_frame, server_frame
from crdtsync.core.wire.lib0 import varbytes, varuint

TAG_CHARS = 10
OPEN_DEADLINE_S = 30.0

Progress = Callable[[int, int, float], None]
"""Called with the last number before, the last number now, and the time of ``time.perf_counter``."""


def typed_updates(count: int, first: int = 0, client: int | None = None) -> list[bytes]:
    """What ``count`` edits of one client make, in order; the tags are numbered from ``first``.

    Written by hand (Yjs update, version 1: one client, one struct, its origin, no deletions): a document
    would take the longer for each edit, the longer the text is.
    """
    author = varuint(random.getrandbits(32) if client is None else client)
    updates: list[bytes] = []
    for number in range(count):
        content = varbytes(b"<%08d>" % (first + number))
        clock = number * TAG_CHARS
        head = b"\1\1" + author + varuint(clock)
        place = b"\x84" + author + varuint(clock - 1) if number else b"\4\1" + varbytes(b"content")
        updates.append(head + place + content + b"\0")
    return updates


def last_tag(data: bytes | bytearray) -> int:
    """The number of the last whole tag in ``data``, or -1."""
    end = data.rfind(b">")
    while end >= 0:
        digits = data[end - 8 : end] if end > TAG_CHARS - 2 else b""
        if digits.isdigit() and data[end - 9 : end - 8] == b"<":
            return int(digits)
        end = data.rfind(b">", 0, end)
    return -1


class Client(asyncio.Protocol):
    """Ready once ``opened`` is; ``last`` is the highest tag that came."""

    def __init__(self, dialect: Dialect, room: str, progress: Progress | None = None) -> None:
        self.dialect = dialect
        self.room = room
        self.last = -1
        self.closed = False
        self.opened_bytes = 0
        """The size of the message in which the document came."""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._progress = progress
        self._handshaken = False
        self._live = False
        self._buffer = bytearray()
        self._message = b""
        """The fragments of a message that has not ended."""
        self._tail = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        port = transport.get_extra_info("peername")[1]
        transport.write(
            f"GET {self.dialect.target(self.room)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if not self.opened.done():
            self.opened.set_exception(
                ConnectionError(f"closed while opening {self.room}: {self._tail[:80]!r}")
            )

    def data_received(self, data: bytes) -> None:
        if self._live:
            self._scan(data)
            return
        self._buffer += data
        if not self._handshaken:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._tail = bytes(self._buffer[:end])
            if b" 101 " not in self._buffer[:16]:
                self._transport.abort()
                return
            del self._buffer[: end + 4]
            self._handshaken = True
            for message in self.dialect.opening(self.room):
                self._transport.write(masked_frame(message))
            if not self.dialect.opening(self.room):
                self._go_live()
                return
        while (frame := server_frame(self._buffer)) is not None:
            opcode, final, payload = frame
            if opcode == 9:
                self._transport.write(masked_frame(payload, 10))
                continue
            self._message += payload
            if not final:
                continue
            message, self._message = self._message, b""
            if self.dialect.is_open(self.room, message):
                self.opened_bytes = len(message)
                self._go_live()
                self._advance(last_tag(message))
                self._scan(bytes(self._buffer))
                return

    def send(self, frames: Sequence[bytes]) -> None:
        self._transport.write(b"".join(frames))

    def close(self) -> None:
        self._transport.abort()

    def _go_live(self) -> None:
        self._live = True
        self._tail = b""
        if not self.opened.done():
            self.opened.set_result(None)

    def _scan(self, data: bytes) -> None:
        if data[:1] == b"\x89":  # a ping comes alone when nothing else does
            self._transport.write(masked_frame(data[2 : 2 + (data[1] & 127)] if len(data) > 1 else b"", 10))
        self._advance(last_tag(self._tail + data))
        self._tail = (self._tail + data)[-(TAG_CHARS - 1) :]

    def _advance(self, tag: int) -> None:
        if tag > self.last:
            before, self.last = self.last, tag
            if self._progress is not None:
                self._progress(before, tag, time.perf_counter())


async def opened(
    port: int,
    dialect: Dialect,
    room: str,
    progress: Progress | None = None,
    deadline_s: float = OPEN_DEADLINE_S,
) -> Client:
    """A client that has the document. Raises ConnectionError or TimeoutError."""
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(dialect, room, progress), "127.0.0.1", port)
    try:
        async with asyncio.timeout(deadline_s):
            await client.opened
    except BaseException:
        client.close()
        raise
    return client
