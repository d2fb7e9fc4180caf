"""A queue of events for one consumer on the loop, filled from the loop or from any thread, in order."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from crdtsync.core.values import limits

Event = TypeVar("Event")


class EventQueue(Generic[Event]):
    """Unbounded by itself: each producer is bounded by the effects that it answers, or by itself."""

    def __init__(self, arrived: Callable[[], None] | None = None) -> None:
        """``arrived`` is called on the loop when another thread has put something; else ``wait`` ends."""
        self._events: deque[Event] = deque()
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._arrived = arrived or self._wake.set
        self._thread = threading.get_ident()
        self._overflowed = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._events)

    def put(self, event: Event) -> None:
        self._events.append(event)
        if threading.get_ident() == self._thread:
            self._wake.set()
        elif len(self._events) == 1 or not self._wake.is_set():
            self._loop.call_soon_threadsafe(self._arrived)

    def put_bounded(self, event: Event, overflow: Event) -> None:
        """As ``put``, while few events wait; then ``overflow``, once, until it is taken."""
        if len(self._events) < limits.EVENTS_WAITING_MAX:
            self.put(event)
        elif not self._overflowed:
            self._overflowed = True
            self.put(overflow)

    def take(self) -> list[Event]:
        """All that is there, oldest first."""
        taken: list[Event] = []
        self._overflowed = False
        while self._events:
            taken.append(self._events.popleft())
        return taken

    def put_back(self, events: Iterable[Event]) -> None:
        """On the loop: these were taken, and are the first to be taken again."""
        self._events.extendleft(reversed(list(events)))

    def wake(self) -> None:
        """On the loop: end a ``wait``, though nothing may be there."""
        self._wake.set()

    async def wait(self, timeout_s: float | None) -> None:
        """Until something is there, at most ``timeout_s`` seconds."""
        if self._events or (timeout_s is not None and timeout_s <= 0):
            await asyncio.sleep(0)
            return
        self._wake.clear()
        if self._events:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return
