"""The hub's stores: the contract for each, then what only the one on disk can get wrong."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crdtsync.adapters.hub_database import put_aside
from crdtsync.adapters.hub_journal import STEP_BYTES, USUAL_BYTES
from crdtsync.adapters.hub_lock import HubLock
from crdtsync.adapters.hub_store import SqliteHubStore
from crdtsync.core.hub.store import HubStore, StoreCorrupt, StoreFailed
from crdtsync.errors import StoreError, StoreInUse
from crdtsync.testing.memory_hub_store import MemoryHubStore
from tests.hub.material import NOTES
from tests.hub.store_contract import HubStoreContract, read, rows


class TestMemoryHubStore(HubStoreContract):
    @pytest.fixture
    def store(self) -> HubStore:
        return MemoryHubStore()

    @pytest.fixture
    def reopen(self) -> Callable[[HubStore], HubStore]:
        return lambda store: store


class TestSqliteHubStore(HubStoreContract):
    @pytest.fixture
    def opened(self) -> Iterator[list[SqliteHubStore]]:
        stores: list[SqliteHubStore] = []
        yield stores
        for store in stores:
            store.close()

    @pytest.fixture
    def store(self, tmp_path: Path, opened: list[SqliteHubStore]) -> HubStore:
        opened.append(SqliteHubStore(tmp_path / "hub.db"))
        return opened[-1]

    @pytest.fixture
    def reopen(self, opened: list[SqliteHubStore]) -> Callable[[HubStore], HubStore]:
        def again(store: HubStore) -> HubStore:
            store.close()
            opened.append(SqliteHubStore(opened[-1].path))
            return opened[-1]

        return again

    def test_a_full_disk_changes_nothing_and_passes(self, tmp_path: Path) -> None:
        store = SqliteHubStore(tmp_path / "hub.db")
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, (NOTES, b"before")))
        pages = store._write.execute("PRAGMA page_count").fetchone()[0]
        store._write.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(StoreFailed, match="full"):
            store.append(rows("notes", 2, (NOTES, b"x" * 100_000)))
        assert [entry.update for entry in read(store)] == [b"before"]
        store._write.execute("PRAGMA max_page_count = 1000000")
        assert store.append(rows("notes", 2, (NOTES, b"x" * 100_000))).sizes[0].rows == 2
        store.close()

    def test_commits_are_synced_to_the_disk(self, tmp_path: Path) -> None:
        store = SqliteHubStore(tmp_path / "hub.db")
        assert store._write.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert store._write.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        store.close()

    def test_most_commits_do_not_lengthen_the_journal(self, tmp_path: Path) -> None:
        store = SqliteHubStore(tmp_path / "hub.db")
        store._write.execute("PRAGMA synchronous = OFF")  # nobody cuts the power
        store.open_room("notes", "e1", 10, 10)
        lengths = []
        for number in range(1, 500):
            store.append(rows("notes", number, (NOTES, b"x" * 10_000)))
            lengths.append((tmp_path / "hub.db-wal").stat().st_size)
        assert len(set(lengths)) <= 2 * USUAL_BYTES // STEP_BYTES
        assert max(lengths) < USUAL_BYTES + 2 * STEP_BYTES
        room = store.open_room("notes", "e2", 10, 10)
        assert room is not None and room.head == len(lengths)
        store.close()

    def test_what_follows_the_last_commit_in_the_journal_is_nothing_after_a_kill(
        self, tmp_path: Path
    ) -> None:
        store = SqliteHubStore(tmp_path / "hub.db")
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, (NOTES, b"one")))
        for kill in ("first", "second"):
            left = tmp_path / kill
            left.mkdir()
            for name in ("hub.db", "hub.db-wal"):
                shutil.copy(store.path.with_name(name), left)
            store.close()
            store = SqliteHubStore(left / "hub.db")
            assert next(entry.update for entry in read(store)) == b"one"
            store.append(rows("notes", 2 if kill == "first" else 3, (NOTES, kill.encode())))
        assert [entry.update for entry in read(store)] == [b"one", b"first", b"second"]
        assert store._write.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        store.close()

    @pytest.mark.parametrize("content", [b"this is no database at all, not even nearly" * 50, b"\0" * 4096])
    def test_a_file_that_is_no_database_is_told_and_can_be_put_aside(
        self, tmp_path: Path, content: bytes
    ) -> None:
        path = tmp_path / "hub.db"
        path.write_bytes(content)
        with pytest.raises(StoreCorrupt, match=r"hub\.db is corrupt"):
            SqliteHubStore(path)
        aside = put_aside(path)
        assert aside.read_bytes() == content
        assert aside.name.startswith("hub.db.corrupt-2")
        SqliteHubStore(path).close()

    def test_a_damaged_table_is_told_when_it_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "hub.db"
        store = SqliteHubStore(path)
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, *[(NOTES, b"x" * 3000) for _ in range(200)]))
        store.close()
        damage(path)
        store = SqliteHubStore(path)
        with pytest.raises(StoreCorrupt):
            read(store)
        store.close()

    def test_a_journal_is_put_aside_with_its_database(self, tmp_path: Path) -> None:
        path = tmp_path / "hub.db"
        for ending in ("", "-wal", "-shm"):
            (tmp_path / f"hub.db{ending}").write_bytes(ending.encode())
        aside = put_aside(path)
        names = sorted(file.name for file in tmp_path.iterdir())
        assert names == [aside.name, f"{aside.name}-shm", f"{aside.name}-wal"]

    def test_a_store_of_a_newer_format_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "hub.db"
        SqliteHubStore(path).close()
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        before = path.read_bytes()
        with pytest.raises(StoreError, match="newer crdtsync"):
            SqliteHubStore(path)
        assert path.read_bytes() == before

    def test_a_store_of_the_first_format_is_brought_up_to_date(self, tmp_path: Path) -> None:
        path = tmp_path / "hub.db"
        store = SqliteHubStore(path)
        store.open_room("notes", "e1", 10, 10)
        store.append(rows("notes", 1, (NOTES, b"one")))
        store.close()
        connection = sqlite3.connect(path)
        connection.executescript("DROP TABLE opened; PRAGMA user_version = 1")
        connection.close()
        store = SqliteHubStore(path)
        record = store.open_room("notes", "e2", 10, 10)
        assert record is not None and record.head == 1 and record.opened == ()
        store.remember_opened([("notes", "a.txt", NOTES)], 10)
        store.close()

    def test_a_folder_in_its_place_is_told_as_such(self, tmp_path: Path) -> None:
        (tmp_path / "hub.db").mkdir()
        with pytest.raises(StoreFailed, match=r"hub\.db cannot be used"):
            SqliteHubStore(tmp_path / "hub.db")


def damage(path: Path) -> None:
    """Overwrite the middle half of the file: pages of the log, not the schema."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(b"\xa5" * (size // 2))


class TestHubLock:
    def test_a_second_hub_in_one_process_is_refused_until_the_first_lets_go(self, tmp_path: Path) -> None:
        with HubLock(tmp_path), pytest.raises(StoreInUse, match=r"in use by another hub \(pid \d+\)"):
            HubLock(tmp_path)
        HubLock(tmp_path).release()

    def test_a_killed_process_holds_nothing(self, tmp_path: Path) -> None:
        script = (
            "import sys, pathlib; from crdtsync.adapters.hub_lock import HubLock;"
            "HubLock(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            with pytest.raises(StoreInUse, match=f"pid {process.pid}"):
                HubLock(tmp_path)
            process.kill()
        HubLock(tmp_path).release()

    def test_on_a_full_disk_it_is_held_without_a_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(descriptor: int, data: bytes, at: int) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "pwrite", full)
        with HubLock(tmp_path), pytest.raises(StoreInUse, match="in use by another hub;"):
            HubLock(tmp_path)

    def test_a_folder_that_cannot_be_written_is_told_as_such(self, tmp_path: Path) -> None:
        (tmp_path / "hub.lock").mkdir()
        with pytest.raises(StoreError, match=r"hub\.lock cannot be opened"):
            HubLock(tmp_path)
