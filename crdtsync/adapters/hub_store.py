"""The hub's store in SQLite: rooms, their logs, epochs and documents.

What is written when is the engine's; the file, its schema and its errors are in ``hub_database``. One thread
writes; each thread that reads has a connection of its own, so that a long read holds up nobody.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from crdtsync.adapters.bulk import execute_rows
from crdtsync.adapters.hub_database import connect, prepare, transaction, translated
from crdtsync.adapters.hub_journal import Journal
from crdtsync.adapters.shrinking import Cache, shrink
from crdtsync.core.hub.store import (
    EVERYTHING,
    Appendix,
    Epoch,
    LogPage,
    OpenedAt,
    RoomRecord,
    Row,
    Size,
    Wanted,
)
from crdtsync.core.values.ids import TREE, DocumentId
from crdtsync.core.wire.messages import LogEntry

_SCANNED_ROWS_MAX = 20_000
"""Rows that one ``read_log`` passes over when few are wanted: a bounded time."""


_SIZES_KEPT_MAX = 1024
"""Documents that are being edited; the others are looked up."""

_READER_CACHE_KIB = 256
"""Of each thread that reads, instead of 2 MiB: rows are read in order, and the system keeps the pages."""


class _Known(NamedTuple):
    head: int
    documents: int


class SqliteHubStore:
    """A HubStore; see there."""

    def __init__(self, path: Path) -> None:
        """Raises StoreCorrupt, or StoreError when the file cannot be used for another reason."""
        self.path = path
        self._journal = Journal(path)
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._ids: dict[str, int] = {}
        self._known: dict[str, _Known] = {}
        """Rooms that were opened, as they are on disk."""
        self._sizes: dict[tuple[str, DocumentId], Size] = {}
        """Of documents that grew lately, the latest last, as they are on disk."""
        self.freed = False
        """Whether the last ``shrink`` let go of what it kept in memory."""
        try:
            self._write = self._connect()
            self._cache = Cache(self._write)
            prepare(self.path, self._write)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """No other thread may be using the store."""
        while self._connections:
            self._connections.pop().close()

    # -- writing --------------------------------------------------------------------------------------

    def shrink(self) -> bool:
        """Give some free space back to the disk; returns whether there is more. Raises StoreFailed.

        Memory too, if nothing was written since the last call.
        """
        self.freed = False
        with translated(self.path):
            more = shrink(self._write)
            self.freed = not more and self._cache.let_go_at_rest()
            return more

    def open_room(self, room: str, epoch: str, rooms_max: int, epochs_kept: int) -> RoomRecord | None:
        write = self._write
        with translated(self.path):
            found = write.execute("SELECT id, head, documents FROM rooms WHERE name = ?", (room,)).fetchone()
            if found is None and write.execute("SELECT COUNT(*) FROM rooms").fetchone()[0] >= rooms_max:
                return None
            epochs: list[tuple[int, str, int]] = []
            if found is not None:
                epochs = write.execute(
                    "SELECT ordinal, name, start FROM epochs WHERE room = ? ORDER BY ordinal", (found[0],)
                ).fetchall()
            if found is None or not epochs or epochs[-1][1] != epoch:
                with transaction(write):
                    if found is None:
                        cursor = write.execute(
                            "INSERT INTO rooms (name, head, documents) VALUES (?, 0, 0)", (room,)
                        )
                        found = (cursor.lastrowid, 0, 0)
                    number, head, _ = found
                    ordinal = epochs[-1][0] + 1 if epochs else 1
                    write.execute("INSERT INTO epochs VALUES (?, ?, ?, ?)", (number, ordinal, epoch, head))
                    oldest = ordinal - epochs_kept
                    write.execute("DELETE FROM epochs WHERE room = ? AND ordinal <= ?", (number, oldest))
                    epochs = [*(kept for kept in epochs if kept[0] > oldest), (ordinal, epoch, head)]
            number, head, documents = found
            self._ids[room] = number
            self._known[room] = _Known(head, documents)
            size_bytes = _one(
                write, "SELECT COALESCE(SUM(size_bytes), 0) FROM documents WHERE room = ?", number
            )
            told = tuple(Epoch(name, start) for _, name, start in epochs)
            opened = write.execute(
                "SELECT path, document FROM opened WHERE room = ? ORDER BY number", (number,)
            ).fetchall()
            texts = tuple((path, _document(key)) for path, key in opened)
            return RoomRecord(head, documents, told, size_bytes, texts)

    def append(self, rows: Sequence[Row]) -> Appendix:
        heads: dict[str, int] = {}
        grown: dict[tuple[str, DocumentId], list[int]] = {}
        records = []
        with translated(self.path):
            known = {name: self._known_room(name) for name in {row.room for row in rows}}
        for row in rows:
            name, entry = row.room, row.entry
            head = heads.get(name, known[name].head)
            if entry.sequence != head + 1:
                raise ValueError(f"row {entry.sequence} cannot follow {head}")
            heads[name] = head + 1
            growth = grown.get((name, entry.document))
            if growth is None:
                growth = grown[name, entry.document] = [0, 0]
            growth[0] += 1
            growth[1] += len(entry.update)
            records.append((self._ids[name], entry.sequence, entry.at_ms, _key(entry.document), entry.update))
        write = self._write
        self._journal.make_room()
        with translated(self.path), transaction(write):
            sizes = tuple(self._grown(*key, *growth) for key, growth in grown.items())
            documents = {name: known[name].documents for name in heads}
            for size, (count, _) in zip(sizes, grown.values(), strict=True):
                documents[size.room] += size.rows == count
            execute_rows(write, "INSERT INTO log VALUES", records)
            self._put_sizes(sizes)
            execute_rows(
                write,
                "UPDATE rooms SET head = new.column2, documents = new.column3 FROM (VALUES",
                [(self._ids[name], head, documents[name]) for name, head in heads.items()],
                ") AS new WHERE rooms.id = new.column1",
            )
        self._remember(sizes)
        for name, head in heads.items():
            self._known[name] = _Known(head, documents[name])
        return Appendix(sizes, tuple(documents.items()))

    def replace(self, room: str, document: DocumentId, sequences: Sequence[int], entry: LogEntry) -> Size:
        if entry.sequence not in sequences:
            raise ValueError(f"row {entry.sequence} is none of those it replaces")
        write = self._write
        with translated(self.path), transaction(write):
            number = self._room_id(write, room)
            removed_bytes = 0
            for sequence in sequences:
                found = write.execute(
                    "SELECT length(content) FROM log WHERE room = ? AND sequence = ? AND document = ?",
                    (number, sequence, _key(document)),
                ).fetchone()
                if found is None:
                    raise ValueError(f"row {sequence} is not one of the document")
                removed_bytes += found[0]
                if sequence != entry.sequence:
                    write.execute("DELETE FROM log WHERE room = ? AND sequence = ?", (number, sequence))
            write.execute(
                "UPDATE log SET at_ms = ?, content = ? WHERE room = ? AND sequence = ?",
                (entry.at_ms, entry.update, number, entry.sequence),
            )
            before = self._size(room, document)
            size_bytes = before.size_bytes - removed_bytes + len(entry.update)
            rows, freed = before.rows - len(sequences) + 1, before.size_bytes - size_bytes
            size = Size(room, document, rows, size_bytes, size_bytes, freed)
            self._put_sizes([size])
            write.execute(
                "UPDATE documents SET whole = ? WHERE room = ? AND document = ?",
                (entry.sequence, number, _key(document)),
            )
        self._remember([size])
        return size

    def remember_opened(self, opened: Sequence[OpenedAt], kept: int) -> None:
        write = self._write
        with translated(self.path), transaction(write):
            numbers = {room: self._room_id(write, room) for room, _, _ in opened}
            write.executemany(
                "INSERT OR REPLACE INTO opened (room, path, document) VALUES (?, ?, ?)",
                [(numbers[room], path, _key(document)) for room, path, document in opened],
            )
            write.executemany(
                "DELETE FROM opened WHERE room = ? AND number <="
                " (SELECT number FROM opened WHERE room = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
                [(number, number, kept) for number in numbers.values()],
            )

    # -- reading --------------------------------------------------------------------------------------

    def read_log(self, room: str, after: int, wanted: Wanted, limit_bytes: int, limit_rows: int) -> LogPage:
        with translated(self.path):
            read = self._reader()
            read.execute("BEGIN")  # one view of the log: a compaction may be moving rows
            try:
                number = self._room_id(read, room)
                if wanted is EVERYTHING:
                    page = _read_all(read, number, after, limit_bytes, limit_rows)
                else:
                    page = _read_wanted(read, number, after, wanted, limit_bytes, limit_rows)
                entries, through = page
                if through is None:
                    through = max(after, _one(read, "SELECT head FROM rooms WHERE id = ?", number))
                return LogPage(tuple(entries), through)
            finally:
                read.execute("COMMIT")

    def read_document(self, room: str, document: DocumentId, through: int | None) -> Iterator[LogEntry]:
        with translated(self.path):
            read = self._reader()
            rows = read.execute(
                "SELECT sequence, at_ms, content FROM log"
                " WHERE room = ? AND document = ? AND sequence <= ? ORDER BY sequence",
                (self._room_id(read, room), _key(document), through if through is not None else 1 << 62),
            )
            for sequence, at_ms, content in rows:
                yield LogEntry(sequence, at_ms, document, content)

    def whole(self, room: str, document: DocumentId) -> int:
        with translated(self.path):
            read = self._reader()
            found = read.execute(
                "SELECT whole FROM documents WHERE room = ? AND document = ?",
                (self._room_id(read, room), _key(document)),
            ).fetchone()
            return found[0] if found is not None else 0

    def known(self, room: str, documents: Iterable[DocumentId]) -> frozenset[DocumentId]:
        with translated(self.path):
            read = self._reader()
            number = self._room_id(read, room)
            question = "SELECT 1 FROM documents WHERE room = ? AND document = ?"
            return frozenset(
                document
                for document in documents
                if read.execute(question, (number, _key(document))).fetchone()
            )

    # -- inside ---------------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self.path)
        self._connections.append(connection)
        return connection

    def _reader(self) -> sqlite3.Connection:
        """This thread's connection for reading."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
        return connection

    def _room_id(self, connection: sqlite3.Connection, room: str) -> int:
        number = self._ids.get(room)
        if number is None:
            found = connection.execute("SELECT id FROM rooms WHERE name = ?", (room,)).fetchone()
            if found is None:
                raise ValueError(f"the room {room!r} was not opened")
            number = self._ids[room] = found[0]
        return number

    def _known_room(self, name: str) -> _Known:
        """Raises ValueError for one that was never opened."""
        known = self._known.get(name)
        if known is None:
            number = self._room_id(self._write, name)
            found = self._write.execute("SELECT head, documents FROM rooms WHERE id = ?", (number,))
            known = self._known[name] = _Known(*found.fetchone())
        return known

    def _size(self, room: str, document: DocumentId) -> Size:
        size = self._sizes.get((room, document))
        if size is not None:
            return size
        found = self._write.execute(
            "SELECT row_count, size_bytes, compacted_bytes FROM documents WHERE room = ? AND document = ?",
            (self._ids[room], _key(document)),
        ).fetchone()
        return Size(room, document, *(found or (0, 0, 0)))

    def _grown(self, room: str, document: DocumentId, rows: int, size_bytes: int) -> Size:
        before = self._size(room, document)
        return Size(
            room, document, before.rows + rows, before.size_bytes + size_bytes, before.compacted_bytes
        )

    def _put_sizes(self, sizes: Sequence[Size]) -> None:
        execute_rows(
            self._write,
            "INSERT INTO documents (room, document, row_count, size_bytes, compacted_bytes, whole) VALUES",
            [
                (
                    self._ids[size.room],
                    _key(size.document),
                    size.rows,
                    size.size_bytes,
                    size.compacted_bytes,
                    0,
                )
                for size in sizes
            ],
            "ON CONFLICT DO UPDATE SET row_count = excluded.row_count, size_bytes = excluded.size_bytes,"
            " compacted_bytes = excluded.compacted_bytes",
        )

    def _remember(self, sizes: Iterable[Size]) -> None:
        """They are on disk now. Called by the thread that writes, as everything that knows them."""
        for size in sizes:
            self._sizes.pop((size.room, size.document), None)
            self._sizes[size.room, size.document] = size
        while len(self._sizes) > _SIZES_KEPT_MAX:
            del self._sizes[next(iter(self._sizes))]


