"""Updates that type on are known by their first bytes, and come to the same as if they were read in whole."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.core.text.cursor import MAX_CLIENT, MAX_CLOCK
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.merging import Merging
from crdtsync.core.text.typist import Typist
from crdtsync.core.text.update import Body, check_update
from crdtsync.core.wire.lib0 import varuint
from tests.text.test_merging import Person
from tests.text.updates import clocks, deletions, item, structs, text, update


def typed(client: int, clock: int, characters: bytes, right: bytes = b"") -> bytes:
    head = b"\1\1" + varuint(client) + varuint(clock) + (b"\xc4" if right else b"\x84")
    content = varuint(len(characters)) + characters
    return head + varuint(client) + varuint(clock - 1) + right + content + b"\0"


def after(encoded: bytes) -> Typist | None:
    return Typist.after(encoded, check_update(encoded))


class Reader:
    """A document that reads what it can by its first bytes, and tells others of that as a hub does."""

    def __init__(self) -> None:
        self.document = TextDocument(1)
        self.told = Merging()
        self.by_first_bytes = 0
        self._typists: dict[int, Typist] = {}

    def take(self, author: int, encoded: bytes) -> None:
        typist = self._typists.pop(author, None)
        typed = typist.read(encoded) if typist is not None else None
        if typist is not None and typed is not None and self.document.type_on(encoded, typed):
            self.by_first_bytes += 1
            self.told.add(encoded, typed)
            typist.type_on(typed)
            self._typists[author] = typist
            return
        shape = check_update(encoded)
        change = self.document.apply_later(encoded, shape)
        self.told.add(encoded, None if change.pending else shape)
        if not change.pending and (typist := self.document.typist(encoded, shape)) is not None:
            self._typists[author] = typist


@given(st.integers(0, 1 << 32))
@settings(max_examples=200, deadline=None)
def test_who_types_on_comes_to_the_same_as_who_does_anything(seed: int) -> None:
    rng = random.Random(seed)
    people = [Person(client) for client in (7, 300, MAX_CLIENT)]
    at = [0, 0, 0]
    plain, reader = TextDocument(1), Reader()
    log: list[bytes] = []
    for _ in range(rng.randrange(1, 40)):
        who = rng.randrange(3)
        person = people[who]
        if rng.random() < 0.3:
            for each in log:
                person.doc.apply_update(each)
        if rng.random() < 0.3:
            at[who] = rng.randrange(len(person.content) + 1)
        for _ in range(rng.randrange(1, 5)):
            characters = rng.choice(("a", "b", "\n", "word ", "é", "😀"))
            if not str(person.content).isascii():
                at[who] = len(person.content)
            place = min(at[who], len(person.content)) / max(len(person.content), 1)
            erased = rng.random() < 0.1 and str(person.content).isascii()
            encoded = person.edit(place, "" if erased else characters, int(erased))
            at[who] += 0 if erased else len(characters)
            log.append(encoded)
            plain.apply_update(encoded)
            reader.take(who, encoded)
            if rng.random() < 0.1:
                reader.take(rng.randrange(3), rng.choice(log))  # once more, by anyone
            assert reader.document.state_vector == plain.state_vector
            if rng.random() < 0.1:
                assert reader.document.text == plain.text
    assert clocks(reader.document.encode_state()) == clocks(plain.encode_state())
    told = TextDocument(2, reader.told.updates())
    assert (told.text, told.state_vector) == (plain.text, plain.state_vector)
    assert clocks(told.encode_state()) == clocks(plain.encode_state())


@given(st.integers(0, 1 << 32))
@settings(max_examples=400, deadline=None)
def test_what_is_known_by_its_first_bytes_is_what_a_whole_reading_finds(seed: int) -> None:
    rng = random.Random(seed)
    client = rng.choice((0, 1, 127, 128, 1 << 32, MAX_CLIENT, rng.randrange(MAX_CLIENT)))
    clock = rng.choice((1, 127, 128, 129, 16384, rng.randrange(1, MAX_CLOCK - 300), MAX_CLOCK - 130))
    right = rng.choice((b"", varuint(client) + b"\0", varuint(9) + varuint(rng.randrange(1 << 20))))
    first = typed(client, clock, b"x", right)
    typist = after(first)
    assert typist is not None and (typist.client, typist.end) == (client, clock + 1)
    characters = "".join(
        rng.choices(rng.choice(("ab \n\x7f\x01", "aé漢\uffff", "a😀")), k=rng.choice((1, 2, 127, 128)))
    ).encode()
    other = bytearray(typed(client, clock + 1, characters, right))
    for _ in range(rng.choice((0, 1, 1, 2))):
        match rng.randrange(3):
            case 0:
                other[rng.randrange(len(other))] = rng.choice(
                    (0, 1, 4, 0x80, 0x84, 0xC4, 0xFF, rng.randrange(256))
                )
            case 1:
                del other[rng.randrange(len(other))]
            case _:
                other.insert(rng.randrange(len(other) + 1), rng.randrange(256))
    typed_on = typist.read(bytes(other))
    read = b"" if typed_on is None else typed_on.characters
    if bytes(other) == typed(client, clock + 1, characters, right):
        whole = len(characters) < 128 and max(characters.decode()) <= "\uffff"
        assert read == (characters if whole else b"")
    if typed_on is None:
        return
    assert (typed_on.client, typed_on.start) == (client, clock + 1)
    shape, end = check_update(bytes(other)), typed_on.end
    assert shape.inserts == {client: ((clock + 1, end),)}
    assert not shape.deletes and not shape.halves and not shape.types and not shape.elsewhere
    body = shape.bodies[client]
    placed = typed_on.placed + bytes((len(read),)) + read
    assert body == Body(1, clock + 1, end, len(other) - 1 - len(placed), len(other) - 1)
    assert bytes(other)[body.at_byte : body.to_byte] == placed
    assert shape.cuts[0] == (client, clock + 1)


@pytest.mark.parametrize(
    "encoded",
    [
        update([structs(5, 0, text("a"))], [deletions(5, (0, 1))]),
        update([structs(5, 0, text("a"), text("b", (5, 0)))]),
        update([structs(6, 0, text("a")), structs(5, 0, text("b"))]),
        update([structs(5, 0, item(b"\1", 1))]),
        update([], [deletions(5, (0, 1))]),
    ],
)
def test_who_does_more_than_type_is_not_watched(encoded: bytes) -> None:
    assert after(encoded) is None


@pytest.mark.parametrize("characters", [b"\0", "😀".encode(), b"\xed\xa0\x80", b"\xc3", b"", b"x" * 128])
def test_what_needs_a_whole_reading_is_left_to_it(characters: bytes) -> None:
    typist = after(typed(5, 1, b"x"))
    assert typist is not None
    assert typist.read(typed(5, 2, characters)) is None
    assert typist.read(typed(5, 2, b"ok")) is not None


def test_nobody_types_past_the_last_clock() -> None:
    typist = after(typed(5, MAX_CLOCK - 2, b"x"))
    assert typist is not None
    assert typist.read(typed(5, MAX_CLOCK - 1, b"a")) is not None
    assert typist.read(typed(5, MAX_CLOCK - 1, b"ab")) is None
