"""Opens the replica's SQLite file, keeps its WAL short and explains its errors; knows nothing of rows."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from crdtsync.adapters.shrinking import allow_shrinking
from crdtsync.adapters.soundness import damage, is_sound
from crdtsync.errors import StoreError, StoreInUse

SCHEMA_VERSION: Final = 3

SCHEMA: Final = {
    "meta": "CREATE TABLE meta (key BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID",
    "head": "CREATE TABLE head (document BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID",
    "synced": (
        "CREATE TABLE synced (entry BLOB, depth INTEGER, row BLOB NOT NULL, PRIMARY KEY (entry, depth))"
        " WITHOUT ROWID"
    ),
    # In the key's own tree (WITHOUT ROWID) SQLite reads each row that a key is compared with, whole.
    "log": (
        "CREATE TABLE log (document BLOB, number INTEGER, packed INTEGER NOT NULL, row BLOB NOT NULL,"
        " PRIMARY KEY (document, number))"
    ),
    "version": (
        "CREATE TABLE version (sequence INTEGER PRIMARY KEY, entry BLOB NOT NULL, digest BLOB NOT NULL,"
        " at_s REAL NOT NULL, size_bytes INTEGER NOT NULL)"
    ),
    "version_by_entry": "CREATE INDEX version_by_entry ON version (entry)",
    "version_by_age": "CREATE INDEX version_by_age ON version (at_s)",
    "version_text": "CREATE TABLE version_text (sequence INTEGER PRIMARY KEY, row BLOB NOT NULL)",
    "gathered": "CREATE TABLE gathered (row BLOB NOT NULL)",
    "apart": "CREATE TABLE apart (key BLOB PRIMARY KEY) WITHOUT ROWID",
}

_SINCE_3: Final = ("gathered", "apart")
_SCHEMA_2: Final = {name: sql for name, sql in SCHEMA.items() if name not in _SINCE_3}
_SCHEMA_1: Final = {
    **_SCHEMA_2,
    "log": (
        "CREATE TABLE log (document BLOB, number INTEGER, row BLOB NOT NULL, PRIMARY KEY (document, number))"
        " WITHOUT ROWID"
    ),
}
_FROM_2: Final = tuple(SCHEMA[name] for name in _SINCE_3)
_FROM_1: Final = (
    "ALTER TABLE log RENAME TO log_1",
    SCHEMA["log"],
    "INSERT INTO log SELECT document, number, 0, row FROM log_1",
    "DROP TABLE log_1",
    *_FROM_2,
)

WAL_KEPT_BYTES: Final = 16 << 20
"""The WAL is cut to this length when it starts over."""
CHECKED_MAX_BYTES: Final = 256 << 20
"""A file up to this size is checked at every open (a second per GiB or so); a larger one after a kill or a
power cut only, when an old file could have met a newer WAL. Each row has its own checksum in any case."""
CACHE_KIB: Final = 8 << 10
"""Random identities touch pages all over the file: SQLite's own 2 MiB would be read and written in turns."""
BUSY_TIMEOUT_S: Final = 5.0
"""Nobody else should hold the file; a backup tool or a curious sqlite3 shell may, for a moment."""
_COMPANIONS: Final = ("-wal", "-shm", "-journal")


class StoreCorrupt(StoreError):
    """The state is damaged: set it aside with ``quarantine`` and join anew; the files are not touched."""


def connect(path: Path, vfs: str | None, timeout_s: float | None = None) -> sqlite3.Connection:
    """A connection in autocommit mode: transactions are begun and ended by hand."""
    uri = path.resolve().as_uri() + ("" if vfs is None else f"?vfs={vfs}")
    timeout_s = BUSY_TIMEOUT_S if timeout_s is None else timeout_s
    # Two threads may use one connection, never both at once: their caller sees to that.
    connection = sqlite3.connect(
        uri, timeout=timeout_s, isolation_level=None, uri=True, check_same_thread=False
    )
    connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
    return connection


