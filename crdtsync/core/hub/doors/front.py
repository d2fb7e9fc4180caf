"""All doors of a hub: which connections of Yjs clients there are, and the desks of the rooms that they use.

The engine hands on what happens to them; how a client is spoken to is in ``yjs`` and ``hocuspocus``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice, takewhile
from typing import assert_never

from crdtsync.core.hub import bounds
from crdtsync.core.hub.admission import Admit, Asking, Denied, Granted, Peer
from crdtsync.core.hub.doors.codes import TRY_AGAIN
from crdtsync.core.hub.doors.desk import Desk
from crdtsync.core.hub.doors.hocuspocus import HocuspocusConnection
from crdtsync.core.hub.doors.opened import Opened
from crdtsync.core.hub.doors.usage import Usage
from crdtsync.core.hub.doors.yjs import YjsConnection
from crdtsync.core.hub.effects import Admitted, RememberOpened
from crdtsync.core.hub.events import (
    BinaryFrame,
    DocumentsLoaded,
    HocuspocusDoor,
    LoadFailed,
    UpdatesChecked,
    YjsDoor,
)
from crdtsync.core.hub.room import Room
from crdtsync.core.hub.shared import RefusalCode, Shared
from crdtsync.core.values import limits
from crdtsync.core.values.ids import DocumentId, EntryId, Randomness, check_room_name, printable
from crdtsync.errors import InvalidName, MalformedUpdate

DENIED = 4403
_CODES: dict[RefusalCode, int] = {
    "version": 4400,
    "room": 4404,
    "denied": DENIED,
    "limit": TRY_AGAIN,
    "protocol": 4400,
    "shutdown": 1001,
}
"""Close codes for Yjs clients: 4400 to 4499 tell them that coming back is of no use."""


class Doors:
    """``find_room`` gives a loaded room, or has it loaded: ``room_opened`` or ``room_failed`` follows."""

    def __init__(
        self, shared: Shared, admit: Admit, rng: Randomness, find_room: Callable[[str], Room | None]
    ) -> None:
        self._shared = shared
        self._admit = admit
        self._rng = rng
        self._find_room = find_room
        self._connections: dict[int, YjsConnection | HocuspocusConnection] = {}
        self._inside: set[int] = set()
        """Connections that were let into a room."""
        self._usage = Usage()
        self._desks: dict[str, Desk] = {}
        self._by_number: dict[int, Desk] = {}
        self._opened = Opened(
            lambda room, path, entry: shared.add(RememberOpened(room, path, DocumentId(entry)))
        )
        self._last_channel = 0
        self._last_desk = 0
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        """What is to be done when, for which connection."""
        self._rest_at_s: dict[str, float] = {}
        """Rooms in which something has happened, the earliest first."""
        self._reading: dict[str, None] = {}
        """Rooms of which a large tree is being read, whose turn is next first."""
        self._renew_at_s: float | None = None
        self._now_s = 0.0
        self._returned_at_s = 0.0
        """When folders are no longer waited for; 0: no client has come yet."""

    def __contains__(self, member: int) -> bool:
        return member in self._connections

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def members(self) -> list[int]:
        return list(self._connections)

    @property
    def deadline(self) -> float | None:
        """When ``tick`` is due, in seconds of the engine's clock; None: not before something happens."""
        times = [due for due, _, _ in self._later]
        if self._renew_at_s is not None:
            times.append(self._renew_at_s)
        if self._folders_return():
            times.append(self._returned_at_s)
        if self._reading:
            times.append(self._now_s)
        times += islice(self._rest_at_s.values(), 1)
        return min(times, default=None)

    # -- connections ----------------------------------------------------------------------------------

    def connected(self, member: int, door: YjsDoor | HocuspocusDoor, peer: Peer, now_s: float) -> None:
        """``now_s``: as for the engine, which has told of a time that is not before this one."""
        self._now_s = now_s
        self._returned_at_s = self._returned_at_s or now_s + bounds.RESEED_WAIT_S
        match door:
            case YjsDoor():
                self._connections[member] = connection = YjsConnection(member, self._shared)
                self._open_yjs(connection, door, peer)
            case HocuspocusDoor():
                self._connections[member] = HocuspocusConnection(
                    member,
                    self._shared,
                    lambda room, path, token: self._ask(member, Asking(room, token or None, path, peer)),
                    self._desk,
                    self._take_channel,
                    lambda after_s, what: self._do_later(after_s, member, what),
                )
            case _:
                assert_never(door)

    def frame(self, frame: BinaryFrame, now_s: float) -> bool:
        """Returns whether the connection was let into any room."""
        self._now_s = now_s
        connection = self._connections[frame.member]
        connection.binary(frame.data, frame.at_ms)
        connection.settle()  # a y-websocket client that only writes is told nothing, and would never wait
        return frame.member in self._inside

    def tell_ahead(self, member: int, data: bytes) -> None:
        """Tell others what the connection types on with, before ``frame`` takes it in."""
        if len(data) <= bounds.AHEAD_MAX_BYTES and (connection := self._connections.get(member)) is not None:
            connection.tell_ahead(data)

    def sent(self, member: int, size: int) -> None:
        self._connections[member].sent(size)

    def settle(self, member: int) -> None:
        self._connections[member].settle()

    def deny(self, member: int, code: RefusalCode, reason: str) -> None:
        """End a connection for a reason that the client is told."""
        self._connections[member].deny(_CODES[code], reason)

    def forget(self, member: int) -> None:
        """The connection is gone."""
        connection = self._connections.pop(member, None)
        self._inside.discard(member)
        if connection is not None:
            connection.leave()
            self._later = [each for each in self._later if each[1] != member]
            self._leave_empty()

    def _open_yjs(self, connection: YjsConnection, door: YjsDoor, peer: Peer) -> None:
        answer = self._ask(connection.number, Asking(door.room, door.token, door.path, peer))
        if isinstance(answer, Denied):
            reason = answer.reason
            connection.wait()
            self._do_later(answer.after_s, connection.number, lambda: connection.deny(DENIED, reason))
        elif isinstance(desk := self._desk(door.room), str):
            connection.deny(_CODES["room"], desk)
        else:
            connection.open(self._take_channel(), desk, door.path, answer)

    def _ask(self, member: int, asking: Asking) -> Granted | Denied:
        answer = self._admit(asking)
        if isinstance(answer, Granted):
            self._inside.add(member)
            self._shared.add(Admitted(member, answer))
        return answer

    def _take_channel(self) -> int:
        self._last_channel += 1
        return self._last_channel

    # -- desks ----------------------------------------------------------------------------------------

    def room_opened(self, room: Room, opened: Iterable[tuple[str, DocumentId]]) -> None:
        """``opened``: which texts were opened at which paths, the oldest first."""
        self._opened.recall(room.name, ((path, EntryId(document)) for path, document in opened))
        if (desk := self._desks.get(room.name)) is not None:
            desk.enter(room)

    def room_failed(self, name: str, reason: str) -> None:
        """The room could not be loaded, or its log not be written: clients start over."""
        if (desk := self._desks.get(name)) is not None:
            desk.refuse_all(TRY_AGAIN, reason)
            self._leave_empty()

    def wants(self, name: str) -> bool:
        """Whether anyone waits for this room."""
        return name in self._desks

    def loaded(self, event: DocumentsLoaded | LoadFailed) -> None:
        """What a desk had asked of the store; a desk that has gone since is not missed."""
        desk = self._by_number.get(event.desk)
        if desk is None:
            return
        match event:
            case DocumentsLoaded():
                self._read(desk, lambda: desk.loaded(event))
            case LoadFailed(_, reason):
                desk.refuse_all(TRY_AGAIN, reason)
            case _:
                assert_never(event)
        self._leave_empty()

    def _read(self, desk: Desk, read: Callable[[], bool]) -> None:
        """Have the desk read something. If there is more, it goes on when others had their turn."""
        try:
            if read():
                self._reading[desk.name] = None
        except MalformedUpdate as error:
            desk.refuse_all(TRY_AGAIN, f"The room cannot be read: {printable(str(error), 300)}.")

    def checked(self, event: UpdatesChecked) -> None:
        """An update of a channel has been read."""
        for desk in list(self._desks.values()):
            if event.channel in desk.channels:
                desk.checked(event)

    def _desk(self, name: str) -> Desk | str:
        """The desk of a room, or why there is none."""
        desk = self._desks.get(name)
        if desk is None:
            try:
                check_room_name(name)
            except InvalidName as error:
                return printable(str(error), 300)
            self._last_desk -= 1
            desk = Desk(
                self._last_desk,
                name,
                self._shared,
                self._rng,
                self._opened,
                self._usage,
                self._folders_return,
            )
            self._desks[name] = self._by_number[desk.number] = desk
            self._usage.left(name)
            if self._renew_at_s is None:
                self._renew_at_s = self._now_s + limits.AWARENESS_RENEW_S
            if (room := self._find_room(name)) is not None:
                desk.enter(room)
        return desk

    def _folders_return(self) -> bool:
        return self._now_s < self._returned_at_s

    def _leave_empty(self) -> None:
        for name in self._usage.take_left():
            if (desk := self._desks.get(name)) is None or desk.channels:
                continue
            del self._desks[name]
            self._rest_at_s.pop(name, None)
            self._reading.pop(name, None)
            del self._by_number[desk.number]
            desk.leave()
            self._usage.texts -= len(desk.texts)

    # -- time -----------------------------------------------------------------------------------------

    def flushed(self, name: str, now_s: float) -> None:
        """Something has happened in a room."""
        if name in self._desks:
            self._rest_at_s.pop(name, None)
            self._rest_at_s[name] = now_s + bounds.REST_AFTER_S

    def tick(self, now_s: float) -> None:
        """Do what is due: read on in a large tree, let texts rest, say what was put off, renew awareness."""
        waited, self._now_s = self._folders_return(), now_s
        for name in [*islice(self._reading, 1)]:
            del self._reading[name]
            self._read(self._desks[name], self._desks[name].read_on)
            self._leave_empty()
        if waited and not self._folders_return():
            for desk in list(self._desks.values()):
                desk.attach()
        resting = takewhile(lambda name: self._rest_at_s[name] <= now_s, self._rest_at_s)
        for name in [*islice(resting, bounds.RESTING_PER_TICK_MAX)]:
            del self._rest_at_s[name]
            self._desks[name].rest()
        due = [each for each in self._later if each[0] <= now_s]
        self._later = [each for each in self._later if each[0] > now_s]
        for _, _, what in due:
            what()
        if self._renew_at_s is not None and self._renew_at_s <= now_s:
            for desk in self._desks.values():
                desk.renew()
            self._renew_at_s = now_s + limits.AWARENESS_RENEW_S if self._desks else None

    def _do_later(self, after_s: float, member: int, what: Callable[[], None]) -> None:
        if after_s <= 0:
            what()
        else:
            self._later.append((self._now_s + after_s, member, what))
