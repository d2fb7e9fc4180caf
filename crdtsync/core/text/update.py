"""Reads the structure of a Yjs update (version 1) and refuses what some Yjs client could not apply.
 pycrdt believes the counts and strings that an update merely claims: an absurd count ends the process, text
that is not UTF-8 is undefined behaviour, deep nesting overflows its stack. So nothing from outside may
reach it unread. What an update means for a document is left to ``document``.

Format: ``yjs/src/utils/encoding.js`` and ``UpdateDecoder.js`` (https://github.com/yjs/yjs); where Yjs and Yrs
read the same bytes differently, they are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from crdtsync.core.text.content import read_content
from crdtsync.core.text.cursor import MAX_CLIENT, MAX_CLOCK, Cursor, refuse
from crdtsync.core.values.late import dataclass
from crdtsync.core.wire.lib0 import varuint
from crdtsync.errors import MalformedUpdate

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Half-open ranges of clocks, ascending, not touching."""

EMPTY_UPDATE: Final = b"\0\0"

HAS_ORIGIN: Final = 0x80
HAS_RIGHT_ORIGIN: Final = 0x40
GC: Final = 0
_SKIP: Final = 10
HAS_KEY: Final = 0x20
KIND: Final = 0x1F
_TEXT: Final = "content"
_DELETED: Final = 1
TYPE: Final = 7
_PLAIN: Final = frozenset({_DELETED, 3, 8})
"""What was deleted, bytes, and values."""


class Body(NamedTuple):
    """Where the structs of one client stand in an update: their number, clocks from ``start`` to ``end`` with
    gaps and all, and their bytes."""

    structs: int
    start: int
    end: int
    at_byte: int
    to_byte: int


@dataclass(frozen=True, slots=True)
class UpdateShape:
    """What an update inserts, deletes and depends on, as clocks by client.

    ``inserts`` leaves out gaps (Skip structs). ``needs``: all clocks below that one must be there before the
    update, or come with it, for what its items were placed by. ``cuts``: (client, clock) before which it cuts
    what was inserted together. ``halves``: clocks of second halves of surrogate pairs, where nobody may cut.
    ``values_only``: it sets plain values under keys of root types, and does nothing else. ``types``: IDs of
    the shared types that it inserts. ``elsewhere``: it inserts something not into the text, or garbage.
    ``bodies``: where the structs of each client stand.
    """

    inserts: Mapping[int, Ranges]
    deletes: Mapping[int, Ranges]
    needs: Mapping[int, int]
    cuts: Sequence[tuple[int, int]]
    halves: Mapping[int, Sequence[int]]
    values_only: bool
    types: Sequence[tuple[int, int]]
    elsewhere: bool
    bodies: Mapping[int, Body]

    @property
    def structs(self) -> dict[int, tuple[int, int]]:
        """For each client the first clock inserted, and the one after the last; there may be gaps between."""
        return {client: (ranges[0][0], ranges[-1][1]) for client, ranges in self.inserts.items()}

    @property
    def empty(self) -> bool:
        return not self.inserts and not self.deletes


@dataclass(frozen=True, slots=True)
class Struct:
    """One struct of an update: its clocks, its bytes, and what it was placed by, as in
    ``UpdateShape.needs``."""

    start: int
    end: int
    encoded: bytes
    needs: Mapping[int, int]
    gap: bool


_LONG_BYTES: Final = 256
_REMEMBERED_MAX_BYTES: Final = 256 * 1024
_REMEMBERED_LISTS: Final = 8
"""Lists of deletions that are not read again: longer than is read at once, no longer than may be kept."""
_EMPTY_SHAPE: Final = UpdateShape({}, {}, {}, (), {}, True, (), False, {})


def check_update(update: bytes) -> UpdateShape:
    """Read a whole update. Raises MalformedUpdate for anything but one well-formed update (version 1)."""
    if update == EMPTY_UPDATE:
        return _EMPTY_SHAPE
    cursor = Cursor(update)
    inserts: dict[int, Ranges] = {}
    halves: dict[int, list[int]] = {}
    deletes = _read(cursor, inserts, halves, None)
    return UpdateShape(
        inserts,
        deletes,
        cursor.needs,
        cursor.cuts,
        halves,
        cursor.values_only,
        cursor.types,
        cursor.elsewhere,
        cursor.bodies,
    )


