"""lib0's variable-length integers and byte strings, read with bounds; knows nothing of any message.

Encoding as in the lib0 library (https://github.com/dmonad/lib0): unsigned LEB128, at most 53 bits.
"""

from __future__ import annotations

from crdtsync.errors import PeerError

MAX_VARUINT = (1 << 53) - 1


def varuint(number: int) -> bytes:
    """Encode ``0 <= number < 2**53``."""
    if number < 0x80:
        return bytes((number,))
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def varbytes(data: bytes) -> bytes:
    return varuint(len(data)) + data


def varstring(text: str) -> bytes:
    """Encode as UTF-8; halves of surrogate pairs become U+FFFD, as in JavaScript."""
    return varbytes(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode())


class Reader:
    """Reads one frame from start to end; raises PeerError for whatever is not there or too large."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def remaining(self) -> int:
        return len(self._data) - self._position

    def varuint(self) -> int:
        data = self._data
        position = self._position
        number = shift = 0
        try:
            while True:
                byte = data[position]
                position += 1
                number |= (byte & 0x7F) << shift
                if byte < 0x80:
                    break
                shift += 7
                if shift > 49:
                    raise PeerError("a number in the frame is longer than 53 bits")
        except IndexError:
            raise PeerError("the frame ends within a number") from None
        if number > MAX_VARUINT:
            raise PeerError("a number in the frame is longer than 53 bits")
        self._position = position
        return number

    def varbytes(self) -> bytes:
        return self.take(self.varuint())

    def varstring(self) -> str:
        try:
            return self.varbytes().decode()
        except UnicodeDecodeError:
            raise PeerError("the frame holds a string that is not UTF-8") from None

    def take(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise PeerError("the frame ends within a field")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def view(self, length: int) -> memoryview:
        """As ``take``, without a copy: the whole frame lives as long as this does."""
        end = self._position + length
        if end > len(self._data):
            raise PeerError("the frame ends within a field")
        taken = memoryview(self._data)[self._position : end]
        self._position = end
        return taken

    def end(self) -> None:
        if self.remaining:
            raise PeerError(f"{self.remaining} bytes follow the end of the frame")
