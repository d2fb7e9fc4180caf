"""What the texts of a replica keep of what stood on disk, and how their logs stay short."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import recalled as recalled_logs
from crdtsync.core.replica.documents import Documents
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.recalled import Recalled
from crdtsync.core.replica.records import AddUpdate, AddVersion, DropVersions, Synced
from crdtsync.core.replica.trees import SyncedTree
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.update import EMPTY_UPDATE
from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of_text
from crdtsync.core.values.files import Kind, LinkContent, TextContent
from crdtsync.core.values.ids import DocumentId, EntryId
from crdtsync.testing.memory_store import MemoryReplicaStore
from tests.simulation.scene import Scene

ENTRY = EntryId("ab" * 12)
OTHER = EntryId("cd" * 12)


def _agreed(text: str | None, *, entry: EntryId = ENTRY, path: str = "a.md") -> Synced:
    digest = None if text is None else digest_of_text(text)
    return Synced(entry, path, Kind.TEXT, digest, False, b"\0", None)


class Kept:
    """Documents over a store in memory; ``write`` ends an event."""

    def __init__(self, *agreed: Synced, client_id: int = 1) -> None:
        self.store = MemoryReplicaStore()
        self.out = Outbox()
        self.documents = Documents(client_id, self.store, (), SyncedTree(agreed), self.out)

    def write(self) -> None:
        self.documents.settle()
        records = list(self.out._records)
        self.out.take()
        self.store.persist(records)
        self.documents.written()


def test_an_update_that_says_nothing_is_not_logged() -> None:
    kept = Kept()
    for update in (b"", EMPTY_UPDATE):
        assert not kept.documents.apply_remote(ENTRY, update, 5, 1.0, dirty=True)
    kept.write()
    assert kept.store.updates(DocumentId(ENTRY)) == []


def test_an_edit_that_changes_nothing_is_not_logged() -> None:
    kept = Kept()
    kept.documents.create(ENTRY, "one\n", 1.0)
    kept.write()
    assert kept.documents.edit(ENTRY, [Edit(1, 1, "")], 2.0) == b""
    assert kept.documents.settle() == []
    assert len(kept.store.updates(DocumentId(ENTRY))) == 1


@pytest.mark.parametrize("dirty", [True, False])
def test_what_the_hub_has_is_remembered_with_what_an_event_changed(dirty: bool) -> None:
    kept = Kept()
    kept.documents.create(ENTRY, "one\n", 1.0)
    kept.documents.mark(DocumentId(ENTRY), dirty=dirty)
    kept.write()
    [head] = kept.store.remembered().heads
    assert (head.dirty, head.digest) == (dirty, digest_of_text("one\n"))


def test_a_text_that_was_to_be_written_and_never_stood_is_no_version() -> None:
    kept = Kept(_agreed("zero\n"))
    documents = kept.documents
    documents.create(ENTRY, "one\n", 1.0)
    kept.write()
    documents.intended[ENTRY] = digest_of_text("one\n")
    documents.edit(ENTRY, [Edit(0, 0, "more ")], 2.0)
    assert documents.version(ENTRY, digest_of_text("one\n")) == "one\n"
    documents.intention_ended(ENTRY, stood=False)  # in the same event
    assert documents.version(ENTRY, digest_of_text("one\n")) is None
    assert documents.versions(ENTRY) == []
    assert [
        type(record) for record in kept.out._records if isinstance(record, AddVersion | DropVersions)
    ] == [
        AddVersion,
        DropVersions,
    ]
    kept.write()
    assert kept.store.versions(ENTRY) == []


def test_of_very_many_texts_that_stood_on_disk_the_latest_are_kept_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "VERSIONS_MAX_BYTES", 20)
    kept = Kept()
    for text in ("first text\n", "second text\n", "3\n"):
        kept.documents.keep_version(ENTRY, text, 1.0)
    kept.documents.written()  # as if the store had kept none of them
    assert kept.documents.version(ENTRY, digest_of_text("first text\n")) is None
    assert kept.documents.version(ENTRY, digest_of_text("second text\n")) == "second text\n"
    assert kept.documents.version(ENTRY, digest_of_text("3\n")) == "3\n"


def test_a_text_that_stood_where_another_comes_is_a_base_of_it_if_it_is_still_known() -> None:
    for known in (True, False):
        kept = Kept()
        if known:
            kept.documents.keep_version(OTHER, "stood here\n", 1.0)
        kept.documents.left(_agreed("stood here\n", entry=OTHER))
        kept.documents.comes(_agreed("new\n"), 2.0)
        texts = [version.text for version in kept.documents.versions(ENTRY)]
        assert texts == (["stood here\n"] if known else [])


def test_how_far_two_texts_are_apart_is_told_of_texts_that_are_known_only() -> None:
    documents = Kept().documents
    documents.keep_version(ENTRY, "one\n", 1.0)
    saved = TextContent("two\n", digest_of_text("two\n"))
    apart = documents.apart(_agreed("one\n"), saved)
    assert apart is not None and 0.5 < apart < 1
    assert documents.apart(_agreed("lost\n"), saved) is None
    assert documents.apart(_agreed(None), saved) is None
    assert documents.apart(_agreed("one\n"), LinkContent("there", digest_of_text("there"))) is None


def test_the_first_words_of_a_cold_text_are_told_to_whoever_watches_it() -> None:
    theirs, kept = Kept(), Kept()
    told: list[tuple[EntryId, tuple[Edit, ...], bool]] = []
    kept.documents.watched = {ENTRY}
    kept.documents.tell = lambda *each: told.append(each)
    update = theirs.documents.create(ENTRY, "first words\n", 1.0)
    assert kept.documents.apply_remote(ENTRY, update, 5, 1.0, dirty=False)
    assert told == [(ENTRY, (Edit(0, 0, "first words\n"),), False)]


def test_a_log_that_grew_long_is_made_one_update() -> None:
    kept = Kept()
    kept.documents.create(ENTRY, "one\n", 1.0)
    kept.write()
    for _ in range(limits.COMPACT_AFTER_UPDATES):
        kept.documents.edit(ENTRY, [Edit(0, 0, "x")], 1.0)
    kept.write()
    log = kept.store.updates(DocumentId(ENTRY))
    assert len(log) == 1
    text = "x" * limits.COMPACT_AFTER_UPDATES + "one\n"
    assert TextDocument(0, log).text == kept.documents.text(ENTRY) == text


def test_a_log_may_grow_twice_as_long_while_the_disk_holds_another_text() -> None:
    kept = Kept(_agreed("one\n"))
    kept.documents.create(ENTRY, "one\n", 1.0)
    kept.write()
    most = 2 * limits.COMPACT_AFTER_UPDATES
    for _ in range(most - 2):
        kept.documents.edit(ENTRY, [Edit(0, 0, "x")], 1.0)
    kept.write()
    assert len(kept.store.updates(DocumentId(ENTRY))) == most - 1
    kept.documents.edit(ENTRY, [Edit(0, 0, "x")], 1.0)
    kept.write()
    assert len(kept.store.updates(DocumentId(ENTRY))) == 1


def test_a_log_is_not_made_one_while_edits_in_it_have_to_be_told_apart() -> None:
    kept = Kept()
    kept.documents.unplaced = unplaced = {ENTRY}
    kept.documents.create(ENTRY, "one\n", 1.0)
    for _ in range(limits.COMPACT_AFTER_UPDATES):
        kept.documents.edit(ENTRY, [Edit(0, 0, "x")], 1.0)
    kept.write()
    assert len(kept.store.updates(DocumentId(ENTRY))) > limits.COMPACT_AFTER_UPDATES
    unplaced.clear()
    kept.documents.edit(ENTRY, [Edit(0, 0, "x")], 1.0)
    kept.write()
    assert len(kept.store.updates(DocumentId(ENTRY))) == 1


def test_a_log_with_an_update_that_waits_for_others_is_never_made_one() -> None:
    """What waits is no part of the document's state, and would be lost."""
    theirs, kept = Kept(client_id=2), Kept()
    updates = [theirs.documents.create(ENTRY, "one\n", 1.0)]
    updates += [theirs.documents.edit(ENTRY, [Edit(0, 0, "x")], 1.0) for _ in range(2)]
    kept.documents.apply_remote(ENTRY, updates[2], 5, 1.0, dirty=False)
    for _ in range(limits.COMPACT_AFTER_UPDATES):
        kept.documents.edit(ENTRY, [Edit(0, 0, "y")], 1.0)
    kept.write()
    for update in updates[:2]:
        kept.documents.apply_remote(ENTRY, update, 5, 1.0, dirty=False)
    kept.write()
    text = kept.documents.text(ENTRY)
    assert sorted(text) == sorted("y" * limits.COMPACT_AFTER_UPDATES + "xxone\n")
    assert TextDocument(0, kept.store.updates(DocumentId(ENTRY))).text == text


