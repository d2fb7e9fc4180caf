"""The runtime's end of one member's websocket: what waits to be sent, and whether frames are taken from it.

Knows no message. A frame goes straight to an idle socket; otherwise it waits here, and the engine counts it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from crdtsync.core.values import limits
from crdtsync.core.values.limits import KiB
from crdtsync.runtime.hub_socket import HubSocket

DIRECT_MAX_BYTES: Final = 64 * KiB
"""Frames up to this size are written at once while the socket's own buffer holds less than this."""
FRAGMENT_BYTES: Final = 128 * KiB
"""Larger frames are cut into websocket fragments, between which pings and pongs go through."""
REASON_MAX_BYTES: Final = 123
"""Of a websocket close frame."""
_TEXT, _BINARY = 0x81, 0x82
"""First bytes of whole frames."""


@dataclass(frozen=True, slots=True)
class _Close:
    code: int
    reason: str


class Connection:
    """Queues frames for one member; ``sent`` is told how much has left the queue."""

    __slots__ = (
        "_busy",
        "_corked",
        "_corked_size",
        "_queue",
        "_sent",
        "_writer",
        "admitted",
        "closing",
        "ended",
        "number",
        "websocket",
    )

    def __init__(self, number: int, websocket: HubSocket, sent: Callable[[int, int], None]) -> None:
        self.number = number
        self.websocket = websocket
        self.admitted = False
        self.closing = False
        self.ended = websocket.loop.create_future()
        """Done when no frame will come any more, or none is wanted."""
        self._sent = sent
        self._queue: deque[bytes | str | _Close] | None = None
        """Made with the first frame that has to wait."""
        self._writer: asyncio.Task[None] | None = None
        self._busy = False
        self._corked: list[bytes] = []
        self._corked_size = 0

    def admit(self) -> None:
        """The member was let in: from here on it may say more."""
        if not self.admitted:
            self.admitted = True
            self.websocket.bound_messages(limits.FRAME_MAX_BYTES)

    def over(self) -> None:
        """No frame will come any more."""
        if not self.ended.done():
            self.ended.set_result(None)

    def takes_directly(self, size: int) -> bool:
        """Whether a frame of this size may be written at once, without waiting for the peer to read."""
        return (
            not self._busy
            and not self._queue
            and self._corked_size + size <= DIRECT_MAX_BYTES
            and self.websocket.transport.get_write_buffer_size() < DIRECT_MAX_BYTES
        )

    def cork(self, size: int, wire: bytes) -> None:
        """Take a frame that goes out with the next ``write_corked``, before anything that is queued later.

        ``size`` is what the engine counts for it, ``wire`` what is written to the network.
        """
        self._corked.append(wire)
        self._corked_size += size

    def write_corked(self) -> int:
        """Write the corked frames to the socket in one go; returns their size."""
        corked, size = self._corked, self._corked_size
        if self.websocket.protocol.state is State.OPEN:
            self.websocket.transport.write(corked[0] if len(corked) == 1 else b"".join(corked))
        self._corked = []
        self._corked_size = 0
        return size

    def queue(self, frame: bytes | str) -> None:
        if not self.closing:
            self._enqueue(frame)

    def close(self, code: int, reason: str) -> None:
        """Close after what is queued; nothing is taken from the member any more."""
        if not self.closing:
            self.closing = True
            short = reason.encode()[:REASON_MAX_BYTES].decode("utf-8", "ignore")
            self.websocket.end()
            self._enqueue(_Close(code, short))
            self.over()

    async def finish(self) -> None:
        """Return once it is closed, if it was to be closed; else give up what is queued."""
        if self._writer is not None:
            if not self.closing:
                self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    def _enqueue(self, item: bytes | str | _Close) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append(item)
        if self._writer is None or self._writer.done():
            self._writer = self.websocket.loop.create_task(
                self._write(self._queue), name=f"hub writer {self.number}"
            )

    async def _write(self, queue: deque[bytes | str | _Close]) -> None:
        """Send what is queued, for as long as the connection is open."""
        try:
            while queue:
                item = queue.popleft()
                if isinstance(item, _Close):
                    await self.websocket.close(item.code, item.reason)
                    return
                await self._send(item)
        except ConnectionClosed:
            queue.clear()

    async def _send(self, frame: bytes | str) -> None:
        self._busy = True
        if isinstance(frame, bytes) and len(frame) > FRAGMENT_BYTES:
            await self.websocket.send(_fragments(frame))
        else:
            await self.websocket.send(frame)
        self._busy = False
        self._sent(self.number, len(frame))


def on_the_wire(frame: bytes | str) -> bytes:
    """A whole websocket frame of a server, which masks nothing (RFC 6455, section 5.2)."""
    payload, opcode = (frame.encode(), _TEXT) if isinstance(frame, str) else (frame, _BINARY)
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 1 << 16:
        return bytes((opcode, 126, size >> 8, size & 0xFF)) + payload
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + payload


def _fragments(frame: bytes) -> Iterator[memoryview]:
    view = memoryview(frame)
    for start in range(0, len(view), FRAGMENT_BYTES):
        yield view[start : start + FRAGMENT_BYTES]
