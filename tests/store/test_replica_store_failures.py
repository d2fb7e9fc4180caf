"""A full disk, a damaged file, an old backup: what the store says, and what is left afterwards."""

from __future__ import annotations

import random
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from crdtsync.adapters.replica_store import ReplicaStore, StoreCorrupt
from crdtsync.core.replica.records import AddUpdate, AddVersion, Head, PutHead, PutMeta, PutSynced
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.errors import StoreError
from tests.store.contract import ENTRY, OTHER, agreed, contents, digest, noise, version
from tests.store.strategies import ENTRIES

NOON = datetime(2025, 3, 30, 12, 0, 5, tzinfo=UTC)


def filled(path: Path, rows: int = 60) -> ReplicaStore:
    store = ReplicaStore(path)
    store.persist([PutMeta("room", "notes"), PutMeta("name", "Zoë")])
    for number in range(rows):
        entry = EntryId(f"{number:024x}")
        store.persist(
            [
                AddUpdate(TREE, b"tree" * 10),
                AddUpdate(DocumentId(entry), b"update" * number * 10),
                PutHead(Head(DocumentId(entry), b"vector", digest(number), number, number, number % 2 == 0)),
                PutSynced(agreed(digest(number), digest(1) if number % 3 == 0 else None, entry)),
                AddVersion(version(number, text=f"line {number}\n" * 50, entry=entry)),
            ]
        )
    return store


