"""A new text needs no document until someone edits it, and is the same as with one."""

from __future__ import annotations

from crdtsync.core.replica.documents import Documents
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.trees import SyncedTree
from crdtsync.core.text.diff import Edit
from crdtsync.core.values.digests import digest_of_text
from crdtsync.core.values.ids import EntryId
from crdtsync.testing.memory_store import MemoryReplicaStore

ENTRY = EntryId("ab" * 12)


def _documents() -> Documents:
    return Documents(1, MemoryReplicaStore(), (), SyncedTree(()), Outbox())


def test_a_new_text_is_edited_and_merged_within_the_same_event() -> None:
    """No store knows of it yet."""
    mine, theirs = _documents(), _documents()
    first = mine.create(ENTRY, "one\ntwo\n", 1.0)
    second = mine.edit(ENTRY, [Edit(0, 3, "ONE")], 1.0)
    assert mine.text(ENTRY) == "ONE\ntwo\n"
    for update in (first, second):
        assert theirs.apply_remote(ENTRY, update, 5, 1.0, dirty=False)
    assert theirs.text(ENTRY) == "ONE\ntwo\n"
    assert theirs.state_vector(ENTRY) == mine.state_vector(ENTRY)
    assert not theirs.apply_remote(ENTRY, first, 5, 1.0, dirty=False)


def test_a_new_text_that_was_settled_is_still_whole_before_it_is_written() -> None:
    """Many new texts do not stay decoded until the end of the event that brings them."""
    documents = _documents()
    documents.create(ENTRY, "one\n", 1.0)
    documents.settle()
    assert documents.text_digest(ENTRY) == digest_of_text("one\n")
    documents.edit(ENTRY, [Edit(4, 4, "two\n")], 1.0)
    assert documents.text(ENTRY) == "one\ntwo\n"


def test_an_update_that_has_to_wait_is_not_taken_for_a_first_one() -> None:
    mine, theirs = _documents(), _documents()
    first = mine.create(ENTRY, "one\n", 1.0)
    second = mine.edit(ENTRY, [Edit(4, 4, "two\n")], 1.0)
    theirs.apply_remote(ENTRY, second, 5, 1.0, dirty=False)
    assert theirs.text(ENTRY) == ""
    assert theirs.apply_remote(ENTRY, first, 5, 1.0, dirty=False)
    assert theirs.text(ENTRY) == "one\ntwo\n"
