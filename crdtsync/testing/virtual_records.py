"""What a power cut leaves of the transactions of a simulated replica: at least the durable ones."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from crdtsync.core.replica.records import Record
from crdtsync.testing.memory_store import MemoryReplicaStore


class StoredRecords:
    def __init__(self) -> None:
        self._before = MemoryReplicaStore()
        self._stored: list[Sequence[Record]] = []
        self._durable = 0

    def begin(self, store: MemoryReplicaStore) -> None:
        """What that store holds is safe."""
        self._before = store.copy()
        self._stored.clear()
        self._durable = 0

    def add(self, records: Sequence[Record]) -> None:
        """A transaction was written."""
        self._stored.append(records)

    def made_durable(self) -> None:
        """No power cut takes back what was written so far."""
        self._durable = len(self._stored)

    def after_cut(self, rng: Random) -> MemoryReplicaStore:
        """A prefix of what was written."""
        store = self._before.copy()
        for records in self._stored[: rng.randint(self._durable, len(self._stored))]:
            store.persist(records)
        return store
