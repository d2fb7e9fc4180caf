"""Makes few updates of many that follow each other, without reading their structs again.

An update is a list of structs for each client, and deletions. Where the structs of each client go on where
those of the last update ended, the lists need only be put together; Yjs finds the order in which they apply.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crdtsync.core.text.typist import Typist
from crdtsync.core.text.update import Ranges, UpdateShape
from crdtsync.core.values.limits import FRAME_BATCH_BYTES
from crdtsync.core.wire.lib0 import varuint

MERGED_MAX_BYTES: Final = FRAME_BATCH_BYTES
_POSTPONED_MAX_UPDATES: Final = 128
_POSTPONED_MAX_BYTES: Final = 32 * 1024
"""Yrs takes 28 us for each of 20,000 updates, 1 us for one of 128 in one go, and more again above 1,000."""


def merge_updates(pieces: Iterable[tuple[bytes, UpdateShape | None]]) -> list[bytes]:
    """Updates that say the same, in that order.

    Each comes with what ``check_update`` returned for it; one with None stays alone.
    """
    merging = Merging()
    for update, shape in pieces:
        merging.add(update, shape)
    return merging.updates()


class Merging:
    """The same, one after the other; shapes are not kept."""

    __slots__ = ("_done", "_group", "_updates", "count", "size_bytes")

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._group = _Group()
        self._updates: list[bytes] | None = None
        """The answer, until more is added."""
        self.count = 0
        self.size_bytes = 0
        """Of all that was added."""

    def add(self, update: bytes, shape: UpdateShape | None) -> None:
        self._count(update)
        if shape is not None and self._group.take(update, shape):
            return
        self._begin_group()
        if shape is None or not self._group.take(update, shape):
            self._done.append(update)

    def type_on(self, typist: Typist, update: bytes, characters: bytes) -> None:
        """Add an update in which somebody types on, and who has not been told that it did."""
        self._count(update)
        if not self._group.type_on(typist, update, characters):
            self._begin_group()
            self._group.type_on(typist, update, characters)

    def updates(self) -> list[bytes]:
        """All that was added so far."""
        if self._updates is None:
            self._updates = self._done + self._group.updates()
        return self._updates

    def _count(self, update: bytes) -> None:
        self.count += 1
        self.size_bytes += len(update)
        self._updates = None

    def _begin_group(self) -> None:
        self._done += self._group.updates()
        self._group = _Group()


class Postponed(Merging):
    """Updates of which nobody needs to see what they make of a document yet."""

    __slots__ = ("originals",)

    def __init__(self) -> None:
        super().__init__()
        self.originals: list[bytes] = []
        """One by one, as they came."""

    @property
    def is_much(self) -> bool:
        """Whether it is time for the document to take them in."""
        return self.count >= _POSTPONED_MAX_UPDATES or self.size_bytes > _POSTPONED_MAX_BYTES

    def _count(self, update: bytes) -> None:
        super()._count(update)
        self.originals.append(update)


class _Typed:
    """What one client typed in a row: one struct, however many updates it came in."""

    __slots__ = ("characters", "placed")

    def __init__(self, placed: bytes, characters: bytes) -> None:
        self.placed = placed
        self.characters = [characters]

    def encoded(self) -> bytes:
        characters = b"".join(self.characters)
        return self.placed + varuint(len(characters)) + characters


class _Structs:
    """Of one client: how many structs, first clock, clock after the last, their encoding in parts."""

    __slots__ = ("count", "end", "parts", "start", "typed", "typist")

    def __init__(self, start: int) -> None:
        self.count = 0
        self.start = self.end = start
        self.parts: list[bytes | _Typed] = []
        self.typist: Typist | None = None
        """Who made the last of them, and goes on with it."""
        self.typed: _Typed | None = None


class _Group:
    __slots__ = ("_count", "_deletes", "_first", "_lists", "_size_bytes")

    def __init__(self) -> None:
        self._first: bytes = b""
        self._count = 0
        self._size_bytes = 0
        self._lists: dict[int, _Structs] = {}
        """By client."""
        self._deletes: dict[int, list[tuple[int, int]]] = {}

    def take(self, update: bytes, shape: UpdateShape) -> bool:
        """False: it does not follow what is here, which is left as it was."""
        if self._count and self._size_bytes + len(update) > MERGED_MAX_BYTES:
            return False
        for client, body in shape.bodies.items():
            if shape.inserts.get(client) != ((body.start, body.end),):
                return False  # with a gap
            known = self._lists.get(client)
            if known is not None and known.end != body.start:
                return False
        for client, body in shape.bodies.items():
            structs = self._of(client, body.start)
            structs.parts.append(update[body.at_byte : body.to_byte])
            structs.count += body.structs
            structs.end = body.end
            structs.typist = None
        for client, ranges in shape.deletes.items():
            self._deletes.setdefault(client, []).extend(ranges)
        self._took(update)
        return True

    def type_on(self, typist: Typist, update: bytes, characters: bytes) -> bool:
        """As ``take``."""
        if self._count and self._size_bytes + len(update) > MERGED_MAX_BYTES:
            return False
        structs = self._of(typist.client, typist.end)
        if structs.end != typist.end:
            return False
        if structs.typist is typist and structs.typed is not None:
            structs.typed.characters.append(characters)
        else:
            structs.typist, structs.typed = typist, _Typed(typist.placed, characters)
            structs.parts.append(structs.typed)
            structs.count += 1
        structs.end += len(characters)
        self._took(update)
        return True

    def _of(self, client: int, start: int) -> _Structs:
        structs = self._lists.get(client)
        if structs is None:
            structs = self._lists[client] = _Structs(start)
        return structs

    def _took(self, update: bytes) -> None:
        self._first = self._first or update
        self._count += 1
        self._size_bytes += len(update)

    def updates(self) -> list[bytes]:
        if self._count < 2:
            return [self._first][: self._count]
        encoded = [varuint(len(self._lists))]
        for client in sorted(self._lists, reverse=True):
            structs = self._lists[client]
            encoded += (varuint(structs.count), varuint(client), varuint(structs.start))
            encoded += (part if isinstance(part, bytes) else part.encoded() for part in structs.parts)
        encoded.append(varuint(len(self._deletes)))
        for client in sorted(self._deletes, reverse=True):
            ranges = _joined(self._deletes[client])
            encoded += (varuint(client), varuint(len(ranges)))
            for first, after in ranges:
                encoded += (varuint(first), varuint(after - first))
        return [b"".join(encoded)]


def _joined(ranges: list[tuple[int, int]]) -> Ranges:
    joined: list[tuple[int, int]] = []
    for first, after in sorted(ranges):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], after))
        else:
            joined.append((first, after))
    return tuple(joined)
