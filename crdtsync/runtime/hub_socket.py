"""The hub's end of a websocket that hands each message on as soon as it is there, without a queue or a task.

The websockets library does the handshake, control frames and the closing; whole data frames, which are nearly
all that comes, are read here. Knows nothing of what the messages say. See docs/decisions/0016-frames.md.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.protocol import Event
from websockets.protocol import State as WebsocketState

from crdtsync.adapters.large_frames import BETWEEN_BYTES, LargeFrames
from crdtsync.core.values import limits
from crdtsync.core.values.limits import KiB

try:
    from websockets.speedups import apply_mask
except ImportError:  # the package was built without its C part
    from websockets.utils import apply_mask

MESSAGES_PER_TURN: Final = 64
"""Messages of one member that are taken before the others are heard and what was gathered goes out."""
HELD_MAX_BYTES: Final = 64 * KiB
"""Sent ahead of the answer to the handshake; beyond this, nothing is read until it has been answered."""
READ_MAX_BYTES: Final = 256 * KiB
BEATS_MISSED_MAX: Final = round(limits.HEARTBEAT_TIMEOUT_S / limits.HEARTBEAT_S)
_PING: Final = b"\x89\0"
_REQUEST_END: Final = b"\r\n\r\n"
_WHOLE_TEXT: Final = 0x80 | Opcode.TEXT
_WHOLE_BINARY: Final = 0x80 | Opcode.BINARY
_MASKED: Final = 0x80


class _Stage(StrEnum):
    REQUEST = "request"
    """The library reads the request of the handshake."""
    HELD = "held"
    """What comes waits: nobody has said yet who takes it."""
    DIRECT = "direct"
    ENDING = "ending"
    """The library reads everything, and messages are thrown away."""
    LIBRARY = "library"
    """The library reads everything: ``recv`` and the like may be used."""


class _Received(threading.local):
    """Where sockets are read to, one after the other: each read would cost 256 KiB of its own."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(READ_MAX_BYTES))


_received = _Received()


def _ignore(_: str | bytes) -> None:
    pass


def _nothing() -> None:
    pass


