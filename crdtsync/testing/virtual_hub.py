"""A hub without sockets or threads: the real engine over a store in memory, with commits that take time.

It can be killed (what was not committed is gone), restored from an older copy, or lose its data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TypeAlias, assert_never

from crdtsync.core.hub import bounds
from crdtsync.core.hub import effects as ef
from crdtsync.core.hub import events as ev
from crdtsync.core.hub.answering import compared, failed, loaded
from crdtsync.core.hub.documents import checked, compact
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.hub.shared import Counts
from crdtsync.core.hub.store import StoreFailed
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.testing.clock import Clock, Timer, Trace
from crdtsync.testing.memory_hub_store import MemoryHubStore

Blobs: TypeAlias = dict[tuple[str, Digest], bytes]
"""By their rooms and digests."""


@dataclass(slots=True)
class Line:
    """The hub's end of one connection. ``deliver`` and ``ended`` reach the other end."""

    deliver: Callable[[bytes | str], None]
    ended: Callable[[str], None]
    door: ev.YjsDoor | ev.HocuspocusDoor | None = None
    close_code: int = 0
    """Of the hub's close frame; 0 before that, or if there was none."""
    bytes_per_s: Callable[[], float | None] = lambda: None
    """How fast the other end reads just now; None: at once."""
    free_s: float = 0.0
    """When all that was sent has been read."""
    paused: bool = False
    waiting: deque[bytes | str] = field(default_factory=deque)
    dropped: bool = False
    """Nothing that waits for the other end to read is sent any more."""


