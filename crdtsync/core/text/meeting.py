"""Insertions of two sides that can be told as standing at one place are told so.

What is inserted may often stand a bit earlier or later with the same result. Whoever brings two sides
together sees that they inserted at one place only if both tell it alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crdtsync.core.text.align import common_prefix, common_suffix
from crdtsync.core.text.diff import Edit, shifted, slack


def told_alike(
    base: str, ours: Sequence[Edit], theirs: Sequence[Edit]
) -> tuple[tuple[Edit, ...], tuple[Edit, ...]]:
    """Both sides' edits of ``base``, with insertions moved to where the other side has much the same.

    Others stay where they are: a line after this one is nothing that this one goes on with.
    """
    our_edits, their_edits = list(ours), list(theirs)
    candidates = iter(_insertions(base, theirs))
    other = next(candidates, None)
    for index, low, high in _insertions(base, ours):
        while other is not None and other[2] < low:
            other = next(candidates, None)
        if other is None:
            break
        if other[1] > high:
            continue
        mine, yours = our_edits[index], their_edits[other[0]]
        earliest, latest = max(low, other[1]), min(high, other[2])
        for place in dict.fromkeys((mine.start, yours.start, latest)):
            if earliest <= place <= latest:
                moved = shifted(base, mine, place - mine.start), shifted(base, yours, place - yours.start)
                if _much_the_same(moved[0].text, moved[1].text):
                    our_edits[index], their_edits[other[0]] = moved
                    break
        other = next(candidates, None)
    return tuple(our_edits), tuple(their_edits)


def _insertions(base: str, edits: Sequence[Edit]) -> Iterator[tuple[int, int, int]]:
    """Of each mere insertion: its index, and the first and last place where it may stand."""
    for index, edit in enumerate(edits):
        if edit.start == edit.end:
            low = edits[index - 1].end + 1 if index else 0
            high = edits[index + 1].start - 1 if index + 1 < len(edits) else len(base)
            left, right = slack(base, edit, min(low, edit.start), max(high, edit.end))
            yield index, edit.start - left, edit.start + right


def _much_the_same(one: str, other: str) -> bool:
    """Whether they begin and end alike for half of the shorter one, in more than white space."""
    shorter = min(len(one), len(other))
    begin = common_prefix(one, other)
    end = common_suffix(one, other, shorter - begin)
    alike = one[:begin] + one[len(one) - end :]
    return not alike.isspace() and (2 * len(alike) >= shorter or len(one[:begin].split()) > 2)
