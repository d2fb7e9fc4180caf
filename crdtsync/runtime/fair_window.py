"""Bounds the bytes that are under way at once and shares them fairly; knows nothing of what they are.

Start-time fair queueing: who has been served least goes first, the smaller one among equals, so that a small
transfer that comes late passes a large one at once, and the large one still gets its share.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

PERIOD_S: Final = 0.1
"""How often the capacity follows the rate."""
AHEAD_S: Final = 0.5
"""The capacity is what moves in this time: enough for any round trip up to it, and the longest that a
newcomer waits for what is under way already."""


@dataclass(eq=False, slots=True)
class Flow:
    """One of those who share a window; ``served`` is in bytes, counted from the window's own past."""

    served: int = 0


class FairWindow:
    """At most ``capacity_bytes`` are between ``enter`` and ``leave``; a larger single one enters alone.

    The capacity follows the measured rate, from ``least_bytes`` to ``most_bytes``; ``clock`` is in seconds.
    """

    def __init__(self, clock: Callable[[], float], least_bytes: int, most_bytes: int) -> None:
        self._clock = clock
        self._least_bytes = least_bytes
        self._most_bytes = most_bytes
        self.capacity_bytes = least_bytes
        self._inside_bytes = 0
        self._now_served = 0
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, int, int, Flow, asyncio.Future[None]]] = []
        self._limited = False
        self._moved_bytes = 0
        self._period_start_s = clock()

    def lets_in(self, size_bytes: int) -> bool:
        """Whether ``enter`` would not have to wait now."""
        return not self._waiting and (
            not self._inside_bytes or self._inside_bytes + size_bytes <= self.capacity_bytes
        )

    async def enter(self, flow: Flow, size_bytes: int) -> None:
        """Wait for the turn of ``flow``. Every ``enter`` that returns is followed by one ``leave``."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        start = max(flow.served, self._now_served)
        heapq.heappush(self._waiting, (start, size_bytes, next(self._numbers), flow, turn))
        self._admit()
        if turn.done():
            return
        self._limited = True
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(size_bytes, moved=False)
            raise

    @asynccontextmanager
    async def inside(self, flow: Flow, size_bytes: int) -> AsyncIterator[None]:
        """``enter`` and ``leave`` around what is done meanwhile."""
        await self.enter(flow, size_bytes)
        moved = False
        try:
            yield
            moved = True
        finally:
            self.leave(size_bytes, moved=moved)

    def leave(self, size_bytes: int, *, moved: bool = True) -> None:
        """``moved``: the bytes went through, and count for the rate."""
        self._inside_bytes -= size_bytes
        if moved:
            self._moved_bytes += size_bytes
            self._follow_rate()
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            start, size_bytes, _, flow, turn = self._waiting[0]
            if not turn.cancelled():
                if self._inside_bytes and self._inside_bytes + size_bytes > self.capacity_bytes:
                    return
                self._inside_bytes += size_bytes
                self._now_served = max(self._now_served, start)
                flow.served = start + size_bytes
                turn.set_result(None)
            heapq.heappop(self._waiting)

    def _follow_rate(self) -> None:
        now_s = self._clock()
        elapsed_s = now_s - self._period_start_s
        if elapsed_s < PERIOD_S:
            return
        if self._limited:  # else the rate tells what was wanted, not what was possible
            possible = int(self._moved_bytes / elapsed_s * AHEAD_S)
            self.capacity_bytes = min(max(possible, self._least_bytes), self._most_bytes)
        self._period_start_s = now_s
        self._moved_bytes = 0
        self._limited = bool(self._waiting)
