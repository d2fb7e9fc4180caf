"""What an update holds, and that nothing passes that some Yjs client could not apply."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from crdtsync.core.text.content import MAX_NESTING
from crdtsync.core.text.update import EMPTY_UPDATE, check_update, encode_update, is_plain, read_structs
from crdtsync.core.wire.lib0 import varbytes, varuint
from crdtsync.errors import MalformedUpdate
from tests.text.updates import (
    Author,
    deletions,
    garbage,
    identifier,
    item,
    skip,
    string,
    structs,
    text,
    update,
)


def test_what_an_update_inserts_deletes_and_needs_is_told() -> None:
    read = check_update(
        update(
            [
                structs(7, 3, text("abc", left=(1, 4), right=(2, 8)), skip(4), garbage(2), text("é😀")),
                structs(5, 0, text("x", left=(7, 1))),
            ],
            [deletions(9, (0, 1), (4, 2), (6, 1), (20, 1))],
        )
    )
    assert read.inserts == {7: ((3, 6), (10, 15)), 5: ((0, 1),)}
    assert read.structs == {7: (3, 15), 5: (0, 1)}
    assert read.deletes == {9: ((0, 1), (4, 7), (20, 21))}
    assert read.needs == {1: 5, 2: 9, 7: 2}
    assert read.halves == {7: [14]}
    assert set(read.cuts) >= {(1, 5), (2, 8), (7, 2), (9, 4), (9, 6)}
    assert not read.empty


def test_an_empty_update_holds_nothing() -> None:
    assert check_update(EMPTY_UPDATE).empty
    assert check_update(EMPTY_UPDATE).structs == {}


def everything() -> bytes:
    """A document with all that pycrdt can make."""
    doc: Doc[Any] = Doc(client_id=2**53 - 1)
    content = doc.get("content", type=Text)
    content.insert(0, "text é😀")
    content.format(0, 4, {"bold": True, "link": {"to": ["a", 1, None, 2.5]}})
    content.insert_embed(2, {"image": "x"})
    del content[0:1]
    data = doc.get("map", type=Map)
    data["value"] = {"x": [1, 2.5, None, True, False, "s", b"bytes", -5, 2**40, -(2**50)], "y": {}}
    data["value"] = Map({"inner": Text("t")})
    data["doc"] = Doc()
    doc.get("array", type=Array).extend([1, "two", b"three", Array([4]), {"five": 5}])
    doc.get("xml", type=XmlFragment).children.append(XmlElement("p", {"a": "b"}, [XmlText("hello")]))
    return doc.get_update()


def test_all_that_pycrdt_writes_is_accepted() -> None:
    (inserted,) = check_update(everything()).inserts.values()
    assert inserted[0][0] == 0


def test_structs_written_again_are_the_same_update() -> None:
    whole = everything()
    read, deleted = read_structs(whole)
    assert encode_update(read, deleted) == whole
    gaps, _ = read_structs(update([structs(1, 0, skip(2), text("a"), skip(1), text("b"), skip(3))]))
    assert encode_update(gaps, {}) == update([structs(1, 2, text("a"), skip(1), text("b"))])
    only_gaps, _ = read_structs(update([structs(1, 0, skip(2))]))
    assert encode_update(only_gaps, {}) == EMPTY_UPDATE


@pytest.mark.parametrize(
    "value",
    [
        *(bytes((kind,)) for kind in (127, 126, 121, 120)),
        b"\x7d\x05",
        b"\x7d\xff\xff\xff\xff\xff\xff\x0f",
        b"\x7c" + bytes(4),
        b"\x7b" + bytes(8),
        b"\x7a" + bytes(8),
        b"\x77" + string("é"),
        b"\x76\x01" + string("key") + b"\x7e",
        b"\x75\x02\x7e\x7f",
        b"\x74" + varbytes(b"\xff"),
        b"\x75\x01" * (MAX_NESTING - 1) + b"\x7e",
    ],
    ids=lambda value: value[:9].hex(),
)
def test_every_kind_of_value_is_read_to_its_end(value: bytes) -> None:
    for whole in (
        update([structs(1, 0, item(varuint(2) + value + b"\x7e", 8))]),
        update([structs(1, 0, item(string("guid") + b"\x76\x01" + string("gc") + value, 9))]),
    ):
        assert 1 in check_update(whole).inserts
        for length in range(len(whole)):
            with pytest.raises(MalformedUpdate):
                check_update(whole[:length])


MALFORMED = {
    "nothing": b"",
    "one byte": b"\x00",
    "trailing bytes": b"\x00\x00\x00",
    "version 2": b"\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00",
    "an absurd count of clients": b"\xff\xff\xff\xff\x0f\x00",
    "an absurd count of structs": b"\x01\xff\xff\xff\xff\x0f\x01\x00",
    "an absurd count of deletions": b"\x00\x01\x01\xff\xff\xff\xff\x0f",
    "an absurd string": update([structs(1, 0, item(b"\xff\xff\xff\xff\x0f", 4))]),
    "an absurd binary": update([structs(1, 0, item(b"\x05abc", 3))]),
    "an absurd count of values": update([structs(1, 0, item(b"\xff\xff\xff\xff\x0f", 8))]),
    "an absurd map": update([structs(1, 0, item(b"\x01\x76\xff\xff\xff\xff\x0f", 8))]),
    "a number of more than 53 bits": b"\x01\x01" + b"\xff" * 7 + b"\x1f\x00" + text("a") + b"\x00",
    "a number without end": b"\xff" * 12,
    "a clock of more than 31 bits": update([structs(1, 2**31, text("a"))]),
    "clocks beyond 31 bits": update([structs(1, 2**31 - 2, text("abc"))]),
    "a client without structs": update([structs(1, 0)]),
    "a client that occurs twice": update([structs(1, 0, text("a")), structs(1, 5, text("a"))]),
    "clients out of order": update([structs(1, 0, text("a")), structs(2, 0, text("a"))]),
    "a client without deletions": update([], [deletions(1)]),
    "a client that deletes twice": update([], [deletions(1, (0, 1)), deletions(1, (5, 1))]),
    "deletions out of order": update([], [deletions(1, (5, 1), (0, 1))]),
    "deletions that overlap": update([], [deletions(1, (0, 3), (2, 2))]),
    "a deletion of nothing": update([], [deletions(1, (0, 0))]),
    "a deletion beyond 31 bits": update([], [deletions(1, (2**31 - 1, 2))]),
    "an empty text": update([structs(1, 0, text(""))]),
    "an empty gap": update([structs(1, 0, skip(0))]),
    "empty garbage": update([structs(1, 0, garbage(0))]),
    "no values": update([structs(1, 0, item(b"\x00", 8))]),
    "text that is not UTF-8": update([structs(1, 0, item(b"\x01\xff", 4))]),
    "half a surrogate pair": update([structs(1, 0, item(b"\x03\xed\xa0\xbd", 4))]),
    "a name that is not UTF-8": update([structs(1, 0, item(string("a"), 4, parent=b"\x01\x01\xff"))]),
    "legacy JSON": update([structs(1, 0, item(b"\x01" + string("1"), 2))]),
    "an unknown content": update([structs(1, 0, item(b"\x01", 11))]),
    "an embedded document with null for its options": update(
        [structs(1, 0, item(string("guid") + b"\x7e", 9))]
    ),
    "an embedded document with a number for its options": update(
        [structs(1, 0, item(string("guid") + b"\x7d\x05", 9))]
    ),
    "more than one thing under a key": update([structs(1, 0, item(string("ab"), 4, key="k"))]),
    "garbage with flags": update([structs(1, 0, b"\x80" + identifier(2, 0) + b"\x01")]),
    "a gap with flags": update([structs(1, 0, b"\x8a" + identifier(2, 0) + b"\x01")]),
    "an unknown flag": update([structs(1, 0, item(string("a"), 0x14))]),
    "an unknown parent": update([structs(1, 0, item(string("a"), 4, parent=b"\x02\x00"))]),
    "an unknown type": update([structs(1, 0, item(b"\x07", 7))]),
    "an XML hook": update([structs(1, 0, item(b"\x05" + string("hook"), 7))]),
    "an unknown value": update([structs(1, 0, item(b"\x01\x05", 8))]),
    "a large integer": update([structs(1, 0, item(b"\x01\x7d" + b"\xff" * 9 + b"\x01", 8))]),
    "deep nesting": update([structs(1, 0, item(b"\x01" + b"\x75\x01" * 5000 + b"\x7e", 8))]),
    "an item that depends on itself": update([structs(1, 3, text("a", left=(1, 3)))]),
    "an item that depends on a later one": update([structs(1, 3, text("a", right=(1, 9)))]),
    "an item inside a later one": update(
        [structs(1, 3, item(string("a"), 4, parent=b"\x00" + identifier(1, 5)))]
    ),
}


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_refused(malformed: bytes) -> None:
    for read in (check_update, read_structs):
        with pytest.raises(MalformedUpdate):
            read(malformed)


@pytest.mark.parametrize(
    ("json", "accepted"),
    [
        ("null", True),
        ('{"a": [1, -2.5e3, true, "\\u00e9\\ud83d\\ude00"]}', True),
        ("[" * MAX_NESTING + "]" * MAX_NESTING, True),
        ("[" * (MAX_NESTING + 2) + "]" * (MAX_NESTING + 2), False),
        ('{"a":' * (MAX_NESTING + 2) + "1" + "}" * (MAX_NESTING + 2), False),
        ("[" * 100_000 + "]" * 100_000, False),
        ("", False),
        ("undefined", False),
        ("NaN", False),
        ("-Infinity", False),
        ("1e999", False),
        ('"\\ud83d"', False),
        ("{", False),
        ("9" * 5000, False),
    ],
    ids=lambda value: str(value)[:24],
)
def test_embedded_values_are_json_that_all_clients_read(json: str, accepted: bool) -> None:
    for content, kind in ((string(json), 5), (string("bold") + string(json), 6)):
        whole = update([structs(1, 0, item(content, kind))])
        if accepted:
            assert check_update(whole).inserts == {1: ((0, 1),)}
        else:
            with pytest.raises(MalformedUpdate):
                check_update(whole)


def test_a_cut_off_update_is_refused_wherever_it_is_cut() -> None:
    whole = everything()
    for length in range(len(whole)):
        with pytest.raises(MalformedUpdate):
            check_update(whole[:length])


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        check_update(data)
    except MalformedUpdate:
        return
    assert encode_update(*read_structs(data))


def test_pycrdt_survives_all_that_is_accepted_of_damaged_updates() -> None:
    rng = random.Random(11)
    accepted = 0
    for _ in range(3000):
        author = Author(rng.randrange(1, 4))
        author.replace(0, 0, "some é😀 text")
        author.replace(2, 4, "x")
        damaged = bytearray(rng.choice([*author.updates, author.doc.get_update()]))
        for _ in range(rng.randrange(1, 3)):
            damaged[rng.randrange(len(damaged))] = rng.choice(
                [0, 1, 2, 4, 0x44, 0x84, 0xC4, rng.randrange(256)]
            )
        try:
            shape = check_update(bytes(damaged))
        except MalformedUpdate:
            continue
        if all(ranges[0][0] == 0 for ranges in shape.inserts.values()) and not shape.needs:
            accepted += 1
            doc: Doc[Text] = Doc()
            doc.apply_update(bytes(damaged))
            str(doc.get("content", type=Text))
    assert accepted > 100


@pytest.mark.parametrize(
    ("state", "plain"),
    [
        (update([structs(7, 0, text("abc"))], [deletions(7, (0, 1))]), True),
        (EMPTY_UPDATE, True),
        (update([structs(7, 0, text("abc"), garbage(2))]), False),
        (update([structs(7, 0, item(varuint(2), 7))]), False),
        (update([structs(7, 0, item(string("x"), 4, parent=varuint(1) + string("other")))]), False),
        (update([structs(7, 0, item(string("x"), 4, key="k"))]), False),
        (b"no update", False),
    ],
)
def test_a_state_of_characters_of_the_text_alone_is_plain(state: bytes, plain: bool) -> None:
    assert is_plain(state) is plain


def test_the_bodies_of_an_update_are_its_structs() -> None:
    first, second = text("abc"), text("é", left=(7, 2))
    whole = update([structs(7, 3, first, skip(2), second), structs(5, 0, text("x"))])
    bodies = check_update(whole).bodies
    assert {client: (body.structs, body.start, body.end) for client, body in bodies.items()} == {
        7: (3, 3, 9),
        5: (1, 0, 1),
    }
    assert whole[bodies[7].at_byte : bodies[7].to_byte] == first + skip(2) + second


def test_a_long_list_of_deletions_that_comes_again_is_read_as_the_first_time() -> None:
    ranges = tuple((4 * number, 1 + number % 3) for number in range(400))
    typed = [
        update([structs(7, clock, text("a", left=(1, clock)))], [deletions(9, *ranges)]) for clock in (1, 2)
    ]
    first, second, again = check_update(typed[0]), check_update(typed[1]), check_update(typed[0])
    assert first.deletes == second.deletes == {9: tuple((start, start + size) for start, size in ranges)}
    assert first.cuts == again.cuts
    assert [cut for cut in first.cuts if cut[0] == 9] == [cut for cut in second.cuts if cut[0] == 9]
    assert (first.needs, second.needs) == ({1: 2}, {1: 3})
    for broken in (typed[0] + b"\0", typed[0][:-1], typed[0][:-1] + b"\0"):
        with pytest.raises(MalformedUpdate):
            check_update(broken)
