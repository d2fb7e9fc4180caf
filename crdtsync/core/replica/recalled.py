"""The store's logs, each asked for once in an event; knows nothing of what they hold.

A save of a text that nobody has open asks four times for one: to see what stands there, what it was made
from, and to make the document.
"""

from __future__ import annotations

from typing import Final

from crdtsync.core.replica.records import Recall, Version
from crdtsync.core.values.ids import DocumentId, EntryId
from crdtsync.core.values.limits import MiB

KEPT_MAX_BYTES: Final = 16 * MiB
"""Of the logs of one event; beyond, they are read again each time."""


class Recalled:
    """Remembers from ``begin`` to ``end``: in between the store may not be given anything new."""

    def __init__(self, recall: Recall) -> None:
        self._recall = recall
        self._logs: dict[DocumentId, tuple[bytes, ...]] = {}
        self._room_bytes = 0

    def begin(self) -> None:
        self._room_bytes = KEPT_MAX_BYTES

    def updates(self, document: DocumentId) -> tuple[bytes, ...]:
        """The document's log, oldest first; empty for an unknown document."""
        log = self._logs.get(document)
        if log is None:
            log = tuple(self._recall.updates(document))
            if self._room_bytes > 0:
                self._logs[document] = log
                self._room_bytes -= sum(map(len, log))
        return log

    def versions(self, entry: EntryId) -> list[Version]:
        """Recent versions of a text, newest first."""
        return self._recall.versions(entry)

    def end(self) -> None:
        self._logs.clear()
        self._room_bytes = 0
