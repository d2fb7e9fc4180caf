"""The replica's side of one connection to the hub: greeting, catching up, comparing, acknowledging.

Knows which documents the hub may lack and how far the log was read; leaves to its ``Listener`` what an
update means.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import field
from enum import Enum, auto
from typing import assert_never

from crdtsync.core.replica.listener import Listener
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.text.statevector import covers
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import TREE, DocumentId
from crdtsync.core.values.late import dataclass
from crdtsync.core.wire.codec import decode_from_hub, encode_from_replica
from crdtsync.core.wire.control import (
    Cursor,
    Hello,
    Left,
    Presence,
    Refused,
    TextCursors,
    Welcome,
    decode_control,
    encode_control,
    type_of,
)
from crdtsync.core.wire.messages import (
    PROTOCOL_VERSION,
    Accepted,
    Ack,
    CaughtUp,
    Committed,
    Compare,
    Differ,
    FromHub,
    Probe,
    Probed,
    Push,
    Relay,
)
from crdtsync.errors import PeerError

ANSWERS_PER_EVENT = 128
"""Each is a document to load: a few milliseconds for all of them."""


class Phase(Enum):
    """Where the session stands; each frame is legal in some of them only."""

    AWAY = auto()
    GREETING = auto()
    CATCHING_UP = auto()
    LIVE = auto()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this replica is to the hub. ``read_only`` by its own choice; the hub may say so too."""

    room: str
    replica: str
    name: str
    token: str | None = field(repr=False)
    read_only: bool = False


