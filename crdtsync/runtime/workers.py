"""A few threads for blocking work, awaited from the loop; nothing they were asked for outlives its asker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Threads named ``name``. Closing waits for no one: by then all work has been awaited."""

    def __init__(self, name: str, threads: int = 4) -> None:
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)

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


def _nothing(_: object) -> None:
    """There is nothing to release."""
