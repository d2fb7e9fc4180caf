"""Offsets of a text as lines and characters, as editors count them.

Lines are separated by ``\\n`` alone and count from 0; a character is a code point.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    line: int
    character: int


class Lines:
    """Where the lines of a text start. Made for one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        starts = [0]
        at = text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = text.find("\n", at + 1)
        self._starts = starts

    def offset(self, position: Position) -> int:
        """Raises ValueError for a position that the text does not have."""
        line, character = position.line, position.character
        if not 0 <= line < len(self._starts):
            raise ValueError(f"there is no line {line} in a text of {len(self._starts)} lines")
        end = self._starts[line + 1] - 1 if line + 1 < len(self._starts) else len(self._text)
        offset = self._starts[line] + character
        if character < 0 or offset > end:
            raise ValueError(
                f"line {line} has {end - self._starts[line]} characters, and no position {character}"
            )
        return offset

    def nearest(self, position: Position) -> int:
        """The offset; for a position that the text does not have, one near by."""
        line = min(max(position.line, 0), len(self._starts) - 1)
        if line != position.line:
            return 0 if position.line < 0 else len(self._text)
        end = self._starts[line + 1] - 1 if line + 1 < len(self._starts) else len(self._text)
        return min(self._starts[line] + max(position.character, 0), end)

    def position(self, offset: int) -> Position:
        """Of an offset within the text; one beyond its end is the end."""
        offset = min(offset, len(self._text))
        line = bisect_right(self._starts, offset) - 1
        return Position(line, offset - self._starts[line])
