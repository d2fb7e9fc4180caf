"""The hub as one pure function of what happens to it: ``HubEngine.handle(event, now) -> effects``.

Knows connections, rooms being loaded, the one append under way and the timers. What a room does with updates
is in ``room``, what a replica may say in ``session``; to add another kind of member is to add a session.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from crdtsync.core.hub import bounds
from crdtsync.core.hub.admission import Admit, Asking, Denied, Peer, everyone
from crdtsync.core.hub.compaction import Compacting
from crdtsync.core.hub.doors.front import Doors
from crdtsync.core.hub.effects import (
    Admitted,
    Append,
    Close,
    Effect,
    FlushSoon,
    Notice,
    OpenRoom,
    Stopped,
)
from crdtsync.core.hub.epochs import resume_after
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
    DocumentsLoaded,
    Event,
    Expelled,
    Flush,
    LoadFailed,
    LogRead,
    ReadFailed,
    RoomFailed,
    RoomOpened,
    Sent,
    Stop,
    TextFrame,
    Tick,
    UpdatesChecked,
)
from crdtsync.core.hub.greeting import read_hello
from crdtsync.core.hub.lobby import Lobby
from crdtsync.core.hub.room import Room
from crdtsync.core.hub.session import ReplicaSession
from crdtsync.core.hub.shared import CLOSE_CODES, Counts, Refusal, RefusalCode, Shared
from crdtsync.core.hub.store import Appendix, RoomRecord
from crdtsync.core.values import limits
from crdtsync.core.values.ids import Randomness, printable
from crdtsync.core.wire.control import Refused, encode_control
from crdtsync.errors import PeerError

TRY_AGAIN = 1013


class HubEngine:
    """All rooms of one hub process. ``epoch`` is random, new in each; ``now`` is monotonic, in seconds."""

    def __init__(
        self,
        epoch: str,
        rng: Randomness,
        counts: Counts | None = None,
        admit: Admit = everyone,
    ) -> None:
        self.epoch = epoch
        self._admit = admit
        self.counts = counts or Counts()
        self._shared = Shared(self.counts)
        self._lobby = Lobby()
        self._sessions: dict[int, ReplicaSession] = {}
        self._doors = Doors(self._shared, admit, rng, self._find_room)
        self._opening: dict[str, list[ReplicaSession]] = {}
        self._rooms: dict[str, Room] = {}
        self._appending: dict[str, int] | None = None
        """The rooms of the append under way, with the last sequence of each in it."""
        self._store_trouble = ""
        """Why the last append failed; a store that stays full or broken is told of once."""
        self._compacting = Compacting(self._shared, self._rooms)
        self._telling: dict[str, float] = {}
        """Rooms with news that must wait, and until when."""
        self._flush_asked = self._stopping = self._stopped = False

    @property
    def rooms(self) -> int:
        return len(self._rooms)

    @property
    def members(self) -> int:
        return len(self._sessions) + len(self._doors)

    @property
    def uncommitted_bytes(self) -> int:
        return self._shared.uncommitted_bytes

    @property
    def deadline(self) -> float | None:
        """When a Tick is due, on the clock of ``now``."""
        times = [*self._telling.values(), self._lobby.deadline, self._doors.deadline]
        return min((due for due in times if due is not None), default=None)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event; the effects are to be carried out in order."""
        match event:
            case BinaryFrame(member) | TextFrame(member):
                self._frame(member, event, now)
            case Ahead(member, data):
                if not self._stopping:
                    self._doors.tell_ahead(member, data)
            case Sent(members, size):
                for member in members:
                    if (session := self._sessions.get(member)) is not None:
                        session.sent(size)
                    elif member in self._doors:
                        self._doors.sent(member, size)
            case Flush():
                self._flush_asked = False
                self._flush(now)
            case Appended(appendix):
                self._appended(appendix)
            case AppendFailed(reason):
                self._append_failed(reason)
            case Connected():
                self._connected(event, now)
            case Closed(member):
                self._forget(member)
            case Expelled(member, reason):
                if member in self._sessions or member in self._doors:
                    self._refuse(member, Refusal("denied", reason))
            case RoomOpened(room, record):
                self._room_opened(room, record)
            case RoomFailed(room, reason):
                self._room_failed(room, reason)
            case LogRead() | Compared() | DocumentsFound() | UpdatesChecked() | ReadFailed():
                self._answer(event)
            case DocumentsLoaded() | LoadFailed():
                self._doors.loaded(event)
            case Compacted():
                self._compacting.done(event)
            case Tick():
                self._tick(now)
            case Stop():
                self._stopping = True
                self._compacting.stop()
                self._flush(now)
            case _:
                assert_never(event)
        return self._take()

    def _take(self) -> list[Effect]:
        self._let_go()
        if (self._shared.touched or self._shared.put_off) and not self._flush_asked:
            self._flush_asked = True
            self._shared.add(FlushSoon())
        return self._shared.take()

    def _let_go(self) -> None:
        while self._shared.lost:
            lost = self._shared.lost.pop()
            if lost.member in self._sessions or lost.member in self._doors:
                self._close(lost.member, lost.code, lost.reason)

    # -- members --------------------------------------------------------------------------------------

    def _connected(self, event: Connected, now: float) -> None:
        member, peer = event.member, event.peer
        if event.door is not None:
            self._doors.connected(member, event.door, peer, now)
        if self._stopping:
            self._refuse(member, Refusal("shutdown", "The hub is shutting down."))
        elif self._lobby.full:
            self._refuse(member, Refusal("limit", "Too many connections wait for their hello; try again."))
        else:
            self._lobby.arrive(member, peer, now)

    def _frame(self, member: int, event: TextFrame | BinaryFrame, now: float) -> None:
        if self._stopping:
            return
        try:
            session = self._sessions.get(member)
            match event:
                case BinaryFrame() if member in self._doors:
                    if self._doors.frame(event, now):
                        self._lobby.speak(member)
                case TextFrame() if member in self._doors:
                    raise PeerError("a Yjs client speaks in binary frames only")
                case BinaryFrame(_, data, at_ms) if session is not None:
                    session.binary(data, at_ms)
                case TextFrame(_, data) if session is not None:
                    session.text(data)
                case TextFrame(_, data) if (peer := self._lobby.speak(member)) is not None:
                    self._greet(member, data, peer, now)
                case BinaryFrame() if self._lobby.speak(member) is not None:
                    raise Refusal("protocol", "The first frame must be a hello, in a text frame.")
        except (PeerError, Refusal) as error:
            self._refuse(member, error)

    def _greet(self, member: int, data: str, peer: Peer, now: float) -> None:
        hello = read_hello(data)
        granted = self._admit(Asking(hello.room, hello.token, None, peer))
        if isinstance(granted, Denied):
            self._lobby.deny(member, granted, now)
            self._show_out(now)
            return
        granted = replace(granted, read_only=granted.read_only or hello.read_only)
        name, loaded = hello.room, self._rooms.get(hello.room)
        here = len(loaded.members) if loaded is not None else len(self._opening.get(name, ()))
        if here >= limits.MEMBERS_PER_ROOM_MAX:
            raise Refusal("limit", f"The room {name!r} has {here} members, as many as a hub takes.")
        session = self._sessions[member] = ReplicaSession(member, hello, granted, self._shared)
        session.settle()
        self._shared.add(Admitted(member, granted))
        if (room := self._find_room(name)) is not None:
            self._enter(session, room)
        else:
            self._opening[name].append(session)

    def _enter(self, session: ReplicaSession, room: Room) -> None:
        session.enter(room, resume_after(session.hello.cursor, room.epochs, room.durable))

    def _answer(self, event: LogRead | Compared | DocumentsFound | UpdatesChecked | ReadFailed) -> None:
        session = self._sessions.get(event.member)
        if session is None:
            if isinstance(event, UpdatesChecked):
                self._doors.checked(event)
            return
        try:
            match event:
                case LogRead(_, page):
                    session.log_read(page)
                case Compared():
                    session.compared(event)
                case DocumentsFound(_, documents):
                    session.found(documents)
                case UpdatesChecked(_, problem):
                    session.checked(problem)
                case ReadFailed(member, reason):
                    self._close(member, TRY_AGAIN, reason)
                case _:
                    assert_never(event)
        except (PeerError, Refusal) as error:
            self._refuse(event.member, error)

    def _refuse(self, member: int, error: PeerError | Refusal) -> None:
        code: RefusalCode = error.code if isinstance(error, Refusal) else "protocol"
        message = printable(str(error), 1000)
        self.counts.refuse(code)
        if member in self._doors:
            self._doors.deny(member, code, message)
            return
        self._shared.send((member,), encode_control(Refused(code=code, message=message)))
        self._close(member, CLOSE_CODES[code], message)

    def _close(self, member: int, code: int, reason: str) -> None:
        self._forget(member)
        self._shared.add(Close(member, code, reason))

    def _forget(self, member: int) -> None:
        self._lobby.leave(member)
        self._shared.held.pop(member, None)
        self._doors.forget(member)
        if (session := self._sessions.pop(member, None)) is not None:
            if session in (opening := self._opening.get(session.hello.room, [])):
                opening.remove(session)
            session.leave()

    # -- rooms ----------------------------------------------------------------------------------------

    def _find_room(self, name: str) -> Room | None:
        """The room if it is loaded, else it is on its way."""
        room = self._rooms.get(name)
        if room is None and name not in self._opening:
            self._opening[name] = []
            self._shared.add(OpenRoom(name, self.epoch))
        return room

    def _room_opened(self, name: str, record: RoomRecord | None) -> None:
        sessions = self._opening.pop(name, [])
        if record is None:
            full = f"This hub has {limits.ROOMS_PER_HUB_MAX} rooms, and takes no more."
            for session in sessions:
                self._refuse(session.number, Refusal("limit", full))
            self._doors.room_failed(name, full)
        elif sessions or self._doors.wants(name):
            room = self._rooms[name] = Room(name, self.epoch, record, self._shared)
            for session in sessions:
                self._enter(session, room)
            self._doors.room_opened(room, record.opened)

    def _room_failed(self, name: str, reason: str) -> None:
        for session in self._opening.pop(name, []):
            self._close(session.number, TRY_AGAIN, reason)
        self._doors.room_failed(name, reason)

    def _flush(self, now: float) -> None:
        self._shared.put_off.do(now, idle=not self._shared.touched, last=self._stopping)
        touched, self._shared.touched = self._shared.touched, {}
        for name in touched:
            if (room := self._rooms.get(name)) is not None:
                room.flush()
                if room.has_news:
                    self._telling.setdefault(name, room.next_tell_s(now))
                self._doors.flushed(name, now)
                self._unload_if_idle(room)
        self._append()
        self._tell(now)

    def _tell(self, now: float) -> None:
        for name in [name for name, due in self._telling.items() if due <= now]:
            del self._telling[name]
            if (room := self._rooms.get(name)) is not None:
                room.told_at_s = now
                room.tell()

    def _unload_if_idle(self, room: Room) -> None:
        if room.idle and self._rooms.get(room.name) is room:
            del self._rooms[room.name]
            self._telling.pop(room.name, None)

    # -- the log --------------------------------------------------------------------------------------

    def _append(self) -> None:
        """One transaction for everything that came while the last one was written."""
        if self._appending is not None:
            return
        unstored, self._shared.unstored = self._shared.unstored, {}
        rows = [row for take in unstored.values() for row in take()]
        if rows:
            self._appending = {row.room: row.entry.sequence for row in rows}
            self._shared.add(Append(tuple(rows)))
        elif self._stopping and not self._stopped:
            self._farewell()

    def _appended(self, appendix: Appendix) -> None:
        appending, self._appending = self._appending or {}, None
        if self._store_trouble:
            self._store_trouble = ""
            self._shared.add(Notice("recovered", "", "The hub's store takes updates again."))
        for name, count in appendix.documents:
            self._rooms[name].documents = count
        for name, through in appending.items():
            self._rooms[name].stored(through)
        self._compacting.grown(appendix.sizes, appending)
        self._unhold()
        self._append()

    def _append_failed(self, reason: str) -> None:
        """Nothing of it is durable: its rooms start over from the store, their members from their cursors."""
        appending, self._appending = self._appending or {}, None
        self.counts.commit_failures += 1
        if reason != self._store_trouble:
            self._store_trouble = reason
            self._shared.add(Notice("store", "", reason))
        for name in appending:
            room = self._rooms.pop(name)
            for member in [member for member in room.members if member in self._sessions]:
                self._close(member, TRY_AGAIN, reason)
            self._doors.room_failed(name, reason)
            room.abandon()
        self._unhold()
        self._append()

    def _unhold(self) -> None:
        if self._shared.uncommitted_bytes <= bounds.UNCOMMITTED_MAX_BYTES:
            held, self._shared.held = self._shared.held, {}
            for member in held:
                if member in self._doors:
                    self._doors.settle(member)
                else:
                    self._sessions[member].settle()

    # -- time -----------------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        self._show_out(now)
        self._doors.tick(now)
        self._tell(now)

    def _show_out(self, now: float) -> None:
        for member, refusal in self._lobby.due(now):
            self._refuse(member, refusal)

    def _farewell(self) -> None:
        """Everything taken is durable, or has failed."""
        self._stopped = True
        for member in {*self._sessions, *self._doors.members, *self._lobby.members}:
            self._refuse(member, Refusal("shutdown", "The hub is shutting down; it may come back."))
        self._let_go()
        self._shared.add(Stopped())
