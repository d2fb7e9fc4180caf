"""Documents on their way from the store to a desk, with the updates that come meanwhile."""

from __future__ import annotations

from collections.abc import Iterable

from crdtsync.core.hub.effects import LoadDocuments
from crdtsync.core.hub.room import Room
from crdtsync.core.hub.shared import Shared
from crdtsync.core.values.ids import DocumentId


class Loading:
    """``desk`` is who asks."""

    def __init__(self, desk: int, shared: Shared) -> None:
        self._desk = desk
        self._shared = shared
        self._coming: dict[DocumentId, list[bytes]] = {}

    def ask(self, room: Room, documents: Iterable[DocumentId]) -> None:
        """Have the store read what is not being read already. It knows only what is durable by then."""
        wanted = [document for document in documents if document not in self._coming]
        for document in wanted:
            tail = room.tail_after(-1)
            self._coming[document] = [row.entry.update for row in tail if row.entry.document == document]
        if wanted:
            self._shared.add(LoadDocuments(self._desk, room.name, tuple(wanted)))

    def keep(self, document: DocumentId, update: bytes) -> bool:
        """Keep an update of a document that is being read; False for any other."""
        coming = self._coming.get(document)
        if coming is not None:
            coming.append(update)
        return coming is not None

    def finish(self, document: DocumentId, updates: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The document has been read; returns all of it."""
        return (*updates, *self._coming.pop(document, ()))
