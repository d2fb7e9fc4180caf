"""One run of the hub's engine: carries events to it and its effects to sockets and threads.

Everything happens on the loop's thread, event by event. The run ends when the engine has stopped, or with the
store's corruption or the first error that nobody foresaw; its owner then starts another.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from crdtsync.adapters.woken import let_run
from crdtsync.core.hub.effects import (
    Admitted,
    Append,
    Close,
    Effect,
    FlushSoon,
    Notice,
    Pause,
    Request,
    Send,
    Stopped,
    Unpause,
)
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.hub.events import (
    Ahead,
    BinaryFrame,
    Closed,
    Connected,
    Event,
    Expelled,
    Flush,
    HocuspocusDoor,
    Sent,
    Stop,
    TextFrame,
    Tick,
    YjsDoor,
)
from crdtsync.runtime.hub_connection import Connection, on_the_wire
from crdtsync.runtime.hub_gate import Gate, peer_of
from crdtsync.runtime.hub_socket import HubSocket
from crdtsync.runtime.hub_work import HubWork

RESTARTING: Final = 1012
"""Websocket close code: the service restarts, come back."""


class HubLoop:
    """``run`` it in a task, and ``serve`` each websocket meanwhile."""

    def __init__(
        self, engine: HubEngine, work: HubWork, gate: Gate, noticed: Callable[[Notice], None]
    ) -> None:
        self.engine = engine
        self._gate = gate
        self._work = work
        self._noticed = noticed
        self._loop = asyncio.get_running_loop()
        self._connections: dict[int, Connection] = {}
        self._corked: dict[int, Connection] = {}
        self._leave: dict[int, list[Callable[[], None]]] = {}
        self._events: deque[Event] = deque()
        self._handling = False
        self._flush = False
        self._turning = False
        self._crowded = False
        """Something was flushed a moment ago: what comes now is gathered for the turn."""
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._end: asyncio.Future[None] = self._loop.create_future()
        self._last_number = 0

    async def run(self) -> None:
        """Return once stopped. Raises StoreCorrupt, or any error there was, with every connection closed."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._end
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self._tasks = None
            if not self._end.done():
                self._end.cancel()
            if self._timer is not None:
                self._timer.cancel()
            for connection in self._connections.values():
                connection.close(RESTARTING, "the hub restarts")

    def stop(self) -> None:
        """Finish what was taken, tell every member, and end the run."""
        self._handle(Stop())

    async def serve(self, websocket: HubSocket, door: YjsDoor | HocuspocusDoor | None = None) -> None:
        """Serve one replica, or a Yjs client at its door, until its connection ends."""
        self._last_number += 1
        connection = Connection(self._last_number, websocket, self._sent)
        number = connection.number
        if self._end.done():
            websocket.leave_to_library()
            await websocket.close(RESTARTING, "the hub restarts")
            return
        self._connections[number] = connection
        try:
            self._handle(Connected(number, peer_of(websocket), door))
            self._turn_soon()

            def deliver(frame: str | bytes) -> None:
                if isinstance(frame, bytes):
                    if door is not None and not (self._flush or self._crowded):
                        self._tell_ahead(number, frame)
                    self._handle(BinaryFrame(number, frame, time.time_ns() // 1_000_000))
                else:
                    self._handle(TextFrame(number, frame))

            websocket.attach(deliver, connection.over, self._heard)
            await connection.ended
            self._handle(Closed(number))
            await connection.finish()
        finally:
            del self._connections[number]
            for leave in self._leave.pop(number, ()):
                leave()
            self._handle(Closed(number))

    def _tell_ahead(self, number: int, frame: bytes) -> None:
        """In a quiet moment others are told first, and they run first."""
        before = self.engine.counts.frames_sent
        self._handle(Ahead(number, frame))
        if self.engine.counts.frames_sent > before:
            let_run(len(frame))

    def _sent(self, number: int, size: int) -> None:
        self._handle(Sent((number,), size))

    # -- events and effects ---------------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        """Have the engine take the event, and all that its effects lead to at once."""
        if self._end.done():
            return
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        try:
            while self._events:
                for effect in self.engine.handle(self._events.popleft(), self._loop.time()):
                    self._carry_out(effect)
                if not self._events:
                    self._write_corked()
        except Exception as error:
            self._fail(error)
        finally:
            self._handling = False

    def _fail(self, error: BaseException) -> None:
        if not self._end.done():
            self._end.set_exception(error)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(members, frame):
                self._send(members, frame)
            case FlushSoon():
                self._flush = True
                self._turn_soon()
            case Pause(member):
                if (connection := self._connections.get(member)) is not None:
                    connection.websocket.pause()
            case Unpause(member):
                if (connection := self._connections.get(member)) is not None:
                    connection.websocket.unpause()
            case Close(member, code, reason):
                if (connection := self._connections.get(member)) is not None:
                    connection.close(code, reason)
            case Admitted(member, granted):
                if (connection := self._connections.get(member)) is not None:
                    connection.admit()
                    leave = self._gate.enter(
                        connection.websocket, granted, lambda reason: self._handle(Expelled(member, reason))
                    )
                    self._leave.setdefault(member, []).append(leave)
            case Append():
                if size := self._write_corked():  # before the time that it takes to begin the append
                    let_run(size)
                self._ask(effect)
            case Notice():
                self._noticed(effect)
            case Stopped():
                self._end.set_result(None)
            case _:
                self._ask(effect)  # no other is left but requests, or types would not fit

    def _send(self, members: tuple[int, ...], frame: bytes | str) -> None:
        size = len(frame)
        wire: bytes | None = None
        for member in members:
            connection = self._connections.get(member)
            if connection is None:
                continue
            if connection.takes_directly(size):
                if wire is None:
                    wire = on_the_wire(frame)
                connection.cork(size, wire)
                self._corked[member] = connection
            else:
                connection.queue(frame)

    def _write_corked(self) -> int:
        """Write what is for idle sockets: one system call for all frames of one, however many there are.

        Returns how much was for the one that was given most.
        """
        if not self._corked:
            return 0
        corked, self._corked = self._corked, {}
        by_size: dict[int, list[int]] = {}
        for number, connection in corked.items():
            by_size.setdefault(connection.write_corked(), []).append(number)
        for size, members in by_size.items():
            self._events.append(Sent(tuple(members), size))
        return max(by_size)

    def _ask(self, request: Request) -> None:
        if self._tasks is not None:
            self._tasks.create_task(self._answer(request), name=type(request).__name__)

    async def _answer(self, request: Request) -> None:
        """The store's corruption ends the run; so does any error that nobody foresaw."""
        try:
            answer = await self._work.answer(request)
        except Exception as error:
            self._fail(error)
        else:
            if answer is not None:
                self._handle(answer)

    def _heard(self) -> None:
        """All that could be read from one socket was handled: in a quiet moment it goes out at once."""
        if self._flush and not self._crowded:
            self._flush = False
            self._crowded = True
            self._handle(Flush())

    def _turn_soon(self) -> None:
        """Once the events at hand have been handled, flush, and look at the time."""
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        if self._end.done():
            return
        if self._flush:
            self._flush = False
            self._crowded = True
            self._handle(Flush())
            self._turn_soon()
        else:
            self._crowded = False
        now = self._loop.time()
        deadline = self.engine.deadline
        if deadline is not None and deadline <= now:
            self._handle(Tick())
            deadline = self.engine.deadline
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._turn_soon)
