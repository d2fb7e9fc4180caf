"""Insertions of two sides that can be told as standing at one place are told so.

What is inserted may often stand a bit earlier or later with the same result. Whoever brings two sides
together sees that they inserted at one place only if both tell it alike. What both inserted there, and then
went on with, shows where the operations tell that it was a step of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from crdtsync.core.text.align import common_prefix, common_suffix
from crdtsync.core.text.diff import Edit, shifted, slack
from crdtsync.core.text.lineage import Lineage
from crdtsync.core.text.words import begins_with, ends_with, telling_chars, words

_TELLING_CHARS: Final = 8
"""A step of at least this many letters is not made twice in one place by chance."""


def common_steps(
    base: str, ours: Sequence[Edit], theirs: Sequence[Edit], lineage: Callable[[], Lineage | None]
) -> list[Edit]:
    """What they inserted within a line in a step of its own, and we at the same place, as edits of the base:
    both went on from there, each otherwise, as after a formatter."""
    our_edits = {(edit.start, edit.end): edit.text for edit in ours}
    places: list[tuple[int, Edit, str]] = []
    shift = 0
    for edit in theirs:
        mine = our_edits.get((edit.start, edit.end), "")
        if mine and _is_within_line(base, edit.start) and _may_share_a_step(mine, edit.text):
            places.append((edit.start + shift, edit, mine))
        shift += len(edit.text) - (edit.end - edit.start)
    if not places or (found := lineage()) is None:
        return []
    common = []
    for start, edit, mine in places:
        steps = found.steps(start, start + len(edit.text))
        both = (step for step in steps if begins_with(mine, step) or ends_with(mine, step))
        step = next((step for step in both if "\n" not in step and _tells(words(step))), None)
        if step is not None:
            common.append(Edit(edit.start, edit.end, step))
    return common


def _is_within_line(base: str, position: int) -> bool:
    return position > 0 and base[position - 1] != "\n"


def _may_share_a_step(mine: str, yours: str) -> bool:
    """Whether that can be, and neither is simply a part of the other."""
    return mine not in yours and yours not in mine and _tells({*words(mine)} & {*words(yours)})


def _tells(parts: Iterable[str]) -> bool:
    return telling_chars(part for part in parts if not part.isspace()) >= _TELLING_CHARS


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
