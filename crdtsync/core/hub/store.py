"""What the hub needs of a durable store: one log per room, its documents and its epochs.

The contract that every store must keep is the suite ``tests/hub/store_contract.py``. A room belongs to one
hub process at a time. Methods block, and are called from threads: ``open_room``, ``append``, ``replace`` and
``remember_opened`` from one, the reading ones from others at the same time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol, TypeAlias

from crdtsync.core.values.ids import DocumentId
from crdtsync.core.values.late import dataclass
from crdtsync.core.wire.messages import LogEntry
from crdtsync.errors import StoreError


class StoreCorrupt(StoreError):
    """What is on disk is no longer what was written; it must be put aside."""


class StoreFailed(StoreError):
    """The store could not do it now (no space, input/output error); nothing changed, it may work later."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a room's log."""

    room: str
    entry: LogEntry


@dataclass(frozen=True, slots=True)
class Epoch:
    """The life of one hub process in a room's log: it began after the row ``start``."""

    name: str
    start: int


@dataclass(frozen=True, slots=True)
class RoomRecord:
    """A room as stored: the last sequence, how many documents it has, its epochs, oldest first, how large its
    updates are together, and which texts were opened at which paths, the oldest first."""

    head: int
    documents: int
    epochs: tuple[Epoch, ...]
    size_bytes: int
    opened: tuple[tuple[str, DocumentId], ...] = ()


@dataclass(frozen=True, slots=True)
class Size:
    """What a document takes in the log. ``compacted_bytes``: what it took after its last compaction.

    ``freed_bytes``: what the ``replace`` that tells this has made it smaller.
    """

    room: str
    document: DocumentId
    rows: int
    size_bytes: int
    compacted_bytes: int
    freed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Appendix:
    """The result of an append: sizes of the documents it touched, number of documents of each room."""

    sizes: tuple[Size, ...]
    documents: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which documents a reader wants: ``documents`` only, or all but them."""

    documents: Collection[DocumentId] = ()
    only: bool = False

    def wants(self, document: DocumentId) -> bool:
        return (document in self.documents) is self.only


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some rows after a position, in order; the log up to ``through`` holds no others that were wanted."""

    entries: tuple[LogEntry, ...]
    through: int


OpenedAt: TypeAlias = tuple[str, str, DocumentId]
"""A room, a path in it, and the text that a client opened there."""


class HubStore(Protocol):
    """Every method raises StoreFailed or StoreCorrupt; a write that raises has changed nothing."""

    def shrink(self) -> bool:
        """Give a little free space back to the disk, in a millisecond or two; returns whether there is more.

        Raises StoreFailed.
        """
        ...

    def open_room(self, room: str, epoch: str, rooms_max: int, epochs_kept: int) -> RoomRecord | None:
        """The room, with ``epoch`` as its newest (recorded durably if it is new), made if it is not there.

        None when it would be one room more than ``rooms_max``.
        """
        ...

    def append(self, rows: Sequence[Row]) -> Appendix:
        """Add rows, in order, in one durable transaction; each sequence is its room's next."""
        ...

    def replace(self, room: str, document: DocumentId, sequences: Sequence[int], entry: LogEntry) -> Size:
        """Put ``entry``, whose sequence is one of ``sequences``, in the place of all those rows, durably."""
        ...

    def remember_opened(self, opened: Sequence[OpenedAt], kept: int) -> None:
        """Remember, in one durable transaction, which texts were opened where, as the latest of their rooms.

        ``kept`` of a room are.
        """
        ...

    def read_log(self, room: str, after: int, wanted: Wanted, limit_bytes: int, limit_rows: int) -> LogPage:
        """Rows with a sequence above ``after``: at least one if any, then while they fit the limits."""
        ...

    def read_document(self, room: str, document: DocumentId, through: int | None) -> Iterator[LogEntry]:
        """The rows of one document up to the sequence ``through``, in order; none for an unknown one."""
        ...

    def whole(self, room: str, document: DocumentId) -> int:
        """The sequence of the row that the last ``replace`` of the document put there; 0 if there was none.

        To be asked before the rows are read, for a ``replace`` may come between.
        """
        ...

    def known(self, room: str, documents: Iterable[DocumentId]) -> frozenset[DocumentId]:
        """Those of the documents that have rows."""
        ...

    def close(self) -> None: ...