class HubSocket(ServerConnection, asyncio.BufferedProtocol):
    """After the handshake either ``attach`` or ``leave_to_library`` says who takes messages."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._stage = _Stage.REQUEST
        self._unread = bytearray()
        self._deliver: Callable[[str | bytes], None] = _ignore
        self._over: Callable[[], None] = _nothing
        self._taken: Callable[[], None] = _nothing
        self._message_max_bytes = limits.CONTROL_MAX_BYTES
        self._heard = True
        self._beats_missed = 0
        self._paused = False
        self._resuming: asyncio.Handle | None = None
        self._at_end = False
        """The other side says no more: the library takes nothing any more, either."""
        self._fragments: list[bytes] = []
        self._fragments_bytes = 0
        self._fragments_text = False
        self._large: LargeFrames | None = None

    def attach(
        self,
        deliver: Callable[[str | bytes], None],
        over: Callable[[], None],
        taken: Callable[[], None] = _nothing,
    ) -> None:
        """Have every message delivered from now on, and ``over`` called when none will come any more.

        ``taken`` is called after some were delivered, the last for the moment. ``over`` may be called more
        than once. ``deliver`` may call ``pause`` and ``end``.
        """
        self._deliver = deliver
        self._over = over
        self._taken = taken
        self._stage = _Stage.DIRECT
        self.response = None  # with its headers 1.5 kB, for as long as the connection lasts
        self._go_on()

    def leave_to_library(self) -> None:
        """Let ``recv`` have the messages."""
        self._become(_Stage.LIBRARY)

    @property
    def is_left_to_library(self) -> bool:
        """Whether messages wait for a ``recv``."""
        return self._stage is _Stage.LIBRARY

    def read_large_frames(self, max_bytes: int) -> None:
        """From here on ``recv`` gets large messages with fewer copies. For whoever may send them."""
        if self._stage is _Stage.LIBRARY and not self.protocol.reader.buffer:
            self._large = LargeFrames(
                max_bytes, masked=True, deliver=self._take_large, others=super().data_received
            )

    def end(self) -> None:
        """Deliver nothing any more; the library reads on, for pongs and the other side's goodbye."""
        if self._stage is _Stage.DIRECT:
            self._become(_Stage.ENDING)

    def bound_messages(self, size_bytes: int) -> None:
        """The largest message taken from here on."""
        self._message_max_bytes = size_bytes

    def pause(self) -> None:
        """Deliver nothing until ``unpause``; the network is read a little further, to notice its end."""
        self._paused = True

    def unpause(self) -> None:
        self._paused = False
        self._go_on_soon()

    def fail(self, code: CloseCode, reason: str) -> None:
        """End it, since the other side breaks the protocol: the library throws away what else comes."""
        self._stage = _Stage.ENDING
        self._forget_fragments()
        self.protocol.fail(code, reason)
        self.send_data()
        self._over()

    def beat(self) -> None:
        """Ask for a sign of life; end the connection if there was none for as long as that is too long."""
        if self.protocol.state is not WebsocketState.OPEN:
            return
        self._beats_missed = 0 if self._heard else self._beats_missed + 1
        self._heard = False
        if self._beats_missed > BEATS_MISSED_MAX:
            self.fail(CloseCode.INTERNAL_ERROR, "no sign of life")
            self.transport.abort()
        else:
            self.transport.write(_PING)

    # -- from the transport ---------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._large is None:
            return _received.buffer
        room = self._large.room
        return _received.buffer[:BETWEEN_BYTES] if room is None else room

    def buffer_updated(self, nbytes: int) -> None:
        if self._large is not None and self._large.room is not None:
            self._heard = True
            self._large.filled(nbytes)
        else:
            self.data_received(bytes(_received.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        self._heard = True
        match self._stage:
            case _Stage.DIRECT if self.protocol.state is not WebsocketState.OPEN:
                self._unread += data
                self.end()
                self._over()
            case _Stage.DIRECT if self._unread or self._paused or self._resuming is not None:
                self._hold(data)
                self._go_on_soon()
            case _Stage.DIRECT:
                taken = self._take(data, MESSAGES_PER_TURN)
                if taken < len(data):
                    self._rest(memoryview(data)[taken:])
                self._taken()
            case _Stage.REQUEST:
                self._take_request(data)
            case _Stage.HELD:
                self._hold(data)
            case _Stage.LIBRARY if self._large is not None:
                self._large.take(data)
            case _Stage.LIBRARY | _Stage.ENDING:
                super().data_received(data)

    def _take_large(self, message: bytes) -> None:
        if self.protocol.state is WebsocketState.OPEN:
            self.process_event(Frame(Opcode.BINARY, message))

    def eof_received(self) -> None:
        """The library reads nothing behind the end: what has come goes before."""
        self._take_the_last()
        self._at_end = True
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._take_the_last()
        self._unread = bytearray()
        super().connection_lost(exc)
        self._over()
        self._deliver, self._over, self._taken = _ignore, _nothing, _nothing  # they lead back here

    def _take_the_last(self) -> None:
        """What has come is delivered, whoever waits for what: it comes no second time."""
        if self._stage is not _Stage.DIRECT:
            return
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        unread, self._unread = self._unread, bytearray()
        while True:
            self._paused = False
            taken = self._take(unread, len(unread))
            del unread[:taken]
            if not taken:
                break
        self._rest(unread)

    def process_event(self, event: Event) -> None:
        """Data frames that the library has read: fragments, of which messages are made here."""
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            if self._stage is _Stage.DIRECT:
                self._take_fragment(event)
                return
            if self._stage is _Stage.ENDING:
                return
        super().process_event(event)

    def _become(self, stage: _Stage) -> None:
        """The library reads from here on; so far it has read whole frames."""
        self._stage = stage
        unread, self._unread = self._unread, bytearray()
        self._paused = False
        self.transport.resume_reading()
        if unread:
            super().data_received(bytes(unread))

    # -- the handshake --------------------------------------------------------------------------------

    def _take_request(self, data: bytes) -> None:
        """Give the library its request and no more, so that it never holds part of a frame."""
        before = len(self._unread)
        self._unread += data
        end = self._unread.find(_REQUEST_END)
        if end < 0:
            del self._unread[: -len(_REQUEST_END) + 1]
            super().data_received(data)
            return
        rest = data[end + len(_REQUEST_END) - before :]
        self._unread.clear()
        self._stage = _Stage.HELD
        super().data_received(data[: len(data) - len(rest)])
        if rest:
            self._hold(rest)

    # -- what waits -----------------------------------------------------------------------------------

    def _hold(self, data: bytes) -> None:
        self._unread += data
        if len(self._unread) > HELD_MAX_BYTES:
            self.transport.pause_reading()

    def _rest(self, data: bytes | bytearray | memoryview) -> None:
        """So much could not be taken."""
        if self._stage is _Stage.DIRECT:
            self._unread += data
        elif data and not self._at_end:
            super().data_received(bytes(data))

    def _go_on_soon(self) -> None:
        if self._stage is _Stage.DIRECT and not self._paused and self._resuming is None:
            self._resuming = self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Take what has waited."""
        self._resuming = None
        if self._stage is not _Stage.DIRECT:
            return
        if self._unread:
            unread, self._unread = self._unread, bytearray()
            taken = self._take(unread, MESSAGES_PER_TURN)
            del unread[:taken]
            self._rest(unread)
            self._taken()
        if not self._paused and self._resuming is None:
            self.transport.resume_reading()

    # -- frames ---------------------------------------------------------------------------------------

    def _take(self, data: bytes | bytearray, most: int) -> int:
        """Deliver at most so many messages; returns how many bytes are done with."""
        at, end = 0, len(data)
        while end - at >= 2 and not self._paused and self._stage is _Stage.DIRECT:
            first, second = data[at], data[at + 1]
            length, head = second & 0x7F, at + 2
            if length >= 126:
                head += 2 if length == 126 else 8
                if end < head:
                    break
                length = int.from_bytes(data[at + 2 : head], "big")
            start = head + 4
            stop = start + length
            if not second & _MASKED:
                self.fail(CloseCode.PROTOCOL_ERROR, "incorrect masking")
                return end
            if length > self._message_max_bytes:
                over = f"a frame of {length} bytes, above {self._message_max_bytes}"
                self.fail(CloseCode.MESSAGE_TOO_BIG, over)
                return end
            if end < stop:
                break
            if not most:
                self.transport.pause_reading()
                self._go_on_soon()
                break
            most -= 1
            begin, at = at, stop
            if first == _WHOLE_BINARY and not self._fragments:
                self._deliver(apply_mask(data[start:stop], data[head:start]))
            elif first == _WHOLE_TEXT and not self._fragments:
                self._deliver_text(apply_mask(data[start:stop], data[head:start]))
            else:
                self._take_by_library(bytes(data[begin:stop]))
        return at

    def _take_by_library(self, frame: bytes) -> None:
        if self._at_end:
            return
        super().data_received(frame)
        if self.protocol.state is not WebsocketState.OPEN:
            self._stage = _Stage.ENDING
            self._over()

    def _take_fragment(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._fragments_text = frame.opcode is Opcode.TEXT
        self._fragments.append(bytes(frame.data))
        self._fragments_bytes += len(frame.data)
        if self._fragments_bytes > self._message_max_bytes:
            self.fail(CloseCode.MESSAGE_TOO_BIG, f"a message above {self._message_max_bytes} bytes")
        elif frame.fin:
            message = b"".join(self._fragments)
            self._forget_fragments()
            if self._fragments_text:
                self._deliver_text(message)
            else:
                self._deliver(message)

    def _forget_fragments(self) -> None:
        self._fragments.clear()
        self._fragments_bytes = 0

    def _deliver_text(self, encoded: bytes) -> None:
        try:
            text = encoded.decode()
        except UnicodeDecodeError as error:
            self.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
        else:
            self._deliver(text)
