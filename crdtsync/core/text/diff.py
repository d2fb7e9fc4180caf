"""What changed from one text to another, as few and small edits that mean something to a person.

Trims what is equal at both ends, compares by lines, then by words in changed lines, then by characters in
changed words. Every bound is a size, so that all machines find the same edits. What to do with them is left
to others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final

from crdtsync.core.text.align import (
    Budget,
    Run,
    align,
    common_prefix,
    common_suffix,
    exact_pairs,
    runs_of,
    skim,
)
from crdtsync.core.text.words import (
    WORD_MAX,
    Hunk,
    align_words,
    gaps,
    inside_word,
    word_end,
    word_start,
    words,
)
from crdtsync.core.values.late import dataclass

_WORDS_MAX_CHARS: Final = 1 << 20
"""Of all changed regions together; what is beyond is not compared by words but replaced. Costs 0.5 s."""
_PAIRED_ABOVE_CHARS: Final = 1 << 15
"""A changed region above this is first cut in pairs of lines, ..."""
_PAIRED_MAX_LINES: Final = 1 << 18
"""... unless it has more lines than this."""
_AROUND_EMPTY_MAX_CELLS: Final = 64
"""So many pairs of lines around an empty one are few."""
_SKIM_ABOVE_CHARS: Final = 1 << 16
"""A changed line above this is skimmed first, to find a few changes in it."""
_SKIM_WIDTH: Final = 32
_SKIM_REACH: Final = 256
_SMALL_CELLS: Final = 1 << 14
_ALIKE_MAX_CHARS: Final = 1 << 10
"""So much of a line that is the same on both sides is compared again, with the lines next to it."""

_PHRASE: Final = re.compile(r"\w\s+\w")
_JOINED_ACROSS_MAX: Final = 32
"""Replacements with at most this much between them may become one."""
_SLIDE_MAX: Final = 4096
"""How far an insertion or a deletion moves at most in search of a better place."""
_SLIDE_WORDS_MAX: Final = 256
"""How far it moves at most for the sake of words, not lines."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces the code points ``[start, end)`` of a text by ``text``."""

    start: int
    end: int
    text: str


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The edited text. Raises ValueError unless the edits are ascending, apart and inside the text."""
    parts = []
    at = 0
    for edit in edits:
        if not at <= edit.start <= edit.end <= len(text):
            raise ValueError(
                f"{edit!r} does not fit a text of {len(text)} characters after one that ends at {at}"
            )
        parts.append(text[at : edit.start])
        parts.append(edit.text)
        at = edit.end
    parts.append(text[at:])
    return "".join(parts)


def size_of(edits: Iterable[Edit]) -> int:
    """Characters deleted and inserted."""
    return sum(edit.end - edit.start + len(edit.text) for edit in edits)


def diff(old: str, new: str) -> tuple[Edit, ...]:
    """The edits that make ``new`` of ``old``: ascending, not touching; the same on every machine."""
    if old == new:
        return ()
    start, old_end, new_end = _unlike(old, new)
    if start in (old_end, new_end):
        return slid(old, [Edit(start, old_end, new[start:new_end])])
    compare = _Comparison()
    if old.find("\n", start, old_end) < 0 and new.find("\n", start, new_end) < 0:
        before, after = min(start, WORD_MAX), min(len(old) - old_end, WORD_MAX)
        compare.words(
            old[start - before : old_end + after], new[start - before : new_end + after], start - before
        )
    else:
        # whole lines, so that a line that is equal as a whole is found
        line_start = old.rfind("\n", 0, start) + 1
        old_line_end = _line_end(old, old_end)
        line_suffix = len(old) - old_line_end
        compare.lines(old[line_start:old_line_end], new[line_start : len(new) - line_suffix], line_start)
    return slid(old, _joined(old, by_lines(old, _joined(old, compare.edits))))


def anchors(
    old: Sequence[str], new: Sequence[str], runs: Sequence[Run], least_chars: int = 1
) -> Iterator[Run]:
    """Those without lines that have fewer visible characters, and stand alone between a few others: a line
    may have come to the other side of an empty one."""
    i = j = 0
    for (start, new_start, length), (after, new_after, _) in pairwise([*runs, (len(old), len(new), 0)]):
        few = (after - i) * (new_after - j) <= _AROUND_EMPTY_MAX_CELLS
        if not few or any(len(line.strip()) >= least_chars for line in old[start : start + length]):
            yield start, new_start, length
            i, j = start + length, new_start + length


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


class _Comparison:
    """Collects the edits of one text, within what a comparison may cost in all."""

    __slots__ = ("_budget", "_characters", "edits")

    def __init__(self) -> None:
        self.edits: list[Edit] = []
        self._budget = Budget()
        self._characters = Budget(_WORDS_MAX_CHARS)

    def lines(self, old: str, new: str, at: int) -> None:
        old_lines, new_lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
        runs = align(old_lines, new_lines, self._budget)
        for hunk in gaps(old_lines, new_lines, [*anchors(old_lines, new_lines, runs)]):
            old_size, new_size = sum(map(len, hunk.old)), sum(map(len, hunk.new))
            if (
                old_size
                and new_size
                and old_size + new_size > _PAIRED_ABOVE_CHARS
                and len(hunk.old) + len(hunk.new) <= _PAIRED_MAX_LINES
            ):
                parts = self._pairs(hunk)
            else:
                parts = [hunk]
            for part in parts:
                self.words("".join(part.old), "".join(part.new), at + part.at)

    def _pairs(self, hunk: Hunk) -> list[Hunk]:
        """Pairs of lines that differ in white space only, or that stand in equally many: a text indented
        anew, its line endings converted, a word replaced in every line. The rest stays in larger parts."""
        old_keys = ["".join(line.split()) for line in hunk.old]
        new_keys = ["".join(line.split()) for line in hunk.new]
        starts = list(accumulate(map(len, hunk.old), initial=hunk.at))
        pairs: list[Hunk] = []
        i = j = 0
        runs = anchors(old_keys, new_keys, align(old_keys, new_keys, self._budget))
        for old_start, new_start, length in [*runs, (len(old_keys), len(new_keys), 0)]:
            if old_start - i != new_start - j:
                pairs.append(Hunk(hunk.old[i:old_start], hunk.new[j:new_start], starts[i]))
                i, j = old_start, new_start
            while i < old_start + length:
                pairs.append(Hunk(hunk.old[i : i + 1], hunk.new[j : j + 1], starts[i]))
                i, j = i + 1, j + 1
        return pairs

    def words(self, old: str, new: str, at: int) -> None:
        start, old_end, new_end = _unlike(old, new)
        if old_end - start + new_end - start > _SKIM_ABOVE_CHARS:
            old, new, at = old[start:old_end], new[start:new_end], at + start
            runs, i, j = skim(old, new, _SKIM_WIDTH, _SKIM_REACH)
            for hunk in gaps(old[:i], new[:j], runs):
                self.words("".join(hunk.old), "".join(hunk.new), at + hunk.at)
            old, new, at = old[i:], new[j:], at + i
            start, old_end, new_end = _unlike(old, new)
        if start < min(old_end, new_end) and self._characters.spend(old_end - start + new_end - start):
            # whole words, so that a word that is equal as a whole is found
            if inside_word(old, start) or inside_word(new, start):
                start = word_start(old, start)
            if inside_word(old, old_end) or inside_word(new, new_end):
                after = word_end(old, old_end) - old_end
                old_end, new_end = old_end + after, new_end + after
            if "\n" in old[start:old_end] or "\n" in new[start:new_end]:
                # whole lines: of two that begin or end alike, it may be the other one that stayed
                before, after = start - old.rfind("\n", 0, start) - 1, _line_end(old, old_end) - old_end
                if before + after <= _ALIKE_MAX_CHARS:
                    start, old_end, new_end = start - before, old_end + after, new_end + after
            old_words, new_words = words(old[start:old_end]), words(new[start:new_end])
            for hunk in gaps(old_words, new_words, align_words(old_words, new_words, self._budget)):
                self._letters("".join(hunk.old), "".join(hunk.new), at + start + hunk.at)
        elif start < max(old_end, new_end):
            self.edits.append(Edit(at + start, at + old_end, new[start:new_end]))

    def _letters(self, old: str, new: str, at: int) -> None:
        start, old_end, new_end = _unlike(old, new)
        rest = old[start:old_end], new[start:new_end]
        if all(rest) and any(map(_PHRASE.search, rest)):
            # of a phrase that was rewritten, letters that it happens to begin and end with did not stay
            if inside_word(old, start) or inside_word(new, start):
                start = word_start(old, start)
            if inside_word(old, old_end) or inside_word(new, new_end):
                after = word_end(old, old_end) - old_end
                old_end, new_end = old_end + after, new_end + after
        old, new, at = old[start:old_end], new[start:new_end], at + start
        runs: list[Run] = []
        if old and new:
            if len(old) * len(new) <= _SMALL_CELLS:
                runs = runs_of(exact_pairs(old, new))
            else:
                runs = align(old, new, self._budget)
            if _coincide(runs, old, new):
                runs = []
        for hunk in gaps(old, new, runs):
            start = at + hunk.at
            self.edits.append(Edit(start, start + len(hunk.old), "".join(hunk.new)))


def _coincide(runs: Sequence[Run], old: str, new: str) -> bool:
    """Whether two texts just share letters, as "red" and "green" do, so that one replaced the other."""
    matched = sum(length for _, _, length in runs)
    if len(runs) == 1 and matched == min(len(old), len(new)):
        return False
    much = 3 * matched >= 2 * max(len(old), len(new))
    together = matched >= 3 * len(runs) and 2 * matched >= min(len(old), len(new))
    return not much and not together


def _unlike(old: str, new: str) -> tuple[int, int, int]:
    """Without what both start and end with: where the rest starts, where it ends in old and in new."""
    start = common_prefix(old, new)
    suffix = common_suffix(old, new, min(len(old), len(new)) - start)
    return start, len(old) - suffix, len(new) - suffix


def by_lines(old: str, edits: Iterable[Edit]) -> Iterator[Edit]:
    """Set apart what was changed at the end of a line from what became of the lines after it: of two ends of
    lines, the first is the one that stayed."""
    for edit in edits:
        start, end, text = edit.start, edit.end, edit.text
        goes_on = start < end and text and old.startswith("\n", end)
        if goes_on and old[start] == "\n" and "\n" not in text:
            yield Edit(start, start, text)
            yield Edit(start + 1, end + 1, "")
        elif goes_on and text[0] == "\n" and old.find("\n", start, end) < 0:
            yield Edit(start, end, "")
            yield Edit(end + 1, end + 1, text[1:] + "\n")
        else:
            yield edit


def _joined(old: str, edits: Iterable[Edit]) -> list[Edit]:
    """Join edits that touch, and replacements with little in common between them: one rewritten phrase, not
    many letters that two texts happen to share. Never across lines."""
    joined: list[Edit] = []
    for edit in edits:
        while joined and _belong_together(old, joined[-1], edit):
            before = joined.pop()
            edit = Edit(before.start, edit.end, before.text + old[before.end : edit.start] + edit.text)
        joined.append(edit)
    return joined


def _belong_together(old: str, first: Edit, second: Edit) -> bool:
    between = second.start - first.end
    if not between:
        return True
    if between > _JOINED_ACROSS_MAX or old.find("\n", first.end, second.start) >= 0:
        return False
    first_deleted, second_deleted = first.end - first.start, second.end - second.start
    smaller = min(max(first_deleted, len(first.text)), max(second_deleted, len(second.text)))
    if first_deleted and second_deleted:
        return bool(first.text or second.text) and between <= smaller
    return bool(first_deleted or second_deleted) and 4 * between <= smaller


def slid(old: str, edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Where a mere insertion or deletion could as well stand a bit earlier or later, choose the place by
    rule: the last one at the start of a line (if lines are moved), else the end of one, else the start of a
    word, else the last. So the same change looks the same whatever else was changed."""
    slid: list[Edit] = []
    for index, edit in enumerate(edits):
        if edit.start == edit.end or not edit.text:
            low = slid[-1].end + 1 if slid else 0
            high = edits[index + 1].start - 1 if index + 1 < len(edits) else len(old)
            edit = _slide(old, edit, low, high)
        slid.append(edit)
    return tuple(slid)


