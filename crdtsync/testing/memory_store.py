"""A replica's store that lives in memory: same methods and answers as the SQLite one, nothing on disk."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from heapq import heappop, heappush
from typing import assert_never

from crdtsync.adapters.replica_store_retention import StoredVersion, aged_before, outlived
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
from crdtsync.core.text.document import TextDocument
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.errors import StoreError


class MemoryReplicaStore:
    """What a replica remembers, for simulations; ``copy()`` stands for a backup that is restored later.

    ``failure``: while set, every persist raises it and changes nothing (a full disk).
    """

    def __init__(self) -> None:
        self.failure: StoreError | None = None
        self._meta: dict[str, str] = {}
        self._heads: dict[DocumentId, Head] = {}
        self._synced: dict[EntryId, Synced] = {}
        self._logs: dict[DocumentId, list[bytes]] = {}
        self._versions: dict[EntryId, list[tuple[StoredVersion, str]]] = {}
        """Of each text, oldest first."""
        self._by_age: list[tuple[float, int, EntryId]] = []
        """A heap of times told, sequences and entries; some are gone already."""
        self._sequence = 0
        self._open = True

    def persist(self, records: Sequence[Record]) -> None:
        """Take all of ``records``, or none. Raises StoreError."""
        self._check_open()
        if self.failure is not None:
            raise self.failure
        # versions last: which of them an agreement names is told by what all of it leaves
        for record in sorted(records, key=lambda record: isinstance(record, AddVersion | DropVersions)):
            self._take(record)

    def remembered(self) -> Remembered:
        """All that the engine needs at start."""
        self._check_open()
        return Remembered(
            meta=dict(self._meta),
            heads=tuple(self._heads[document] for document in sorted(self._heads)),
            synced=tuple(self._synced[entry] for entry in sorted(self._synced)),
        )

    def updates(self, document: DocumentId) -> list[bytes]:
        """The document's log, oldest first; empty for an unknown document."""
        self._check_open()
        return list(self._logs.get(document, ()))

    def versions(self, entry: EntryId) -> list[Version]:
        """Recent versions of a text, newest first."""
        self._check_open()
        return [
            Version(entry=entry, digest=stored.digest, text=text, at_s=stored.at_s)
            for stored, text in reversed(self._versions.get(entry, []))
        ]

    def texts(self) -> list[str]:
        """What the logs of all texts come to."""
        return [TextDocument(0, log).text for document, log in self._logs.items() if document != TREE]

    def close(self) -> None:
        """Nothing may be asked afterwards; a ``copy()`` goes on with the same contents."""
        self._open = False

    def copy(self) -> MemoryReplicaStore:
        """The same contents in a store of its own, open: a restart, or a backup of this moment."""
        twin = MemoryReplicaStore()
        twin.take_over(self)
        return twin

    def take_over(self, other: MemoryReplicaStore) -> None:
        """Hold what another store holds, and nothing else."""
        self._meta = dict(other._meta)
        self._heads = dict(other._heads)
        self._synced = dict(other._synced)
        self._logs = {document: list(log) for document, log in other._logs.items()}
        self._versions = {entry: list(pairs) for entry, pairs in other._versions.items()}
        self._by_age = list(other._by_age)
        self._sequence = other._sequence

    def _take(self, record: Record) -> None:
        match record:
            case AddUpdate():
                self._logs.setdefault(record.document, []).append(record.update)
            case ReplaceUpdates():
                self._logs[record.document] = list(record.updates)
            case PutHead():
                self._heads[record.head.document] = record.head
            case PutSynced():
                self._synced[record.synced.entry] = record.synced
            case DropSynced():
                self._synced.pop(record.entry, None)
            case AddVersion():
                self._add_version(record.version)
            case DropVersions():
                pairs = self._versions.get(record.entry, [])
                named = {old.sequence for old, _ in pairs if old.digest in record.digests}
                self._drop_versions(record.entry, named)
            case PutMeta(key=name, value=""):
                self._meta.pop(name, None)
            case PutMeta():
                self._meta[record.key] = record.value
            case _:
                assert_never(record)

    def _add_version(self, version: Version) -> None:
        self._sequence += 1
        size_bytes = len(version.text.encode("utf-8", "surrogatepass"))
        stored = StoredVersion(self._sequence, version.digest, version.at_s, size_bytes)
        others = [pair for pair in self._versions.get(version.entry, []) if pair[0].digest != version.digest]
        self._versions[version.entry] = [*others, (stored, version.text)]
        newest_first = [stored for stored, _ in reversed(self._versions[version.entry])]
        gone = outlived(newest_first, version.at_s, self._pinned(version.entry))
        self._drop_versions(version.entry, {stored.sequence for stored in gone})
        heappush(self._by_age, (version.at_s, self._sequence, version.entry))
        self._sweep(version.at_s)

    def _sweep(self, now_s: float) -> None:
        """Drop the aged versions of all texts, as far as no agreement names them."""
        kept = []
        while self._by_age and self._by_age[0][0] < aged_before(now_s):
            at_s, sequence, entry = heappop(self._by_age)
            pairs = self._versions.get(entry, [])
            if any(old.sequence == sequence and old.digest in self._pinned(entry) for old, _ in pairs):
                kept.append((at_s, sequence, entry))
            else:
                self._drop_versions(entry, {sequence})
        for aged in kept:
            heappush(self._by_age, aged)

    def _drop_versions(self, entry: EntryId, sequences: Collection[int]) -> None:
        pairs = self._versions.get(entry, [])
        self._versions[entry] = [pair for pair in pairs if pair[0].sequence not in sequences]

    def _pinned(self, entry: EntryId) -> set[Digest]:
        pinned = set()
        synced = self._synced.get(entry)
        while synced is not None:
            if synced.digest is not None:
                pinned.add(synced.digest)
            synced = synced.provisional
        return pinned

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError("The replica's state was closed; open it again")
