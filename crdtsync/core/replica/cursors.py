"""Where people are in the texts that are open here: those at this machine's programs, and the others.

A cursor is an (anchor, head) in code points that moves along with its text; what is told of the others' is
as old as their last presence, and right again with the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from crdtsync.core.text.diff import Edit
from crdtsync.core.text.transform import moved_offset
from crdtsync.core.values import limits
from crdtsync.core.values.ids import EntryId
from crdtsync.core.wire.control import Presence, TextCursors

Ranges: TypeAlias = tuple[tuple[int, int], ...]


class Cursors:
    """``here`` by holder, ``there`` by the hub's number of the member."""

    def __init__(self) -> None:
        self.here: dict[tuple[int, EntryId], Ranges] = {}
        self.there: dict[tuple[int, EntryId], Ranges] = {}
        self.names: dict[int, str] = {}

    def place(self, holder: int, entry: EntryId, ranges: Ranges) -> None:
        """None at all: the person is not in the text."""
        if ranges:
            self.here[holder, entry] = ranges
        else:
            self.here.pop((holder, entry), None)

    def changed(self, entry: EntryId, edits: Iterable[Edit], *, here: bool) -> None:
        """The text was edited; ``here``: on this machine. Of the others' edits they know: they move their own
        cursors along, and tell."""
        edits = tuple(edits)
        for known in (self.here, self.there) if here else (self.here,):
            for key in [key for key in known if key[1] == entry]:
                known[key] = tuple(
                    (moved_offset(anchor, edits, stays=False), moved_offset(head, edits, stays=False))
                    for anchor, head in known[key]
                )

    def take(self, presence: Presence) -> list[tuple[EntryId, Ranges]]:
        """What another member says of itself; returns what is new in it."""
        member = presence.member
        self.names[member] = presence.name
        said = {EntryId(each.document): each.ranges for each in presence.cursors}
        before = {entry: ranges for (other, entry), ranges in self.there.items() if other == member}
        news: list[tuple[EntryId, Ranges]] = [(entry, ()) for entry in sorted(before.keys() - said.keys())]
        news += [(entry, ranges) for entry, ranges in said.items() if before.get(entry) != ranges]
        for entry, ranges in news:
            if ranges:
                self.there[member, entry] = ranges
            else:
                self.there.pop((member, entry), None)
        return news

    def left(self, member: int) -> list[EntryId]:
        """A member is gone; returns the texts that it was in."""
        self.names.pop(member, None)
        entries = [entry for other, entry in self.there if other == member]
        for entry in entries:
            del self.there[member, entry]
        return entries

    def told(self) -> tuple[TextCursors, ...]:
        """What the others are told: the cursors of all programs here."""
        by_text: dict[EntryId, list[tuple[int, int]]] = {}
        for (_, entry), ranges in self.here.items():
            by_text.setdefault(entry, []).extend(ranges)
        return tuple(
            TextCursors(document=entry, ranges=tuple(ranges[: limits.PRESENCE_RANGES_MAX]))
            for entry, ranges in sorted(by_text.items())[: limits.PRESENCE_PATHS_MAX]
        )