def slack(old: str, edit: Edit, low: int, high: int) -> tuple[int, int]:
    """By how many characters a mere insertion or deletion may stand earlier, and later, with the same result;
    not before ``low``, not beyond ``high``."""
    low, high = max(low, edit.start - _SLIDE_MAX), min(high, edit.end + _SLIDE_MAX)
    moved = edit.text or old[edit.start : edit.end]
    before, after = old[low : edit.start], old[edit.end : high]
    left = common_suffix(before + moved[-len(before) :] if before else "", before, len(before))
    return left, common_prefix(moved[: len(after)] + after, after)


def shifted(old: str, edit: Edit, by: int) -> Edit:
    """The same mere insertion or deletion, that many characters later (or earlier, within its slack)."""
    if not edit.text:
        return Edit(edit.start + by, edit.end + by, "")
    at, size = edit.start + by, len(edit.text)
    around = old[min(at, edit.start) : edit.start] + edit.text + old[edit.start : max(at, edit.start)]
    start = max(by, 0)
    return Edit(at, at, around[start : start + size])


def taken_out(old: str, edit: Edit) -> range:
    """The characters that the edit takes out; where it replaces a part of a word, all of that."""
    if edit.start < edit.end and edit.text:
        return range(word_start(old, edit.start), word_end(old, edit.end))
    return range(edit.start, edit.end)


