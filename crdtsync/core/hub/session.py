"""A replica's session: which frame is due when, catching up, falling behind, acknowledging.

Catching up and reading slowly are one thing: a member is either live, and is given what the room gives, or it
reads the log from its position, page by page, as its outgoing queue has room. Documents are compared the
same way. The room's logic is in ``room``; encodings are in ``core.wire``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import assert_never

from crdtsync.core.hub import bounds
from crdtsync.core.hub.admission import Granted
from crdtsync.core.hub.batch import Batch, Rows, batches
from crdtsync.core.hub.effects import (
    CompareDocuments,
    Pause,
    ReadLog,
    Unpause,
)
from crdtsync.core.hub.events import Compared
from crdtsync.core.hub.outlet import Outlet, bounded
from crdtsync.core.hub.pushing import Pushing
from crdtsync.core.hub.receipts import Passage, Receipts
from crdtsync.core.hub.room import Room
from crdtsync.core.hub.shared import Refusal, Shared
from crdtsync.core.hub.states import DUE, READING, State
from crdtsync.core.hub.store import EVERYTHING, LogPage, Wanted
from crdtsync.core.values import limits
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.codec import decode_from_replica, encode_log_entry, encode_relay
from crdtsync.core.wire.control import (
    Hello,
    Left,
    Presence,
    Welcome,
    decode_control,
    encode_control,
    type_of,
)
from crdtsync.core.wire.messages import (
    PROTOCOL_VERSION,
    CaughtUp,
    Compare,
    Differ,
    Probe,
    Probed,
    Push,
)
from crdtsync.errors import PeerError


@dataclass(slots=True)
class Backlog:
    """Older rows that a member lacks although it is past them: some documents', up to ``until``."""

    at: int
    until: int
    wanted: Wanted


