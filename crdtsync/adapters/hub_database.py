"""The file ``hub.db``: opening it, its schema, transactions, what SQLite's errors mean, putting it aside.

A write-ahead log, and every commit synced to the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from crdtsync.adapters.shrinking import allow_shrinking
from crdtsync.adapters.soundness import is_sound
from crdtsync.core.hub.store import StoreCorrupt, StoreFailed
from crdtsync.core.values.limits import MiB
from crdtsync.errors import StoreError

SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE rooms (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    head INTEGER NOT NULL,       -- the last sequence
    documents INTEGER NOT NULL   -- how many it has
);
CREATE TABLE epochs (            -- lives of hub processes; each began after the row "start"
    room INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    name TEXT NOT NULL,
    start INTEGER NOT NULL,
    PRIMARY KEY (room, ordinal)
) WITHOUT ROWID;
CREATE TABLE log (
    room INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    document BLOB NOT NULL,      -- 12 bytes, or none for the tree
    content BLOB NOT NULL,       -- a Yjs update
    PRIMARY KEY (room, sequence)
);
CREATE INDEX log_by_document ON log (room, document, sequence);
CREATE TABLE documents (         -- what each takes in the log
    room INTEGER NOT NULL,
    document BLOB NOT NULL,
    row_count INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    compacted_bytes INTEGER NOT NULL,
    whole INTEGER NOT NULL,      -- sequence of the row that compaction made, or 0
    PRIMARY KEY (room, document)
) WITHOUT ROWID;
"""
_SCHEMA_2 = """
CREATE TABLE opened (            -- at which paths texts were opened, the latest with the highest number
    number INTEGER PRIMARY KEY,
    room INTEGER NOT NULL,
    path TEXT NOT NULL,
    document BLOB NOT NULL,
    UNIQUE (room, path, document)
);
"""
_STEPS = (_SCHEMA, _SCHEMA_2)
"""What leads from each version of the schema to the next."""
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_JOURNAL_KEPT_BYTES = 64 * MiB
_BUSY_TIMEOUT_S = 10
"""For a backup that copies the file meanwhile."""


def connect(path: Path) -> sqlite3.Connection:
    with translated(path):
        return sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def prepare(path: Path, write: sqlite3.Connection) -> None:
    """Make the file ready, and look at every table. Raises StoreError, StoreCorrupt or StoreFailed."""
    with translated(path):
        version = write.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{path} was written by a newer crdtsync (format {version}, this one knows "
                f"{SCHEMA_VERSION}): upgrade crdtsync here."
            )
        if version == 0:
            allow_shrinking(write)  # on a file with tables it would write, and that may be damaged
        write.execute("PRAGMA journal_mode = WAL")
        write.execute("PRAGMA synchronous = FULL")
        write.execute(f"PRAGMA journal_size_limit = {_JOURNAL_KEPT_BYTES}")
        if version < SCHEMA_VERSION:
            with transaction(write):
                for statement in "".join(_STEPS[version:]).split(";\n"):
                    if statement.strip():
                        write.execute(statement)
                write.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        for table in ("rooms", "epochs", "log", "documents", "opened"):
            write.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()


@contextmanager
def transaction(write: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done inside, or nothing of it."""
    write.execute("BEGIN IMMEDIATE")
    try:
        yield
        write.execute("COMMIT")
    finally:
        if write.in_transaction:
            write.execute("ROLLBACK")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into StoreCorrupt and StoreFailed."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _CORRUPT:
            raise StoreCorrupt(f"{path} is corrupt: {error}.") from error
        raise StoreFailed(f"{path} cannot be used: {error}.") from error


def sound_after_all(path: Path) -> bool:
    """Whether the database, which is not open, is sound, and only could not be read for a while.

    Raises StoreFailed when it still cannot be read: then it must stay where it is.
    """
    with translated(path):
        return is_sound(path)


def put_aside(path: Path) -> Path:
    """Rename a database that is not open, with its journal. Raises StoreError."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    try:
        path.rename(aside)
        for ending in ("-wal", "-shm"):
            journal = path.with_name(path.name + ending)
            if journal.exists():
                journal.rename(aside.with_name(aside.name + ending))
    except OSError as error:
        raise StoreError(f"{path} is corrupt and cannot be put aside: {error.strerror}.") from error
    return aside
