"""Large websocket messages, each read from the socket into memory of its own and not moved again.

The websockets library copies what arrives five times before it is a message. Here whole binary frames of some
size are taken out of the stream, and the library is given all that stands between them, never a part of a
frame. Knows where frames begin and end; what they say, and all rules of the protocol, are left to others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from websockets.frames import Opcode

from crdtsync.core.values.limits import KiB

try:
    from websockets.speedups import apply_mask
except ImportError:  # the package was built without its C part
    from websockets.utils import apply_mask

LARGE_FROM_BYTES: Final = 16 * KiB
"""What a smaller message costs is not its copies."""
BETWEEN_BYTES: Final = 4 * KiB
"""Best read at once between large messages: more of one that begins there would have to be moved."""
_FIN: Final = 0x80
_CONTROL: Final = 0x08
_MASKED: Final = 0x80
_WHOLE_BINARY: Final = _FIN | Opcode.BINARY
_WHOLE_TEXT: Final = _FIN | Opcode.TEXT


class LargeFrames:
    """Begun where a frame begins. ``deliver`` gets the large messages, ``others`` the stream without them."""

    def __init__(
        self,
        max_bytes: int,
        *,
        masked: bool,
        deliver: Callable[[bytes], None],
        others: Callable[[bytes], None],
    ) -> None:
        """``masked``: what a client sends. Messages above ``max_bytes`` are for ``others`` to refuse."""
        self._max_bytes = max_bytes
        self._masked = _MASKED if masked else 0
        self._deliver = deliver
        self._others = others
        self._unread = b""
        """The beginning of a frame that is not a large one, or of its header."""
        self._memory: memoryview | None = None
        """Kept once there was a large message: new pages for each would cost more than its copies."""
        self._message: memoryview | None = None
        self._filled_bytes = 0
        self._mask = b""
        self._gave_up = False
        """Something is different from what we know: all that comes is for ``others``."""

    @property
    def room(self) -> memoryview | None:
        """Where the next bytes of the stream belong; None while they are for ``take``."""
        return None if self._message is None else self._message[self._filled_bytes :]

    def filled(self, size_bytes: int) -> None:
        """So many bytes were read into ``room``."""
        assert self._message is not None
        self._filled_bytes += size_bytes
        if self._filled_bytes == len(self._message):
            message, self._message = self._message, None
            self._deliver(apply_mask(message, self._mask) if self._masked else bytes(message))

    def take(self, data: bytes | memoryview) -> None:
        """The next bytes of the stream, from wherever they were read to."""
        rest = memoryview(data)
        while rest:
            room = self.room
            if room is None:
                rest = memoryview(self._until_large(self._unread + rest))
            else:
                count = min(len(room), len(rest))
                room[:count] = rest[:count]
                rest = rest[count:]
                self.filled(count)

    def _until_large(self, data: bytes) -> bytes:
        """Pass on whole frames up to a large one, and return what came of that without its header."""
        at, end = 0, len(data)
        while not self._gave_up and end - at >= 2:
            first, second = data[at], data[at + 1]
            length = second & 0x7F
            start = at + 2 + (0 if length < 126 else 2 if length == 126 else 8) + (4 if self._masked else 0)
            if end < start:
                break
            if length >= 126:
                length = int.from_bytes(data[at + 2 : at + (4 if length == 126 else 10)], "big")
            usual = first in (_WHOLE_BINARY, _WHOLE_TEXT) or first & _CONTROL
            if not usual or second & _MASKED != self._masked or length > self._max_bytes:
                self._gave_up = True
            elif length < LARGE_FROM_BYTES:
                if end < start + length:
                    break
                at = start + length
            elif first == _WHOLE_BINARY:
                self._pass_on(data[:at])
                if self._memory is None:
                    self._memory = memoryview(bytearray(self._max_bytes))
                self._message, self._filled_bytes = self._memory[:length], 0
                self._mask = data[start - 4 : start]
                self._unread = b""
                return data[start:]
            else:
                self._gave_up = True
        if self._gave_up:
            at = end
        self._pass_on(data[:at])
        self._unread = data[at:]
        return b""

    def _pass_on(self, data: bytes) -> None:
        if data:
            self._others(data)
