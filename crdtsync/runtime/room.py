"""Runs a room without a folder: carries frames and time to its engine and its effects to the hub.

The engine lives on the loop's thread and is never waited for: what a program does has happened when the call
returns. Decides nothing on its own.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar, assert_never

from crdtsync.adapters.hub_link import HubLink, hub_address
from crdtsync.adapters.network_changes import NetworkChanges
from crdtsync.adapters.tls import client_context
from crdtsync.core.replica.effects import Connect, Disconnect, Halt, Notice, SendBinary, SendText
from crdtsync.core.replica.events import (
    BinaryFrame,
    Connected,
    Disconnected,
    NetworkChanged,
    TextFrame,
    Tick,
)
from crdtsync.core.replica.session import Identity
from crdtsync.core.room.effects import (
    CursorsMoved,
    Effect,
    EntriesChanged,
    Event,
    PeopleChanged,
    Settled,
    TextChanged,
)
from crdtsync.core.room.engine import RoomEngine
from crdtsync.core.values.ids import check_room_name, check_token
from crdtsync.errors import AccessDenied, Closed, CrdtsyncError, ProtocolMismatch

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """Which room of which hub, as whom."""

    room: str
    hub: str
    name: str
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None
    """Certificate authorities (PEM) to trust for a ``wss`` hub, and no others; None: the system's."""
    read_only: bool = False


class Observer(Protocol):
    """Whoever is told what happens in the room. Called on the loop, in the order in which it happens."""

    def text_changed(self, change: TextChanged) -> None: ...

    def cursors_moved(self, moved: CursorsMoved) -> None: ...

    def entries_changed(self, change: EntriesChanged) -> None: ...

    def people_changed(self) -> None: ...

    def notice(self, kind: str, path: str, message: str) -> None: ...

    def ended(self, error: CrdtsyncError | None) -> None:
        """For good; ``error`` None if it was closed."""
        ...


class RoomRunner:
    """One room, from ``start`` to ``close``, on one loop."""

    def __init__(self, options: ConnectOptions, observer: Observer) -> None:
        """Raises InvalidName, AccessDenied (no token can be that one), CrdtsyncError (``ca`` is unusable)."""
        check_room_name(options.room)
        check_token(options.token)
        self.options = options
        self.hub = hub_address(options.hub)
        self.tls = client_context(options.ca) if self.hub.startswith("wss://") else None
        self._observer = observer
        rng = random.SystemRandom()
        self.replica_id = rng.randbytes(16).hex()
        identity = Identity(options.room, self.replica_id, options.name, options.token, options.read_only)
        self.engine = RoomEngine(identity, rng)
        self._epoch_s = time.time() - time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._settled: dict[int, asyncio.Future[None]] = {}
        self._number = 0
        self._was_connected = False
        self.unreachable: CrdtsyncError | None = None
        """Why the hub cannot be reached at the moment."""
        self.end: CrdtsyncError | None = None
        """Why nothing goes any more."""

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._loop = asyncio.get_running_loop()
        self._link = HubLink(self.hub, self._connected, self._received, self._ended, self.tls)
        self._network = NetworkChanges(self._loop, self._network_changed)
        self._carry_out(self.engine.start(self._now()))

    async def close(self) -> None:
        """Leave. What was not sent by now is lost: ``settled`` tells when it is safe."""
        self._finish(None)
        self._network.close()
        await self._link.close()

    def act(self, verb: Callable[[], T]) -> T:
        """Let the program do something in the engine. Raises what ended the room, or what the verb raises."""
        self.check()
        self._handle(Tick())  # so that the verb knows the time
        try:
            return verb()
        finally:
            self._handle(Tick())

    def check(self) -> None:
        """Raises what ended the room."""
        if self.end is not None:
            raise type(self.end)(str(self.end))

    async def settled(self) -> None:
        """Return once the hub has, durably, what was done here, and we have all that it had by then."""
        self._number += 1
        number = self._number
        future: asyncio.Future[None] = self._loop.create_future()
        self._settled[number] = future
        try:
            self.act(lambda: self.engine.settle(number))
            await future
        finally:
            del self._settled[number]
            self.engine.unsettle(number)

    # -- the hub --------------------------------------------------------------------------------------

    def _connected(self) -> None:
        self._was_connected = True
        self.unreachable = None
        self._handle(Connected())

    def _received(self, frame: str | bytes) -> None:
        self._link.taken(frame)
        self._handle(TextFrame(frame) if isinstance(frame, str) else BinaryFrame(frame))

    def _ended(self, reason: CrdtsyncError) -> None:
        self.unreachable = reason
        if isinstance(reason, ProtocolMismatch) and not self._was_connected:
            self._finish(reason)
        self._handle(Disconnected(str(reason)))

    def _network_changed(self) -> None:
        self._handle(NetworkChanged())

    # -- the engine -----------------------------------------------------------------------------------

    def _now(self) -> float:
        """Seconds since 1970 by a clock that never goes back and never jumps."""
        return self._epoch_s + time.monotonic()

    def _handle(self, event: Event) -> None:
        if self.end is not None:
            return
        try:
            self._carry_out(self.engine.handle(event, self._now()))
        except Exception:
            _log.exception("The room %s met an error that it does not know; it ends", self.options.room)
            self._finish(CrdtsyncError("The room ended inside by an error; the log tells more"))
        self._wind()

    def _wind(self) -> None:
        """Tick when the engine wants it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = None if self.end is not None else self.engine.deadline
        if deadline is not None:
            self._timer = self._loop.call_later(max(0.0, deadline - self._now()), self._handle, Tick())

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendText(data) | SendBinary(data):
                    self._link.send(data)
                case Connect():
                    self._link.open()
                case Disconnect(reason):
                    self._loop.call_soon(self._link.drop, reason)
                case TextChanged():
                    self._observer.text_changed(effect)
                case CursorsMoved():
                    self._observer.cursors_moved(effect)
                case EntriesChanged():
                    self._observer.entries_changed(effect)
                case PeopleChanged():
                    self._observer.people_changed()
                case Notice(kind, path, message):
                    self._observer.notice(kind, path, message)
                case Settled(number):
                    future = self._settled.get(number)
                    if future is not None and not future.done():
                        future.set_result(None)
                case Halt(message, _, mismatch):
                    self._finish(ProtocolMismatch(message) if mismatch else AccessDenied(message))
                case _:
                    assert_never(effect)

    def _finish(self, error: CrdtsyncError | None) -> None:
        if self.end is not None:
            return
        self.end = error or Closed(f"The room {self.options.room} has been closed")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if error is not None:
            self._loop.call_soon(self._link.drop, str(error))
        for future in self._settled.values():
            if not future.done():
                future.set_exception(type(self.end)(str(self.end)))
        self._observer.ended(error)
