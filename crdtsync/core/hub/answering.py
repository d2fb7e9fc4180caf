"""Answers to requests of the engine that whoever has a store gives alike: threads, or a simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

from crdtsync.core.hub.documents import compare, load, slices_of_tree
from crdtsync.core.hub.effects import (
    Append,
    CheckUpdates,
    Compact,
    CompareDocuments,
    FindDocuments,
    LoadDocuments,
    OpenRoom,
    ReadLog,
    RememberOpened,
    Request,
)
from crdtsync.core.hub.events import (
    AppendFailed,
    Compacted,
    Compared,
    DocumentsLoaded,
    Event,
    LoadFailed,
    ReadFailed,
    RoomFailed,
)
from crdtsync.core.hub.store import HubStore
from crdtsync.core.text.update import is_plain
from crdtsync.core.values import limits
from crdtsync.core.values.ids import TREE, DocumentId
from crdtsync.core.wire.messages import Difference, LogEntry

Yielding = Callable[[Iterable[LogEntry]], Iterable[LogEntry]]
"""Hands the rows on, and may let others run between two of them."""


def compared(store: HubStore, request: CompareDocuments, yielding: Yielding = iter) -> Compared:
    """Answer at least one document, then as many as fit one frame. Raises StoreFailed."""
    differences: list[Difference] = []
    incomplete: set[DocumentId] = set()
    size_bytes = 0
    for document, state_vector in request.documents:
        whole = store.whole(request.room, document)
        rows = store.read_document(request.room, document, None)
        try:
            comparison = compare(yielding(rows), state_vector, whole)
        except ValueError as error:
            problem = f"the state vector of document {document} is wrong: {error}"
            return Compared(request.member, tuple(differences), frozenset(incomplete), problem)
        size_bytes += len(comparison.state_vector) + len(comparison.update)
        if differences and size_bytes > limits.FRAME_BATCH_BYTES:
            break
        differences.append(Difference(document, comparison.state_vector, comparison.update))
        if not comparison.complete:
            incomplete.add(document)
    return Compared(request.member, tuple(differences), frozenset(incomplete))


def _tree(entries: Iterable[LogEntry], whole: int) -> tuple[bytes, ...]:
    """Its log, so that it tells where texts stood, in slices. No document is made of it here: the loop would
    wait for that."""
    rows = sorted(entries, key=lambda row: row.sequence != whole)
    return tuple(part for row in rows for part in slices_of_tree(row.update))


def loaded(store: HubStore, request: LoadDocuments, yielding: Yielding = iter) -> DocumentsLoaded:
    """Whole documents, for a desk. Raises StoreFailed."""
    documents = []
    plain = set()
    for document in request.documents:
        whole = store.whole(request.room, document)
        rows = store.read_document(request.room, document, None)
        updates = (_tree if document == TREE else load)(yielding(rows), whole)
        documents.append((document, updates))
        if document != TREE and updates and is_plain(updates[0]):  # known here, the loop need not look
            plain.add(document)
    return DocumentsLoaded(request.desk, tuple(documents), frozenset(plain))


def failed(request: Request, reason: str) -> Event | None:
    """The store could not do it; None where nobody waits for an answer."""
    match request:
        case OpenRoom(room):
            return RoomFailed(room, reason)
        case Append():
            return AppendFailed(reason)
        case ReadLog(member) | CompareDocuments(member) | FindDocuments(member) | CheckUpdates(member):
            return ReadFailed(member, reason)
        case LoadDocuments(desk):
            return LoadFailed(desk, reason)
        case Compact(room, document):
            return Compacted(room, document, None, reason)
        case RememberOpened():
            return None  # the next append tells
        case _:
            assert_never(request)
