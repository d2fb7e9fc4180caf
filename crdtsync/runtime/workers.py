"""A few threads for blocking work, awaited from the loop; nothing they were asked for outlives its asker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

NICENESS: Final = 5
"""Added to the threads': enough to let a loop go first (it gets three times as much of a busy core), little
enough that a thread that holds Python's lock is not kept from giving it back."""
P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Threads named ``name``. Closing waits for no one: by then all work has been awaited."""

    def __init__(self, name: str, threads: int = 4, *, bulk: bool = False) -> None:
        """``bulk``: nobody waits for a single piece of their work, so that others go first."""
        self._threads = ThreadPoolExecutor(
            max_workers=threads, thread_name_prefix=name, initializer=_give_way if bulk else None
        )

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` in a thread. When cancelled, wait for it all the same before giving way.

        So whoever owns a file that the thread reads can close it afterwards, without handing the thread
        another file under the same number.
        """
        return await self.acquire(_nothing, function, *args, **kwargs)

    async def acquire(
        self, release: Callable[[T], object], function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As ``run``, for what must be closed: when cancelled, what ``function`` returned is released."""
        working = asyncio.wrap_future(self._threads.submit(function, *args, **kwargs))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            while not working.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([working])
            if not working.cancelled() and working.exception() is None:
                release(working.result())
            raise

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _give_way() -> None:
    """On Linux each thread has a niceness of its own; elsewhere the number would be another process's."""
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)


def _nothing(_: object) -> None:
    """There is nothing to release."""
