"""Whether the lines that one side wrote stand in what the other wrote; what follows is left to ``rebase``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crdtsync.core.text.words import words

_TELLING_CHARS: Final = 8
"""A line of at least this many visible characters is not a part of another by chance."""


def stand_in(lines: Sequence[str], others: Sequence[str]) -> bool:
    """Whether each of the lines is one of the others, in that order: as it is, or gone on with, or indented.

    A short one that is a part of another is not that one: "milk" and "oat milk" are two.
    """
    left = iter(others)
    return all(any(_is_one(line, other) for other in left) for line in lines)


def _is_one(line: str, other: str) -> bool:
    if line == other:
        return True
    parts = line.split()
    if any(map(str.isalnum, line)) and parts == other.split():
        return True
    return sum(map(len, parts)) >= _TELLING_CHARS and set(words(line)) <= set(words(other))
