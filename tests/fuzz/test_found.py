"""What the fuzzers found, each in its shortest form; updates that are refused are in tests/text."""

from __future__ import annotations

import pytest

from crdtsync.adapters.replica_store_codec import DamagedRow, decode_synced, sealed
from crdtsync.core.hub.documents import problem_of
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.document import TextDocument
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.rows import SetPath
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.errors import MalformedUpdate
from tests.text.updates import garbage, identifier, item, string, structs, text, update

ENTRY = EntryId("0a" * 12)
NAMED = b"\x01" + string("path")
FORMAT = item(string("bold") + string("1"), 6, parent=NAMED, key=ENTRY)
CHAINED = item(string("bold") + string("1"), 6, left=(1, 0))
VALUE = item(b"\x01\x77" + string("a.md"), 8, parent=NAMED, key=ENTRY)

NOT_VALUES = {
    "a format under a key, over which pycrdt panics when it tells of it": update([structs(1, 0, FORMAT)]),
    "the same, behind a value": update([structs(1, 0, VALUE, CHAINED)]),
    "text": update([structs(1, 0, text("a"))]),
    "a shared type": update([structs(1, 0, item(b"\x01", 7, parent=NAMED, key=ENTRY))]),
    "a child of a value": update(
        [structs(1, 0, VALUE, item(b"\x01\x7e", 8, parent=b"\x00" + identifier(1, 0)))]
    ),
}


@pytest.mark.parametrize("malformed", NOT_VALUES.values(), ids=NOT_VALUES)
def test_a_tree_takes_nothing_but_values(malformed: bytes) -> None:
    tree = TreeDocument(7)
    tree.edit([SetPath(ENTRY, "before.md")])
    with pytest.raises(MalformedUpdate):
        tree.apply_update(malformed)
    assert tree.rows[ENTRY].path == "before.md"
    update, _ = tree.edit([SetPath(ENTRY, "after.md")])
    other = TreeDocument(8, [tree.encode_state()])
    assert other.apply_update(update) == set()
    assert other.rows[ENTRY].path == "after.md"
    assert problem_of([(TREE, malformed)]) is not None


def test_what_is_inserted_into_something_else_than_a_type_keeps_nobody_waiting() -> None:
    """Yrs refuses it, Yjs makes garbage of it; what its author and others do next builds on it."""
    first = update([structs(3, 0, text("ab"))])
    orphan = update([structs(4, 0, item(string("x"), 4, parent=b"\x00" + identifier(3, 0)))])
    after = update([structs(4, 1, text("c", left=(3, 1)))])
    beside = update([structs(5, 0, text("d", left=(4, 1)))])
    for order in ((first, orphan, after, beside), (beside, after, orphan, first)):
        document = TextDocument(1)
        for each in order:
            document.apply_update(each)
        assert (document.text, document.pending) == ("abcd", ())
        assert TextDocument(2, [document.encode_state()]).text == "abcd"


@pytest.mark.parametrize("filling", ["", "x" * 9000], ids=["a short state", "a long state"])
def test_what_is_inserted_into_a_type_stays_also_after_a_restart(filling: str) -> None:
    made = update([structs(3, 0, item(b"\x01", 7), *([text(filling)] if filling else []))])
    child = item(b"\x01\x77" + string("inside"), 8, parent=b"\x00" + identifier(3, 0), key="k")
    before = TextDocument(1, [made])
    for document in (before, TextDocument(2, [before.encode_state()])):
        document.apply_update(update([structs(4, 0, child)]))
        assert b"inside" in document.encode_state()


@pytest.mark.parametrize("filling", ["", "x" * 9000], ids=["a short state", "a long state"])
def test_neighbours_in_two_lists_do_not_tear_a_text_apart(filling: str) -> None:
    """Yrs would drop what follows, and send what is typed there later so that nobody can take it."""
    honest = update([structs(3, 0, text("honest " + filling))])
    keyed = item(b"\x01\x7e", 8, key="k")
    between = update([structs(4, 0, keyed, text("x", left=(3, 2), right=(4, 0)), text("y", left=(3, 4)))])
    document = TextDocument(1, [honest])
    for each in (document, TextDocument(2, [document.encode_state()])):
        each.apply_update(between)
        shown = each.text
        assert all(characters in shown for characters in ("hon", "st", "x", "y", filling))
        typed = each.edit([Edit(len(shown), len(shown), "!")])
        other = TextDocument(5, [honest, between, typed])
        assert (other.text, other.pending) == (shown + "!", ())
        assert TextDocument(6, [each.encode_state()]).text == shown + "!"


def test_what_stands_beside_garbage_is_garbage() -> None:
    garbled = update([structs(4, 0, garbage(1), text("x", left=(4, 0), right=(3, 1)))])
    document = TextDocument(1, [update([structs(3, 0, text("ab"))]), garbled])
    assert document.text == "ab"


def test_two_things_under_one_id_do_not_depend_on_themselves_once_pairs_are_whole() -> None:
    document = TextDocument(1, [update([structs(3, 0, text("a😀b"))])])
    document.apply_update(update([structs(3, 2, text("xyz", left=(3, 1)))]))
    assert document.text == "a😀b"
    other = TextDocument(2, [document.encode_state()])
    assert (other.text, other.state_vector) == (document.text, document.state_vector)


def test_what_is_no_value_is_taken_in_a_text() -> None:
    assert problem_of([(DocumentId(ENTRY), NOT_VALUES["a shared type"])]) is None


@pytest.mark.parametrize(
    "fields",
    [
        b"\x09" + bytes(77),
        bytes(74) + b"\x01\x00\x00\x00",
        bytes(78) + b"\xff",
    ],
    ids=["a kind that there is not", "a state vector beyond the end", "a path that is not UTF-8"],
)
def test_a_row_whose_checksum_holds_is_still_read_with_care(fields: bytes) -> None:
    with pytest.raises(DamagedRow):
        decode_synced(bytes(13), sealed(fields, bytes(13)), None)
