"""The first update of a text, with which one client inserts all of it: written and read without a document.

A new file is just that, and a document made for each would cost ten times as much. Whatever else an update
may be is left to ``document``.
"""

from __future__ import annotations

from typing import Final

from crdtsync.core.text import statevector
from crdtsync.core.text.cursor import MAX_CLIENT, MAX_CLOCK
from crdtsync.core.values.late import dataclass
from crdtsync.core.wire.lib0 import varbytes, varuint

_ONE_STRUCT: Final = b"\x01\x01"
"""Of one client; the client follows."""
_STRING_IN_ROOT: Final = b"\x00\x04\x01\x07content"
"""At clock 0 a string, placed by no other item, in the root type; the string follows."""
_NO_DELETIONS: Final = b"\x00"


@dataclass(frozen=True, slots=True)
class FirstText:
    """What ``client`` inserted into an empty document. ``text`` is not empty."""

    client: int
    text: str

    @property
    def state_vector(self) -> bytes:
        """Of the document that holds it and nothing else; clocks count UTF-16 units."""
        text = self.text
        units = len(text) if text.isascii() else len(text.encode("utf-16-le")) >> 1
        return statevector.encode({self.client: units})


def write_first(first: FirstText) -> bytes:
    """The very bytes that Yrs would write. Raises ValueError for half a surrogate pair."""
    return b"".join(
        (
            _ONE_STRUCT,
            varuint(first.client),
            _STRING_IN_ROOT,
            varbytes(first.text.encode()),
            _NO_DELETIONS,
        )
    )


def read_first(update: bytes) -> FirstText | None:
    """What the update inserts, if it is well-formed and does nothing else; None: ask ``document``."""
    if not update.startswith(_ONE_STRUCT) or not update.endswith(_NO_DELETIONS):
        return None
    try:
        client, at = _uint(update, len(_ONE_STRUCT))
        if not update.startswith(_STRING_IN_ROOT, at):
            return None
        size_bytes, at = _uint(update, at + len(_STRING_IN_ROOT))
        if at + size_bytes != len(update) - len(_NO_DELETIONS) or not 0 < size_bytes <= MAX_CLOCK:
            return None
        text = update[at : at + size_bytes].decode()
    except (IndexError, UnicodeDecodeError):
        return None
    if client > MAX_CLIENT or "\0" in text:
        return None
    return FirstText(client, text)


def _uint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 49:
            raise IndexError
