"""Edits that two sides made at one place, brought together character by character.

Knows nothing of words or lines but where one insertion is a part of the other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crdtsync.core.text.align import common_prefix, common_suffix
from crdtsync.core.text.combine import moved, touching_joined
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.words import inside_word

_TELLING_AT_END_CHARS: Final = 3
"""Text of at least this many visible characters does not end what others inserted at one place by chance."""


@dataclass(frozen=True, slots=True)
class _Span:
    """One edit of theirs: its range in the base, and where its text stands in theirs."""

    start: int
    end: int
    at: int
    text: str

    @property
    def after(self) -> int:
        return self.at + len(self.text)


class _Theirs:
    """Their edits, and where what they left of the base stands in theirs."""

    __slots__ = ("_ends", "spans")

    def __init__(self, edits: Sequence[Edit]) -> None:
        self.spans: list[_Span] = []
        shift = 0
        for edit in edits:
            self.spans.append(_Span(edit.start, edit.end, edit.start + shift, edit.text))
            shift += len(edit.text) - (edit.end - edit.start)
        self._ends = [span.end for span in self.spans]

    def near(self, edit: Edit) -> Sequence[int]:
        """Indexes of the spans that overlap or touch the edit."""
        first = last = bisect_left(self._ends, edit.start)
        while last < len(self.spans) and self.spans[last].start <= edit.end:
            last += 1
        return range(first, last)

    def place_of(self, position: int) -> int:
        """Where the character of the base at that position stands in theirs."""
        index = bisect_right(self._ends, position)
        return position + (self.spans[index - 1].after - self.spans[index - 1].end if index else 0)


def interleave(base: str, ours: Sequence[Edit], theirs: Sequence[Edit]) -> list[Edit]:
    """Our edits of the base as edits of theirs: delete what we deleted and they did not, insert what we
    inserted and they did not; next to an insertion of theirs it goes after theirs."""
    others = _Theirs(theirs)
    edits: list[Edit] = []
    taken: set[int] = set()
    for edit in ours:
        edits += _inserted(edit, others, taken)
        for start, end in _left_to_delete(base, edit, others):
            at = others.place_of(start)
            edits.append(Edit(at, at + end - start, ""))
    return touching_joined(edits)


def _inserted(edit: Edit, others: _Theirs, taken: set[int]) -> Sequence[Edit]:
    if not edit.text:
        return ()
    for index in others.near(edit):
        span = others.spans[index]
        if span.start <= edit.start:
            if index in taken:
                return (Edit(span.after, span.after, edit.text),)
            taken.add(index)
            alike = (edit.start, edit.end) == (span.start, span.end)
            return moved(joined_insertions(edit.text, span.text, alike=alike), span.at)
        if span.start < edit.end and not joined_insertions(edit.text, span.text, alike=False):
            taken.add(index)
            return ()
    at = others.place_of(edit.start)
    return (Edit(at, at, edit.text),)


def _left_to_delete(base: str, edit: Edit, others: _Theirs) -> list[tuple[int, int]]:
    """Ranges of the base that we deleted and they did not."""
    ranges = []
    start = edit.start
    survives = ""
    for index in others.near(edit):
        span = others.spans[index]
        if start < min(span.start, edit.end):
            ranges.append((start, min(span.start, edit.end)))
        start = max(start, span.end)
        if edit.start < span.end and span.start < edit.end:
            survives += span.text
    if start < edit.end:
        ranges.append((start, edit.end))
    if survives and ranges and not edit.text:
        # what they wrote where we deleted stays, and with it the white space that sets it apart
        if not any(base[start:end].strip() for start, end in ranges):
            return []
        start, end = ranges[-1]
        if end == edit.end and base[end - 1] == "\n" and not survives.endswith("\n"):
            ranges[-1] = start, end - 1
    return ranges


def joined_insertions(ours: str, theirs: str, *, alike: bool) -> list[Edit]:
    """Two insertions at one place, as edits of theirs: what only we inserted is added.

    ``alike``: both stand in for the same text, so that it means more if they end alike.
    """
    if theirs.endswith(ours) and (alike or _visible(ours) >= _TELLING_AT_END_CHARS):
        return []  # it is where we put it
    start = common_prefix(ours, theirs)
    end = common_suffix(ours, theirs, min(len(ours), len(theirs)) - start)
    if start + end == len(ours) and not _inside_words(theirs, start, len(theirs) - end):
        return []  # they inserted ours and more
    if start + end == len(theirs) and not _inside_words(ours, start, len(ours) - end):
        more = ours[start : len(ours) - end]  # we inserted theirs and more
        return [Edit(start, start, more)] if alike or more.strip() else []
    # the same lines on both sides, and then more on each
    start = ours.rfind("\n", 0, start) + 1
    end = _whole_lines(ours, theirs, end)
    shared = _visible(ours[:start]) + _visible(ours[len(ours) - end :])
    if not shared or 2 * shared < min(_visible(ours), _visible(theirs)):
        start = end = 0
    at = len(theirs) - end
    return [Edit(at, at, ours[start : len(ours) - end])]


def _whole_lines(ours: str, theirs: str, end: int) -> int:
    """How much of the ``end`` characters that are the same at the end is whole lines of both."""
    if all(end == len(text) or text[len(text) - end - 1] == "\n" for text in (ours, theirs)):
        return end
    line = ours.find("\n", len(ours) - end) + 1
    return len(ours) - line if line else 0


def _inside_words(text: str, *positions: int) -> bool:
    return any(inside_word(text, position) for position in positions)


def _visible(text: str) -> int:
    return sum(map(len, text.split()))
