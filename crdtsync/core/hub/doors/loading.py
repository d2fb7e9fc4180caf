"""Documents on their way from the store to a desk, with the updates that come meanwhile.

A tree is taken in slice by slice, so that other rooms do not wait for a large one, and each text is seen
wherever it stood since the log was made shorter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from crdtsync.core.hub import bounds
from crdtsync.core.hub.doors.places import Places
from crdtsync.core.hub.effects import LoadDocuments
from crdtsync.core.hub.room import Room
from crdtsync.core.hub.shared import Shared
from crdtsync.core.values.ids import TREE, DocumentId


class Loading:
    """``desk`` is who asks."""

    def __init__(self, desk: int, shared: Shared) -> None:
        self._desk = desk
        self._shared = shared
        self._coming: dict[DocumentId, list[bytes]] = {}
        self._places: Places | None = None
        """While the tree is read."""
        self._slices: deque[bytes] = deque()

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
        if document == TREE and self._places is not None:
            self._slices.append(update)
            return True
        if coming is not None:
            coming.append(update)
        return coming is not None

    def finish(self, document: DocumentId, updates: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The document has been read; returns all of it."""
        return (*updates, *self._coming.pop(document, ()))

    def begin_tree(self, places: Places, updates: tuple[bytes, ...]) -> None:
        """All of the tree is here, for ``read_tree`` to bring into ``places``, which have none of it."""
        self._slices = deque(updates)
        self._places = places

    def read_tree(self) -> Places | None:
        """Read a little more of the tree; what was made of it once that is all. Raises MalformedUpdate."""
        taken_bytes = 0
        while self._places is not None and self._slices and taken_bytes < bounds.TREE_SLICE_BYTES:
            update = self._slices.popleft()
            taken_bytes += len(update)
            self._places.apply(update)
        if self._slices:
            return None
        places, self._places = self._places, None
        return places
