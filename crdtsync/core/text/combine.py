"""Brings the edits of one text by two sides together, place by place, as edits of what the other side has.

Knows where changes meet; what becomes of such a place is decided by whoever asks (``rebase``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import TypeAlias

from crdtsync.core.text.diff import Edit, apply_edits

Resolve: TypeAlias = Callable[[str, str, str, Sequence[Edit], Sequence[Edit]], Sequence[Edit]]
"""(base, ours, theirs, our edits, their edits) of one place -> edits of theirs there."""
Hull: TypeAlias = Callable[[Edit], tuple[int, int]]
"""The range of base that an edit is about, around what it replaces."""


def exactly(edit: Edit) -> tuple[int, int]:
    """What it replaces, no more."""
    return edit.start, edit.end


def combine(
    base: str, ours: Sequence[Edit], theirs: Sequence[Edit], resolve: Resolve, hull: Hull = exactly
) -> list[Edit]:
    """Our edits of ``base`` as edits of the base edited by ``theirs``; ascending, not touching.

    Where only we changed something it is carried over. Edits meet where their hulls overlap, or touch and
    both insert something.
    """
    edits: list[Edit] = []
    shift = 0  # from positions in base to positions in theirs
    for start, end, our_edits, their_edits in _places(ours, theirs, hull):
        if not their_edits:
            edits += moved(our_edits, shift)
        elif our_edits:
            part = base[start:end]
            our_moved, their_moved = moved(our_edits, -start), moved(their_edits, -start)
            our_part, their_part = apply_edits(part, our_moved), apply_edits(part, their_moved)
            edits += moved(resolve(part, our_part, their_part, our_moved, their_moved), start + shift)
        shift += sum(len(edit.text) - (edit.end - edit.start) for edit in their_edits)
    return touching_joined(edits)


def moved(edits: Iterable[Edit], by: int) -> list[Edit]:
    """The edits, that many characters later."""
    return [Edit(edit.start + by, edit.end + by, edit.text) for edit in edits]


def touching_joined(edits: Iterable[Edit]) -> list[Edit]:
    """Ascending edits, those that touch made one."""
    joined: list[Edit] = []
    for edit in edits:
        if joined and joined[-1].end == edit.start:
            before = joined.pop()
            edit = Edit(before.start, edit.end, before.text + edit.text)
        joined.append(edit)
    return joined


def _places(
    ours: Sequence[Edit], theirs: Sequence[Edit], hull: Hull
) -> Iterator[tuple[int, int, list[Edit], list[Edit]]]:
    """Ranges of the base with the edits of both sides in them."""
    single = [(*hull(edit), False, edit) for edit in ours]
    single += [(*hull(edit), True, edit) for edit in theirs]
    single.sort(key=itemgetter(0, 1))
    start = end = 0
    inserts = False
    both: tuple[list[Edit], list[Edit]] = [], []
    for edit_start, edit_end, is_theirs, edit in single:
        meets = edit_start < end or (edit_start == end and inserts and edit.text)
        if not meets:
            if any(both):
                yield start, end, *both
            start, end, inserts, both = edit_start, edit_end, False, ([], [])
        both[is_theirs].append(edit)
        end = max(end, edit_end)
        inserts = inserts or bool(edit.text)
    if any(both):
        yield start, end, *both
