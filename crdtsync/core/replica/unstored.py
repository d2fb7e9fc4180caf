"""What the engine gave out to be stored and the store does not have yet: whoever reads sees it as stored.

Programs go on while a transaction is written, or cannot be, and what they do next builds on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from crdtsync.core.replica.effects import Effect, Persist
from crdtsync.core.replica.records import (
    AddUpdate,
    AddVersion,
    DropVersions,
    Recall,
    Record,
    ReplaceUpdates,
    Version,
)
from crdtsync.core.values.ids import DocumentId, EntryId


class Unstored:
    """Transactions, in the order in which they were given out. Implements ``Recall`` over the store."""

    def __init__(self, stored: Recall) -> None:
        self._stored = stored
        self._transactions: dict[int, Sequence[Record]] = {}
        """By identity, for two may be equal."""

    def __bool__(self) -> bool:
        return bool(self._transactions)

    def owing(self, effects: list[Effect]) -> list[Effect]:
        """These, of which whoever reads sees from now on what they are to store."""
        for effect in effects:
            if isinstance(effect, Persist):
                self.add(effect.records)
        return effects

    def add(self, records: Sequence[Record]) -> None:
        """Nothing happens if they were added before."""
        self._transactions.setdefault(id(records), records)

    def stored(self, records: Sequence[Record]) -> None:
        """The store has these now."""
        del self._transactions[id(records)]

    def updates(self, document: DocumentId) -> list[bytes]:
        """The document's log, oldest first; empty for an unknown document."""
        log = list(self._stored.updates(document))
        for records in self._transactions.values():
            for record in records:
                match record:
                    case AddUpdate(of, update) if of == document:
                        log.append(update)
                    case ReplaceUpdates(of, updates) if of == document:
                        log = list(updates)
        return log

    def versions(self, entry: EntryId) -> list[Version]:
        """Recent versions of a text, newest first."""
        found = self._stored.versions(entry)
        for records in self._transactions.values():
            for record in records:
                match record:
                    case AddVersion(version) if version.entry == entry:
                        found = [version, *(v for v in found if v.digest != version.digest)]
                    case DropVersions(of, digests) if of == entry:
                        found = [v for v in found if v.digest not in digests]
        return found
