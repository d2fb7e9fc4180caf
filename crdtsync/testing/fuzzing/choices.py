"""Decisions read from bytes, so that random bytes, hypothesis and a coverage-guided fuzzer can all make them.

The same bytes make the same case. When they run out every decision is the first, so cases always end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

EDGES: Final = (
    *(0, 1, 2, 0x7F, 0x80, 0x3FFF, 0x4000, 0xFFFF),
    *(2**31 - 2, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**50),
    *(2**53 - 2, 2**53 - 1, 2**53, 2**56, 2**63, 2**64 - 1, 2**64),
)
"""Numbers at which some decoder changes its mind: a byte of LEB128, 31, 32, 53 and 64 bits."""


class Choices:
    """Reads ``data`` from its start. ``wild``: every how many numbers one may be an edge; 0 for none."""

    __slots__ = ("_at", "_data", "_wild")

    def __init__(self, data: bytes, wild: int = 0) -> None:
        self._data = data
        self._at = 0
        self._wild = wild

    @property
    def exhausted(self) -> bool:
        return self._at >= len(self._data)

    def byte(self) -> int:
        if self._at >= len(self._data):
            return 0
        byte = self._data[self._at]
        self._at += 1
        return byte

    def below(self, bound: int) -> int:
        """A number from 0 to ``bound - 1``."""
        if bound <= 1:
            return 0
        number = self.byte()
        for _ in range(((bound - 1).bit_length() - 1) // 8):
            number = number << 8 | self.byte()
        return number % bound

    def chance(self, one_in: int) -> bool:
        """True for about one in so many; False once the bytes have run out."""
        return self.below(one_in) == one_in - 1 if one_in > 1 else not self.exhausted

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def take(self, size_bytes: int) -> bytes:
        """Up to so many bytes as they are."""
        taken = self._data[self._at : self._at + size_bytes]
        self._at += len(taken)
        return taken

    def count(self, most: int) -> int:
        """A small number, mostly."""
        return self.below(self.below(most + 1) + 1)

    def number(self, honest: int) -> int:
        """``honest``, or now and then one beside it or one of ``EDGES``."""
        if self._wild == 0 or not self.chance(self._wild):
            return honest
        if self.chance(2):
            return max(0, honest + self.pick((-2, -1, 1, 2)))
        return self.pick(EDGES)
