"""Yjs updates as values that can be damaged struct by struct: made up, mutated, written.

Knows the format (https://github.com/yjs/yjs, ``encoding.js``) and checks nothing: most of what it makes is
wrong in one place. What becomes of it is left to ``decoders`` and to whoever drives an engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, TypeVar

from crdtsync.core.wire.lib0 import varbytes, varuint
from crdtsync.testing.fuzzing.choices import Choices
from crdtsync.testing.fuzzing.contents import Content, content

T = TypeVar("T")

Id: TypeAlias = tuple[int, int]
"""Client and clock."""

GC: Final = 0
SKIP: Final = 10
ROOTS: Final = ("content", "path", "kind", "gone", "versions", "exec", "origin", "x", "")
CLIENTS: Final = (1, 2, 3, 4, 2**32 - 1, 2**32, 2**53 - 1)


@dataclass(frozen=True, slots=True)
class Fields:
    """One struct: ``info`` is its first byte as it stands, whatever else is there."""

    info: int
    length: int
    """In clocks, as an honest writer would count them."""
    left: Id | None = None
    right: Id | None = None
    parent: str | Id | bytes | None = None
    """A root's name, an item, or bytes as they are."""
    key: str | None = None
    body: bytes = b""

    def encode(self) -> bytes:
        parts = [bytes((self.info & 0xFF,))]
        for origin in (self.left, self.right):
            if origin is not None:
                parts += (varuint(origin[0]), varuint(origin[1]))
        match self.parent:
            case str(name):
                parts += (varuint(1), varbytes(name.encode("utf-8", "surrogatepass")))
            case (client, clock):
                parts += (varuint(0), varuint(client), varuint(clock))
            case bytes(raw):
                parts.append(raw)
        if self.key is not None:
            parts.append(varbytes(self.key.encode("utf-8", "surrogatepass")))
        return b"".join((*parts, self.body))


@dataclass(frozen=True, slots=True)
class Section:
    """The structs of one client, from ``clock`` on. ``count`` None: as many as there are."""

    client: int
    clock: int
    structs: tuple[Fields, ...]
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Deletions:
    client: int
    ranges: tuple[tuple[int, int], ...]
    """Clock and length."""
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """A whole update."""

    sections: tuple[Section, ...] = ()
    deletions: tuple[Deletions, ...] = ()
    section_count: int | None = None
    deletion_count: int | None = None
    tail: bytes = b""

    def encode(self) -> bytes:
        sections, deletions = self.sections, self.deletions
        written = [varuint(len(sections) if self.section_count is None else self.section_count)]
        for section in sections:
            count = len(section.structs) if section.count is None else section.count
            written += (varuint(count), varuint(section.client), varuint(section.clock))
            written += (struct.encode() for struct in section.structs)
        written.append(varuint(len(deletions) if self.deletion_count is None else self.deletion_count))
        for deletion in deletions:
            count = len(deletion.ranges) if deletion.count is None else deletion.count
            written += (varuint(deletion.client), varuint(count))
            for clock, length in deletion.ranges:
                written += (varuint(clock), varuint(length))
        return b"".join((*written, self.tail))


