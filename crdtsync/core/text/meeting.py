"""Insertions of two sides that can be told as standing at one place are told so.

What is inserted may often stand a bit earlier or later with the same result. Whoever brings two sides
together sees that they inserted at one place only if both tell it alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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


def broken_alike(
    base: str, ours: Sequence[Edit], theirs: Sequence[Edit]
) -> tuple[tuple[Edit, ...], tuple[Edit, ...]]:
    """Both sides' edits of ``base``; where both broke a line at one place, with the same words before the end
    of the line or none, and one of them rewrote what comes after it, that break is an edit of its own.
    """
    their_edits = {edit.start: edit for edit in theirs}
    breaks: dict[int, str] = {}
    for mine in ours:
        if mine.start not in their_edits:
            continue
        yours = their_edits[mine.start]
        if mine.start == mine.end and yours.start == yours.end:
            continue
        inside = mine.start > 0 and "\n" not in base[mine.start - 1 : mine.start + 1]
        wrote, _, _ = mine.text.partition("\n")
        if inside and mine.text != wrote and yours.text.startswith(f"{wrote}\n"):
            breaks[mine.start] = f"{wrote}\n"
    if not breaks:
        return tuple(ours), tuple(theirs)
    return tuple(_cut(ours, breaks)), tuple(_cut(theirs, breaks))


def _cut(edits: Sequence[Edit], breaks: Mapping[int, str]) -> Iterator[Edit]:
    """The edits, those that begin with a break cut after it."""
    for edit in edits:
        inserted = breaks.get(edit.start, "")
        if inserted:
            yield Edit(edit.start, edit.start, inserted)
        rest = Edit(edit.start, edit.end, edit.text[len(inserted) :])
        if not inserted or rest.text or rest.end > rest.start:
            yield rest


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
