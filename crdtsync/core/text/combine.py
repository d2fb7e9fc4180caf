"""Brings the edits of one text by two sides together, place by place, as edits of what the other side has.

Knows where changes meet; what becomes of such a place is decided by whoever asks (``rebase``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import TypeAlias

from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.text.words import begins_with, ends_with
from crdtsync.core.values.late import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a text that both sides edited: what it was, what they made of it, by which edits.

    ``before`` and ``after``: the characters around it that nobody changed; empty at the ends of the text and
    next to other edits.
    """

    base: str
    ours: str
    theirs: str
    our_edits: Sequence[Edit]
    their_edits: Sequence[Edit]
    before: str
    after: str

    @property
    def replaced(self) -> bool:
        """Whether both put something in the place of the same visible characters."""
        mine, yours = (
            {at for edit in edits if edit.text.strip() for at in range(edit.start, edit.end)}
            for edits in (self.our_edits, self.their_edits)
        )
        return any(not self.base[at].isspace() for at in mine & yours)

    @property
    def goes_on(self) -> bool:
        """Whether one put there what the other did, and more before or after it."""
        less, more = sorted((self.ours, self.theirs), key=len)
        return begins_with(more, less) or ends_with(more, less)


Resolve: TypeAlias = Callable[[Place], Sequence[Edit]]
"""Gives edits of ``theirs``."""
Hull: TypeAlias = Callable[[Edit], tuple[int, int]]
"""The range of base that an edit is about, around what it replaces."""


def exactly(edit: Edit) -> tuple[int, int]:
    """What it replaces, no more."""
    return edit.start, edit.end


def combine(
    base: str,
    ours: Sequence[Edit],
    theirs: Sequence[Edit],
    resolve: Resolve,
    hull: Hull = exactly,
    *,
    before: str = "",
    after: str = "",
) -> list[Edit]:
    """Our edits of ``base`` as edits of the base edited by ``theirs``; ascending, not touching.

    Where only we changed something it is carried over. Edits meet where their hulls overlap, or touch and
    both insert something. ``before`` and ``after``: the characters around ``base``, if it is part of a text.
    """
    edits: list[Edit] = []
    shift = 0  # from positions in base to positions in theirs
    places = [*_places(ours, theirs, hull)]
    ends = [0, *(end for _, end, _, _ in places)]
    starts = [*(start for start, _, _, _ in places[1:]), len(base)]
    for (start, end, our_edits, their_edits), last_end, next_start in zip(places, ends, starts, strict=False):
        if not their_edits:
            edits += moved(our_edits, shift)
        elif our_edits:
            part = base[start:end]
            our_part, their_part = moved(our_edits, -start), moved(their_edits, -start)
            place = Place(
                part,
                apply_edits(part, our_part),
                apply_edits(part, their_part),
                our_part,
                their_part,
                base[max(last_end, start - 1) : start] if start else before,
                base[end : min(next_start, end + 1)] if end < len(base) else after,
            )
            edits += moved(resolve(place), start + shift)
        shift += sum(len(edit.text) - (edit.end - edit.start) for edit in their_edits)
    return touching_joined(edits)


def met(base: str, ours: Sequence[Edit], theirs: Sequence[Edit]) -> list[Place]:
    """The places that both edited."""
    found: list[Place] = []

    def note(place: Place) -> Sequence[Edit]:
        found.append(place)
        return ()

    combine(base, ours, theirs, note)
    return found


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
        meets = edit_start < end or (edit_start == end and inserts)
        if not meets:
            if any(both):
                yield start, end, *both
            start, end, inserts, both = edit_start, edit_end, False, ([], [])
        both[is_theirs].append(edit)
        end = max(end, edit_end)
        inserts = inserts or bool(edit.text)
    if any(both):
        yield start, end, *both
