"""What compaction frees goes back to the disk in small parts, in the replica's store and in the hub's."""

from __future__ import annotations

import _sqlite3
import ctypes
import sqlite3
from pathlib import Path

from crdtsync.adapters.hub_store import SqliteHubStore
from crdtsync.adapters.replica_store import ReplicaStore
from crdtsync.adapters.shrinking import PAGES_AT_ONCE
from crdtsync.core.hub.store import Row
from crdtsync.core.replica.records import AddUpdate, ReplaceUpdates
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.messages import LogEntry
from tests.store.contract import noise

DOCUMENT = DocumentId("0" * 24)
UPDATE = noise(20_000)
UPDATES = 300
SHRUNK_BYTES = len(UPDATE) * UPDATES // 2


def free_pages(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        pages: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    connection.close()
    return pages


def test_the_replicas_store_gives_back_what_compaction_freed(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = ReplicaStore(path)
    store.persist([AddUpdate(DOCUMENT, UPDATE) for _ in range(UPDATES)])
    store.persist([ReplaceUpdates(DOCUMENT, (b"all",))])
    free, parts = free_pages(path), 0
    assert free > 4 * PAGES_AT_ONCE
    while store.shrink():
        parts += 1
        assert free_pages(path) >= free - PAGES_AT_ONCE * parts
    assert parts > 1
    assert not store.shrink()
    assert store.updates(DOCUMENT) == [b"all"]
    store.close()
    assert path.stat().st_size < SHRUNK_BYTES
    again = ReplicaStore(path)
    assert again.updates(DOCUMENT) == [b"all"]
    again.close()


def test_the_hubs_store_gives_back_what_compaction_freed(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    store = SqliteHubStore(path)
    store.open_room("room", "e", 10, 10)
    entries = [LogEntry(number, 0, DOCUMENT, UPDATE) for number in range(1, UPDATES + 1)]
    store.append([Row("room", entry) for entry in entries])
    last = LogEntry(UPDATES, 0, DOCUMENT, b"all")
    store.replace("room", DOCUMENT, [entry.sequence for entry in entries], last)
    assert free_pages(path) > 4 * PAGES_AT_ONCE
    parts = 0
    while store.shrink():
        parts += 1
    assert parts > 1
    assert [entry.update for entry in store.read_document("room", DOCUMENT, None)] == [b"all"]
    store.close()
    assert path.stat().st_size < SHRUNK_BYTES


def test_the_hubs_store_lets_go_of_its_cache_once_nothing_was_written_for_a_while(tmp_path: Path) -> None:
    held_bytes = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    held_bytes.restype = ctypes.c_longlong
    store = SqliteHubStore(tmp_path / "hub.db")
    store.open_room("room", "e", 10, 10)

    def look() -> tuple[bool, bool]:
        return store.shrink(), store.freed

    for number in range(1, 4):
        store.append([Row("room", LogEntry(number, 0, DOCUMENT, UPDATE * 10))])
        assert look() == (False, False), "somebody writes"
    held = held_bytes()
    assert look() == (False, True)
    assert held_bytes() < held - len(UPDATE) * 10
    assert look() == (False, False), "there is nothing more"
    assert len(list(store.read_document("room", DOCUMENT, None))) == 3
    store.append([Row("room", LogEntry(4, 0, DOCUMENT, b"more"))])
    assert look() == (False, False)
    assert look() == (False, True)
    store.close()
