"""When free space is given back: to the disk in small parts, with pauses; and memory to the system."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from crdtsync.adapters.heap import Heap

FIRST_S: Final = 2.0
"""In the first ``FIRST_ROUNDS`` after the start, which needs much that is not needed any more."""
FIRST_ROUNDS: Final = 5
PERIOD_S: Final = 10.0
PAUSE_S: Final = 0.05
"""Between two parts, so that saves and commits go first."""


async def shrink_when_idle(
    shrink: Callable[[], Awaitable[bool]], rest: Callable[[], bool] = lambda: False
) -> NoReturn:
    """Call ``shrink`` until cancelled; it returns whether there is more to do.

    If not, ``rest`` is called; it returns whether it has freed much memory.
    """
    heap = Heap()
    pause_s, rounds = FIRST_S, 0
    while True:
        await asyncio.sleep(pause_s)
        more = await shrink()
        rounds += not more
        pause_s = PAUSE_S if more else FIRST_S if rounds < FIRST_ROUNDS else PERIOD_S
        if not more:
            await asyncio.to_thread(heap.give_back, at_once=rest())
