"""Which characters of a text live on in what others made of it, as the operations tell.

Two texts show only what is alike: where somebody left a word or two of a line, nobody can tell whether it is
still that line, or another one. What follows for a merge is left to ``lines`` and ``joining``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from crdtsync.core.text.align import Run
from crdtsync.core.text.diff import Edit, apply_edits


class Lineage:
    """By lines, which are told by their texts; of those that stand as they stood it knows nothing.

    ``edits`` are what the operations made of ``base``, not what a comparison of texts found.
    """

    def __init__(self, base: str, edits: Iterable[Edit]) -> None:
        self._runs: dict[tuple[str, str], list[Run]] = defaultdict(list)
        self._replaced: set[str] = set()
        edits = tuple(edits)
        theirs = apply_edits(base, edits)
        for edit in edits:
            if edit.text.strip() and not base[edit.start : edit.end].isspace() and edit.start < edit.end:
                for position in (edit.start, edit.end):
                    at, end = _line(base, position)
                    self._replaced.add(base[at:end])
        for start, now_start, length in _left(base, edits):
            first = base.find("\n", start, start + length)
            last = base.rfind("\n", start, start + length) + 1
            if first < 0:
                self._note(base, theirs, start, now_start, length)
            else:  # what lies between is whole lines
                self._note(base, theirs, start, now_start, first - start)
                self._note(base, theirs, last, now_start + last - start, start + length - last)

    def runs(self, line: str, version: str) -> Sequence[Run]:
        """Where in the line, and where in the version, characters of the line stand; empty if none does."""
        return self._runs.get((_unended(line), _unended(version)), ())

    def is_replaced(self, line: str) -> bool:
        """Whether in a part of the line something else was put in the place of what stood there."""
        return _unended(line) in self._replaced

    def _note(self, base: str, theirs: str, start: int, now_start: int, length: int) -> None:
        if not length:
            return
        at, end = _line(base, start)
        now_at, now_end = _line(theirs, now_start)
        self._runs[base[at:end], theirs[now_at:now_end]].append((start - at, now_start - now_at, length))


def _left(base: str, edits: Iterable[Edit]) -> Iterable[Run]:
    """What the edits leave of the text, and where it stands then."""
    at = now = 0
    for edit in edits:
        if at < edit.start:
            yield at, now, edit.start - at
        now += edit.start - at + len(edit.text)
        at = edit.end
    if at < len(base):
        yield at, now, len(base) - at


def _line(text: str, position: int) -> tuple[int, int]:
    """From where to where the line reaches, without its end."""
    end = text.find("\n", position)
    return text.rfind("\n", 0, position) + 1, len(text) if end < 0 else end


def _unended(line: str) -> str:
    return line.removesuffix("\n")
