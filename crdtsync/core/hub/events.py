"""Everything that can happen to a hub, as values: the only input of its engine besides ``now``."""

from __future__ import annotations

from typing import TypeAlias

from crdtsync.core.hub.admission import HERE, Peer
from crdtsync.core.hub.store import Appendix, LogPage, RoomRecord, Size
from crdtsync.core.text.update import UpdateShape
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.values.late import dataclass
from crdtsync.core.wire.messages import Difference


@dataclass(frozen=True, slots=True)
class YjsDoor:
    """A y-websocket client has connected; its address names the document."""

    room: str
    path: str
    token: str | None


@dataclass(frozen=True, slots=True)
class HocuspocusDoor:
    """A Hocuspocus client has connected; it will name documents in its frames."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection is open. ``member`` is a number that the runtime never uses again.

    ``door``: where a Yjs client came in; None for a replica.
    """

    member: int
    peer: Peer = HERE
    door: YjsDoor | HocuspocusDoor | None = None


@dataclass(frozen=True, slots=True)
class TextFrame:
    member: int
    data: str


@dataclass(frozen=True, slots=True)
class BinaryFrame:
    """``at_ms``: the hub's clock when it came, milliseconds since 1970."""

    member: int
    data: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """The next BinaryFrame: others are told now what is certain to become of it. Else nothing changes.

    May be left out. See docs/decisions/0026-told-ahead.md.
    """

    member: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is gone."""

    member: int


@dataclass(frozen=True, slots=True)
class Expelled:
    """What let the member in holds no more."""

    member: int
    reason: str


@dataclass(frozen=True, slots=True)
class Sent:
    """``size_bytes`` of frames have left the outgoing queue of each of these members."""

    members: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Flush:
    """The events that were at hand have been handled."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The time asked for by ``HubEngine.deadline`` has come."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish what was taken, tell everyone, and end with a Stopped."""


@dataclass(frozen=True, slots=True)
class RoomOpened:
    """``record`` None: the hub has as many rooms as it may."""

    room: str
    record: RoomRecord | None


@dataclass(frozen=True, slots=True)
class RoomFailed:
    room: str
    reason: str


@dataclass(frozen=True, slots=True)
class LogRead:
    member: int
    page: LogPage


@dataclass(frozen=True, slots=True)
class Compared:
    """Answers to the first documents of a CompareDocuments, in order.

    ``incomplete``: those of them whose difference cannot say all that the hub has; their rows must be sent.
    ``refused``: what is wrong with the state vector that follows the answered ones.
    """

    member: int
    differences: tuple[Difference, ...]
    incomplete: frozenset[DocumentId]
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentsFound:
    member: int
    documents: frozenset[DocumentId]


@dataclass(frozen=True, slots=True)
class DocumentsLoaded:
    """Each with updates that make it whole as far as it is durable; its state first, if it has one (a large
    tree: in slices).

    ``plain``: those of which the first update is known to hold characters of the text and nothing else.
    """

    desk: int
    documents: tuple[tuple[DocumentId, tuple[bytes, ...]], ...]
    plain: frozenset[DocumentId] = frozenset()


@dataclass(frozen=True, slots=True)
class LoadFailed:
    desk: int
    reason: str


@dataclass(frozen=True, slots=True)
class UpdatesChecked:
    """``problem``: what is wrong with one of them, naming its document; None: all are fit to be stored.

    ``shape``: what the update of a ``channel`` holds.
    """

    member: int
    problem: str | None
    channel: int = 0
    shape: UpdateShape | None = None


@dataclass(frozen=True, slots=True)
class ReadFailed:
    """A ReadLog, CompareDocuments or FindDocuments could not be answered."""

    member: int
    reason: str


@dataclass(frozen=True, slots=True)
class Appended:
    appendix: Appendix


@dataclass(frozen=True, slots=True)
class AppendFailed:
    reason: str


@dataclass(frozen=True, slots=True)
class Compacted:
    """``size`` is what the document takes now; None: it was left as it is."""

    room: str
    document: DocumentId
    size: Size | None
    problem: str | None = None


Event: TypeAlias = (
    Connected
    | TextFrame
    | BinaryFrame
    | Ahead
    | Closed
    | Expelled
    | Sent
    | Flush
    | Tick
    | Stop
    | RoomOpened
    | RoomFailed
    | LogRead
    | Compared
    | DocumentsFound
    | DocumentsLoaded
    | LoadFailed
    | UpdatesChecked
    | ReadFailed
    | Appended
    | AppendFailed
    | Compacted
)
