"""What every store of a hub must do; a test class per store inherits these tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import pytest

from crdtsync.core.hub.store import EVERYTHING, Epoch, HubStore, Row, Wanted
from crdtsync.core.values.ids import TREE, DocumentId
from crdtsync.core.wire.messages import LogEntry
from tests.hub.material import DRAFT, NOTES, TASKS

MANY = 1 << 20


def rows(room: str, first: int, *updates: tuple[DocumentId, bytes]) -> list[Row]:
    return [
        Row(room, LogEntry(first + index, 1000 + first + index, document, update))
        for index, (document, update) in enumerate(updates)
    ]


def read(store: HubStore, room: str = "notes", after: int = 0, wanted: Wanted = EVERYTHING) -> list[LogEntry]:
    return list(store.read_log(room, after, wanted, MANY, MANY).entries)


class HubStoreContract(ABC):
    """``reopen(store)`` closes a store and opens it again, as a new process would."""

    @abstractmethod
    @pytest.fixture
    def store(self) -> HubStore: ...

    @abstractmethod
    @pytest.fixture
    def reopen(self) -> Callable[[HubStore], HubStore]: ...

    def test_a_new_room_is_empty_and_begins_with_its_first_epoch(self, store: HubStore) -> None:
        record = store.open_room("notes", "e1", 10, 10)
        assert record is not None
        assert (record.head, record.documents, record.epochs) == (0, 0, (Epoch("e1", 0),))
        assert store.read_log("notes", 0, EVERYTHING, MANY, MANY).through == 0

    def test_what_was_opened_where_is_remembered_the_latest_last(
        self, store: HubStore, reopen: Callable[[HubStore], HubStore]
    ) -> None:
        for room in ("notes", "other"):
            store.open_room(room, "e1", 10, 10)
        store.remember_opened(
            [("notes", "a.txt", NOTES), ("other", "a.txt", DRAFT), ("notes", "b.txt", TASKS)], 2
        )
        store.remember_opened([("notes", "a.txt", DRAFT), ("notes", "b.txt", TASKS)], 2)
        store = reopen(store)
        record, other = store.open_room("notes", "e2", 10, 10), store.open_room("other", "e2", 10, 10)
        assert record is not None and other is not None
        assert record.opened == (("a.txt", DRAFT), ("b.txt", TASKS))
        assert other.opened == (("a.txt", DRAFT),)

    def test_opening_a_room_twice_in_one_epoch_records_it_once(self, store: HubStore) -> None:
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, (NOTES, b"one")))
        record = store.open_room("notes", "e1", 10, 10)
        assert record is not None
        assert record.epochs == (Epoch("e1", 0),)
        assert record.head == 1

    def test_each_epoch_begins_where_the_log_ended(
        self, store: HubStore, reopen: Callable[[HubStore], HubStore]
    ) -> None:
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, (NOTES, b"one"), (TASKS, b"two")))
        store = reopen(store)
        record = store.open_room("notes", "e2", 10, 10)
        assert record is not None
        assert record.epochs == (Epoch("e1", 0), Epoch("e2", 2))
        assert (record.documents, record.size_bytes) == (2, 6)

    def test_a_replacement_tells_what_it_freed(self, store: HubStore) -> None:
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, (NOTES, b"one"), (NOTES, b"three"), (TASKS, b"two")))
        size = store.replace("notes", NOTES, (1, 2), LogEntry(2, 0, NOTES, b"four"))
        assert (size.size_bytes, size.freed_bytes) == (4, 4)
        record = store.open_room("notes", "e1", 10, 10)
        assert record is not None and record.size_bytes == 7

    def test_only_the_latest_epochs_are_kept(self, store: HubStore) -> None:
        for number in range(5):
            record = store.open_room("notes", f"e{number}", 10, 3)
        assert record is not None
        assert [epoch.name for epoch in record.epochs] == ["e2", "e3", "e4"]
        again = store.open_room("notes", "e5", 10, 3)
        assert again is not None
        assert [epoch.name for epoch in again.epochs] == ["e3", "e4", "e5"]

    def test_no_more_rooms_are_made_than_allowed_but_known_ones_open(self, store: HubStore) -> None:
        assert store.open_room("one", "e1", 2, 10) is not None
        assert store.open_room("two", "e1", 2, 10) is not None
        assert store.open_room("three", "e1", 2, 10) is None
        assert store.open_room("one", "e2", 2, 10) is not None

    def test_rows_come_back_in_order_with_all_they_hold(
        self, store: HubStore, reopen: Callable[[HubStore], HubStore]
    ) -> None:
        store.open_room("notes", "e1", 10, 10)
        written = rows("notes", 1, (NOTES, b"one"), (TREE, b"two\0\xff"), (NOTES, b"three"))
        store.append(written[:2])
        store.append(written[2:])
        store = reopen(store)
        assert read(store) == [row.entry for row in written]
        assert read(store, after=2) == [written[2].entry]

    def test_one_append_spans_rooms_and_keeps_them_apart(self, store: HubStore) -> None:
        store.open_room("notes", "e1", 10, 10)
        store.open_room("other", "e1", 10, 10)
        a, b = rows("notes", 1, (NOTES, b"a"), (NOTES, b"b"))
        (c,) = rows("other", 1, (NOTES, b"c"))
        appendix = store.append([a, c, b])
        assert read(store, "notes") == [a.entry, b.entry]
        assert read(store, "other") == [c.entry]
        assert dict(appendix.documents) == {"notes": 1, "other": 1}
        assert {(size.room, size.rows, size.size_bytes) for size in appendix.sizes} == {
            ("notes", 2, 2),
            ("other", 1, 1),
        }

    def test_an_append_that_leaves_a_gap_changes_nothing(self, store: HubStore) -> None:
        store.open_room("notes", "e1", 10, 10)
        first, _, third = rows("notes", 1, (NOTES, b"1"), (NOTES, b"2"), (NOTES, b"3"))
        with pytest.raises(ValueError, match="follow"):
            store.append([first, third])
        assert read(store) == []
        assert store.append([first]).sizes[0].rows == 1

    def test_sizes_add_up_over_appends(self, store: HubStore) -> None:
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, (NOTES, b"12345"), (TASKS, b"1")))
        appendix = store.append(rows("notes", 3, (NOTES, b"678"), (DRAFT, b"")))
        assert dict(appendix.documents) == {"notes": 3}
        sizes = {size.document: (size.rows, size.size_bytes, size.compacted_bytes) for size in appendix.sizes}
        assert sizes == {NOTES: (2, 8, 0), DRAFT: (1, 0, 0)}

    def test_a_page_holds_at_least_one_row_and_then_what_fits(self, store: HubStore) -> None:
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, *[(NOTES, b"x" * 10) for _ in range(5)]))
        page = store.read_log("notes", 0, EVERYTHING, 25, MANY)
        assert ([entry.sequence for entry in page.entries], page.through) == ([1, 2], 2)
        page = store.read_log("notes", 2, EVERYTHING, 5, MANY)
        assert ([entry.sequence for entry in page.entries], page.through) == ([3], 3)
        page = store.read_log("notes", 3, EVERYTHING, MANY, 1)
        assert ([entry.sequence for entry in page.entries], page.through) == ([4], 4)
        page = store.read_log("notes", 3, EVERYTHING, MANY, MANY)
        assert ([entry.sequence for entry in page.entries], page.through) == ([4, 5], 5)

    @pytest.mark.parametrize(
        ("wanted", "sequences"),
        [(Wanted({NOTES}, only=True), [1, 4]), (Wanted({NOTES}), [2, 3]), (Wanted({NOTES, TASKS, TREE}), [])],
    )
    def test_a_page_of_some_documents_says_how_far_it_looked(
        self, store: HubStore, wanted: Wanted, sequences: list[int]
    ) -> None:
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, (NOTES, b"1"), (TASKS, b"2"), (TREE, b"3"), (NOTES, b"4")))
        page = store.read_log("notes", 0, wanted, MANY, MANY)
        assert [entry.sequence for entry in page.entries] == sequences
        assert page.through == 4

    def test_pages_of_some_documents_go_on_where_the_last_ended(self, store: HubStore) -> None:
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, *[(NOTES if n % 3 else TASKS, bytes([n])) for n in range(30)]))
        found: list[int] = []
        at = 0
        while at < 30:
            page = store.read_log("notes", at, Wanted({TASKS}), 3, MANY)
            assert page.through > at
            found += [entry.sequence for entry in page.entries]
            at = page.through
        assert found == [n + 1 for n in range(30) if n % 3]

    def test_a_document_reads_up_to_a_sequence(self, store: HubStore) -> None:
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, (NOTES, b"1"), (TASKS, b"2"), (NOTES, b"3"), (NOTES, b"4")))
        assert [entry.update for entry in store.read_document("notes", NOTES, 3)] == [b"1", b"3"]
        assert [entry.update for entry in store.read_document("notes", NOTES, None)] == [b"1", b"3", b"4"]
        assert list(store.read_document("notes", DRAFT, None)) == []

    def test_replacing_rows_leaves_one_in_the_last_ones_place(
        self, store: HubStore, reopen: Callable[[HubStore], HubStore]
    ) -> None:
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, *[(NOTES if n != 1 else TASKS, b"xxx") for n in range(5)]))
        size = store.replace("notes", NOTES, [1, 3, 4], LogEntry(4, 7777, NOTES, b"state"))
        assert (size.rows, size.size_bytes, size.compacted_bytes) == (2, 8, 8)
        store = reopen(store)
        assert (store.whole("notes", NOTES), store.whole("notes", TASKS), store.whole("notes", DRAFT)) == (
            4,
            0,
            0,
        )
        assert [(entry.sequence, entry.at_ms, entry.update) for entry in read(store)] == [
            (2, 1002, b"xxx"),
            (4, 7777, b"state"),
            (5, 1005, b"xxx"),
        ]
        assert store.read_log("notes", 0, EVERYTHING, MANY, MANY).through == 5
        appendix = store.append(rows("notes", 6, (NOTES, b"more")))
        assert (appendix.sizes[0].rows, appendix.sizes[0].size_bytes) == (3, 12)
        assert store.whole("notes", NOTES) == 4
        assert dict(appendix.documents) == {"notes": 2}

    @pytest.mark.parametrize("sequences", [[1, 2, 3], [1, 9, 3], [1]])
    def test_replacing_rows_that_are_not_the_documents_changes_nothing(
        self, store: HubStore, sequences: list[int]
    ) -> None:
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, (NOTES, b"1"), (TASKS, b"2"), (NOTES, b"3")))
        with pytest.raises(ValueError, match="row"):
            store.replace("notes", NOTES, sequences, LogEntry(3, 1, NOTES, b"state"))
        assert [entry.update for entry in read(store)] == [b"1", b"2", b"3"]

    def test_it_knows_which_documents_have_rows(self, store: HubStore) -> None:
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, (NOTES, b"1"), (TREE, b"2")))
        assert store.known("notes", [NOTES, TASKS, TREE]) == {NOTES, TREE}
        assert store.known("notes", []) == frozenset()
