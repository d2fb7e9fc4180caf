"""The SQLite store keeps the contract; its file is private, versioned and small."""

from __future__ import annotations

import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from crdtsync.adapters import replica_store, replica_store_database
from crdtsync.adapters.replica_store import ReplicaStore
from crdtsync.core.replica.records import AddUpdate, AddVersion, PutMeta, PutSynced
from crdtsync.core.values import limits
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.errors import StoreError, StoreInUse
from tests.store.contract import ENTRY, NOW_S, ReplicaStoreContract, agreed, digest, noise, numbers, version


class SqliteHome:
    def __init__(self, folder: Path, vfs: str | None = None) -> None:
        self.path = folder / "state.db"
        self._vfs = vfs

    def open(self) -> ReplicaStore:
        return ReplicaStore(self.path, vfs=self._vfs)


@contextmanager
def sqlite_home(vfs: str | None = None) -> Iterator[SqliteHome]:
    with tempfile.TemporaryDirectory(prefix="crdtsync store ?#%ü ") as folder:
        yield SqliteHome(Path(folder), vfs)


class TestReplicaStore(ReplicaStoreContract):
    def home(self) -> AbstractContextManager[SqliteHome]:
        return sqlite_home()


class TestReplicaStoreWhereNoMemoryCanBeShared(ReplicaStoreContract):
    """Some network file systems: SQLite falls back from its WAL to a rollback journal."""

    def home(self) -> AbstractContextManager[SqliteHome]:
        return sqlite_home(vfs="unix-dotfile")


