"""The tables of recent versions: adds, recalls and drops compressed texts; leaves the rule to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from sqlite3 import Cursor
from typing import Final, assert_never

import zstandard

from crdtsync.adapters import replica_store_codec as codec
from crdtsync.adapters.replica_store_codec import DamagedRow
from crdtsync.adapters.replica_store_retention import StoredVersion, aged_before, outlived
from crdtsync.core.replica.records import AddVersion, DropVersions, Version
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import EntryId

SWEEP_AT_ONCE: Final = 32
"""Aged versions of other texts that leave with each new version."""
COMPRESSION_LEVEL: Final = 1
"""On the event loop speed counts; on text the levels above save little."""


class VersionTable:
    """``pinned`` tells the digests that an entry, by key, may not lose. Raises what ``execute`` raises."""

    def __init__(self, execute: Callable[..., Cursor], pinned: Callable[[bytes], set[Digest]]) -> None:
        self._execute = execute
        self._pinned = pinned
        self._compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
        self._decompressor = zstandard.ZstdDecompressor()
        self._sweep_from: tuple[float, int] = (float("-inf"), 0)

    def write(self, records: Iterable[AddVersion | DropVersions]) -> int:
        """Of one transaction, in order; returns how many bytes were stored."""
        written_bytes = added = 0
        now_s = 0.0
        for record in records:
            match record:
                case AddVersion(version):
                    written_bytes += self._add(version)
                    added += 1
                    now_s = version.at_s
                case DropVersions(entry, digests):
                    self._drop(codec.entry_key(entry), {codec.digest_key(digest) for digest in digests})
                case _:
                    assert_never(record)
        if added:
            self._sweep(now_s, added * SWEEP_AT_ONCE)
        return written_bytes

    def _add(self, version: Version) -> int:
        key = codec.entry_key(version.entry)
        digest = codec.digest_key(version.digest)
        text = codec.encode_string(version.text)
        row = codec.sealed(self._compressor.compress(text), codec.version_key(key, digest, version.at_s))
        before = self._stored(key)
        self._forget(stored.sequence for stored in before if stored.digest == version.digest)
        sequence = self._execute(
            "INSERT INTO version (entry, digest, at_s, size_bytes) VALUES (?, ?, ?, ?)",
            (key, digest, version.at_s, len(text)),
        ).lastrowid
        self._execute("INSERT INTO version_text VALUES (?, ?)", (sequence, row))
        assert sequence is not None
        newest = StoredVersion(sequence, version.digest, version.at_s, len(text))
        kept = [newest, *(stored for stored in before if stored.digest != version.digest)]
        self._forget(stored.sequence for stored in self._outlived(key, kept, version.at_s))
        return len(row)

    def _drop(self, key: bytes, digests: set[bytes]) -> None:
        found = self._execute("SELECT sequence, digest FROM version WHERE entry = ?", (key,)).fetchall()
        self._forget(sequence for sequence, digest in found if digest in digests)

    def recall(self, entry: EntryId) -> list[Version]:
        """Newest first. Raises DamagedRow."""
        key = codec.entry_key(entry)
        return [
            Version(entry, stored.digest, self._text(key, stored), stored.at_s)
            for stored in self._stored(key)
        ]

    def _text(self, key: bytes, stored: StoredVersion) -> str:
        query = "SELECT row FROM version_text WHERE sequence = ?"
        found = self._execute(query, (stored.sequence,)).fetchone()
        if found is None:
            raise DamagedRow(f"a version of {key.hex()} is missing")
        row_key = codec.version_key(key, codec.digest_key(stored.digest), stored.at_s)
        return codec.decode_string(self._decompressor.decompress(codec.unsealed(found[0], row_key)))

    def _stored(self, key: bytes) -> list[StoredVersion]:
        query = (
            "SELECT sequence, digest, at_s, size_bytes FROM version WHERE entry = ? ORDER BY sequence DESC"
        )
        return [_stored_version(*row) for row in self._execute(query, (key,))]

    def _outlived(self, key: bytes, newest_first: list[StoredVersion], now_s: float) -> list[StoredVersion]:
        gone = outlived(newest_first, now_s, ())
        # Most often nothing leaves, and the agreement need not be read.
        return outlived(newest_first, now_s, self._pinned(key)) if gone else gone

    def _sweep(self, now_s: float, at_once: int) -> None:
        """Drop aged versions of texts that are not being changed, some at a time, round and round."""
        query = (
            "SELECT sequence, entry, digest, at_s FROM version WHERE at_s < ?"
            " AND (at_s, sequence) > (?, ?) ORDER BY at_s, sequence LIMIT ?"
        )
        rows = self._execute(query, (aged_before(now_s), *self._sweep_from, at_once)).fetchall()
        self._forget(
            sequence for sequence, key, digest, _ in rows if Digest(digest.hex()) not in self._pinned(key)
        )
        self._sweep_from = (rows[-1][3], rows[-1][0]) if len(rows) == at_once else (float("-inf"), 0)

    def _forget(self, sequences: Iterable[int]) -> None:
        for sequence in sequences:
            self._execute("DELETE FROM version WHERE sequence = ?", (sequence,))
            self._execute("DELETE FROM version_text WHERE sequence = ?", (sequence,))


def _stored_version(sequence: int, digest: bytes, at_s: float, size_bytes: int) -> StoredVersion:
    return StoredVersion(sequence, Digest(digest.hex()), at_s, size_bytes)
