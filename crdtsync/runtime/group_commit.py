"""Carries out many small durable writes as few large ones: what arrives during one batch shares the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from crdtsync.runtime.workers import Workers

T = TypeVar("T")


class GroupCommit(Generic[T]):
    """``write`` is called in a thread, one batch at a time; it raises when it failed for any of them."""

    def __init__(self, write: Callable[[list[T]], None], workers: Workers) -> None:
        self._write = write
        self._workers = workers
        self._next: list[T] = []
        self._outcome: asyncio.Future[None] | None = None
        self._running: asyncio.Task[None] | None = None

    async def commit(self, items: Sequence[T]) -> None:
        """Return once all of ``items`` are written. Raises what ``write`` raises."""
        if self._outcome is None:
            self._outcome = asyncio.get_running_loop().create_future()
        self._next += items
        outcome = self._outcome
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await asyncio.shield(outcome)

    async def close(self) -> None:
        """Wait until all that was asked for is done."""
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        while self._outcome is not None:
            batch, outcome = self._next, self._outcome
            self._next, self._outcome = [], None
            try:
                await self._workers.run(self._write, batch)
            except Exception as error:
                outcome.set_exception(error)
                outcome.exception()  # all who asked may have gone
            else:
                outcome.set_result(None)
        self._running = None