@dataclass(slots=True)
class Maker:
    """Makes up updates that build on each other; ``clocks`` is what all of them together hold.

    ``straight``: nobody places an item by what stands elsewhere than in the text, or the wrong way round.
    Where they do, Yjs and Yrs need not put it at the same place.
    """

    choices: Choices
    clocks: dict[int, int] = field(default_factory=dict)
    types: list[Id] = field(default_factory=list)
    """Items whose content is a shared type, and can be a parent."""
    straight: bool = False

    def update(self) -> Parts:
        choices = self.choices
        clients = list(dict.fromkeys(choices.pick(CLIENTS) for _ in range(1 + choices.count(3))))
        if choices.chance(24):
            clients.append(clients[0])
        if not choices.chance(16):
            clients.sort(reverse=True)
        sections = tuple(self._section(client) for client in clients) if not choices.chance(8) else ()
        targets = dict.fromkeys(choices.pick(CLIENTS) for _ in range(choices.count(3)))
        deletions = [self._deletions(client) for client in targets]
        return Parts(sections, tuple(each for each in deletions if each.ranges or choices.chance(24)))

    def _section(self, client: int) -> Section:
        choices = self.choices
        start = clock = self._start(client)
        structs = []
        for _ in range(1 + choices.count(6)):
            struct = self._struct(client, clock)
            structs.append(struct)
            clock += struct.length
        self.clocks[client] = max(self.clocks.get(client, 0), min(clock, 2**31 - 1))
        return Section(choices.number(client), choices.number(start), tuple(structs))

    def _start(self, client: int) -> int:
        """Mostly where the client stands; else something that is there already, or after a gap."""
        have = self.clocks.get(client, 0)
        match self.choices.below(6 if self.straight else 8):
            case 6:
                return self.choices.below(have + 1)
            case 7:
                return have + self.choices.below(4)
            case _:
                return have

    def _struct(self, client: int, clock: int) -> Fields:
        choices = self.choices
        kind = choices.below(24)
        if kind in (22, 23) and not self.straight:
            length = 1 + choices.below(4)
            return Fields(GC if kind == 22 else SKIP, length, body=varuint(choices.number(length)))
        made: Content = content(choices)
        info = made.kind
        left = self._id(client, clock) if choices.chance(2) else None
        right = self._id(client, clock) if choices.chance(3) and not self.straight else None
        parent: str | Id | None = None
        key = None
        if left is None and right is None:
            parent = ROOTS[0] if self.straight else self._parent()
            if choices.chance(4) and not self.straight:
                info |= 0x20
                key = choices.pick(("a", "b", "", "é😀", "\ud83d", "k" * 200))
        info |= (0x80 if left else 0) | (0x40 if right else 0)
        if choices.chance(40) and not self.straight:
            info ^= 1 << choices.below(8)
        if made.is_type:
            self.types.append((client, clock))
        return Fields(info, made.length, left, right, parent, key, made.body)

    def _parent(self) -> str | Id:
        choices = self.choices
        if self.types and choices.chance(3):
            return choices.pick(self.types)
        if choices.chance(16):
            return self._id(0, 0)
        return choices.pick(ROOTS) if choices.chance(4) else ROOTS[0]

    def _id(self, client: int, clock: int) -> Id:
        """Mostly an item that is there."""
        choices = self.choices
        if clock and choices.chance(2):
            return client, choices.number(choices.below(clock))
        known = [each for each, end in self.clocks.items() if end]
        if known and not choices.chance(8):
            other = choices.pick(known)
            return other, choices.number(choices.below(self.clocks[other]))
        return choices.number(choices.pick(CLIENTS)), choices.number(choices.below(8))

    def _deletions(self, client: int) -> Deletions:
        choices = self.choices
        have = self.clocks.get(client, 0)
        ranges = []
        end = 0
        for _ in range(1 + choices.count(4)):
            start = (0 if choices.chance(24) else end) + choices.below(6)
            if start >= have and not choices.chance(6):
                break
            end = start + 1 + choices.below(4)
            ranges.append((choices.number(start), choices.number(end - start)))
        return Deletions(choices.number(client), tuple(ranges))


def state_vector(choices: Choices) -> bytes:
    clocks = {choices.pick(CLIENTS): choices.number(choices.below(40)) for _ in range(choices.below(4))}
    pairs = (varuint(choices.number(client)) + varuint(clock) for client, clock in clocks.items())
    return varuint(choices.number(len(clocks))) + b"".join(pairs)


