"""A disk that cannot be read for a moment is no damage: neither hub nor replica gives its state up."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from crdtsync.adapters import soundness
from crdtsync.adapters.folder import JoinedFolder
from crdtsync.adapters.hub_store import SqliteHubStore
from crdtsync.adapters.replica_store import ReplicaStore, StoreCorrupt
from crdtsync.core.hub.effects import Notice
from crdtsync.core.hub.store import StoreCorrupt as HubStoreCorrupt
from crdtsync.runtime.hub import HubServer
from tests.hub.client import Client
from tests.hub.material import NOTES, lone_update


class Answering(sqlite3.Connection):
    """Says what SQLite 3.40 does when a page cannot be read with EIO, as often as it is told to."""

    answers: Iterator[str] = iter(())

    def execute(self, *arguments: object) -> sqlite3.Cursor:
        if arguments[0] == "PRAGMA integrity_check(1)":
            answer = next(Answering.answers, None)
            if answer is not None:
                return super().execute("SELECT ?", (answer,))
        return super().execute(*arguments)  # type: ignore[arg-type]


UNREAD = "*** in database main ***\nPage 4: unable to get the page. error code=8458"
DAMAGED = "*** in database main ***\nOn tree page 2 cell 0: Rowid 0 out of order"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
    plain = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path: plain(path, factory=Answering))
    return tmp_path / "x.db"


def test_a_sound_file_that_could_not_be_read_at_first_is_sound(database: Path) -> None:
    Answering.answers = iter([UNREAD, DAMAGED])
    assert soundness.is_sound(database)


def test_a_file_that_stays_damaged_is_not(database: Path) -> None:
    Answering.answers = iter([DAMAGED] * soundness.ATTEMPTS)
    assert not soundness.is_sound(database)


def test_a_file_that_stays_unreadable_is_neither(database: Path) -> None:
    Answering.answers = iter([UNREAD] * soundness.ATTEMPTS)
    with pytest.raises(sqlite3.OperationalError, match="I/O"):
        soundness.is_sound(database)


def test_what_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database " * 1000)
    assert not soundness.is_sound(tmp_path / "x.db")


async def test_a_hub_goes_on_with_a_sound_store_that_could_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices: list[Notice] = []
    told = asyncio.Event()

    def noticed(notice: Notice) -> None:
        notices.append(notice)
        told.set()

    async with HubServer("127.0.0.1", 0, tmp_path, noticed=noticed) as hub:
        async with Client(hub.url) as ann:
            await ann.join()
            await ann.store((NOTES, lone_update("one", 1)))
            with monkeypatch.context() as unreadable:
                unreadable.setattr(SqliteHubStore, "append", _malformed)
                await ann.push((NOTES, lone_update("two", 2)))
                assert await ann.until_closed() == 1012
                await asyncio.wait_for(told.wait(), 60)
        async with Client(hub.url) as ann:
            await ann.join()
            assert len(ann.entries) == 1
    assert [notice.kind for notice in notices] == ["store"]
    assert aside(tmp_path) == []


def test_a_replica_goes_on_with_a_sound_store_that_could_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = JoinedFolder(tmp_path / "notes", "notes", "ws://127.0.0.1:1")
    replica_id = folder.replica_id
    folder.close()
    remembered, failures = ReplicaStore.remembered, iter([1])

    def once(store: ReplicaStore) -> object:
        if next(failures, None):
            raise StoreCorrupt("unread") from sqlite3.DatabaseError("malformed")
        return remembered(store)

    monkeypatch.setattr(ReplicaStore, "remembered", once)
    folder = JoinedFolder(tmp_path / "notes", "notes", "ws://127.0.0.1:1")
    try:
        assert (folder.replica_id, folder.notices) == (replica_id, [])
        unread = StoreCorrupt("unread")
        unread.__cause__ = sqlite3.DatabaseError("malformed")
        assert folder.set_store_aside(unread) is None
        assert (folder.state_folder / "state.db").exists()
    finally:
        folder.close()


def aside(folder: Path) -> list[Path]:
    return list(folder.glob("hub.db.corrupt-*"))


def _malformed(store: SqliteHubStore, rows: object) -> None:
    raise HubStoreCorrupt(f"{store.path} is corrupt: database disk image is malformed.")
