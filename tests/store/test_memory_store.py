"""The store in memory keeps the contract, and copies like a backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from crdtsync.core.replica.records import AddUpdate, AddVersion, DropSynced, PutMeta, PutSynced
from crdtsync.core.values.ids import TREE
from crdtsync.errors import StoreError
from crdtsync.testing.memory_store import MemoryReplicaStore
from tests.store.contract import ENTRY, ReplicaStoreContract, agreed, contents, digest, version


class MemoryHome:
    def __init__(self) -> None:
        self._last = MemoryReplicaStore()

    def open(self) -> MemoryReplicaStore:
        self._last = self._last.copy()
        return self._last


@contextmanager
def memory_home() -> Iterator[MemoryHome]:
    yield MemoryHome()


class TestMemoryReplicaStore(ReplicaStoreContract):
    def home(self) -> AbstractContextManager[MemoryHome]:
        return memory_home()


def test_a_copy_is_a_backup_that_later_changes_do_not_reach() -> None:
    store = MemoryReplicaStore()
    store.persist([AddUpdate(TREE, b"1"), PutSynced(agreed(digest(1))), AddVersion(version(1))])
    backup, witness = store.copy(), store.copy()
    store.persist([AddUpdate(TREE, b"2"), DropSynced(ENTRY), AddVersion(version(2)), PutMeta("a", "b")])
    assert contents(backup) == contents(witness)
    assert backup.updates(TREE) == [b"1"]
    backup.persist([AddUpdate(TREE, b"other")])
    assert store.updates(TREE) == [b"1", b"2"]


def test_a_failing_store_changes_nothing_and_then_goes_on() -> None:
    store = MemoryReplicaStore()
    store.failure = StoreError("the disk is full")
    with pytest.raises(StoreError, match="full"):
        store.persist([AddUpdate(TREE, b"1")])
    store.failure = None
    assert store.updates(TREE) == []
    store.persist([AddUpdate(TREE, b"2")])
    assert store.updates(TREE) == [b"2"]