def open_database(path: Path, vfs: str | None = None) -> sqlite3.Connection:
    """Open the file, or make it, with its schema.

    Raises StoreCorrupt, StoreInUse, or StoreError: no such folder, no rights, made by a newer crdtsync.
    """
    try:
        # Made here rather than by SQLite, so that nobody else may read it whatever the umask.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        unclean = _length(path, "-wal") > 0
        connection = connect(path, vfs)
    except OSError as problem:
        raise StoreError(f"The replica's state {path} cannot be opened: {problem.strerror}") from problem
    except sqlite3.Error as problem:
        raise explained(path, problem) from problem
    try:
        _prepare(connection, path, unclean)
    except sqlite3.Error as problem:
        connection.close()
        raise explained(path, problem) from problem
    except UnicodeDecodeError as problem:  # in what should be the text of the schema
        connection.close()
        raise corrupt(path, str(problem)) from problem
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, unclean: bool) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"The replica's state {path} was written by a newer crdtsync"
            f" (format {version}, this one reads {SCHEMA_VERSION}): upgrade crdtsync and start it again"
        )
    if version == 0:
        allow_shrinking(connection)  # on a file with tables it would write, and that may be damaged
    mode: str = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    # A file system without shared memory gets SQLite's rollback journal: slower, as safe with FULL.
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'FULL'}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA trusted_schema = OFF")
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    if version == 0 and not found:
        _change(connection, SCHEMA.values())
        return
    if found != {1: _SCHEMA_1, 2: _SCHEMA_2, SCHEMA_VERSION: SCHEMA}.get(version):
        raise corrupt(path, "its tables are not those of a replica")
    if unclean or _length(path) <= CHECKED_MAX_BYTES:
        found_damage = damage(connection)
        if found_damage is not None:
            raise corrupt(path, found_damage)
    if version < SCHEMA_VERSION:
        _change(connection, {1: _FROM_1, 2: _FROM_2}[version])


def _change(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    """Bring the tables to the present schema, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in statements:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _length(path: Path, companion: str = "") -> int:
    try:
        return path.with_name(path.name + companion).stat().st_size
    except FileNotFoundError:
        return 0


def quarantine(path: Path, now: datetime) -> Path:
    """Move the file and its WAL aside, to ``state.db.corrupt-<UTC time>``, and return where it went.

    The next start then finds no state, and joins like the first time: nothing is deleted, nothing doubled.
    Raises StoreError.
    """
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = path.with_name(f"{path.name}.corrupt-{stamp}")
    attempt = 1
    while target.exists():
        attempt += 1
        target = path.with_name(f"{path.name}.corrupt-{stamp}-{attempt}")
    try:
        # The database goes first: a WAL without one, as a kill in between leaves it, is ignored by SQLite.
        path.rename(target)
        for companion in _COMPANIONS:
            with suppress(FileNotFoundError):
                path.with_name(path.name + companion).rename(target.with_name(target.name + companion))
    except OSError as problem:
        raise StoreError(
            f"The damaged state {path} cannot be moved aside: {problem.strerror}. Move it away by hand"
        ) from problem
    return target


def sound_after_all(path: Path, error: StoreCorrupt) -> bool:
    """Whether the closed file is sound, and SQLite only could not read it when it gave ``error``.

    Raises StoreError when it still cannot be read: then it must stay where it is.
    """
    if not isinstance(error.__cause__, sqlite3.Error):
        return False  # a check of ours found it
    try:
        return is_sound(path)
    except sqlite3.Error as problem:
        raise explained(path, problem) from problem


def corrupt(path: Path, reason: str) -> StoreCorrupt:
    cause = " ".join(reason.split())  # SQLite's own goes over several lines
    return StoreCorrupt(
        f"The replica's state {path} is damaged ({cause}); the files of the folder are not affected"
    )


def explained(path: Path, problem: sqlite3.Error) -> StoreError:
    """The error of SQLite as one that names the file, the cause and the next step."""
    extended = getattr(problem, "sqlite_errorcode", None)
    code = None if extended is None else extended & 0xFF
    name = getattr(problem, "sqlite_errorname", "")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return corrupt(path, str(problem))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreInUse(f"The replica's state {path} is held by another process: end it, then start again")
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"The disk that holds {path} is full: free space; the change is tried again")
    if extended in (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE):
        return StoreError(
            f"The replica's state {path} cannot be written ({problem}): free space, and look at quotas"
            " and at the disk's health"
        )
    return StoreError(f"The replica's state {path} cannot be used: {problem}{f' ({name})' if name else ''}")


class Checkpointer:
    """Copies the WAL into the database from a thread of its own, since that waits for the disk.

    The thread has its own connection and starts at the first ``request``.
    """

    def __init__(self, path: Path, vfs: str | None) -> None:
        self._path = path
        self._vfs = vfs
        self._wake = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None
        self.idle = threading.Event()
        """Set while no checkpoint is wanted or under way."""
        self.idle.set()

    def request(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="crdtsync-checkpoint", daemon=True)
            self._thread.start()
        self.idle.clear()
        self._wake.set()

    def close(self) -> None:
        """Wait for a checkpoint under way, then end the thread."""
        self._ended = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._ended:
                return
            # A failure loses nothing: the WAL stays, the next request tries again, and a disk that is full or
            # broken shows itself to the writer, which can tell a person.
            with suppress(sqlite3.Error), closing(connect(self._path, self._vfs, 0.0)) as connection:
                _, in_wal, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if in_wal == copied:
                    # Whoever writes next starts the WAL over and waits for the disk: let that be us. A writer
                    # that is at it right now makes this fail at once.
                    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            if not self._wake.is_set():
                self.idle.set()
