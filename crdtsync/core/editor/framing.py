"""Messages on a byte stream, each behind a Content-Length header, as language servers frame theirs.

https://microsoft.github.io/language-server-protocol/specifications/base/0.9/specification/
"""

from __future__ import annotations

from crdtsync.core.values import limits

_HEADER_MAX_BYTES = 4096


def framed(body: str) -> bytes:
    data = body.encode("utf-8", "replace")
    return b"Content-Length: %d\r\n\r\n%s" % (len(data), data)


class Unframer:
    """Bytes in, whole messages out; what is no header is skipped."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._length: int | None = None
        self._skipping = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole by now. One above the limit is left out, and told as an empty one."""
        self._bytes += data
        found: list[bytes] = []
        while True:
            if self._skipping:
                skipped = min(self._skipping, len(self._bytes))
                del self._bytes[:skipped]
                self._skipping -= skipped
                if self._skipping:
                    return found
            if self._length is None and not self._header():
                return found
            length = self._length
            assert length is not None
            if length > limits.EDITOR_LINE_MAX_BYTES:
                self._skipping, self._length = length, None
                found.append(b"")
                continue
            if len(self._bytes) < length:
                return found
            found.append(bytes(self._bytes[:length]))
            del self._bytes[:length]
            self._length = None

    def _header(self) -> bool:
        """Read lines up to an empty one; whether a length was among them."""
        length: int | None = None
        at = 0
        while True:
            end = self._bytes.find(b"\n", at)
            if end < 0:
                if len(self._bytes) - at > _HEADER_MAX_BYTES:
                    self._bytes.clear()  # no header is so long
                return False
            line = bytes(self._bytes[at:end]).strip()
            at = end + 1
            name, colon, value = line.partition(b":")
            if colon and name.strip().lower() == b"content-length" and value.strip().isdigit():
                length = int(value)
            elif not line:
                if length is not None:
                    del self._bytes[:at]
                    self._length = length
                    return True
                length = None
