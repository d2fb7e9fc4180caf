"""What a replica remembers across restarts, in one SQLite file; leaves the meaning of the rows to the engine.

Made for one process and one thread: a small transaction is cheap enough to run on the event loop. A kill at
any instruction leaves whole transactions, in order.
"""

from __future__ import annotations

import gc
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import assert_never

from crdtsync.adapters import replica_store_codec as codec
from crdtsync.adapters.replica_store_codec import DamagedRow
from crdtsync.adapters.replica_store_database import (
    Checkpointer,
    StoreCorrupt,
    corrupt,
    explained,
    open_database,
    quarantine,
)
from crdtsync.adapters.replica_store_gathered import GATHERED_FROM, gathered, taken_apart
from crdtsync.adapters.replica_store_rows import Rows
from crdtsync.adapters.replica_store_versions import VersionTable
from crdtsync.adapters.shrinking import PAGES_AT_ONCE, shrink
from crdtsync.core.replica.records import (
    AddUpdate,
    AddVersion,
    DropSynced,
    DropVersions,
    Head,
    PutHead,
    PutMeta,
    PutSynced,
    Record,
    Remembered,
    ReplaceUpdates,
    Synced,
    Version,
)
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import DocumentId, EntryId

__all__ = ["ReplicaStore", "StoreCorrupt"]

CHECKPOINT_AFTER_BYTES = 8 << 20
"""Of WAL, as reckoned: a page for each record, and what it holds."""
PAGE_BYTES = 4096
WAL_LONG_BYTES = 32 << 20
"""A WAL longer than this was written to without a pause in which it could start over."""
WAL_MAX_BYTES = 128 << 20
"""Above this a writer waits for the disk, which evidently cannot keep up."""


