"""Which characters of a text live on in what others made of it, as the operations tell.

Two texts show only what is alike: where somebody left a word or two of a line, nobody can tell whether it is
still that line, or another one. What follows for a merge is left to ``lines`` and ``joining``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import accumulate, groupby
from types import MappingProxyType

from crdtsync.core.text.align import Run
from crdtsync.core.text.diff import Edit, apply_edits


class Lineage:
    """By lines, which are told by their texts; of those that stand as they stood it knows nothing.

    ``steps``: where in theirs something stands as one update inserted it, ascending. ``thinned``: lines of
    the base, and what was left of them once others had only taken something out.
    """

    def __init__(
        self,
        base: str,
        theirs: str,
        left: Sequence[Run],
        replaced: Set[str],
        steps: Sequence[tuple[int, int]] = (),
        thinned: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._base, self._theirs = base, theirs
        self._left = left
        self._replaced = replaced
        self._steps = steps
        self.thinned = thinned

    @classmethod
    def of(
        cls,
        base: str,
        edits: Sequence[Edit],
        steps: Sequence[tuple[int, int]] = (),
        thinned: Mapping[str, str] = MappingProxyType({}),
    ) -> Lineage:
        """``edits`` are what the operations made of ``base``, not what a comparison of texts found."""
        replaced = {
            line
            for edit in edits
            if edit.text.strip() and base[edit.start : edit.end].strip()
            for line in (_line(base, edit.start), _line(base, edit.end))
        }
        return cls(base, apply_edits(base, edits), [*_left_by(edits, len(base))], replaced, steps, thinned)

    def edited(self, base: Sequence[Edit], theirs: Sequence[Edit] = ()) -> Lineage:
        """The same of texts in which these edits were made."""
        left = [*_met(_left_by(base, len(self._base)), self._left)]
        found = ((now, at, length) for at, now, length in left)
        left = [*_met(found, _left_by(theirs, len(self._theirs)))]
        texts = apply_edits(self._base, base), apply_edits(self._theirs, theirs)
        return Lineage(*texts, left, self._replaced | {*self._replaced_in(texts[0], base)})

    def with_ends(self, base: str, theirs: str) -> Lineage:
        """The same of these texts, which are the same but for an end that their last lines have."""
        return Lineage(base, theirs, self._left, self._replaced, self._steps, self.thinned)

    def runs(self, line: str, version: str) -> Sequence[Run]:
        """Where in the line, and where in the version, characters of the line stand; empty if none does."""
        return self._runs.get((_unended(line), _unended(version)), ())

    def is_replaced(self, line: str) -> bool:
        """Whether in a part of the line something else was put in the place of what stood there."""
        return _unended(line) in self._replaced

    def steps(self, start: int, end: int) -> Iterator[str]:
        """What stands between these in theirs as one update inserted it; of edited texts nobody knows."""
        for first, last in self._steps[bisect_left(self._steps, (start, start)) :]:
            if last > end:
                return
            yield self._theirs[first:last]

    def _replaced_in(self, edited: str, edits: Iterable[Edit]) -> Iterator[str]:
        """The lines that those which are replaced have become by the edits."""
        shift = 0
        for edit in edits:
            start = edit.start + shift
            if _line(self._base, edit.start) in self._replaced:
                yield from (_line(edited, start), _line(edited, start + len(edit.text)))
            shift += len(edit.text) - (edit.end - edit.start)

    @cached_property
    def _runs(self) -> Mapping[tuple[str, str], Sequence[Run]]:
        runs = defaultdict(list)
        for at, now, length in self._left:
            end = at + length
            first, last = self._base.find("\n", at, end), self._base.rfind("\n", at, end) + 1
            ends = [(at, end)] if first < 0 else [(at, first), (last, end)]  # between them are whole lines
            for start, stop in ends:
                if start < stop:
                    there = now + start - at
                    lines = _line(self._base, start), _line(self._theirs, there)
                    begin = start - _start(self._base, start), there - _start(self._theirs, there)
                    runs[lines].append((*begin, stop - start))
        return runs


def stepped(steps: Sequence[tuple[int, int]], edits: Sequence[Edit]) -> list[tuple[int, int]]:
    """Where what was inserted in earlier steps stands, but for those in which the edits change something, and
    what these insert."""
    ends = [edit.end for edit in edits]
    shifts = [0, *accumulate(len(edit.text) - (edit.end - edit.start) for edit in edits)]
    inserted = [(edit.start + by, edit.text) for edit, by in zip(edits, shifts, strict=False) if edit.text]
    whole = [(start, start + len(text)) for start, text in inserted]
    for start, end in steps:
        before = bisect_right(ends, start)
        if before == len(edits) or edits[before].start >= end:
            whole.append((start + shifts[before], end + shifts[before]))
    return sorted(whole)


def thinned(text: str, edits: Sequence[Edit]) -> Iterator[tuple[str, str]]:
    """Lines of which the edits take something out, and do nothing else, with what is left of each."""
    for start, within in groupby(edits, lambda edit: _start(text, edit.start)):
        line = _line(text, start)
        parts = [Edit(edit.start - start, edit.end - start, edit.text) for edit in within]
        if all(not part.text and part.end <= len(line) for part in parts):
            left = apply_edits(line, parts)
            if left.strip():
                yield line, left


def _left_by(edits: Iterable[Edit], length: int) -> Iterator[Run]:
    """What edits leave of a text, and where it stands then."""
    at = now = 0
    for edit in edits:
        if at < edit.start:
            yield at, now, edit.start - at
        now += edit.start - at + len(edit.text)
        at = edit.end
    if at < length:
        yield at, now, length - at


def _met(some: Iterable[Run], others: Iterable[Run]) -> Iterator[Run]:
    """From where some lead to where others lead from the same place; all are ascending."""
    rest = iter(others)
    other = next(rest, None)
    for at, now, length in some:
        while other is not None and other[0] < at + length:
            start, end = max(at, other[0]), min(at + length, other[0] + other[2])
            if start < end:
                yield now + start - at, other[1] + start - other[0], end - start
            if other[0] + other[2] > at + length:
                break
            other = next(rest, None)


def _start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def _line(text: str, position: int) -> str:
    """The line there, without its end."""
    end = text.find("\n", position)
    return text[_start(text, position) : len(text) if end < 0 else end]


def _unended(line: str) -> str:
    return line.removesuffix("\n")