class VirtualHub:
    def __init__(self, clock: Clock, rng: Random, trace: Trace) -> None:
        self._clock = clock
        self._rng = rng
        self._trace = trace
        self.store = MemoryHubStore()
        self.blobs: Blobs = {}
        self._lost: Blobs = {}
        """Those that it had before it was restored."""
        self.pieces: dict[tuple[str, Digest], set[Digest]] = {}
        """What has come of blobs that are not whole yet."""
        self.restored = False
        """Whether it ever went on with an older copy."""
        self.ahead_s = 0.0
        """How far its clock is ahead of the others; it may jump."""
        self.commit_s = 0.002
        self.updates = 0
        self._life = 0
        self._member = 0
        self._unnoticed: set[int] = set()
        self._lines: dict[int, Line] = {}
        self._engine: HubEngine | None = None
        self._timer: Timer | None = None
        self._flush_soon = False
        self._writer_free_s = 0.0

    @property
    def up(self) -> bool:
        return self._engine is not None

    @property
    def counts(self) -> Counts:
        """Of this life. Only while it is up."""
        assert self._engine is not None
        return self._engine.counts

    @property
    def drained(self) -> bool:
        """Whether everyone has read what was sent."""
        return all(line.free_s <= self._clock.now_s for line in self._lines.values())

    @property
    def half_open(self) -> bool:
        """Whether it takes a connection for open whose other end is gone."""
        return not self._unnoticed.isdisjoint(self._lines)

    def start(self) -> None:
        self._life += 1
        self._engine = HubEngine(self._rng.randbytes(8).hex(), self._rng)
        self._trace.note("hub", "starts")

    def kill(self) -> None:
        """What was not committed is gone; so is every connection."""
        self._engine = None
        self._life += 1
        self._flush_soon = False
        lines, self._lines = self._lines, {}
        self._trace.note("hub", "is killed")
        for line in lines.values():
            line.dropped = True
            line.ended("the hub was killed")

    def blob_once(self, room: str, digest: Digest) -> bytes:
        """What it has of that name, or had: programs that saw the name may still speak of it."""
        return self.blobs.get((room, digest)) or self._lost.get((room, digest), b"")

    def blobs_of(self, room: str) -> dict[Digest, bytes]:
        return {digest: data for (name, digest), data in self.blobs.items() if name == room}

    def backup(self) -> tuple[MemoryHubStore, Blobs]:
        return self.store.copy(), dict(self.blobs)

    def restore(self, backup: tuple[MemoryHubStore, Blobs]) -> None:
        """While it is down: go on with an older copy."""
        self._lost |= self.blobs
        self.store, self.blobs = backup[0].copy(), dict(backup[1])
        self.pieces.clear()
        self.restored = True

    # -- the network's side -----------------------------------------------------------------------------

    def connect(self, line: Line) -> int:
        """A new connection; the number by which the network speaks of it."""
        self._member += 1
        self._lines[self._member] = line
        self._handle(ev.Connected(self._member, door=line.door))
        return self._member

    def take(self, member: int, frame: bytes | str) -> None:
        line = self._lines.get(member)
        if line is None:
            return
        if line.paused or line.waiting:
            line.waiting.append(frame)
        else:
            self._frame(member, frame)

    def loses(self, member: int) -> None:
        """The other end is gone, of which nothing is noticed before ``hang_up``."""
        self._unnoticed.add(member)

    def hang_up(self, member: int) -> None:
        """The connection broke."""
        if (line := self._lines.pop(member, None)) is not None:
            line.dropped = True
            self._handle(ev.Closed(member))

    def _frame(self, member: int, frame: bytes | str) -> None:
        if isinstance(frame, str):
            self._handle(ev.TextFrame(member, frame))
        else:
            self._handle(ev.BinaryFrame(member, frame, int((self._clock.now_s + self.ahead_s) * 1000)))

    def _drain(self, member: int) -> None:
        line = self._lines.get(member)
        while line is not None and line.waiting and not line.paused:
            self._frame(member, line.waiting.popleft())

    # -- the engine -------------------------------------------------------------------------------------

    def _handle(self, event: ev.Event) -> None:
        if self._engine is None:
            return
        self._trace.note("hub", type(event).__name__)
        for effect in self._engine.handle(event, self._clock.now_s):
            self._carry_out(effect)
        self._set_timer()

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do it unless this life of the hub has ended by then."""
        life = self._life
        self._clock.after(delay_s, lambda: action() if life == self._life else None)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = None if self._engine is None else self._engine.deadline
        if deadline is not None:
            life = self._life
            self._timer = self._clock.after(
                deadline - self._clock.now_s + 1e-6,
                lambda: self._handle(ev.Tick()) if life == self._life else None,
            )

    def _carry_out(self, effect: ef.Effect) -> None:
        match effect:
            case ef.Send(members, frame):
                self._send(members, frame)
            case ef.FlushSoon():
                self._flush_soon = True
                self._later(0.0, self._flush)
            case ef.Pause(member):
                if member in self._lines:
                    self._lines[member].paused = True
            case ef.Unpause(member):
                if member in self._lines:
                    self._lines[member].paused = False
                    self._later(0.0, lambda: self._drain(member))
            case ef.Close(member, code, reason):
                line = self._lines.pop(member, None)
                if line is not None:
                    line.close_code = code
                    self._end(line, reason)
            case ef.Append(rows):
                self.updates += len(rows)
                self._later(self._commit_delay_s(), lambda: self._answer(effect))
            case ef.OpenRoom() | ef.Compact() | ef.RememberOpened():
                self._later(self._commit_delay_s(), lambda: self._answer(effect))
            case (
                ef.ReadLog()
                | ef.CompareDocuments()
                | ef.LoadDocuments()
                | ef.FindDocuments()
                | ef.CheckUpdates()
            ):
                self._later(self._rng.uniform(0, 0.002), lambda: self._answer(effect))
            case ef.Admitted() | ef.Notice() | ef.Stopped():
                pass
            case _:
                assert_never(effect)

    def _flush(self) -> None:
        if self._flush_soon:
            self._flush_soon = False
            self._handle(ev.Flush())

    def _send(self, members: tuple[int, ...], frame: bytes | str) -> None:
        at_once = []
        for member in members:
            line = self._lines.get(member)
            if line is None:
                continue
            rate = line.bytes_per_s()
            if rate is None and line.free_s <= self._clock.now_s:
                line.deliver(frame)
                at_once.append(member)
            else:
                line.free_s = max(line.free_s, self._clock.now_s) + (len(frame) / rate if rate else 1e-6)
                self._later(line.free_s - self._clock.now_s, partial(self._read, member, line, frame))
        if at_once:
            present = tuple(at_once)
            self._later(self._rng.uniform(0, 0.001), lambda: self._handle(ev.Sent(present, len(frame))))

    def _read(self, member: int, line: Line, frame: bytes | str) -> None:
        """A slow reader takes a frame off."""
        if not line.dropped:
            line.deliver(frame)
            self._handle(ev.Sent((member,), len(frame)))

    def _end(self, line: Line, reason: str) -> None:
        """After all that was sent has been read, whether the hub lives as long or not."""
        if line.free_s <= self._clock.now_s:
            line.ended(reason)
        else:
            self._clock.after(line.free_s - self._clock.now_s, lambda: line.ended(reason))

    def _commit_delay_s(self) -> float:
        """One thread writes: commits end in the order in which they were asked for."""
        begins_s = max(self._clock.now_s, self._writer_free_s)
        self._writer_free_s = begins_s + self._rng.uniform(0.5, 1.5) * self.commit_s
        return self._writer_free_s - self._clock.now_s

    def _answer(self, request: ef.Request) -> None:
        try:
            event = self._work(request)
        except StoreFailed as error:
            event = failed(request, str(error))
        if event is not None:
            self._handle(event)

    def _work(self, request: ef.Request) -> ev.Event | None:
        store = self.store
        match request:
            case ef.OpenRoom(room, epoch):
                record = store.open_room(room, epoch, limits.ROOMS_PER_HUB_MAX, bounds.EPOCHS_KEPT)
                return ev.RoomOpened(room, record)
            case ef.Append(rows):
                return ev.Appended(store.append(rows))
            case ef.ReadLog(member, room, after, wanted):
                page = store.read_log(
                    room, after, wanted, limits.FRAME_BATCH_BYTES, limits.DOCUMENTS_PER_BATCH_MAX
                )
                return ev.LogRead(member, page)
            case ef.CompareDocuments():
                return compared(store, request)
            case ef.LoadDocuments():
                return loaded(store, request)
            case ef.FindDocuments(member, room, documents):
                return ev.DocumentsFound(member, store.known(room, documents))
            case ef.CheckUpdates():
                return checked(request)
            case ef.Compact(room, document, through):
                compaction = compact(
                    document, store.read_document(room, document, through), store.whole(room, document)
                )
                if compaction is None:
                    return ev.Compacted(room, document, None)
                size = store.replace(room, document, compaction.sequences, compaction.entry)
                return ev.Compacted(room, document, size)
            case ef.RememberOpened(room, path, document):
                store.remember_opened([(room, path, document)], bounds.OPENED_PER_ROOM_MAX)
                return None
            case _:
                assert_never(request)
