"""Makes few updates of many that follow each other, without reading their structs again.

An update is a list of structs for each client, and deletions. Where the structs of each client go on where
those of the last update ended, the lists need only be put together; Yjs finds the order in which they apply.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from crdtsync.core.text.typist import Typed, Typist
from crdtsync.core.text.update import Ranges, UpdateShape
from crdtsync.core.values.limits import FRAME_BATCH_BYTES
from crdtsync.core.wire.lib0 import varuint

MERGED_MAX_BYTES: Final = FRAME_BATCH_BYTES
_POSTPONED_MAX_UPDATES: Final = 128
_POSTPONED_MAX_BYTES: Final = 32 * 1024
"""Yrs takes 28 us for each of 20,000 updates, 1 us for one of 128 in one go, and more again above 1,000."""


Shape: TypeAlias = UpdateShape | Typed | None
"""What ``check_update`` or a typist has found an update to be; one with None stays alone."""


def merge_updates(pieces: Iterable[tuple[bytes, Shape]]) -> list[bytes]:
    """Updates that say the same, in that order."""
    merging = Merging()
    for update, shape in pieces:
        merging.add(update, shape)
    return merging.updates()


class Merging:
    """The same, one after the other; shapes are not kept."""

    __slots__ = ("_done", "_group", "_updates")

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._group = _Group()
        self._updates: list[bytes] | None = None
        """The answer, until more is added."""

    def add(self, update: bytes, shape: Shape) -> None:
        self._updates = None
        if shape is not None and self._group.take(update, shape):
            return
        self._done += self._group.updates()
        self._group = _Group()
        if shape is None or not self._group.take(update, shape):
            self._done.append(update)

    def updates(self) -> list[bytes]:
        """All that was added so far."""
        if self._updates is None:
            self._updates = self._done + self._group.updates()
        return self._updates


class Postponed:
    """Updates of which nobody needs to see what they make of a document yet."""

    __slots__ = ("_pieces", "_size_bytes")

    def __init__(self) -> None:
        self._pieces: list[tuple[bytes, Shape]] = []
        self._size_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, update: bytes, shape: Shape) -> bool:
        """Returns whether it is time for the document to take them in."""
        self._pieces.append((update, shape))
        self._size_bytes += len(update)
        return len(self._pieces) >= _POSTPONED_MAX_UPDATES or self._size_bytes > _POSTPONED_MAX_BYTES

    def merged(self) -> list[bytes]:
        return merge_updates(self._pieces)

    def one_by_one(self) -> list[bytes]:
        """As they came."""
        return [update for update, _ in self._pieces]


class _Run:
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

    __slots__ = ("count", "end", "parts", "run", "start", "typist")

    def __init__(self, start: int) -> None:
        self.count = 0
        self.start = self.end = start
        self.parts: list[bytes | _Run] = []
        self.typist: Typist | None = None
        """Who made the last of them, and goes on with it."""
        self.run: _Run | None = None


class _Group:
    __slots__ = ("_count", "_deletes", "_first", "_lists", "_size_bytes")

    def __init__(self) -> None:
        self._first: bytes = b""
        self._count = 0
        self._size_bytes = 0
        self._lists: dict[int, _Structs] = {}
        """By client."""
        self._deletes: dict[int, list[tuple[int, int]]] = {}

    def take(self, update: bytes, shape: UpdateShape | Typed) -> bool:
        """False: it does not follow what is here, which is left as it was."""
        if self._count and self._size_bytes + len(update) > MERGED_MAX_BYTES:
            return False
        if not (self._type_on(shape) if isinstance(shape, Typed) else self._put(update, shape)):
            return False
        self._first = self._first or update
        self._count += 1
        self._size_bytes += len(update)
        return True

    def _put(self, update: bytes, shape: UpdateShape) -> bool:
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
        return True

    def _type_on(self, typed: Typed) -> bool:
        structs = self._of(typed.client, typed.start)
        if structs.end != typed.start:
            return False
        if structs.typist is typed.typist and structs.run is not None:
            structs.run.characters.append(typed.characters)
        else:
            structs.typist, structs.run = typed.typist, _Run(typed.placed, typed.characters)
            structs.parts.append(structs.run)
            structs.count += 1
        structs.end = typed.end
        return True

    def _of(self, client: int, start: int) -> _Structs:
        structs = self._lists.get(client)
        if structs is None:
            structs = self._lists[client] = _Structs(start)
        return structs

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
