"""Everything the hub's engine can ask for, as values, carried out in order.

Requests to the store (OpenRoom, ReadLog, CompareDocuments, LoadDocuments, FindDocuments, CheckUpdates,
Append, Compact, RememberOpened) are each answered by the event of the like name, or by one that says why not.
"""

from __future__ import annotations

from typing import TypeAlias

from crdtsync.core.hub.admission import Granted
from crdtsync.core.hub.store import Row, Wanted
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.values.late import dataclass


@dataclass(frozen=True, slots=True)
class Send:
    """Queue one frame for each of these members; answered by a Sent for each once it left the queue."""

    members: tuple[int, ...]
    frame: bytes | str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection after what is queued for it. The engine has forgotten the member already."""

    member: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """The member was let in (into another document, at some doors); send an Expelled when that ends."""

    member: int
    granted: Granted


@dataclass(frozen=True, slots=True)
class Pause:
    """Take no frames from the member until Unpause: it has to wait for something."""

    member: int


@dataclass(frozen=True, slots=True)
class Unpause:
    member: int


@dataclass(frozen=True, slots=True)
class FlushSoon:
    """Send a Flush once the events at hand have been handled, so that what they cause goes out as one."""


@dataclass(frozen=True, slots=True)
class OpenRoom:
    room: str
    epoch: str


@dataclass(frozen=True, slots=True)
class ReadLog:
    """The next page of durable rows for a member."""

    member: int
    room: str
    after: int
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class CompareDocuments:
    """Compare durable documents with a member's state vectors: as many, in order, as fill one frame."""

    member: int
    room: str
    documents: tuple[tuple[DocumentId, bytes], ...]


@dataclass(frozen=True, slots=True)
class LoadDocuments:
    """Read whole documents, for a desk; answered by DocumentsLoaded or LoadFailed."""

    desk: int
    room: str
    documents: tuple[DocumentId, ...]


@dataclass(frozen=True, slots=True)
class FindDocuments:
    """Which of these documents the room has."""

    member: int
    room: str
    documents: frozenset[DocumentId]


@dataclass(frozen=True, slots=True)
class CheckUpdates:
    """Check updates that are too large to be checked by the engine itself.

    ``channel``: of a Yjs client, which wants to know what its one update holds; 0 for a replica.
    """

    member: int
    updates: tuple[tuple[DocumentId, bytes], ...]
    channel: int = 0


@dataclass(frozen=True, slots=True)
class Append:
    """Write rows of any rooms in one durable transaction; there is never more than one at a time."""

    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Compact:
    """Replace the rows of a document up to ``through`` by its state; never more than one at a time."""

    room: str
    document: DocumentId
    through: int


@dataclass(frozen=True, slots=True)
class RememberOpened:
    """Remember over a restart of the hub that the text was opened at the path."""

    room: str
    path: str
    document: DocumentId


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person may want to know: ``kind`` is one word, ``room`` may be empty."""

    kind: str
    room: str
    message: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The answer to Stop: everything taken is durable or has failed, every member has been told."""


Request: TypeAlias = (
    OpenRoom
    | ReadLog
    | CompareDocuments
    | LoadDocuments
    | FindDocuments
    | CheckUpdates
    | Append
    | Compact
    | RememberOpened
)
"""What others answer, each by an event: the work of the store, and what is heavy of Yjs."""

Effect: TypeAlias = Send | Close | Admitted | Pause | Unpause | FlushSoon | Request | Notice | Stopped