def test_nobody_else_may_read_the_state(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = ReplicaStore(path)
    store.persist([PutMeta("room", "notes")])
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    store.close()


def test_closing_leaves_one_file(tmp_path: Path) -> None:
    store = ReplicaStore(tmp_path / "state.db")
    store.persist([PutMeta("room", "notes")])
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == ["state.db"]


def test_a_state_of_a_newer_crdtsync_is_left_alone_and_told(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    newer = replica_store_database.SCHEMA_VERSION + 1
    ReplicaStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {newer}")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=rf"format {newer}.*upgrade crdtsync") as caught:
        ReplicaStore(path)
    assert not isinstance(caught.value, replica_store.StoreCorrupt)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before


LARGE = noise(20_000)
"""What does not compress is kept as it is, as everything was in the first format."""


def as_the_second_format(path: Path) -> None:
    """Make of a closed store what crdtsync wrote before it gathered rows."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE gathered; DROP TABLE apart; PRAGMA user_version = 2;")


def as_the_first_format(path: Path) -> None:
    """Make of a closed store what the first crdtsync would have written."""
    as_the_second_format(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "ALTER TABLE log RENAME TO log_2;"
            "CREATE TABLE log (document BLOB, number INTEGER, row BLOB NOT NULL,"
            " PRIMARY KEY (document, number)) WITHOUT ROWID;"
            "INSERT INTO log SELECT document, number, row FROM log_2;"
            "DROP TABLE log_2; PRAGMA user_version = 1;"
        )


@pytest.mark.parametrize("as_before", [as_the_first_format, as_the_second_format])
def test_a_state_of_an_earlier_format_is_taken_over(
    tmp_path: Path, as_before: Callable[[Path], None]
) -> None:
    path = tmp_path / "state.db"
    document = DocumentId(ENTRY)
    with closing(ReplicaStore(path)) as store:
        updates = [AddUpdate(TREE, b"tree"), AddUpdate(document, b"one"), AddUpdate(document, LARGE)]
        store.persist([*updates, PutSynced(agreed(digest(1))), PutMeta("room", "notes")])
        remembered = store.remembered()
    as_before(path)
    for opened in range(2):  # the second time it is of the present format
        with closing(ReplicaStore(path)) as store:
            assert store.updates(TREE) == [b"tree"] + [b"more"] * opened
            assert store.updates(document) == [b"one", LARGE]
            assert store.remembered() == remembered
            store.persist([AddUpdate(TREE, b"more")])


def test_a_state_of_the_first_format_that_is_damaged_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(ReplicaStore(path)) as store:
        store.persist([AddUpdate(DocumentId(ENTRY), noise(25_000))])
    as_the_first_format(path)
    with path.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 4096)
    before = path.read_bytes()
    with pytest.raises(StoreError):
        ReplicaStore(path)
    assert path.read_bytes() == before


def test_a_large_update_takes_less_than_its_size_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    document = DocumentId(ENTRY)
    updates = [b"a line of text\n" * 1_500_000, LARGE, b"", b"x" * 1023, b"x" * 1024]
    with closing(ReplicaStore(path)) as store:
        store.persist([AddUpdate(document, update) for update in updates])
    assert path.stat().st_size < 200_000
    with closing(ReplicaStore(path)) as store:
        assert store.updates(document) == updates
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE log SET packed = 0 WHERE number = 0")
        connection.commit()
    with closing(ReplicaStore(path)) as store, pytest.raises(replica_store.StoreCorrupt):
        store.updates(document)


def test_a_missing_folder_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory"):
        ReplicaStore(tmp_path / "unmounted" / "state.db")
    assert not (tmp_path / "unmounted").exists()


def test_a_store_that_another_process_writes_to_is_told_as_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_store_database, "BUSY_TIMEOUT_S", 0.0)
    path = tmp_path / "state.db"
    store = ReplicaStore(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreInUse, match="another process"):
            store.persist([PutMeta("room", "notes")])
        other.execute("ROLLBACK")
    store.persist([PutMeta("room", "notes")])
    assert store.remembered().meta == {"room": "notes"}
    store.close()


def test_the_wal_of_a_file_that_is_gone_is_not_taken_for_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first = ReplicaStore(path)
    first.persist([PutMeta("room", "old")])
    wal = (tmp_path / "state.db-wal").read_bytes()
    first.close()
    path.unlink()
    (tmp_path / "state.db-wal").write_bytes(wal)
    store = ReplicaStore(path)
    assert store.remembered().meta == {}
    store.close()


def test_the_wal_stays_short_however_much_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_store, "CHECKPOINT_AFTER_BYTES", 64 << 10)
    monkeypatch.setattr(replica_store, "WAL_LONG_BYTES", 256 << 10)
    monkeypatch.setattr(replica_store, "WAL_MAX_BYTES", 1 << 20)
    monkeypatch.setattr(replica_store_database, "WAL_KEPT_BYTES", 128 << 10)
    store = ReplicaStore(tmp_path / "state.db")
    longest = 0
    for number in range(1500):
        store.persist([AddUpdate(TREE, noise(8000)), PutMeta("number", str(number))])
        longest = max(longest, (tmp_path / "state.db-wal").stat().st_size)
    assert longest < 3 << 19
    assert len(store.updates(TREE)) == 1500
    store.close()


def test_the_thread_alone_lets_the_wal_start_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_store, "CHECKPOINT_AFTER_BYTES", 64 << 10)
    store = ReplicaStore(tmp_path / "state.db")
    wal = tmp_path / "state.db-wal"
    for _ in range(40):
        store.persist([AddUpdate(TREE, noise(30_000))])
        assert store._checkpointer.idle.wait(60)
    assert wal.stat().st_size < 20 * 30_000
    store.close()


def test_aged_versions_of_texts_that_nobody_touches_leave_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = ReplicaStore(path)
    quiet = [EntryId(f"{number:024x}") for number in range(100)]
    pinned = quiet[:40]
    store.persist([PutSynced(agreed(digest(1), entry=entry)) for entry in pinned])
    store.persist([AddVersion(version(1, entry=entry)) for entry in quiet])
    for number in range(2, 10):
        at_s = NOW_S + limits.VERSIONS_MAX_AGE_S + number
        store.persist([AddVersion(version(number, at_s=at_s))])
    assert [entry for entry in quiet if store.versions(entry)] == pinned
    assert numbers(store.versions(ENTRY)) == list(range(9, 1, -1))
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        for table in ("version", "version_text"):
            (left,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert left == len(pinned) + 8, table
