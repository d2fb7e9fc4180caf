"""Has a replica's engine take what comes, in order: at once while nothing else is under way, else in turn.

What an event means, and what its effects are, is left to those who are called.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.together import together
from crdtsync.runtime.carrying import Carrying
from crdtsync.runtime.event_queue import EventQueue

YIELD_S: Final = 0.02
AT_ONCE_MAX: Final = 8
"""Events of a moment that need not wait until a task is woken; more are a batch."""
ROUNDS_MAX: Final = 4
"""Of events that lead to events: a hint to a look, and what that saw."""


class Turns:
    """``handle`` gives the effects of an event, ``deadline`` the seconds until a Tick is due (None: never).

    ``taken`` is told of each event that was handled, ``changed`` when those at hand were, and ``failed`` of
    what ``handle`` raised outside of ``run``. Made on the loop on which everything here happens.
    """

    def __init__(
        self,
        handle: Callable[[ev.Event], Sequence[ef.Effect]],
        deadline: Callable[[], float | None],
        carrying: Carrying,
        taken: Callable[[ev.Event], None],
        changed: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.events: EventQueue[ev.Event] = EventQueue(self.arrived)
        self._handle = handle
        self._deadline = deadline
        self._carrying = carrying
        self._taken = taken
        self._changed = changed
        self._failed = failed
        self._waits = False
        """Whether ``run`` does nothing but wait for events."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Take events until ``stopping`` is set, which an event has to follow. Raises StoreError."""
        try:
            while not stopping.is_set():
                self._waits = True
                await self.events.wait(self._deadline())
                self._waits = False
                events: list[ev.Event] = together(self.events.take())
                if not events and (self._carrying.owes or self._deadline() == 0):
                    events = [ev.Tick()]
                yielded_at = time.monotonic()
                for event in events:
                    if self._carrying.owes:  # of what programs said meanwhile, the store has to know first
                        await self._carrying.out(())
                    await self._carrying.out(self._handle(event))
                    self._taken(event)
                    if stopping.is_set():
                        break
                    if time.monotonic() - yielded_at > YIELD_S:
                        await asyncio.sleep(0)  # the sockets have their turn in a long batch
                        yielded_at = time.monotonic()
                self._changed()
        finally:
            self._waits = False

    def arrived(self) -> None:
        """Something was put: if it is little, and nothing is under way, it is handled before this returns.

        What comes next waits for ``run``, so that a flood does not hold up the loop.
        """
        self.events.wake()  # afterwards another deadline may hold, and something may be owed
        if not self._waits or self._carrying.busy or self._carrying.owes:
            return
        self._waits = False
        rounds = 0
        try:
            while 0 < len(self.events) <= AT_ONCE_MAX and rounds < ROUNDS_MAX and not self._carrying.busy:
                rounds += 1
                events = deque(together(self.events.take()))
                # Beside a write the next could ask the store for what it was not even given.
                while events and not self._carrying.busy and not self._carrying.owes:
                    event = events.popleft()
                    self._carrying.at_once(self._handle(event))
                    self._taken(event)
                self.events.put_back(events)
        except Exception as error:
            self._failed(error)
