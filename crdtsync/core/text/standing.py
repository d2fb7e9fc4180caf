"""Whether the lines that one side wrote stand in what the other wrote; what follows is left to ``rebase``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crdtsync.core.text.align import common_prefix, common_suffix
from crdtsync.core.text.words import words

_TELLING_CHARS: Final = 8
"""A line of at least this many visible characters is not a part of another by chance."""


def stand_in(lines: Sequence[str], others: Sequence[str]) -> bool:
    """Whether each of the lines is one of the others, in that order: as it is, or gone on with, or indented.

    A short one that is a part of another is not that one: "milk" and "oat milk" are two.
    """
    left = iter(others)
    return all(any(_is_one(line, other) for other in left) for line in lines)


def is_gone_on_with(line: str, other: str) -> bool:
    """Whether the other one may be that line with something typed in it, be it within a word.

    Only for who knows that others had it: "item 1 of all" and "item 10 of all" are two.
    """
    if sum(map(len, line.split())) < _TELLING_CHARS:
        return False
    begun = common_prefix(line, other)
    ended = common_suffix(line, other, min(len(line), len(other)) - begun)
    return begun + ended == len(line) or _is_one(line, other)


def _is_one(line: str, other: str) -> bool:
    if line == other:
        return True
    parts = line.split()
    if any(map(str.isalnum, line)) and parts == other.split():
        return True
    return sum(map(len, parts)) >= _TELLING_CHARS and set(words(line)) <= set(words(other))
