"""Reads numbers and strings of a Yjs update one after the other, believing nothing that the update claims.

What they mean is left to ``content`` and ``update``.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from crdtsync.errors import MalformedUpdate

MAX_CLIENT: Final = (1 << 53) - 1
"""The largest integer that JavaScript holds exactly."""
MAX_CLOCK: Final = (1 << 31) - 1
"""Yrs computes with clocks as signed 32-bit integers."""


def refuse(reason: str) -> NoReturn:
    raise MalformedUpdate(f"the update is malformed: {reason}")


class Cursor:
    """A position in the update. Reading past its end raises IndexError, once for all at the top."""

    __slots__ = ("at", "bodies", "cuts", "data", "elsewhere", "halves", "needs", "types", "values_only")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.needs: dict[int, int] = {}
        self.bodies: dict[int, Any] = {}
        """Where the structs of each client stand, as in ``UpdateShape.bodies``."""
        self.values_only = True
        self.types: list[tuple[int, int]] = []
        self.elsewhere = False
        self.cuts: list[tuple[int, int]] = []
        self.halves: list[int] = []
        """Second halves of surrogate pairs in the string read last, as offsets in UTF-16 units."""

    def byte(self) -> int:
        byte = self.data[self.at]
        self.at += 1
        return byte

    def uint(self) -> int:
        """An unsigned LEB128 of at most 53 bits."""
        at = self.at
        byte = self.data[at]
        if byte < 0x80:
            self.at = at + 1
            return byte
        number = byte & 0x7F
        shift = 7
        while True:
            at += 1
            byte = self.data[at]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 49:
                refuse("a number has more than 53 bits")
        if number > MAX_CLIENT:
            refuse("a number has more than 53 bits")
        self.at = at + 1
        return number

    def clock(self) -> int:
        clock = self.uint()
        if clock > MAX_CLOCK:
            refuse("a clock has more than 31 bits")
        return clock

    def count(self) -> int:
        """A number of things to follow; each takes at least one byte."""
        count = self.uint()
        if count > len(self.data) - self.at:
            raise IndexError
        return count

    def some(self, what: str) -> int:
        """A count where nobody writes zero."""
        count = self.count()
        if not count:
            refuse(f"a client without {what}")
        return count

    def skip(self, size_bytes: int) -> None:
        self.at += size_bytes
        if self.at > len(self.data):
            raise IndexError

    def string(self) -> str:
        size_bytes = self.count()
        start = self.at
        self.at = start + size_bytes
        return self.data[start : self.at].decode()