class ReplicaStore:
    """The store at ``path`` (``.crdtsync/state.db``), opened or made.

    Raises StoreCorrupt, StoreInUse, StoreError. ``vfs`` names one of SQLite's own ways to the disk.
    """

    def __init__(self, path: Path, *, vfs: str | None = None, gathered_from: int = GATHERED_FROM) -> None:
        """Heads and agreements are gathered at a clean end if there are as many of these."""
        self._path = path
        self._gathered_from = gathered_from
        self._wal = path.with_name(path.name + "-wal")
        self._connection = open_database(path, vfs)
        self._execute = self._connection.execute
        self._checkpointer = Checkpointer(path, vfs)
        self._written_bytes = 0
        self._round_under_way = False
        self._cached = True
        """Whether pages may be kept in memory; after a check of the whole file, or many rows, they are."""
        self._versions = VersionTable(self._execute, self._pinned)
        with self._explaining():
            self._apart = self._told_apart()
        """The keys of gathered rows that changed, and of such as never were gathered; None if none are."""
        self._gather_anew = self._apart is None

    @staticmethod
    def quarantine(path: Path, now: datetime) -> Path:
        """Move a damaged store aside as ``state.db.corrupt-<UTC time>``; returns where. Raises StoreError."""
        return quarantine(path, now)

    # -- writing ------------------------------------------------------------------------------------

    def persist(self, records: Sequence[Record]) -> None:
        """Write all of ``records`` in one transaction, or none of them.

        Raises StoreError (a full disk, a damaged file); the store can be used afterwards.
        """
        if not records:
            return
        with self._explaining():
            try:
                self._execute("BEGIN IMMEDIATE")
                changed = self._write(records)
                self._execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        if self._apart is not None:
            self._apart |= changed
        self._cached = True
        self._written_bytes += PAGE_BYTES * (len(records) + 1)
        if self._round_under_way or self._written_bytes >= CHECKPOINT_AFTER_BYTES:
            self._checkpoint()

    def shrink(self) -> bool:
        """Give some free space back to the disk, at last memory; returns whether there is more. When idle."""
        more = False
        with suppress(sqlite3.Error):  # the next commit tells
            more = shrink(self._connection)
            if not more and self._cached:
                self._execute("PRAGMA shrink_memory")
                self._cached = False
            self._written_bytes += PAGES_AT_ONCE * PAGE_BYTES if more else 0
        if self._round_under_way or self._written_bytes >= CHECKPOINT_AFTER_BYTES:
            self._checkpoint()
        return more

    def _roll_back(self) -> None:
        # Some errors have ended the transaction already; a rollback that fails is repeated by the next open.
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._execute("ROLLBACK")

    def _checkpoint(self) -> None:
        if not self._round_under_way:
            self._round_under_way = True
            self._written_bytes = 0
            self._checkpointer.request()
            return
        if not self._checkpointer.idle.is_set():
            if self._wal_bytes() <= WAL_MAX_BYTES:
                return
            self._checkpointer.idle.wait()
        self._round_under_way = False
        if self._wal_bytes() > WAL_LONG_BYTES:
            # A WAL that is written to without a pause never starts over. Little is left to copy: what was
            # written during the thread's round. A failure loses nothing, and shows itself to the next commit.
            with suppress(sqlite3.Error):
                self._execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _wal_bytes(self) -> int:
        try:
            return os.stat(self._wal).st_size
        except OSError:
            return 0

    def _write(self, records: Sequence[Record]) -> set[bytes]:
        """Returns the keys of changed heads and agreements that are told apart from now on."""
        rows = Rows(self._execute)
        versions: list[AddVersion | DropVersions] = []
        for record in records:
            match record:
                case AddUpdate(document, update):
                    self._written_bytes += len(update)
                    rows.add_update(document, update)
                case PutHead(head):
                    rows.put_head(head)
                case PutSynced(synced):
                    rows.put_synced(synced)
                case DropSynced(entry):
                    rows.drop_synced(entry)
                case PutMeta(name, value):
                    rows.put_meta(name, value)
                case ReplaceUpdates(document, updates):
                    rows.write()
                    key = codec.document_key(document)
                    self._execute("DELETE FROM log WHERE document = ?", (key,))
                    for update in updates:
                        self._written_bytes += len(update)
                        rows.add_update(document, update)
                case AddVersion() | DropVersions():
                    versions.append(record)
                case _:
                    assert_never(record)
        rows.write()
        changed = set() if self._apart is None else rows.touched - self._apart
        rows.tell_apart(changed)
        # Last, when all is written that is agreed on: of that no version may leave.
        self._written_bytes += self._versions.write(versions)
        return changed

    def _pinned(self, key: bytes) -> set[Digest]:
        """What disk and room agreed that the entry holds, for certain or provisionally."""
        rows = self._execute("SELECT depth, row FROM synced WHERE entry = ?", (key,)).fetchall()
        agreed = [codec.decode_synced(codec.synced_key(key, depth), row, None) for depth, row in rows]
        return {synced.digest for synced in agreed if synced.digest is not None}

    # -- reading ------------------------------------------------------------------------------------

    def remembered(self) -> Remembered:
        """All that the engine needs at start. Raises StoreCorrupt, StoreError."""
        with self._explaining(), _collector_paused():
            meta = {
                codec.decode_string(key): codec.decode_string(codec.unsealed(row, key))
                for key, row in self._execute("SELECT key, row FROM meta")
            }
            return Remembered(meta, *self._heads_and_synced())

    def _heads_and_synced(self) -> tuple[tuple[Head, ...], tuple[Synced, ...]]:
        """By path: whoever goes through a large folder finds what belongs to a file where memory was just
        read. In the order of identities that takes three times as long."""
        told = self._told_together()
        heads, synced = told or ([], [])
        among = ("", "") if told is None else ("WHERE document IN apart", "AND entry IN apart")
        head_rows: dict[bytes, bytes] = dict(self._execute(f"SELECT document, row FROM head {among[0]}"))
        provisional: dict[bytes, Synced] = {}
        deeper = f"SELECT entry, depth, row FROM synced WHERE depth > 0 {among[1]} ORDER BY depth DESC"
        for key, depth, row in self._execute(deeper):
            below = provisional.get(key)
            provisional[key] = codec.decode_synced(codec.synced_key(key, depth), row, below)
        rows = self._execute(f"SELECT row, entry FROM synced WHERE depth = 0 {among[1]}").fetchall()
        rows.sort(key=_path_of_row)
        for row, key in rows:
            head_row = head_rows.pop(key, None)
            head = None if head_row is None else codec.decode_head(key, head_row)
            if head is not None:
                heads.append(head)
            synced.append(codec.decode_synced(key + b"\0", row, provisional.pop(key, None), head))
        heads += [codec.decode_head(key, row) for key, row in head_rows.items()]
        if provisional:
            raise DamagedRow("an agreement is missing below its provisional one")
        return tuple(heads), tuple(synced)

    def _told_apart(self) -> set[bytes] | None:
        if self._execute("SELECT COUNT(*) FROM gathered").fetchone()[0] == 0:
            return None
        return {key for (key,) in self._execute("SELECT key FROM apart")}

    def _told_together(self) -> tuple[list[Head], list[Synced]] | None:
        """What was gathered, without what is told apart; None if that cannot be had, and each row is read."""
        if self._apart is None:
            return None
        try:
            heads, synced = taken_apart(self._execute("SELECT row FROM gathered").fetchone()[0])
        except DamagedRow:
            self._gather_anew = True
            return None  # the rows themselves are still there
        apart = {key.hex() for key in self._apart}
        if apart:
            heads = [head for head in heads if head.document not in apart]
            synced = [each for each in synced if each.entry not in apart]
        return heads, synced

    def _gather(self) -> None:
        """Tell the rows together at the next start, if they are many and few of them are told so as yet."""
        texts: int = self._execute("SELECT COUNT(*) FROM head").fetchone()[0]
        many_apart = self._apart is not None and 2 * len(self._apart) >= texts
        if texts < self._gathered_from or not (self._gather_anew or many_apart):
            return
        with _collector_paused():
            self._apart = None
            heads, synced = self._heads_and_synced()
            value, entries = gathered(heads, synced)
        documents = [head.document for head in heads] + [DocumentId(each.entry) for each in synced]
        apart = {document for document in documents if document not in entries}
        if 4 * len(apart) > len(entries):
            return
        self._execute("BEGIN IMMEDIATE")
        self._execute("DELETE FROM gathered")
        self._execute("DELETE FROM apart")
        self._execute("INSERT INTO gathered VALUES (?)", (value,))
        Rows(self._execute).tell_apart(codec.document_key(each) for each in apart)
        self._execute("COMMIT")

    def updates(self, document: DocumentId) -> list[bytes]:
        """The document's log, oldest first; empty for an unknown document. Raises StoreError."""
        key = codec.document_key(document)
        query = "SELECT number, packed, row FROM log WHERE document = ? ORDER BY number"
        with self._explaining():
            rows = self._execute(query, (key,)).fetchall()
            if rows and rows[-1][0] != len(rows) - 1:
                raise DamagedRow(f"the log of {document} has gaps")
            return [codec.decode_update(key, packed, row) for _, packed, row in rows]

    def versions(self, entry: EntryId) -> list[Version]:
        """Recent versions of a text, newest first. Raises StoreCorrupt, StoreError."""
        with self._explaining():
            return self._versions.recall(entry)

    def close(self) -> None:
        """Copy the WAL into the database and let go of the file. Nothing may be asked afterwards."""
        self._checkpointer.close()
        with suppress(sqlite3.Error, DamagedRow):  # every row is still there; a kill here does no harm either
            self._gather()
        # What cannot be copied now stays in the WAL, whole, for the next start.
        with suppress(sqlite3.Error):
            self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._connection.close()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            raise explained(self._path, problem) from problem
        except DamagedRow as problem:
            raise corrupt(self._path, str(problem)) from problem


def _path_of_row(row: tuple[bytes, bytes]) -> bytes:
    return codec.path_in_synced(row[0])


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Half a million new objects without one cycle: looking for some would take a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