def _slide(old: str, edit: Edit, low: int, high: int) -> Edit:
    left, right = slack(old, edit, low, high)
    if not left and not right:
        return edit
    moved = edit.text or old[edit.start : edit.end]
    around = old[edit.start - left : edit.start] + moved + old[edit.end : edit.end + right]
    character_before = old[edit.start - left - 1] if edit.start > left else "\n"
    ends_line = old[edit.end + right : edit.end + right + 1] in ("", "\n")
    shift = _best_shift(character_before + around, left + right, "\n" in moved, ends_line)
    return shifted(old, edit, shift - left)


def _best_shift(text: str, most: int, lines: bool, ends_line: bool) -> int:
    """Of ``0 .. most``; a shift by n puts the start between ``text[n]`` and ``text[n + 1]``.

    ``ends_line``: a shift by ``most`` puts the end of what is moved at the end of a line.
    """
    line = text.rfind("\n", 0, most + 1) if lines else -1
    if line >= 0:
        return line
    if ends_line and (lines or not (text[most].isalnum() and text[most + 1].isalnum())):
        return most
    best = None
    for shift in range(most, max(most - _SLIDE_WORDS_MAX, 0) - 1, -1):
        before, first = text[shift], text[shift + 1]
        if before.isspace() and not first.isspace():
            return shift
        if best is None and before.isalnum() != first.isalnum():
            best = shift
    return most if best is None else best


def only_adds(old: str, new: str) -> bool:
    """Whether ``new`` is ``old`` with something inserted at one place."""
    if len(new) < len(old):
        return False
    low, high = 0, len(old)
    while low < high:  # the longest common prefix, by halving
        middle = (low + high + 1) // 2
        if old[:middle] == new[:middle]:
            low = middle
        else:
            high = middle - 1
    rest = len(old) - low
    return rest == 0 or old[low:] == new[len(new) - rest :]