def mutate(parts: Parts, choices: Choices) -> Parts:
    """The update with one thing changed."""
    sections, deletions = parts.sections, parts.deletions
    match choices.below(12):
        case 0 if deletions:
            return replace(parts, deletions=_changed(deletions, choices, _mutate_deletions))
        case 1 if len(sections) > 1:
            return replace(parts, sections=_shuffled(sections, choices))
        case 2 if sections:
            return replace(parts, sections=(*sections, choices.pick(sections)))
        case 3 if deletions:
            return replace(parts, deletions=(*deletions, choices.pick(deletions)))
        case 4:
            return replace(parts, section_count=choices.number(choices.below(8)))
        case 5:
            return replace(parts, deletion_count=choices.number(choices.below(8)))
        case 6:
            return replace(parts, tail=choices.take(1 + choices.below(8)))
        case 7 if sections:
            return replace(parts, sections=sections[: choices.below(len(sections))])
        case _ if sections:
            return replace(parts, sections=_changed(sections, choices, _mutate_section))
        case _:
            return replace(parts, deletions=(Deletions(choices.pick(CLIENTS), ((0, 1 + choices.below(4)),)),))


def _mutate_section(section: Section, choices: Choices) -> Section:
    structs = section.structs
    match choices.below(8):
        case 0:
            return replace(section, client=choices.number(choices.pick(CLIENTS)))
        case 1:
            return replace(section, clock=choices.number(section.clock + choices.below(4)))
        case 2:
            return replace(section, count=choices.number(choices.below(8)))
        case 3 if structs:
            return replace(section, structs=_shuffled(structs, choices))
        case 4 if structs:
            return replace(section, structs=structs[choices.below(len(structs)) :])
        case 5:
            gap = Fields(choices.pick((GC, SKIP)), 1, body=varuint(choices.number(1 + choices.below(4))))
            at = choices.below(len(structs) + 1)
            return replace(section, structs=(*structs[:at], gap, *structs[at:]))
        case _ if structs:
            return replace(section, structs=_changed(structs, choices, _mutate_struct))
        case _:
            return section


def _mutate_deletions(deletions: Deletions, choices: Choices) -> Deletions:
    ranges = deletions.ranges
    match choices.below(5):
        case 0:
            return replace(deletions, client=choices.number(choices.pick(CLIENTS)))
        case 1:
            return replace(deletions, count=choices.number(choices.below(8)))
        case 2 if ranges:
            return replace(deletions, ranges=(*ranges, choices.pick(ranges)))
        case 3 if ranges:
            return replace(deletions, ranges=_shuffled(ranges, choices))
        case _:
            added = (choices.number(choices.below(8)), choices.number(1 + choices.below(8)))
            return replace(deletions, ranges=(*ranges, added))


def _mutate_struct(struct: Fields, choices: Choices) -> Fields:
    made = content(choices)
    client, clock = choices.number(choices.pick(CLIENTS)), choices.number(choices.below(8))
    match choices.below(8):
        case 0:
            return replace(struct, info=struct.info ^ 1 << choices.below(8))
        case 1:
            return replace(struct, info=struct.info | 0x80, left=(client, clock), parent=None, key=None)
        case 2:
            return replace(struct, info=struct.info | 0x40, right=(client, clock), parent=None, key=None)
        case 3:
            info = struct.info & 0x3F
            return replace(struct, info=info, left=None, right=None, parent=(client, clock))
        case 4:
            return replace(struct, body=struct.body[: choices.below(len(struct.body) + 1)])
        case 5:
            return replace(struct, parent=choices.take(6), left=None, right=None)
        case 6:
            body = bytearray(struct.body)
            if body:
                body[choices.below(len(body))] = choices.byte()
            return replace(struct, body=bytes(body))
        case _:
            return replace(struct, info=struct.info & 0xE0 | made.kind, body=made.body, length=made.length)


def _changed(items: tuple[T, ...], choices: Choices, change: Callable[[T, Choices], T]) -> tuple[T, ...]:
    at = choices.below(len(items))
    return (*items[:at], change(items[at], choices), *items[at + 1 :])


def _shuffled(items: tuple[T, ...], choices: Choices) -> tuple[T, ...]:
    """One of them elsewhere."""
    rest = list(items)
    moved = rest.pop(choices.below(len(rest)))
    rest.insert(choices.below(len(rest) + 1), moved)
    return tuple(rest)
