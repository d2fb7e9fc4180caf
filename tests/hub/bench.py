"""Drives a hub's engine without a socket, a thread or a clock; requests are answered when a test says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from random import Random
from typing import TypeVar

from crdtsync.core.hub import bounds
from crdtsync.core.hub.answering import loaded
from crdtsync.core.hub.documents import checked, compact, compare
from crdtsync.core.hub.effects import (
    Admitted,
    Append,
    CheckUpdates,
    Close,
    Compact,
    CompareDocuments,
    Effect,
    FindDocuments,
    FlushSoon,
    LoadDocuments,
    Notice,
    OpenRoom,
    Pause,
    ReadLog,
    RememberOpened,
    Send,
    Stopped,
    Unpause,
)
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.hub.events import (
    Ahead,
    Appended,
    AppendFailed,
    BinaryFrame,
    Closed,
    Compacted,
    Compared,
    Connected,
    DocumentsFound,
    Event,
    Flush,
    LogRead,
    RoomFailed,
    RoomOpened,
    Sent,
    Stop,
    TextFrame,
    Tick,
)
from crdtsync.core.hub.store import HubStore, StoreFailed
from crdtsync.core.values import limits
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.codec import decode_from_hub, encode_from_replica
from crdtsync.core.wire.control import (
    Cursor,
    Hello,
    Presence,
    Refused,
    Welcome,
    decode_control,
    encode_control,
)
from crdtsync.core.wire.messages import Difference, FromHub, FromReplica, LogEntry, Probe, Push, Relay
from crdtsync.testing.memory_hub_store import MemoryHubStore

Request = (
    OpenRoom | ReadLog | CompareDocuments | LoadDocuments | FindDocuments | CheckUpdates | Append | Compact
)
M = TypeVar("M")
AT_MS = 1_700_000_000_000


class Replica:
    """One member's end: what it was sent, decoded. ``reads`` False: nothing leaves its outgoing queue."""

    def __init__(self, bench: Bench, number: int) -> None:
        self.bench = bench
        self.number = number
        self.reads = True
        self.paused = False
        self.closed: Close | None = None
        self.got: list[object] = []
        self.waiting: deque[bytes | str] = deque()
        self.max_waiting = 0
        self._batch = 0

    def hello(
        self, room: str = "notes", cursor: Cursor | None = None, name: str = "", read_only: bool = False
    ) -> Replica:
        self.text(Hello(room=room, replica=f"r{self.number}", name=name, cursor=cursor, read_only=read_only))
        return self

    def text(self, message: Hello | Presence) -> None:
        self.bench.do(TextFrame(self.number, encode_control(message)))

    def send(self, message: FromReplica) -> None:
        assert not self.paused, "no frame is taken from a paused member"
        self.bench.do(BinaryFrame(self.number, encode_from_replica(message), AT_MS))

    def push(self, *updates: tuple[DocumentId, bytes]) -> int:
        self._batch += 1
        self.send(Push(self._batch, updates))
        return self._batch

    def probe(self, number: int) -> None:
        self.send(Probe(number))

    def is_paused(self) -> bool:
        """Whether the hub takes nothing from it for now."""
        return self.paused

    @property
    def may_speak(self) -> bool:
        """Whether it has something to say that it could not say before."""
        return False

    def speak(self) -> None:
        """Say it."""

    def is_closed(self) -> bool:
        return self.closed is not None

    def leave(self) -> None:
        self.bench.do(Closed(self.number))

    def read(self) -> None:
        """Take everything that waits, and whatever comes after, until ``reads`` is False again."""
        self.reads = True
        while self.waiting:
            self.take_one()
            self.bench.settle()

    def take_one(self) -> None:
        frame = self.waiting.popleft()
        self.got.append(decode_control(frame) if isinstance(frame, str) else decode_from_hub(frame))
        self.bench.do(Sent((self.number,), len(frame)))

    @property
    def waiting_size(self) -> int:
        return sum(map(len, self.waiting))

    def all(self, kind: type[M]) -> list[M]:
        return [message for message in self.got if isinstance(message, kind)]

    def one(self, kind: type[M]) -> M:
        (found,) = self.all(kind)
        return found

    @property
    def entries(self) -> list[LogEntry]:
        return [entry for relay in self.all(Relay) for entry in relay.entries]

    @property
    def updates(self) -> list[bytes]:
        return [entry.update for entry in self.entries]

    @property
    def refused(self) -> Refused:
        return self.one(Refused)

    @property
    def welcome(self) -> Welcome:
        return self.one(Welcome)

    @property
    def binary(self) -> list[FromHub]:
        kinds = (Welcome, Refused, Presence)
        return [message for message in self.got if not isinstance(message, kinds)]  # type: ignore[misc]


