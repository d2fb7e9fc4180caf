"""Gathers the rows of one transaction by table and writes many of them with each statement.

Every statement that SQLite runs lets another thread have the interpreter, which then has to be waited for: a
thousand rows one by one cost several times what they cost together. Knows which row replaces which.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from crdtsync.adapters import replica_store_codec as codec
from crdtsync.core.replica.records import Head, Synced
from crdtsync.core.values.ids import DocumentId, EntryId

_AT_ONCE: Final = (256, 64, 16, 4, 1)
"""Rows of one statement, the most first. Each number is a statement of its own, so there are few of them, and
few rows are left for statements of one."""


class Rows:
    """What one transaction has still to write. Raises what ``execute`` raises."""

    def __init__(self, execute: Callable[..., sqlite3.Cursor]) -> None:
        self._execute = execute
        self._updates: dict[bytes, list[tuple[int, bytes]]] = {}
        self._heads: dict[bytes, bytes] = {}
        self._synced: dict[bytes, list[bytes]] = {}
        self._meta: dict[bytes, bytes | None] = {}
        self.touched: set[bytes] = set()
        """The keys of all heads and agreements that changed."""

    def add_update(self, document: DocumentId, update: bytes) -> None:
        key = codec.document_key(document)
        self._updates.setdefault(key, []).append(codec.encode_update(key, update))

    def put_head(self, head: Head) -> None:
        key = codec.document_key(head.document)
        self._heads[key] = codec.encode_head(key, head)
        self.touched.add(key)

    def put_synced(self, synced: Synced) -> None:
        key = codec.entry_key(synced.entry)
        rows = self._synced[key] = []
        self.touched.add(key)
        agreed: Synced | None = synced
        while agreed is not None:
            rows.append(codec.encode_synced(codec.synced_key(key, len(rows)), agreed))
            agreed = agreed.provisional

    def drop_synced(self, entry: EntryId) -> None:
        key = codec.entry_key(entry)
        self._synced[key] = []
        self.touched.add(key)

    def put_meta(self, name: str, value: str) -> None:
        key = codec.encode_string(name)
        self._meta[key] = codec.sealed(codec.encode_string(value), key) if value else None

    def write(self) -> None:
        """All that was gathered, in any order: each row is that of one key."""
        if self._updates:
            self._write_log()
        if self._heads:
            self._insert("INSERT OR REPLACE INTO head VALUES", 2, self._heads.items())
            self._heads.clear()
        if self._synced:
            self._delete("synced WHERE entry", self._synced)
            rows = [(key, depth, row) for key, rows in self._synced.items() for depth, row in enumerate(rows)]
            self._insert("INSERT INTO synced VALUES", 3, rows)
            self._synced.clear()
        if self._meta:
            self._delete("meta WHERE key", self._meta)
            kept = [(key, row) for key, row in self._meta.items() if row is not None]
            self._insert("INSERT INTO meta VALUES", 2, kept)
            self._meta.clear()

    def tell_apart(self, keys: Iterable[bytes]) -> None:
        """Their rows are no longer as they were gathered."""
        self._insert("INSERT OR IGNORE INTO apart VALUES", 1, ((key,) for key in keys))

    def _write_log(self) -> None:
        last: dict[bytes, int] = {}
        for marks, keys in _parts("?", list(self._updates)):
            of_each = f"SELECT document, MAX(number) AS n FROM log WHERE document IN ({marks}) GROUP BY 1"
            # In one row, since each that is fetched hands the interpreter over, too.
            query = f"SELECT group_concat(hex(document) || ' ' || n, ' ') FROM ({of_each})"
            words = (self._execute(query, keys).fetchone()[0] or "").split()
            last.update(zip(map(bytes.fromhex, words[::2]), map(int, words[1::2]), strict=True))
        rows = [
            (key, number, packed, row)
            for key, updates in self._updates.items()
            for number, (packed, row) in enumerate(updates, last.get(key, -1) + 1)
        ]
        self._insert("INSERT INTO log VALUES", 4, rows)
        self._updates.clear()

    def _insert(self, into: str, width: int, rows: Iterable[tuple[object, ...]]) -> None:
        row_marks = f"({', '.join('?' * width)})"
        for marks, part in _parts(row_marks, list(rows)):
            self._execute(f"{into} {marks}", [value for row in part for value in row])

    def _delete(self, where: str, keys: Iterable[bytes]) -> None:
        for marks, part in _parts("?", list(keys)):
            self._execute(f"DELETE FROM {where} IN ({marks})", part)


def _parts(mark: str, values: Sequence[Any]) -> Iterable[tuple[str, Sequence[Any]]]:
    """The values in parts of the sizes of ``_AT_ONCE``, each with as many marks."""
    at = 0
    for size in _AT_ONCE:
        while len(values) - at >= size:
            yield ", ".join([mark] * size), values[at : at + size]
            at += size