def test_a_text_saved_very_often_is_whole_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", 5)
    scene = Scene()
    lines = ""
    for number in range(12):
        lines += f"line {number}\n"
        scene.save(scene.a, "a.md", lines)
        scene.rest()
    for replica in (scene.a, scene.b):
        replica.kill()
        replica.start()
    scene.save(scene.a, "a.md", "zero\n" + lines)
    scene.rest()
    assert scene.read(scene.b, "a.md") == "zero\n" + lines


class Asked(MemoryReplicaStore):
    """Counts the questions for logs."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = 0

    def updates(self, document: DocumentId) -> list[bytes]:
        self.questions += 1
        return super().updates(document)


def test_a_log_is_asked_for_once_in_an_event_and_anew_in_the_next() -> None:
    store = Asked()
    recalled = Recalled(store)
    document = DocumentId(ENTRY)
    recalled.begin()
    assert [recalled.updates(document) for _ in range(3)] == [(), (), ()]
    assert store.questions == 1
    recalled.end()
    store.persist([AddUpdate(document, b"one")])
    assert [recalled.updates(document) for _ in range(2)] == [(b"one",), (b"one",)]
    assert store.questions == 3  # between events nothing is remembered
    store.persist([AddUpdate(document, b"two")])
    recalled.begin()
    assert recalled.updates(document) == (b"one", b"two")


def test_logs_that_are_too_long_to_be_remembered_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalled_logs, "KEPT_MAX_BYTES", 4)
    store = Asked()
    store.persist([AddUpdate(DocumentId(entry), b"12345") for entry in (ENTRY, OTHER)])
    recalled = Recalled(store)
    recalled.begin()
    for _ in range(3):
        assert recalled.updates(DocumentId(ENTRY)) == recalled.updates(DocumentId(OTHER)) == (b"12345",)
    assert store.questions == 1 + 3
