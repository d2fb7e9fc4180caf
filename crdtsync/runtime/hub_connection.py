"""The runtime's end of one member's websocket: what waits to be sent, and whether frames are taken from it.

Knows no message. A frame goes straight to an idle socket; otherwise it waits here, and the engine counts it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from crdtsync.core.values.limits import KiB

DIRECT_MAX_BYTES: Final = 64 * KiB
"""Frames up to this size are written at once while the socket's own buffer holds less than this."""
FRAGMENT_BYTES: Final = 128 * KiB
"""Larger frames are cut into websocket fragments, between which pings and pongs go through."""
REASON_MAX_BYTES: Final = 123
"""Of a websocket close frame."""


@dataclass(frozen=True, slots=True)
class _Close:
    code: int
    reason: str


class Connection:
    """Queues frames for one member; ``sent`` is told how much has left the queue."""

    def __init__(self, number: int, websocket: ServerConnection, sent: Callable[[int, int], None]) -> None:
        self.number = number
        self.websocket = websocket
        self.admitted = False
        self.paused = False
        self.closing = False
        self._sent = sent
        self._queue: deque[bytes | str | _Close] = deque()
        self._wake = asyncio.Event()
        self._readable = asyncio.Event()
        self._busy = False
        self._corked: list[bytes | str] = []
        self._corked_size = 0

    def bound_messages(self, size_bytes: int) -> None:
        """The largest message taken from here on. A server has one bound for all its sockets, at first."""
        protocol = self.websocket.protocol
        for name in ("max_message_size", "max_size"):  # since websockets 16, and before
            if hasattr(protocol, name):
                setattr(protocol, name, size_bytes)

    def takes_directly(self, size: int) -> bool:
        """Whether a frame of this size may be written at once, without waiting for the peer to read."""
        return (
            not self._busy
            and not self._queue
            and self._corked_size + size <= DIRECT_MAX_BYTES
            and self.websocket.transport.get_write_buffer_size() < DIRECT_MAX_BYTES
        )

    def cork(self, frame: bytes | str) -> None:
        """Take a frame that goes out with the next ``write_corked``, before anything that is queued later."""
        self._corked.append(frame)
        self._corked_size += len(frame)

    def write_corked(self) -> int:
        """Write the corked frames to the socket in one go; returns their size."""
        size = self._corked_size
        protocol = self.websocket.protocol
        if protocol.state is State.OPEN:
            for frame in self._corked:
                if isinstance(frame, str):
                    protocol.send_text(frame.encode())
                else:
                    protocol.send_binary(frame)
            self.websocket.transport.write(b"".join(protocol.data_to_send()))
        self._corked.clear()
        self._corked_size = 0
        return size

    def queue(self, frame: bytes | str) -> None:
        if not self.closing:
            self._queue.append(frame)
            self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """Close after what is queued; nothing is taken from the member any more."""
        if not self.closing:
            self.closing = True
            short = reason.encode()[:REASON_MAX_BYTES].decode("utf-8", "ignore")
            self._queue.append(_Close(code, short))
            self._wake.set()
            self._readable.set()

    def pause(self) -> None:
        self.paused = True
        self._readable.clear()

    def unpause(self) -> None:
        self.paused = False
        self._readable.set()

    async def readable(self) -> None:
        """Wait until frames may be taken again, or the connection is gone."""
        await self._readable.wait()

    async def write(self) -> None:
        """Send what is queued, for as long as the connection is open."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    item = self._queue.popleft()
                    if isinstance(item, _Close):
                        await self.websocket.close(item.code, item.reason)
                        return
                    await self._send(item)
        except ConnectionClosed:
            return

    async def watch(self) -> None:
        """Notice the end of the connection also while nothing is read from it."""
        await self.websocket.wait_closed()
        self._readable.set()

    async def _send(self, frame: bytes | str) -> None:
        self._busy = True
        if isinstance(frame, bytes) and len(frame) > FRAGMENT_BYTES:
            await self.websocket.send(_fragments(frame))
        else:
            await self.websocket.send(frame)
        self._busy = False
        self._sent(self.number, len(frame))


def _fragments(frame: bytes) -> Iterator[memoryview]:
    view = memoryview(frame)
    for start in range(0, len(view), FRAGMENT_BYTES):
        yield view[start : start + FRAGMENT_BYTES]
