"""Large transactions are written beside the loop, and whoever reads meanwhile sees them all the same."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

import pytest

from crdtsync.adapters.replica_store import ReplicaStore
from crdtsync.adapters.replica_store_beside import LARGE_BYTES, LARGE_RECORDS, StoreBeside
from crdtsync.core.replica.effects import Persist
from crdtsync.core.replica.records import AddUpdate, AddVersion, DropVersions, PutMeta, Record, ReplaceUpdates
from crdtsync.core.values.ids import DocumentId
from crdtsync.errors import StoreError
from tests.store.contract import ENTRY, noise, version

DOCUMENT = DocumentId(ENTRY)
MANY = [PutMeta(f"name {number}", "value") for number in range(LARGE_RECORDS)]


class Records(list[Record]):
    """Can be asked whether somebody still has them."""


class Halting(ReplicaStore):
    """Waits before it writes until it may, and fails as often as it is told."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.may = threading.Event()
        self.failures = 0

    def persist(self, records: Sequence[Record]) -> None:
        assert self.may.wait(30)
        if self.failures:
            self.failures -= 1
            raise StoreError("the disk is full")
        super().persist(records)


@pytest.mark.parametrize("records", [MANY, [AddUpdate(DOCUMENT, bytes(LARGE_BYTES))]])
def test_a_large_transaction_is_under_way_when_it_was_given(tmp_path: Path, records: list[Record]) -> None:
    store = Halting(tmp_path / "state.db")
    beside = StoreBeside(store)
    writing = beside.persist(records)
    assert writing is not None
    assert not writing.done()
    assert beside.shrink()
    store.may.set()
    beside.close()
    assert writing.done()
    store.close()


def test_once_a_large_transaction_is_written_nothing_more_is_to_be_done_when_idle(tmp_path: Path) -> None:
    store = Halting(tmp_path / "state.db")
    beside = StoreBeside(store)
    records = Records(MANY)
    kept = weakref.ref(records)
    writing = beside.persist(records)
    assert writing is not None
    del records
    store.may.set()
    writing.result(30)
    assert not beside.shrink()
    beside.close()
    assert kept() is None, "kept in memory though it is written"
    store.close()


def test_while_a_failed_transaction_waits_no_space_is_given_back(tmp_path: Path) -> None:
    store = Halting(tmp_path / "state.db")
    store.may.set()
    beside = StoreBeside(store)
    beside.persist([AddUpdate(DOCUMENT, noise(LARGE_BYTES - 1))] * 40)
    beside.persist([ReplaceUpdates(DOCUMENT, (b"less",))])
    store.failures = 1
    writing = beside.persist(MANY)
    assert writing is not None
    with pytest.raises(StoreError):
        writing.result(30)
    assert not beside.shrink()
    beside.persist(MANY)
    writing = beside.persist(MANY)
    assert writing is not None
    writing.result(30)
    assert beside.shrink()
    beside.close()
    store.close()


def test_a_small_transaction_is_written_at_once(tmp_path: Path) -> None:
    store = ReplicaStore(tmp_path / "state.db")
    beside = StoreBeside(store)
    assert beside.persist([AddUpdate(DOCUMENT, b"update")]) is None
    assert store.updates(DOCUMENT) == [b"update"]
    assert not beside.shrink()
    beside.close()
    store.close()


def test_who_reads_waits_for_what_is_under_way(tmp_path: Path) -> None:
    store = Halting(tmp_path / "state.db")
    beside = StoreBeside(store)
    beside.persist([AddUpdate(DOCUMENT, b"update"), AddVersion(version(1)), *MANY])
    threading.Timer(0.02, store.may.set).start()
    assert beside.updates(DOCUMENT) == [b"update"]
    assert beside.versions(ENTRY) == [version(1)]
    assert beside.persist([AddUpdate(DOCUMENT, b"another")]) is None
    assert beside.updates(DOCUMENT) == [b"update", b"another"]
    beside.close()
    store.close()


def test_what_has_to_wait_for_others_is_read_as_if_it_were_written(tmp_path: Path) -> None:
    store = Halting(tmp_path / "state.db")
    store.may.set()
    beside = StoreBeside(store)
    first, then = Persist((AddUpdate(DOCUMENT, b"1"),)), Persist((AddUpdate(DOCUMENT, b"2"),))
    beside.owing([first])
    store.failures = 1
    with pytest.raises(StoreError):
        beside.persist(first.records)
    beside.owing([then])
    assert beside.updates(DOCUMENT) == [b"1", b"2"]
    beside.persist(first.records)
    beside.persist(then.records)
    assert beside.updates(DOCUMENT) == store.updates(DOCUMENT) == [b"1", b"2"]
    beside.close()
    store.close()


@pytest.mark.parametrize("large", [True, False])
def test_what_could_not_be_written_is_read_as_if_it_had_been(tmp_path: Path, large: bool) -> None:
    store = Halting(tmp_path / "state.db")
    store.may.set()
    beside = StoreBeside(store)
    old, new = version(1), version(2)
    other = DocumentId("00" * 16)
    assert beside.persist([AddUpdate(other, b"1"), AddUpdate(DOCUMENT, b"2"), AddVersion(old)]) is None
    store.failures = 1
    records = [
        ReplaceUpdates(other, (b"3",)),
        AddUpdate(other, b"4"),
        AddUpdate(DOCUMENT, b"5"),
        AddVersion(new),
        DropVersions(ENTRY, (old.digest,)),
        *(MANY if large else ()),
    ]
    if large:
        writing = beside.persist(records)
        assert writing is not None
        with pytest.raises(StoreError):
            writing.result()
    else:
        with pytest.raises(StoreError):
            beside.persist(records)
    assert beside.updates(other) == [b"3", b"4"]
    assert beside.updates(DOCUMENT) == [b"2", b"5"]
    assert beside.versions(ENTRY) == [new]
    beside.persist(records)
    beside.close()
    assert store.updates(other) == [b"3", b"4"]
    assert store.versions(ENTRY) == [new]
    store.close()
