"""Lines that a side broke, by inserting the end of a line within them.

Compared line by line, such a line would stand once as either side has it. Here it is told which breaks both
made, and which can be made in the text of the other side before anything is compared.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import accumulate

from crdtsync.core.text.align import common_prefix, common_suffix
from crdtsync.core.text.diff import Edit, taken_out
from crdtsync.core.text.words import begins_with


def common_breaks(base: str, ours: Sequence[Edit], theirs: Sequence[Edit]) -> list[Edit]:
    """The ends of lines that both sides inserted at the same place within a line, as edits of the base.

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
        if begins_with(longer, shorter):
            breaks.append(Edit(mine.start, mine.start, f"{shorter}\n"))
    return breaks


def breaks_apart(base: str, ours: Sequence[Edit], theirs: Sequence[Edit]) -> tuple[list[Edit], list[Edit]]:
    """Our breaks of lines in which they changed something else: as edits of the base, and of their text.

    Where either took out more than a third of a line, there may be another one in its place. Where words of
    ours are in what they inserted in it, it may be the same break, told otherwise.
    """
    breaks = [edit for edit in ours if _breaks(base, edit)]
    if not breaks:
        return [], []
    wrote: dict[int, set[str]] = defaultdict(set)
    for edit in theirs:
        wrote[_line(base, edit.start)].update(edit.text.split())
    gone = _gone(base, ours) | _gone(base, theirs)
    theirs = [_trimmed(base, edit) for edit in theirs]
    starts = [edit.start for edit in theirs]
    shifts = [0, *accumulate(len(edit.text) - edit.end + edit.start for edit in theirs)]
    in_base, in_theirs = [], []
    for edit in breaks:
        line, before = _line(base, edit.start), bisect_left(starts, edit.start)
        if (
            line in wrote
            and wrote[line].isdisjoint(edit.text.split())
            and 3 * gone[line] <= _visible(base[line + 1 : base.find("\n", line + 1)])
            and all(
                other.end < edit.start or edit.start < other.start or other.start == other.end
                for other in theirs[max(0, before - 1) : before + 1]
            )
        ):
            at = edit.start + shifts[before]
            in_base.append(edit)
            in_theirs.append(Edit(at, at, edit.text))
    return in_base, in_theirs


def _gone(base: str, edits: Sequence[Edit]) -> Counter[int]:
    """How much of each line they take out."""
    gone: Counter[int] = Counter()
    for edit in edits:
        out = taken_out(base, edit)
        at = out.start
        for part in base[out.start : out.stop].splitlines(keepends=True):
            gone[_line(base, at)] += _visible(part)
            at += len(part)
    return gone


def _trimmed(base: str, edit: Edit) -> Edit:
    """Without what it leaves at its start and at its end."""
    old = base[edit.start : edit.end]
    start = common_prefix(old, edit.text)
    end = common_suffix(old, edit.text, min(len(old), len(edit.text)) - start)
    return Edit(edit.start + start, edit.end - end, edit.text[start : len(edit.text) - end])


def _visible(text: str) -> int:
    return sum(map(len, text.split()))


def _breaks(base: str, edit: Edit) -> bool:
    """Whether it merely inserts the end of a line, with characters of one line on both sides of it.

    What ends as that line does is another line that is like it.
    """
    if edit.start < edit.end or "\n" not in edit.text or not _is_within(base, edit.start):
        return False
    typed, rest = (text.partition("\n")[0].split() for text in (edit.text, base[edit.start :]))
    return not typed or typed[-1:] != rest[-1:]


def _is_within(base: str, position: int) -> bool:
    return position > 0 and "\n" not in base[position - 1 : position + 1]


def _line(base: str, position: int) -> int:
    return base.rfind("\n", 0, position)
