"""What stands twice in a text since two people made the same change at once.

Knows the text that the operations made and the one that was wanted; whose the operations are, is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final

from crdtsync.core.text.align import common_prefix, common_suffix
from crdtsync.core.text.diff import Edit, apply_edits, diff
from crdtsync.core.text.standing import stand_in
from crdtsync.core.text.words import words

_TELLING_CHARS: Final = 8
"""Text of at least this many visible characters does not stand twice by chance."""


def doublings(
    merged: str, wanted: str, ours: Sequence[tuple[int, int]], *, moving: bool = True
) -> tuple[Edit, ...]:
    """The edits of ``merged`` that take out what stands twice in it, and once in ``wanted``.

    ``merged`` is the merge of the operations, ``wanted`` that of the texts. Where these differ otherwise as
    well, both are right in their way: what the operations made stays, but for what can be seen to stand
    twice. ``ours`` are the ranges of ``merged`` that we inserted, each at once: of the two it is ours that
    goes, where that can be told, for others may have written next to theirs. All in code points, ascending.
    ``moving``: what is wanted elsewhere may be put there, if that is all; else things are taken out only.
    """
    if merged == wanted:
        return ()
    pieces, ours = ours, _touching_joined(ours)
    told = diff(merged, wanted)
    ends = [0, *(edit.end for edit in told)]
    starts = [*(edit.start for edit in told[1:]), len(merged)]
    edits = [
        edit if edit.text else _slid_into(merged, edit, ours, end, start)
        for edit, end, start in zip(told, ends, starts, strict=False)
    ]
    if not any(edit.text for edit in edits) or (moving and _is_all(merged, wanted)):
        return tuple(edits)
    twice = [edit for edit in edits if not edit.text and _stands_twice(merged, edit, wanted)]
    replaced = _replaced(merged, edits, ours)
    for find, ranges in (
        (_pieces_twice, ours),
        (_lines_twice, ours),
        (_pieces_twice, pieces),
        (_pieces_twice, replaced),
    ):
        twice = sorted([*twice, *find(merged, wanted, ranges, twice)], key=lambda edit: edit.start)
    return tuple(twice)


def _is_all(merged: str, wanted: str) -> bool:
    """Whether both have the same words, and one of these stands in ``merged`` more often."""
    there, once = Counter(words(merged)), Counter(words(wanted))
    return there.keys() == once.keys() and any(map(str.strip, there - once))


def _replaced(text: str, edits: Sequence[Edit], ours: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Where they put something else, if what stands there is in what we inserted; without the ends of lines
    around it."""
    ranges = []
    for edit in edits:
        gone = text[edit.start : edit.end]
        told = gone.strip("\n")
        if edit.text and told and any(told in text[start:end] for start, end in ours):
            start = edit.start + gone.index(told)
            ranges.append((start, start + len(told)))
    return ranges


def _touching_joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in ranges:
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, end))
    return joined


def _pieces_twice(
    merged: str, wanted: str, pieces: Sequence[tuple[int, int]], told: Sequence[Edit]
) -> Iterator[Edit]:
    """Those that stand in ``merged`` more often than in ``wanted``, also without what is told already."""
    left = {merged[start:end]: 0 for start, end in pieces}
    standing = apply_edits(merged, told)
    for text in left:
        if _visible(text) >= _TELLING_CHARS and text in wanted:
            left[text] = standing.count(text) - wanted.count(text)
    done = 0
    for start, end in pieces:
        apart = start >= done and all(edit.end < start or end < edit.start for edit in told)
        if left[merged[start:end]] > 0 and apart:
            left[merged[start:end]] -= 1
            done = end
            yield Edit(start, end, "")


def _lines_twice(
    merged: str, wanted: str, ours: Sequence[tuple[int, int]], told: Sequence[Edit]
) -> Iterator[Edit]:
    """Whole lines that ``wanted`` lacks, all words of which stand in another one that it has.

    One of the two is ours, the other is not: both sides inserted that line, and one has gone on with it.
    """
    kept, lines = Counter(wanted.splitlines(keepends=True)), merged.splitlines(keepends=True)
    over = Counter(apply_edits(merged, told).splitlines(keepends=True)) - kept
    starts = [*accumulate(map(len, lines), initial=0)]
    inserted = [part_in(ours, start, end) for start, end in pairwise(starts)]
    for at, line in enumerate(lines):
        start, end = starts[at], starts[at + 1]
        if (
            over[line] > 0
            and line.endswith("\n")
            and all(edit.end <= start or end <= edit.start for edit in told)
            and any(
                {inserted[at], inserted[other]} == {0, 1} and kept[more] and stand_in([line], [more])
                for other, more in enumerate(lines)
                if more != line
            )
        ):
            over[line] -= 1
            yield Edit(start, end, "")


def within_ours(text: str, edits: Sequence[Edit], ours: Sequence[tuple[int, int]]) -> list[Edit]:
    """Those that lie in ours; and instead of what is theirs the same in ours, if that has it within more."""
    kept = [edit for edit in edits if part_in(ours, edit.start, edit.end) == 1]
    for edit in edits:
        gone = text[edit.start : edit.end]
        if _visible(gone) >= _TELLING_CHARS and not part_in(ours, edit.start, edit.end):
            for start, end in ours:
                at = text.find(gone, start, end)
                if at >= 0 and all(each.end <= at or at + len(gone) <= each.start for each in kept):
                    kept.append(Edit(at, at + len(gone), ""))
                    break
    return sorted(kept, key=lambda edit: edit.start)


def part_in(ranges: Sequence[tuple[int, int]], start: int, end: int) -> float:
    """How much of what is from start to end lies in the ranges: 0 to 1."""
    return sum(max(0, min(end, last) - max(start, first)) for first, last in ranges) / (end - start)


def _visible(text: str) -> int:
    return sum(map(len, text.split()))


def _slid_into(text: str, edit: Edit, ranges: Sequence[tuple[int, int]], low: int, high: int) -> Edit:
    """The same removal, told so that it lies within one of the ranges, and from ``low`` to ``high``, if it
    can be."""
    earliest, latest = _slack(text, edit)
    earliest, latest = max(earliest, low - edit.start), min(latest, high - edit.end)
    fitting = []
    for start, end in ranges:
        lowest, highest = max(earliest, start - edit.start), min(latest, end - edit.end)
        if lowest <= highest:
            fitting.append(min(max(0, lowest), highest))
    shift = min(fitting, key=abs, default=0)
    return Edit(edit.start + shift, edit.end + shift, "")


def _slack(text: str, removed: Edit) -> tuple[int, int]:
    """By how many characters the removal may be told earlier (negative) and later: of ``abab``, ``ab`` or
    ``ba`` is removed."""
    earlier = common_suffix(text[: removed.start], text[: removed.end], removed.start)
    return -earlier, common_prefix(text, text, removed.start, removed.end)


def _stands_twice(text: str, removed: Edit, left: str) -> bool:
    """Whether something to be seen is removed from the text that stands in what is left, too."""
    start, end = removed.start, removed.end
    if text[start:end].isspace():
        return False
    earliest, latest = _slack(text, removed)
    if latest - earliest >= end - start:
        return True
    alike = (text[start + shift : end + shift] for shift in {earliest, 0, latest})
    return any(each in left and text.count(each) > left.count(each) for each in alike)