@contextmanager
def files_no_longer_than(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_the_disk_refuses_changes_nothing_and_later_ones_go_on(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = filled(path)
    before = contents(store)
    size_bytes = (tmp_path / "state.db-wal").stat().st_size
    with (
        files_no_longer_than(size_bytes + 20_000),
        pytest.raises(StoreError, match="free space") as caught,
    ):
        store.persist([PutMeta("room", "other"), AddUpdate(TREE, noise(100_000)), PutMeta("last", "one")])
    assert str(path) in str(caught.value)
    assert isinstance(caught.value.__cause__, sqlite3.Error)
    assert contents(store) == before
    store.persist([PutMeta("room", "other"), AddUpdate(TREE, noise(100_000))])
    store.close()
    store = ReplicaStore(path)
    assert store.remembered().meta["room"] == "other"
    assert store.updates(TREE)[-1] == noise(100_000)
    store.close()


def test_a_full_disk_is_told_with_its_path_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = filled(path)
    before = contents(store)
    (pages,) = store._execute("PRAGMA page_count").fetchone()
    store._execute(f"PRAGMA max_page_count = {pages + 1}").fetchone()
    with pytest.raises(StoreError, match=r"state\.db is full: free space"):
        store.persist([AddVersion(version(1, text="x")), AddUpdate(TREE, noise(100_000))])
    assert contents(store) == before
    store._execute(f"PRAGMA max_page_count = {pages + 1000}").fetchone()
    store.persist([AddUpdate(TREE, b"more")])
    assert store.updates(TREE)[-1] == b"more"
    store.close()


def test_a_record_that_cannot_be_written_takes_its_whole_transaction_with_it(tmp_path: Path) -> None:
    store = filled(tmp_path / "state.db")
    before = contents(store)
    too_large = Head(TREE, b"", None, 1 << 64, 0, False)
    with pytest.raises(Exception, match="argument"):
        store.persist([PutMeta("room", "other"), AddUpdate(TREE, b"x"), PutHead(too_large)])
    assert contents(store) == before
    store.persist([PutMeta("room", "other")])
    store.close()


def read_all(path: Path) -> tuple[object, ...]:
    store = ReplicaStore(path)
    try:
        return contents(store)
    finally:
        store.close()


@pytest.mark.parametrize("seed", range(3))
def test_damaged_bytes_are_told_and_never_believed(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    path = tmp_path / "state.db"
    filled(path).close()
    sound, expected = path.read_bytes(), read_all(path)
    told = 0
    for _ in range(120):
        damaged = bytearray(sound)
        # Past SQLite's header, whose fields are told as what they say: a newer format, another page size.
        at = rng.randrange(100, len(sound))
        length = rng.choice((1, 1, 16, 4096))
        damaged[at : at + length] = rng.randbytes(len(damaged[at : at + length]))
        path.write_bytes(damaged)
        try:
            assert read_all(path) == expected, (at, length)
        except StoreCorrupt as problem:
            told += 1
            assert str(path) in str(problem)
            assert "the files of the folder are not affected" in str(problem)
    assert told > 30


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.9])
def test_a_file_cut_short_is_told(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "state.db"
    filled(path).close()
    sound = path.read_bytes()
    path.write_bytes(sound[: int(len(sound) * kept)])
    with pytest.raises(StoreCorrupt):
        read_all(path)


@pytest.mark.parametrize("content", [b"not a database " * 500, bytes(8192)])
def test_another_file_in_its_place_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt):
        ReplicaStore(path)
    assert path.read_bytes() == content


def test_a_missing_table_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    filled(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE head")
    with pytest.raises(StoreCorrupt, match="tables"):
        ReplicaStore(path)


def test_a_row_put_under_another_identity_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    filled(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        swap = "UPDATE synced SET entry = ? WHERE entry = ? AND depth = 0"
        connection.execute(swap, (bytes.fromhex(OTHER), bytes.fromhex(ENTRIES[1])))
    store = ReplicaStore(path)
    with pytest.raises(StoreCorrupt, match=OTHER):
        store.remembered()
    store.close()


def test_an_update_missing_from_a_log_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    filled(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM log WHERE document = ? AND number = 7", (TREE.encode(),))
    store = ReplicaStore(path)
    with pytest.raises(StoreCorrupt, match="gaps"):
        store.updates(TREE)
    store.close()


def test_a_damaged_state_is_moved_aside_and_the_replica_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"damaged" * 1000)
    (tmp_path / "state.db-wal").write_bytes(b"wal")
    (tmp_path / "state.db-shm").write_bytes(b"shm")
    local = NOON.astimezone(timezone(timedelta(hours=5)))
    target = ReplicaStore.quarantine(path, local)
    assert target == tmp_path / "state.db.corrupt-20250330T120005Z"
    assert target.read_bytes() == b"damaged" * 1000
    assert (tmp_path / f"{target.name}-wal").read_bytes() == b"wal"
    assert (tmp_path / f"{target.name}-shm").read_bytes() == b"shm"
    store = ReplicaStore(path)
    assert store.remembered().synced == ()
    store.close()
    assert ReplicaStore.quarantine(path, NOON).name == "state.db.corrupt-20250330T120005Z-2"
    with pytest.raises(StoreError, match="by hand"):
        ReplicaStore.quarantine(path, NOON)


def test_a_copy_put_back_later_is_the_state_of_its_day(tmp_path: Path) -> None:
    path, backup = tmp_path / "state.db", tmp_path / "backup.db"
    store = filled(path, rows=20)
    then = contents(store)
    store.close()
    shutil.copy(path, backup)
    store = ReplicaStore(path)
    store.persist([AddUpdate(TREE, b"later"), PutSynced(agreed(digest(99), entry=ENTRY))])
    store.close()
    shutil.copy(backup, path)
    assert read_all(path) == then


def test_a_state_copied_while_it_is_written_to_is_whole(tmp_path: Path) -> None:
    """Database and WAL copied together, as a snapshot of the disk would."""
    folder, copy = tmp_path / "state", tmp_path / "copy"
    folder.mkdir()
    store = filled(folder / "state.db", rows=20)
    expected = contents(store)
    shutil.copytree(folder, copy)
    store.persist([AddUpdate(TREE, b"later")])
    store.close()
    assert read_all(copy / "state.db") == expected


def test_an_old_database_beside_a_newer_wal_is_never_believed(tmp_path: Path) -> None:
    path, wal = tmp_path / "state.db", tmp_path / "state.db-wal"
    filled(path, rows=20).close()
    old = path.read_bytes()
    store = filled(path, rows=300)
    store._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    store.persist([PutMeta("later", "yes"), AddUpdate(TREE, noise(5000))])
    expected, newer_wal = contents(store), wal.read_bytes()
    store.close()
    path.write_bytes(old)
    wal.write_bytes(newer_wal)
    try:
        assert read_all(path) == expected
    except StoreCorrupt as problem:
        assert "damaged" in str(problem)
