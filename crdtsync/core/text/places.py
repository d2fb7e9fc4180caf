"""Keeps every item of a document in one list: the text, a nested type, or the values of one key.

Nobody places an item between neighbours in two lists, behind garbage, or inside something that is no shared
type, unless out of malice. Yjs takes such items for garbage, or goes by the left neighbour alone; Yrs 0.28
refuses them, or loses the text around them, and what is typed there later reaches nobody. So before an update
is applied, its items are made what Yjs takes them for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, TypeAlias

from crdtsync.core.text.cursor import Cursor
from crdtsync.core.text.update import (
    GC,
    HAS_KEY,
    HAS_ORIGIN,
    HAS_RIGHT_ORIGIN,
    KIND,
    TYPE,
    Struct,
    UpdateShape,
    encode_update,
    is_plain,
    read_structs,
)
from crdtsync.core.wire.lib0 import varuint

Id: TypeAlias = tuple[int, int]
Place: TypeAlias = tuple[str | Id, str | None]
"""A root's name or the ID of a type, and the key there or None."""

TEXT: Final[Place] = ("content", None)
GARBAGE: Final[Place] = ("", "garbage")


class Places:
    """Where items stand, as far as it is not in the text. ``states`` are read with the next update."""

    __slots__ = ("_ranges", "_types", "_unread")

    def __init__(self, states: Iterable[bytes]) -> None:
        self._types: set[Id] = set()
        self._ranges: dict[int, list[tuple[int, int, Place]]] = {}
        """By client: first clock, clock after the last, place; ascending."""
        self._unread = tuple(states)

    @property
    def is_plain(self) -> bool:
        """Whether everything is known to be in the text."""
        return not self._ranges and not self._unread

    def learn(self, shape: UpdateShape) -> None:
        self._types.update(shape.types)

    def mended(self, update: bytes, shape: UpdateShape) -> bytes:
        """The update, of which all dependencies are known, as it may be applied. Raises MalformedUpdate."""
        unread, self._unread = self._unread, ()
        for state in unread:
            if not is_plain(state):
                self._take(state)
        if not (shape.elsewhere or self._ranges):
            return update
        return self._take(update)

    def _take(self, update: bytes) -> bytes:
        structs, deletes = read_structs(update)
        taken = _Taken(self._types, self._ranges, structs)
        return encode_update(taken.structs, deletes) if taken.mended else update


class _Taken:
    """One update taken struct by struct, each after those that it was placed by."""

    def __init__(
        self,
        types: set[Id],
        ranges: dict[int, list[tuple[int, int, Place]]],
        structs: dict[int, list[Struct]],
    ) -> None:
        self.structs = structs
        self.mended = False
        self._types = types
        self._ranges = ranges
        self._at = dict.fromkeys(structs, 0)
        waiting = True
        while waiting:
            waiting = False
            for client, queue in structs.items():
                waiting = self._advance(client, queue) or waiting

    def _advance(self, client: int, queue: list[Struct]) -> bool:
        """As far as it goes; whether that was anywhere."""
        first = at = self._at[client]
        while at < len(queue) and all(
            self._is_past(other, clock) for other, clock in queue[at].needs.items()
        ):
            queue[at] = self._placed(client, queue[at])
            at += 1
            self._at[client] = at
        return at > first

    def _is_past(self, client: int, clock: int) -> bool:
        queue = self.structs.get(client)
        at = self._at.get(client, 0)
        return queue is None or at == len(queue) or queue[at].start >= clock

    def _placed(self, client: int, struct: Struct) -> Struct:
        cursor = Cursor(struct.encoded)
        info = cursor.byte()
        if struct.gap:
            return struct
        if info == GC:
            self._note(client, struct, GARBAGE)
            return struct
        left = (cursor.uint(), cursor.uint()) if info & HAS_ORIGIN else None
        right = (cursor.uint(), cursor.uint()) if info & HAS_RIGHT_ORIGIN else None
        if info & KIND == TYPE:
            self._types.add((client, struct.start))
        if left is None and right is None:
            return self._rooted(client, struct, cursor, info)
        places = [self._place(each) for each in (left, right) if each is not None]
        if GARBAGE in places:
            return self._garbage(client, struct)
        self._note(client, struct, places[0])
        if len(set(places)) == 1 or left is None:
            return struct
        self.mended = True
        kept = bytes((info & ~HAS_RIGHT_ORIGIN,)) + varuint(left[0]) + varuint(left[1])
        return replace(struct, encoded=kept + struct.encoded[cursor.at :])

    def _rooted(self, client: int, struct: Struct, cursor: Cursor, info: int) -> Struct:
        parent: str | Id = cursor.string() if cursor.uint() else (cursor.uint(), cursor.uint())
        key = cursor.string() if info & HAS_KEY else None
        if not isinstance(parent, str) and parent not in self._types:
            return self._garbage(client, struct)
        self._note(client, struct, (parent, key))
        return struct

    def _garbage(self, client: int, struct: Struct) -> Struct:
        self.mended = True
        self._note(client, struct, GARBAGE)
        return replace(struct, encoded=bytes((GC,)) + varuint(struct.end - struct.start))

    def _place(self, item: Id) -> Place:
        ranges = self._ranges.get(item[0], [])
        at = bisect_right(ranges, item[1], key=lambda known: known[0]) - 1
        return ranges[at][2] if at >= 0 and item[1] < ranges[at][1] else TEXT

    def _note(self, client: int, struct: Struct, place: Place) -> None:
        """What comes first under an ID is what it stands for."""
        if place == TEXT:
            return
        ranges = self._ranges.setdefault(client, [])
        start = max(struct.start, ranges[-1][1] if ranges else 0)
        if ranges and ranges[-1][1] == start and ranges[-1][2] == place:
            ranges[-1] = (ranges[-1][0], max(struct.end, start), place)
        elif start < struct.end:
            ranges.append((start, struct.end, place))