class ReplicaSession:
    """One replica in one room; a Listener of the room."""

    def __init__(self, number: int, hello: Hello, granted: Granted, shared: Shared) -> None:
        self.number = number
        self.hello = hello
        self._granted = granted
        self.waits_for_store = granted.read_only
        self._name = granted.name or hello.name
        self.state = State.OPENING
        self.position = 0
        """The member has been given every row up to here, but for its backlog."""
        self._outlet = Outlet(number, shared)
        self._receipts = Receipts(self._outlet)
        self._room: Room | None = None
        self._shared = shared
        self._backlog: Backlog | None = None
        self._asked = self._all_compared = self._paused = False
        self._compares: deque[tuple[DocumentId, bytes]] = deque()
        self._compared: set[DocumentId] = set()
        self._pushing = Pushing(number, granted.read_only, shared, self._take_in)
        self._probes: deque[tuple[int, int]] = deque()

    # -- from the engine ------------------------------------------------------------------------------

    def enter(self, room: Room, resume_after: int | None) -> None:
        """The room is loaded: welcome the member, and begin where its cursor stands, or with comparing."""
        self._room = room
        resume = resume_after is not None
        if resume_after is not None:
            self.state, self.position = State.CATCHING_UP, resume_after
            self._shared.counts.resumed += 1
        else:
            self.state, self.position = State.COMPARING, room.durable
            self._shared.counts.compared += 1
        self._outlet.send(
            encode_control(
                Welcome(
                    version=PROTOCOL_VERSION,
                    member=self.number,
                    epoch=room.epoch,
                    sequence=room.head,
                    resume=resume,
                    read_only=self._granted.read_only,
                )
            )
        )
        room.enter(self)
        if self._name:
            room.announce(Presence(member=self.number, name=self._name))
        self._go_on()

    def text(self, data: str) -> None:
        """Raises PeerError."""
        message = decode_control(data)
        if self._room is None or not isinstance(message, Presence):
            raise PeerError(f"a {type_of(message)!r} message is not due while {self.state}")
        own = replace(message, member=self.number, name=self._granted.name or message.name)
        self._room.announce(bounded(own))

    def binary(self, data: bytes, at_ms: int) -> None:
        """Raises PeerError and Refusal."""
        message = decode_from_replica(data)
        if self._room is None or type(message) not in DUE[self.state]:
            raise PeerError(f"a {type(message).__name__} frame is not due while {self.state}")
        match message:
            case Push():
                self._pushing.begin(message, at_ms, self._room)
                self.settle()
            case Compare(last, documents):
                self._compares.extend(documents)
                self._all_compared = self._all_compared or last
                self._go_on()
            case Probe(number):
                self._room.gather()
                self._probes.append((number, self._room.head))
                self._answer_probes()
                self.settle()
            case _:
                assert_never(message)

    def sent(self, size: int) -> None:
        """That much has left the outgoing queue."""
        self._outlet.sent(size)
        if self._outlet.committed_is_due and self._outlet.is_low:
            self._tell_committed()
        if self._paused or self.state is not State.LIVE or self._backlog or self._compares:
            self._go_on()

    def log_read(self, page: LogPage) -> None:
        """Give what was read of the log, and go on."""
        self._asked = False
        if self._backlog is not None:
            self._take_backlog(self._backlog, page)
        else:
            rows: Rows = [(entry.sequence, encode_log_entry(entry)) for entry in page.entries]
            self._give(self._receipts.passage(rows, page.through), page.through)
        if self._backlog is None:
            self._tell_committed()
        self._go_on()

    def compared(self, event: Compared) -> None:
        """Raises PeerError."""
        self._asked = False
        for difference in event.differences:
            self._compares.popleft()
            if self.state is State.COMPARING and difference.document not in event.incomplete:
                self._compared.add(difference.document)
        if event.differences:
            self._outlet.say(Differ(event.differences))
        if event.refused is not None:
            raise PeerError(event.refused)
        if len(self._compared) > (most := limits.DOCUMENTS_PER_ROOM_MAX):
            raise Refusal("limit", f"This replica has more than {most} documents in one room.")
        if event.incomplete and self.state is not State.COMPARING:
            self._read_again(event.incomplete)
        self._go_on()

    def checked(self, problem: str | None) -> None:
        """Raises PeerError and Refusal."""
        self._pushing.checked(problem, self._here())
        self.settle()

    def found(self, known: frozenset[DocumentId]) -> None:
        """Raises Refusal."""
        self._pushing.found(known)
        self.settle()

    def leave(self) -> None:
        """The connection is gone."""
        if self._room is not None:
            self._room.leave(self.number)

    # -- from the room --------------------------------------------------------------------------------

    def take(self, batch: Batch) -> bytes | None:
        """The frame that this member gets as others do; None: it got its own, or reads on from the log."""
        if self._receipts.unaccepted:
            passage = self._receipts.passage(batch.rows_for(self.number), batch.last)
            if self._outlet.has_room(passage.size):
                self._give(passage, batch.last)
            else:
                self._fall_behind()
            return None
        frame = batch.relay
        if not self._outlet.has_room(len(frame)):
            self._fall_behind()
            return None
        self._outlet.queued += len(frame)
        self.position = batch.last
        return frame

    def flushed(self) -> None:
        self._answer_probes()

    def stored(self) -> None:
        self._acknowledge()

    def tell_durable(self) -> bytes | None:
        """The frame that tells how far the log is durable; None: the member knows, or is told later."""
        durable = min(self._here().durable, self.position)
        if durable <= self._receipts.told_durable:
            return None
        frame = self._outlet.committed(durable)
        if frame is not None:
            self._receipts.told_durable = durable
        return frame

    def tell_presence(self, presence: Presence | Left) -> str | None:
        return self._outlet.presence(presence)

    # -- pushing --------------------------------------------------------------------------------------

    def _take_in(self, push: Push, at_ms: int) -> None:
        room = self._here()
        self._receipts.add(push.batch, room.add(self.number, push.updates, at_ms))
        room.awaiting_store[self.number] = self
        if self.position == room.head:
            self._give(self._receipts.passage([], self.position), self.position)
        else:
            self._acknowledge()

    def _acknowledge(self) -> None:
        room = self._here()
        self._receipts.acknowledge(room.durable, self.position)
        room.reads(self.number, self.position if self._receipts.unaccepted else None)
        if self._receipts.all_given:
            room.awaiting_store.pop(self.number, None)

    # -- reading --------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Ask for whatever comes next, one thing at a time, once the outgoing queue has room."""
        room = self._here()
        while not self._asked and self._outlet.is_low:
            if self._compares and self.state is not State.CATCHING_UP:
                step = tuple(self._compares)
                self._ask(CompareDocuments(self.number, room.name, step))
            elif self.state is State.COMPARING:
                if not self._all_compared:
                    break
                self.state = State.CATCHING_UP
                self._backlog = Backlog(0, self.position, Wanted(self._compared))
                self._compared = set()
            elif self._backlog is not None:
                self._ask(ReadLog(self.number, room.name, self._backlog.at, self._backlog.wanted))
            elif self.state in READING:
                if self.position < room.durable:
                    self._ask(ReadLog(self.number, room.name, self.position, EVERYTHING))
                elif not self._go_live(room):
                    break
            else:
                break
        self._answer_probes()
        self.settle()

    def _ask(self, effect: CompareDocuments | ReadLog) -> None:
        self._asked = True
        self._shared.add(effect)

    def _take_backlog(self, backlog: Backlog, page: LogPage) -> None:
        rows = [encode_log_entry(entry) for entry in page.entries if entry.sequence <= backlog.until]
        if rows:
            self._outlet.send(encode_relay(rows))
        backlog.at = page.through
        if backlog.at >= backlog.until:
            self._backlog = None
            self._receipts.told_durable = -1  # these rows bear older numbers than those told last: tell again

    def _read_again(self, documents: frozenset[DocumentId]) -> None:
        """Send all rows of documents that a comparison could not speak for."""
        wanted = set(documents)
        if self._backlog is not None:
            wanted.update(self._backlog.wanted.documents)
        self._backlog = Backlog(0, self.position, Wanted(wanted, only=True))

    def _give(self, passage: Passage, through: int) -> None:
        """Rows that follow the position, up to ``through``."""
        self._receipts.give(passage)
        self.position = max(self.position, through)
        self._acknowledge()

    def _go_live(self, room: Room) -> bool:
        """Everything durable has been given: give what is not, and join the live members if it all fits."""
        room.flush()
        if self.state is State.CATCHING_UP:
            self._receipts.told_durable = room.durable
            self._outlet.say(CaughtUp(room.durable))
            self.state = State.BEHIND
        ahead = [] if self.waits_for_store else room.tail_after(self.position)
        for batch in batches(ahead):
            passage = self._receipts.passage(batch.rows_for(self.number), batch.last)
            if not self._outlet.has_room(passage.size):
                return False
            self._give(passage, batch.last)
        self.state = State.LIVE
        room.live[self.number] = self
        self._tell_committed()
        return True

    def _fall_behind(self) -> None:
        """Its queue is full: it reads on from the log when it has caught up with that."""
        self.state = State.BEHIND
        self._here().live.pop(self.number, None)
        self._shared.counts.fell_behind += 1

    def _tell_committed(self) -> None:
        frame = self.tell_durable()
        if frame is not None:
            self._shared.send((self.number,), frame)

    def _answer_probes(self) -> None:
        room = self._here()
        if not self._probes:
            return
        if self.state is not State.COMPARING and self._backlog is None and not self._compares:
            while self._probes and self._probes[0][1] <= self.position:
                self._outlet.say(Probed(self._probes.popleft()[0], room.head))
        if self._probes:
            room.awaiting_flush[self.number] = self
        else:
            room.awaiting_flush.pop(self.number, None)

    # -- the incoming queue ---------------------------------------------------------------------------

    def settle(self) -> None:
        """Pause or unpause the member: it is not read from while something of it waits."""
        overloaded = self._shared.uncommitted_bytes > bounds.UNCOMMITTED_MAX_BYTES
        if overloaded:
            self._shared.held[self.number] = None
        pause = (
            overloaded
            or self.state is State.OPENING
            or self._pushing.is_waiting
            or bool(self._compares)
            or len(self._probes) > bounds.PROBES_MAX
            or self._outlet.is_over
        )
        if pause is not self._paused:
            self._paused = pause
            self._shared.add(Pause(self.number) if pause else Unpause(self.number))

    def _here(self) -> Room:
        assert self._room is not None
        return self._room
