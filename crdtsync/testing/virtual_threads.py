"""Threads on the virtual clock: blocking code runs until it pauses, and others run while it does.

One runs at a time, and which one is decided by the clock alone. Sole user of greenlet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from greenlet import getcurrent, greenlet

from crdtsync.testing.clock import Clock
from crdtsync.testing.virtual_kernel import Killed

T = TypeVar("T")


class VirtualThreads:
    """A pool of ``count`` threads. ``delay_s`` tells how long it takes to begin, and to tell of an end.

    What one thread does one after another it tells of in that order.
    """

    def __init__(self, clock: Clock, count: int, delay_s: Callable[[], float]) -> None:
        self._clock = clock
        self._free = [clock.now_s] * count
        """Of each thread that has nothing to do, when it will have told of all that it has done."""
        self._delay_s = delay_s
        self._waiting: deque[Callable[[float], None]] = deque()

    def submit(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """Do ``work`` in a thread, after what was asked for before; ``done`` gets what it returns, outside.

        A thread whose process is killed ends without a word.
        """

        def body(told_s: float) -> None:
            try:
                result = work()
            except Killed:
                return
            told_s = max(told_s, self._clock.now_s + self._delay_s())
            self._clock.after(told_s - self._clock.now_s, lambda: done(result))
            self._free.append(told_s)
            self._begin()

        self._waiting.append(body)
        self._begin()

    @property
    def idle(self) -> bool:
        return not self._waiting

    def _begin(self) -> None:
        if self._free and self._waiting:
            body, told_s = self._waiting.popleft(), self._free.pop()
            self._clock.after(self._delay_s(), lambda: greenlet(body).switch(told_s))


def pause(clock: Clock, duration_s: float) -> None:
    """Let time pass in this thread; outside of one it takes no time.

    Raises GreenletExit when the whole simulation is thrown away meanwhile.
    """
    current = getcurrent()
    outside = current.parent
    if outside is None or clock.passes(duration_s):
        return
    clock.after(duration_s, current.switch)
    outside.switch()