def _read_all(
    read: sqlite3.Connection, number: int, after: int, limit_bytes: int, limit_rows: int
) -> tuple[list[LogEntry], int | None]:
    """Entries, and how far the log was read; None: to its end."""
    entries: list[LogEntry] = []
    size_bytes = 0
    for sequence, at_ms, key, content in read.execute(
        "SELECT sequence, at_ms, document, content FROM log"
        " WHERE room = ? AND sequence > ? ORDER BY sequence",
        (number, after),
    ):
        size_bytes += len(content)
        if entries and (size_bytes > limit_bytes or len(entries) == limit_rows):
            return entries, entries[-1].sequence
        entries.append(LogEntry(sequence, at_ms, _document(key), content))
    return entries, None


def _read_wanted(
    read: sqlite3.Connection, number: int, after: int, wanted: Wanted, limit_bytes: int, limit_rows: int
) -> tuple[list[LogEntry], int | None]:
    """The same, without reading the contents of rows that nobody wants."""
    entries: list[LogEntry] = []
    size_bytes = 0
    through = after
    headers = read.execute(
        "SELECT sequence, at_ms, document, length(content) FROM log"
        " WHERE room = ? AND sequence > ? ORDER BY sequence LIMIT ?",
        (number, after, _SCANNED_ROWS_MAX),
    ).fetchall()
    for sequence, at_ms, key, size in headers:
        document = _document(key)
        if wanted.wants(document):
            size_bytes += size
            if entries and (size_bytes > limit_bytes or len(entries) == limit_rows):
                return entries, through
            content = read.execute(
                "SELECT content FROM log WHERE room = ? AND sequence = ?", (number, sequence)
            ).fetchone()[0]
            entries.append(LogEntry(sequence, at_ms, document, content))
        through = sequence
    return entries, through if len(headers) == _SCANNED_ROWS_MAX else None


def _key(document: DocumentId) -> bytes:
    return b"" if document == TREE else bytes.fromhex(document)


def _document(key: bytes) -> DocumentId:
    return DocumentId(key.hex()) if key else TREE


def _one(connection: sqlite3.Connection, question: str, room: int) -> int:
    number: int = connection.execute(question, (room,)).fetchone()[0]
    return number
