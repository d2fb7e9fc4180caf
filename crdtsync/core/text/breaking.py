"""Lines that two sides broke, by inserting the end of a line within them.

Compared line by line, such a line would stand once as either side broke it. Here it is told which breaks both
made, and which can be made in the text of the other side before anything is compared.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.text.words import inside_word


def with_breaks(base: str, ours: Sequence[Edit], theirs: Sequence[Edit]) -> str:
    """The base, with the ends of lines in it that both sides inserted at the same place within a line.

    With them goes what both wrote before them: both broke the line there, whatever became of its parts.
    """
    their_edits = {edit.start: edit for edit in theirs}
    breaks: list[Edit] = []
    for mine in ours:
        if mine.start not in their_edits:
            continue
        our_end, their_end = mine.text.find("\n"), their_edits[mine.start].text.find("\n")
        if min(our_end, their_end) < 0 or not _is_within(base, mine.start):
            continue
        shorter, longer = sorted((mine.text[:our_end], their_edits[mine.start].text[:their_end]), key=len)
        if longer.startswith(shorter) and not inside_word(longer, len(shorter)):
            breaks.append(Edit(mine.start, mine.start, f"{shorter}\n"))
    return apply_edits(base, breaks) if breaks else base


def breaks_apart(base: str, ours: Sequence[Edit], theirs: Sequence[Edit]) -> tuple[list[Edit], list[Edit]]:
    """Our breaks of lines that they broke at another place: as edits of the base, and of their text.

    Where words of ours are in what they inserted in that line, it may be the same one, told otherwise.
    """
    broken: dict[int, set[str]] = {_line(base, edit): set() for edit in theirs if _breaks(base, edit)}
    if not broken:
        return [], []
    for edit in theirs:
        if (line := _line(base, edit)) in broken:
            broken[line].update(edit.text.split())
    starts = [edit.start for edit in theirs]
    shifts = [0, *accumulate(len(edit.text) - edit.end + edit.start for edit in theirs)]
    in_base, in_theirs = [], []
    for edit in ours:
        before = bisect_left(starts, edit.start)
        if (
            _breaks(base, edit)
            and (line := _line(base, edit)) in broken
            and broken[line].isdisjoint(edit.text.split())
            and all(
                other.end < edit.start or edit.start < other.start
                for other in theirs[max(0, before - 1) : before + 1]
            )
        ):
            at = edit.start + shifts[before]
            in_base.append(edit)
            in_theirs.append(Edit(at, at, edit.text))
    return in_base, in_theirs


def _breaks(base: str, edit: Edit) -> bool:
    """Whether it merely inserts the end of a line, with characters of one line on both sides of it."""
    return edit.start == edit.end and "\n" in edit.text and _is_within(base, edit.start)


def _is_within(base: str, position: int) -> bool:
    return position > 0 and "\n" not in base[position - 1 : position + 1]


def _line(base: str, edit: Edit) -> int:
    return base.rfind("\n", 0, edit.start)