def is_plain(state: bytes) -> bool:
    """Whether a sound update inserts characters of the text and nothing else."""
    try:
        shape = check_update(state)
    except MalformedUpdate:
        return False
    return not shape.elsewhere and not shape.types


def beginners(state: bytes) -> list[int]:
    """The clients that began to type when there was nothing yet. Raises MalformedUpdate."""
    structs, _ = read_structs(state)
    placed = HAS_ORIGIN | HAS_RIGHT_ORIGIN
    return [
        client
        for client, (first, *_) in structs.items()
        if first.start == 0 and not first.gap and first.encoded[0] != GC and not first.encoded[0] & placed
    ]


def read_structs(update: bytes) -> tuple[dict[int, list[Struct]], Mapping[int, Ranges]]:
    """The structs of each client, ascending, and the deletions. Raises MalformedUpdate like check_update."""
    structs: dict[int, list[Struct]] = {}
    deletes = _read(Cursor(update), {}, {}, structs)
    return structs, deletes


def _read(
    cursor: Cursor,
    inserts: dict[int, Ranges],
    halves: dict[int, list[int]],
    structs: dict[int, list[Struct]] | None,
) -> Mapping[int, Ranges]:
    try:
        _read_inserts(cursor, inserts, halves, structs)
        deletes = _read_deletes(cursor)
    except IndexError:
        raise MalformedUpdate("the update ends too early") from None
    except UnicodeDecodeError:
        raise MalformedUpdate("the update holds a string that is not UTF-8") from None
    if trailing := len(cursor.data) - cursor.at:
        raise MalformedUpdate(f"{trailing} bytes follow the end of the update (is it of version 2?)")
    return deletes


def _read_inserts(
    cursor: Cursor,
    inserts: dict[int, Ranges],
    halves: dict[int, list[int]],
    structs: dict[int, list[Struct]] | None,
) -> None:
    above = MAX_CLIENT + 1
    for _ in range(cursor.count()):
        count = cursor.some("structs")
        client = cursor.uint()
        clock = start = cursor.clock()
        if client >= above:
            refuse(f"client {client} comes after client {above}")  # Yjs would lose it when it merges updates
        above = client
        ranges = []
        first, at_byte = clock, cursor.at
        for _ in range(count):
            at = cursor.at
            info = cursor.byte()
            if info == _SKIP:
                length = cursor.clock()
                if clock > start:
                    ranges.append((start, clock))
                start = clock + length
            elif info == GC:
                cursor.elsewhere = True
                length = cursor.clock()
            else:
                length = _read_item(cursor, info, client, clock)
            if not length:
                refuse("a struct of length 0")
            if cursor.halves:
                halves.setdefault(client, []).extend(clock + half for half in cursor.halves)
                cursor.halves = []
            if structs is not None:
                encoded = cursor.data[at : cursor.at]
                struct = Struct(clock, clock + length, encoded, cursor.needs, info == _SKIP)
                structs.setdefault(client, []).append(struct)
                cursor.needs = {}
            clock += length
            if clock > MAX_CLOCK:
                refuse("a clock has more than 31 bits")
        if clock > start:
            ranges.append((start, clock))
        if ranges:
            inserts[client] = tuple(ranges)
        cursor.bodies[client] = Body(count, first, clock, at_byte, cursor.at)


