"""How much two texts differ, as a number; cheap where they differ by far too much."""

from __future__ import annotations

from collections import Counter
from typing import Final

from crdtsync.core.text.diff import diff, size_of

COUNTED_MAX: Final = 1 << 18
"""Characters of both texts: to count those of larger ones takes as long as most differences."""


def apart(old: str, new: str, at_most: float = 1.0) -> float | None:
    """The part of both texts that is not common: 0 if they are equal, 1 at most.

    None only if it is above ``at_most``; that may be seen without looking for what is common.
    """
    both = max(1, len(old) + len(new))
    if at_most < 1 and both <= COUNTED_MAX and _at_least(old, new) > at_most * both:
        return None
    return size_of(diff(old, new)) / both


def is_edit_of(text: str, saved: str) -> bool:
    """Whether what was saved is an edit of the text, or the beginning of it, rather than another's.

    Lines of two files may have many words in common: a line that both have tells, or very few edits.
    """
    both = set(text.splitlines()) & set(saved.splitlines())
    most = 0.5 if any(map(str.strip, both)) else 0.25
    return text.startswith(saved) or is_within(most, text, saved)


def is_within(at_most: float, old: str, new: str) -> bool:
    """Whether no more than that part of both texts is not common."""
    found = apart(old, new, at_most)
    return found is not None and found <= at_most


def _at_least(old: str, new: str) -> int:
    """Every edit that makes ``new`` of ``old`` deletes and inserts as many characters: as often as one occurs
    more in one of them, it is not common."""
    here, there = Counter(old), Counter(new)
    return sum(abs(count - there[each]) for each, count in here.items()) + sum(
        count for each, count in there.items() if each not in here
    )
