"""The hub's end of a connection from its first byte: counts it, sends it away when there are too many.

What the counts mean is in ``core.hub.crowd``. A connection that is sent away is told so in HTTP before it has
said anything, and costs nothing more.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass
from typing import Any, Final, cast

from websockets.asyncio.server import ServerConnection
from websockets.frames import DATA_OPCODES, CloseCode, Frame
from websockets.protocol import Event

from crdtsync.core.hub.admission import Peer
from crdtsync.core.hub.crowd import Crowd
from crdtsync.core.hub.shared import Counts
from crdtsync.core.values import limits
from crdtsync.runtime.hub_gate import peer_of_address
from crdtsync.runtime.hub_socket import HubSocket

_TURNS: Final = 15
"""Connections are asked for signs of life in so many parts, so that none takes long."""


class Entrance:
    """All connections of a hub. ``connection`` makes them, for ``serve(create_connection=...)``."""

    def __init__(self, crowd: Crowd, counts: Counts) -> None:
        self._crowd = crowd
        self._counts = counts
        self._guests: dict[HubSocket, _Guest] = {}
        self._arrived = 0

    def connection(self, *arguments: Any, **options: Any) -> ServerConnection:
        return _Counted(self, *arguments, **options)

    async def beat(self) -> None:
        """Ask every connection for a sign of life now and then, a few of them at a time."""
        for turn in itertools.cycle(range(_TURNS)):
            await asyncio.sleep(limits.HEARTBEAT_S / _TURNS)
            for websocket in [each for each, guest in self._guests.items() if guest.turn == turn]:
                websocket.beat()

    def refuse(self, code: str) -> None:
        """Count a refusal."""
        self._counts.refuse(code)

    def known(self, websocket: ServerConnection) -> None:
        """The connection was let into a room; may be said again."""
        guest = self._guests.get(websocket) if isinstance(websocket, HubSocket) else None
        if guest is not None and guest.unknown:
            guest.unknown = False
            self._crowd.known(guest.peer)

    def arrive(self, websocket: HubSocket, transport: asyncio.Transport) -> bool:
        """Whether it may stay."""
        peer = peer_of_address(transport.get_extra_info("peername"))
        reason = self._crowd.arrive(peer, time.monotonic())
        if reason is None:
            self._arrived += 1
            self._guests[websocket] = _Guest(peer, self._arrived % _TURNS)
            return True
        self._counts.refuse("crowd")
        body = f"{reason}\n".encode()
        transport.write(
            b"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 10\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        transport.close()
        return False

    def leave(self, websocket: HubSocket) -> None:
        guest = self._guests.pop(websocket, None)
        if guest is not None:
            self._crowd.leave(guest.peer, unknown=guest.unknown)


@dataclass(slots=True)
class _Guest:
    peer: Peer
    turn: int
    """When it is asked for a sign of life."""
    unknown: bool = True


class _Counted(HubSocket):
    """A websocket that exists for the library only once it may stay."""

    def __init__(self, entrance: Entrance, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._entrance = entrance
        self._stays = False
        self._open_fragments = 0
        self._message_bytes = 0
        """Of the message that is coming."""
        self._unheard_bytes = 0
        """Of whole messages that nobody has asked for yet."""
        self._held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none by its class
        self._stays = self._entrance.arrive(self, cast(asyncio.Transport, transport))
        if self._stays:
            super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stays:
            self._entrance.leave(self)
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._stays:
            return
        super().data_received(data)
        if self.transport.get_write_buffer_size() > limits.UNREAD_MAX_BYTES:
            self._entrance.refuse("unread")
            self.transport.abort()

    def process_event(self, event: Event) -> None:
        """A message that never ends is bounded by its size, but for empty fragments."""
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            self._open_fragments = 0 if event.fin else self._open_fragments + 1
            if self._open_fragments > limits.FRAGMENTS_MAX + 1:
                return
            if self._open_fragments > limits.FRAGMENTS_MAX:
                self._entrance.refuse("protocol")
                self.fail(CloseCode.MESSAGE_TOO_BIG, f"above {limits.FRAGMENTS_MAX} fragments")
                self.transport.close()
                return
            self._message_bytes += len(event.data)
            if event.fin and self.is_left_to_library:
                self._wait_for_hearing(self._message_bytes)
            if event.fin:
                self._message_bytes = 0
        super().process_event(event)

    def _wait_for_hearing(self, message_bytes: int) -> None:
        """Half a message is never waited with: nobody could hear it."""
        self._unheard_bytes += message_bytes
        if not self._held and self._unheard_bytes > limits.UNHEARD_MAX_BYTES:
            self._held = True
            self.transport.pause_reading()

    async def recv(self, decode: bool | None = None) -> Any:
        """The next message; reading goes on once what waits is little enough."""
        message = await super().recv(decode)
        self._unheard_bytes -= len(message.encode()) if isinstance(message, str) else len(message)
        if self._held and self._unheard_bytes <= limits.UNHEARD_MAX_BYTES:
            self._held = False
            if not self.recv_messages.paused:
                self.transport.resume_reading()
        return message

    def eof_received(self) -> None:
        if self._stays:
            super().eof_received()