def _read_item(cursor: Cursor, info: int, client: int, clock: int) -> int:
    """Returns the item's length in clocks."""
    keyed = False
    if info & HAS_ORIGIN:
        left, left_clock = _read_dependency(cursor, client, clock)
        cursor.cuts.append((left, left_clock + 1))
    if info & HAS_RIGHT_ORIGIN:
        cursor.values_only = False
        cursor.cuts.append(_read_dependency(cursor, client, clock))
    if not info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN):
        match cursor.uint():
            case 1:
                elsewhere = cursor.string() != _TEXT
            case 0:
                elsewhere = True
                cursor.values_only = False
                _read_dependency(cursor, client, clock)
            case other:
                refuse(f"unknown parent kind {other}")
        keyed = bool(info & HAS_KEY)
        if keyed:
            cursor.string()
        else:
            cursor.values_only = False
        if keyed or elsewhere:
            cursor.elsewhere = True
    kind = info & KIND
    if kind not in _PLAIN:
        cursor.values_only = False
        if kind == TYPE:
            cursor.types.append((client, clock))
    length = read_content(cursor, kind)
    if keyed and length > 1 and kind != _DELETED:
        refuse("more than one thing under a key")  # Yjs would fail when the type around it is deleted
    return length


def _read_dependency(cursor: Cursor, client: int, clock: int) -> tuple[int, int]:
    """The ID of a struct that the item was placed by. Nobody places an item by one that comes later."""
    other = cursor.uint()
    needed = cursor.clock()
    if other == client:
        if needed >= clock:
            refuse("an item depends on itself or on a later one")
    elif needed >= cursor.needs.get(other, 0):
        cursor.needs[other] = needed + 1
    return other, needed


def _read_deletes(cursor: Cursor) -> Mapping[int, Ranges]:
    """A difference from a state vector has all deletions of a text's life: the same long list each time."""
    section = cursor.data[cursor.at :]
    read = _known_deletions if _LONG_BYTES <= len(section) <= _REMEMBERED_MAX_BYTES else _deletions
    deletes, cuts, length = read(section)
    cursor.at += length
    cursor.cuts += cuts
    return deletes


def _deletions(section: bytes) -> tuple[Mapping[int, Ranges], Sequence[tuple[int, int]], int]:
    """The deletions that ``section`` begins with, where they cut, and how many of its bytes they are."""
    cursor = Cursor(section)
    clock, cuts = cursor.clock, cursor.cuts
    deletes: dict[int, Ranges] = {}
    for _ in range(cursor.count()):
        client = cursor.uint()
        if client in deletes:
            refuse(f"client {client} occurs twice in the deletions")
        ranges = []
        end = 0
        for _ in range(cursor.some("deletions")):
            start = clock()
            length = section[cursor.at]
            if length < 0x80:  # as most are
                cursor.at += 1
            else:
                length = clock()
            if not length or start + length > MAX_CLOCK:
                refuse("a deletion of impossible length")
            if start < end:
                refuse("deletions out of order")  # Yjs would lose those that wait for what they delete
            end = start + length
            ranges.append((start, end))
            cuts += (client, start), (client, end)
        deletes[client] = tuple(ranges) if len(ranges) == 1 else _merged(ranges)
    return deletes, cuts, cursor.at


_known_deletions = lru_cache(maxsize=_REMEMBERED_LISTS)(_deletions)


def _merged(ranges: list[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for start, end in ranges:
        if merged and start == merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return tuple(merged)


def encode_update(structs: Mapping[int, Sequence[Struct]], deletes: Mapping[int, Ranges]) -> bytes:
    """An update of these structs, which follow each other, and deletions; clients descending as Yjs has them.

    Gaps at the ends are left out.
    """
    trimmed = {client: _trimmed(queue) for client, queue in structs.items()}
    clients = sorted((client for client, queue in trimmed.items() if queue), reverse=True)
    written = bytearray(varuint(len(clients)))
    for client in clients:
        queue = trimmed[client]
        written += varuint(len(queue)) + varuint(client) + varuint(queue[0].start)
        for struct in queue:
            written += struct.encoded
    clients = sorted((client for client, ranges in deletes.items() if ranges), reverse=True)
    written += varuint(len(clients))
    for client in clients:
        written += varuint(client) + varuint(len(deletes[client]))
        for start, end in deletes[client]:
            written += varuint(start) + varuint(end - start)
    return bytes(written)


def _trimmed(queue: Sequence[Struct]) -> Sequence[Struct]:
    start, end = 0, len(queue)
    while start < end and queue[start].gap:
        start += 1
    while end > start and queue[end - 1].gap:
        end -= 1
    return queue[start:end]