class Bench:
    """One engine over one store. ``hold`` names the requests that stay unanswered until ``release``."""

    def __init__(self, store: HubStore | None = None, epoch: str = "e1") -> None:
        self.store = store or MemoryHubStore()
        self.engine = HubEngine(epoch, Random(epoch))
        self.now = 1000.0
        self.replicas: dict[int, Replica] = {}
        self.requests: deque[Request] = deque()
        self.held: deque[Request] = deque()
        self.hold: set[type[Request]] = set()
        self.notices: list[Notice] = []
        self.admitted: list[Admitted] = []
        self.stopped = False
        self.flush_soon = False
        self.answered: list[Request] = []

    def connect(self) -> Replica:
        replica = Replica(self, len(self.replicas) + 1)
        self.replicas[replica.number] = replica
        self.do(Connected(replica.number))
        return replica

    def join(
        self, room: str = "notes", cursor: Cursor | None = None, name: str = "", read_only: bool = False
    ) -> Replica:
        replica = self.connect().hello(room, cursor, name, read_only)
        self.settle()
        return replica

    def do(self, event: Event) -> None:
        for effect in self.engine.handle(event, self.now):
            self._carry_out(effect)

    def hear(self, member: int, frame: bytes) -> None:
        """As the runtime does in a quiet moment."""
        self.do(Ahead(member, frame))
        self.do(BinaryFrame(member, frame, AT_MS))

    @property
    def memory(self) -> MemoryHubStore:
        assert isinstance(self.store, MemoryHubStore)
        return self.store

    def tick(self, seconds: float = 1.0) -> None:
        self.now += seconds
        self.do(Tick())
        self.settle()

    def stop(self) -> None:
        self.do(Stop())

    def flush(self) -> None:
        if self.flush_soon:
            self.flush_soon = False
            self.do(Flush())

    def settle(self) -> None:
        """Answer and flush until nothing more happens by itself."""
        while (
            self.requests
            or self.flush_soon
            or any((r.reads and r.waiting) or r.may_speak for r in self.replicas.values())
        ):
            self.flush()
            for replica in self.replicas.values():
                replica.speak()
            for replica in self.replicas.values():
                while replica.reads and replica.waiting:
                    replica.take_one()
            while self.requests:
                request = self.requests.popleft()
                if type(request) in self.hold:
                    self.held.append(request)
                else:
                    self.answer(request)

    def release(self) -> None:
        """Answer what was held, and hold nothing from now on."""
        self.hold.clear()
        self.requests.extendleft(reversed(self.held))
        self.held.clear()
        self.settle()

    def answer(self, request: Request) -> None:
        self.answered.append(request)
        self.do(answer(self.store, request))

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(members, frame):
                for member in members:
                    replica = self.replicas[member]
                    replica.waiting.append(frame)
                    replica.max_waiting = max(replica.max_waiting, replica.waiting_size)
            case Close(member):
                self.replicas[member].closed = effect
            case Pause(member):
                assert not self.replicas[member].paused
                self.replicas[member].paused = True
            case Unpause(member):
                assert self.replicas[member].paused
                self.replicas[member].paused = False
            case FlushSoon():
                self.flush_soon = True
            case Notice():
                self.notices.append(effect)
            case Admitted():
                self.admitted.append(effect)
            case Stopped():
                self.stopped = True
            case RememberOpened(room, path, document):
                self.store.remember_opened([(room, path, document)], bounds.OPENED_PER_ROOM_MAX)
            case _:
                self.requests.append(effect)


def answer(store: HubStore, request: Request) -> Event:
    """What the runtime's threads answer, one document at a time for a comparison."""
    match request:
        case OpenRoom(room, epoch):
            try:
                record = store.open_room(room, epoch, limits.ROOMS_PER_HUB_MAX, bounds.EPOCHS_KEPT)
            except StoreFailed as error:
                return RoomFailed(room, str(error))
            return RoomOpened(room, record)
        case ReadLog(member, room, after, wanted):
            page = store.read_log(
                room, after, wanted, limits.FRAME_BATCH_BYTES, limits.DOCUMENTS_PER_BATCH_MAX
            )
            return LogRead(member, page)
        case CompareDocuments(member, room, documents):
            document, state_vector = documents[0]
            try:
                whole = store.whole(room, document)
                found = compare(store.read_document(room, document, None), state_vector, whole)
            except ValueError as error:
                return Compared(member, (), frozenset(), str(error))
            difference = Difference(document, found.state_vector, found.update)
            return Compared(member, (difference,), frozenset() if found.complete else frozenset({document}))
        case LoadDocuments():
            return loaded(store, request)
        case FindDocuments(member, room, documents):
            return DocumentsFound(member, store.known(room, documents))
        case CheckUpdates():
            return checked(request)
        case Append(rows):
            try:
                return Appended(store.append(rows))
            except StoreFailed as error:
                return AppendFailed(str(error))
        case Compact(room, document, through):
            whole = store.whole(room, document)
            compaction = compact(document, store.read_document(room, document, through), whole)
            if compaction is None:
                return Compacted(room, document, None)
            return Compacted(
                room, document, store.replace(room, document, compaction.sequences, compaction.entry)
            )


def sequences(entries: Iterable[LogEntry]) -> list[int]:
    return [entry.sequence for entry in entries]
