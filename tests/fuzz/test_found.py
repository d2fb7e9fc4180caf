"""What the fuzzers found, each in its shortest form; updates that are refused are in tests/text."""

from __future__ import annotations

import pytest

from crdtsync.adapters.replica_store_codec import DamagedRow, decode_synced, sealed
from crdtsync.core.hub.documents import problem_of
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.rows import SetPath
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.errors import MalformedUpdate
from tests.text.updates import identifier, item, string, structs, text, update

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
