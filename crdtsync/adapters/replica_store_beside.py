"""Writes large transactions of a replica's store in a thread, one at a time, while the loop goes on.

Whoever reads sees all that was given to be written, in any case. Small transactions are written at once: to
hand them to a thread would cost more than they take.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

from crdtsync.adapters.replica_store import ReplicaStore
from crdtsync.core.replica.effects import Effect
from crdtsync.core.replica.records import AddUpdate, Record, Version
from crdtsync.core.replica.unstored import Unstored
from crdtsync.core.values.ids import DocumentId, EntryId

LARGE_RECORDS: Final = 64
LARGE_BYTES: Final = 64 << 10
"""Of updates: about a millisecond to write."""


class StoreBeside:
    """All calls are for one thread, the loop's. Implements ``core.replica.records.Recall``."""

    def __init__(self, store: ReplicaStore) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="crdtsync-store")
        self._under_way: Future[None] | None = None
        self._records: Sequence[Record] = ()
        """Of the transaction that is under way."""
        self._unstored = Unstored(store)

    def owing(self, effects: list[Effect]) -> list[Effect]:
        """As ``Unstored.owing``: what they are to store will be given to be written."""
        return self._unstored.owing(effects)

    def persist(self, records: Sequence[Record]) -> Future[None] | None:
        """Write all of the records in one transaction: now, or by the end of what is returned.

        Either raises StoreError: then the same records have to be given again before any others.
        """
        self._settle()
        self._unstored.add(records)
        if _is_large(records):
            self._records = records
            self._under_way = self._threads.submit(self._store.persist, records)
            return self._under_way
        self._store.persist(records)
        self._unstored.stored(records)
        return None

    def updates(self, document: DocumentId) -> list[bytes]:
        """As ``ReplicaStore.updates``."""
        self._settle()
        return self._unstored.updates(document)

    def versions(self, entry: EntryId) -> list[Version]:
        """As ``ReplicaStore.versions``."""
        self._settle()
        return self._unstored.versions(entry)

    def shrink(self) -> bool:
        """As ``ReplicaStore.shrink``; while something is written, there may be more.

        Not while a transaction that failed waits to be tried again.
        """
        if self._under_way is not None and not self._under_way.done():
            return True
        self._settle()  # nobody else does while nothing happens, and the records are no longer needed
        return not self._unstored and self._store.shrink()

    def close(self) -> None:
        """Wait for what is under way; the store itself is its owner's to close."""
        self._threads.shutdown(wait=True)

    def _settle(self) -> None:
        """Wait until nothing is written any more: there is one connection. What failed is kept."""
        if self._under_way is None:
            return
        wait([self._under_way])
        if self._under_way.exception() is None:
            self._unstored.stored(self._records)
        self._under_way, self._records = None, ()


def _is_large(records: Sequence[Record]) -> bool:
    if len(records) >= LARGE_RECORDS:
        return True
    return sum(len(record.update) for record in records if isinstance(record, AddUpdate)) >= LARGE_BYTES
