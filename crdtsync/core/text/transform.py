"""Edits carried over other edits, put together and turned around: what cursors, undo and slow readers need.

All edits are ascending, apart, and in code points. Nothing here looks at what the text means; edits of two
saves of a file are merged in ``rebase``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crdtsync.core.text.diff import Edit
from crdtsync.core.values.late import dataclass


@dataclass(frozen=True, slots=True)
class _Kept:
    """Characters of the text before, [start, end); an ``end`` of None is that of the text."""

    start: int
    end: int | None


def transform(edits: Iterable[Edit], over: Sequence[Edit], *, first: bool) -> tuple[Edit, ...]:
    """``edits`` of a text, as edits of that text after ``over``.

    ``first``: of two insertions at one place, that of ``edits`` comes first. Then both ways lead to one
    text: ``transform(a, b, first=True)`` after b, and ``transform(b, a, first=False)`` after a.
    """
    moved: list[Edit] = []
    for edit in edits:
        if edit.text:
            at = _after(edit.start, over, stays=first)
            moved.append(Edit(at, at, edit.text))
        for start, end in _left_of(edit.start, edit.end, over):
            if moved and moved[-1].end == start and moved[-1].start == moved[-1].end:
                moved[-1] = Edit(start, end, moved[-1].text)
            else:
                moved.append(Edit(start, end, ""))
    return tuple(moved)


def moved_offset(offset: int, edits: Iterable[Edit], *, stays: bool) -> int:
    """Where a cursor at ``offset`` stands after the edits; one that ``stays`` is not pushed by an insertion
    right at it."""
    return _after(offset, edits, stays=stays)


def inverse(edits: Iterable[Edit], before: str) -> tuple[Edit, ...]:
    """The edits of the text afterwards that lead back to ``before``."""
    found = []
    shift = 0
    for edit in edits:
        start = edit.start + shift
        found.append(Edit(start, start + len(edit.text), before[edit.start : edit.end]))
        shift += len(edit.text) - (edit.end - edit.start)
    return tuple(found)


def compose(first: Iterable[Edit], second: Iterable[Edit]) -> tuple[Edit, ...]:
    """One list of edits that does what ``first`` and then ``second`` do."""
    pieces = _applied([_Kept(0, None)], first)
    return _edits_of(_applied(pieces, second))


def _after(offset: int, edits: Iterable[Edit], *, stays: bool) -> int:
    shift = 0
    for edit in edits:
        if edit.start > offset or (edit.start == offset and stays):
            break
        if edit.end > offset:  # what it stood in is gone: it stands behind what came instead
            return edit.start + shift + len(edit.text)
        shift += len(edit.text) - (edit.end - edit.start)
    return offset + shift


def _left_of(start: int, end: int, over: Iterable[Edit]) -> list[tuple[int, int]]:
    """The characters [start, end) as far as ``over`` leaves them, where they stand afterwards."""
    left: list[tuple[int, int]] = []
    shift = 0
    for edit in over:
        if start >= end or edit.start >= end:
            break
        if edit.start > start:
            left.append((start + shift, edit.start + shift))
            start = edit.start
        start = max(start, min(edit.end, end))
        shift += len(edit.text) - (edit.end - edit.start)
    if start < end:
        left.append((start + shift, end + shift))
    return left


def _applied(pieces: Sequence[_Kept | str], edits: Iterable[Edit]) -> list[_Kept | str]:
    """The pieces that make up the text after the edits of the text that ``pieces`` make up."""
    made: list[_Kept | str] = []
    waiting = list(reversed(pieces))
    at = 0

    def advance(to: int, *, keep: bool) -> None:
        nonlocal at
        while at < to:
            piece = waiting.pop()
            taken, rest = _split(piece, to - at)
            if rest is not None:
                waiting.append(rest)
            at += to - at if rest is not None else _length(taken, to - at)
            if keep:
                made.append(taken)

    for edit in edits:
        advance(edit.start, keep=True)
        if edit.text:
            made.append(edit.text)
        advance(edit.end, keep=False)
    return made + list(reversed(waiting))


def _split(piece: _Kept | str, length: int) -> tuple[_Kept | str, _Kept | str | None]:
    if isinstance(piece, str):
        return piece[:length], piece[length:] or None
    if piece.end is not None and piece.end - piece.start <= length:
        return piece, None
    return _Kept(piece.start, piece.start + length), _Kept(piece.start + length, piece.end)


def _length(piece: _Kept | str, endless: int) -> int:
    if isinstance(piece, str):
        return len(piece)
    return endless if piece.end is None else piece.end - piece.start


def _edits_of(pieces: Iterable[_Kept | str]) -> tuple[Edit, ...]:
    edits: list[Edit] = []
    text: list[str] = []
    at = 0
    for piece in pieces:
        if isinstance(piece, str):
            text.append(piece)
            continue
        if text or piece.start > at:
            edits.append(Edit(at, piece.start, "".join(text)))
            text = []
        at = piece.end if piece.end is not None else piece.start
    return tuple(edits)