class HubSession:
    """States, batches and cursors; the frames go out through the outbox."""

    def __init__(
        self,
        identity: Identity,
        listener: Listener,
        out: Outbox,
        cursor: Cursor | None,
        dirty: Iterable[DocumentId],
        ahead: str = "",
    ) -> None:
        """``ahead``: as this said last, before we ended."""
        self._identity = identity
        self._listener = listener
        self._out = out
        self.phase = Phase.AWAY
        self.cursor = cursor
        self.ahead = ahead
        """Since this epoch we may have more of the log than the cursor tells; "" if we have not. A hub that
        is restored may honour the cursor and lack all that."""
        self.peers: dict[int, Presence] = {}
        self.dirty: set[DocumentId] = set(dirty)
        """Documents of which the hub may lack something, as far as we know."""
        self.read_only = identity.read_only
        """As of the last welcome: nothing is pushed."""
        self.held: dict[DocumentId, bool] = {}
        """Documents not pushed for that reason; True: the hub lacks text, not only deletions, maybe."""
        self._epoch = ""
        self._reseed = False
        self._comparing: set[DocumentId] = set()
        self._queued: list[tuple[DocumentId, bytes]] = []
        self._queued_documents: set[DocumentId] = set()
        self._answers: deque[tuple[DocumentId, bytes]] = deque()
        """The hub's state vectors: each leads to a push, once that is legal and the hub keeps up."""
        self._reached = 0
        """How far the log was read; a cursor says so only once nothing waits to be pushed as an answer."""
        self._batch = 0
        self._unacked: dict[int, tuple[DocumentId, ...]] = {}
        self._in_flight: dict[int, int] = {}
        self._updates: dict[int, tuple[tuple[DocumentId, bytes], ...]] = {}
        """Of each batch that is on its way, or placed and not stored."""
        self._last_batch: dict[DocumentId, int] = {}
        self._tentative: dict[DocumentId, int] = {}

    @property
    def live(self) -> bool:
        return self.phase is Phase.LIVE

    @property
    def unsent(self) -> int:
        """Documents of which the hub has not acknowledged everything."""
        return len(self.dirty) - len(self.held)

    @property
    def congested(self) -> bool:
        """Whether so much is unacknowledged that nothing more should be read to be sent."""
        return sum(self._in_flight.values()) > limits.IN_FLIGHT_MAX_BYTES

    @property
    def eager(self) -> bool:
        """Whether ``advance`` has something to do now."""
        return self.live and bool(self._answers) and not self.congested

    def compares(self, document: DocumentId) -> bool:
        """Whether the hub has yet to be given what it lacks of a document."""
        return document in self._comparing

    def connected(self) -> None:
        """Greet: who we are, which room, and how far its log was read."""
        self.phase = Phase.GREETING
        identity = self._identity
        self._out.send(
            encode_control(
                Hello(
                    room=identity.room,
                    replica=identity.replica,
                    name=identity.name,
                    token=identity.token,
                    read_only=identity.read_only,
                    cursor=self.cursor,
                )
            )
        )

    def disconnected(self) -> None:
        """Forget the connection. What was not acknowledged stays dirty, and is compared next time."""
        self.phase = Phase.AWAY
        self.held.clear()
        self.peers.clear()
        self._comparing.clear()
        self._queued.clear()
        self._queued_documents.clear()
        self._answers.clear()
        self._unacked.clear()
        self._in_flight.clear()
        self._updates.clear()
        self._last_batch.clear()
        self._tentative.clear()
        self._listener.on_away()

    def push(self, document: DocumentId, update: bytes) -> None:
        """Send an update of our own, now if the session is live, else with the next comparison."""
        self.dirty.add(document)
        if self.read_only:
            self.held[document] = True
        elif self.live and document not in self._comparing:
            self._queued.append((document, update))
            self._queued_documents.add(document)

    def advance(self, tired: Callable[[], bool] = lambda: False) -> None:
        """Push what the hub lacks of some of the documents that it answered for: a hub that lost everything
        gets it at its own pace, and other events are heard in between. ``tired``: whether to go on with that
        in the next event. Raises PeerError."""
        size_bytes = 0
        for _ in range(ANSWERS_PER_EVENT):
            if not self.eager or size_bytes > limits.FRAME_BATCH_BYTES or tired():
                break
            document, state_vector = self._answers.popleft()
            size_bytes += self._push_difference(document, state_vector)
        self._move_cursor()

    def flush(self) -> list[DocumentId]:
        """Send what was queued, cut into batches; returns the documents that are now on their way."""
        sent = [document for document, _ in self._queued]
        batch: list[tuple[DocumentId, bytes]] = []
        size_bytes = 0
        for document, update in self._queued:
            if batch and (
                size_bytes + len(update) > limits.FRAME_BATCH_BYTES
                or len(batch) == limits.DOCUMENTS_PER_BATCH_MAX
            ):
                self._send_batch(batch)
                batch, size_bytes = [], 0
            batch.append((document, update))
            size_bytes += len(update)
        if batch:
            self._send_batch(batch)
        self._queued.clear()
        self._queued_documents.clear()
        return sent

    def probe(self, number: int) -> None:
        self._out.send(encode_from_replica(Probe(number)))

    def announce(
        self, editing: tuple[str, ...], wanted: tuple[Digest, ...], cursors: tuple[TextCursors, ...]
    ) -> None:
        if self.live:
            presence = Presence(name=self._identity.name, editing=editing, wanted=wanted, cursors=cursors)
            self._out.send(encode_control(presence))

    def text_frame(self, frame: str) -> None:
        """Raises PeerError."""
        message = decode_control(frame)
        match message:
            case Refused():
                self._listener.on_refused(message)
            case Welcome() if self.phase is Phase.GREETING:
                self._welcome(message)
            case Presence() if self.phase in (Phase.CATCHING_UP, Phase.LIVE):
                if message.member in self.peers or len(self.peers) < limits.MEMBERS_PER_ROOM_MAX:
                    self.peers[message.member] = message
                    self._listener.on_presence(message)
                    self._listener.on_wanted(map(Digest, message.wanted))
            case Left():
                self.peers.pop(message.member, None)
                self._listener.on_left(message.member)
            case _:
                raise PeerError(f"the hub sent {type_of(message)!r} while {self.phase.name.lower()}")

    def binary_frame(self, frame: bytes) -> None:
        """Raises PeerError."""
        message = decode_from_hub(frame)
        if self.phase not in (Phase.CATCHING_UP, Phase.LIVE):
            raise PeerError(f"the hub sent {type(message).__name__} while {self.phase.name.lower()}")
        self._take(message)

    def _take(self, message: FromHub) -> None:
        match message:
            case Relay(entries):
                live = self.live
                if not live:
                    self.ahead = self.ahead or self._epoch
                for entry in entries:
                    if live:
                        self._tentative[entry.document] = entry.sequence
                        self.dirty.add(entry.document)
                    self._listener.on_update(entry.document, entry.update, entry.at_ms, live)
                self._listener.on_heard()
            case Accepted(batch, _):
                self._listener.on_accepted(self._updates.get(batch, ()))
            case Ack(batch, sequence):
                self._in_flight.pop(batch, None)
                self._listener.on_stored(self._updates.pop(batch, ()))
                for document in self._unacked.pop(batch, ()):
                    if self._last_batch.get(document) == batch:
                        del self._last_batch[document]
                        self._settle(document)
                self._committed(sequence)
            case Committed(sequence):
                self._committed(sequence)
            case Differ(documents):
                for difference in documents:
                    if difference.update:
                        self.ahead = self.ahead or self._epoch
                        self._listener.on_update(difference.document, difference.update, 0, False)
                        self._listener.on_heard()
                    self._answer(difference.document, difference.state_vector)
            case CaughtUp(sequence):
                self._caught_up(sequence)
            case Probed(number, _):
                self._listener.on_probed(number)
            case _:
                assert_never(message)

    def _welcome(self, welcome: Welcome) -> None:
        if welcome.version != PROTOCOL_VERSION:
            self._listener.on_refused(
                Refused(
                    code="version",
                    message=f"The hub speaks protocol {welcome.version}, and this crdtsync protocol "
                    f"{PROTOCOL_VERSION}: install the same release on both",
                )
            )
            return
        self.phase = Phase.CATCHING_UP
        self._epoch = welcome.epoch
        if welcome.resume and self.cursor is None:
            # Without any, a hub restored since then would seem to be one we never told anything.
            self.cursor = Cursor(epoch=welcome.epoch, sequence=0)
        self.read_only = welcome.read_only or self._identity.read_only
        self._reseed = not welcome.resume or self.ahead not in ("", welcome.epoch)
        if not self._reseed:
            return
        vectors = self._listener.state_vectors()
        if welcome.resume:
            self.dirty.update(vectors)  # to be compared after what the log has behind the cursor
        else:
            self._listener.on_unresumed()
            self._comparing = set(vectors)
            self._compare(list(vectors.items()), ends=True)

    def _caught_up(self, sequence: int) -> None:
        if self.phase is not Phase.CATCHING_UP:
            raise PeerError("the hub said twice that this replica has caught up")
        self.phase = Phase.LIVE
        self._reached = sequence
        waiting = sorted(self.dirty - self._comparing, key=_tree_last)
        self._comparing |= set(waiting)
        self._move_cursor()
        self._compare([(document, self._listener.state_vector(document)) for document in waiting], ends=False)
        self.dirty.update(document for document, _ in self._answers)
        self._listener.on_caught_up(self._reseed)

    def _answer(self, document: DocumentId, state_vector: bytes) -> None:
        """The hub's state vector of one document: ``advance`` will send what it lacks."""
        self._answers.append((document, state_vector))
        if self.live:
            self.dirty.add(document)

    def _push_difference(self, document: DocumentId, state_vector: bytes) -> int:
        """Returns how many bytes are to be sent."""
        self._comparing.discard(document)
        try:
            update = self._listener.difference(document, state_vector)
        except ValueError as error:
            raise PeerError(f"the hub sent a state vector that cannot be read: {error}") from None
        if update:
            self.push(document, update)
            if document in self.held:
                self.held[document] = not covers(state_vector, self._listener.state_vector(document))
        else:
            self.held.pop(document, None)
            self._settle(document)
        return len(update)

    def _move_cursor(self) -> None:
        """A cursor that hides what is still to be pushed would leave the hub without it after a reconnect."""
        if not self.live or self._answers:
            return
        if self.cursor is None or (self.cursor.epoch, self.cursor.sequence) != (self._epoch, self._reached):
            self.cursor = Cursor(epoch=self._epoch, sequence=self._reached)
        if not self._comparing:
            self.ahead = ""

    def _compare(self, vectors: list[tuple[DocumentId, bytes]], *, ends: bool) -> None:
        step = limits.DOCUMENTS_PER_BATCH_MAX
        batches = [tuple(vectors[at : at + step]) for at in range(0, len(vectors), step)]
        for index, batch in enumerate(batches):
            last = ends and index == len(batches) - 1
            self._out.send(encode_from_replica(Compare(last, batch)))

    def _send_batch(self, updates: list[tuple[DocumentId, bytes]]) -> None:
        self._batch += 1
        documents = tuple(dict.fromkeys(document for document, _ in updates))
        self._unacked[self._batch] = documents
        self._in_flight[self._batch] = sum(len(update) for _, update in updates)
        self._updates[self._batch] = tuple(updates)
        for document in documents:
            self._last_batch[document] = self._batch
        self._out.send(encode_from_replica(Push(self._batch, tuple(updates))))

    def _committed(self, sequence: int) -> None:
        """The log up to here is durable: what was relayed up to here need not be seeded by us."""
        if self.live and sequence > self._reached:
            self._reached = sequence
            self._move_cursor()
        for document in [d for d, at in self._tentative.items() if at <= sequence]:
            del self._tentative[document]
            self._settle(document)

    def _settle(self, document: DocumentId) -> None:
        waits = (self._tentative, self._last_batch, self._comparing, self._queued_documents, self.held)
        if document in self.dirty and not any(document in each for each in waits):
            self.dirty.discard(document)
            self._listener.on_clean(document)


def _tree_last(document: DocumentId) -> tuple[bool, DocumentId]:
    """Documents before the tree that names them, so that nobody sees a file without its text."""
    return document == TREE, document
