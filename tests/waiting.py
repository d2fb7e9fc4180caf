"""Waiting for what comes by itself, up to a deadline that costs nothing where nothing hangs."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Awaitable, Callable
from typing import Final

DEADLINE_S: Final = 60.0
LOOK_EVERY_S: Final = 0.001
POLL_S: Final = 0.005
"""The same for other processes, which want to run meanwhile."""


async def until(condition: Callable[[], object], news: asyncio.Event | None = None) -> None:
    """Look whether ``condition`` holds whenever there is ``news``, or else every millisecond; fails the test
    at the deadline."""
    look_again = news or asyncio.Event()
    async with asyncio.timeout(DEADLINE_S):
        while not await _answer(condition):
            look_again.clear()
            if news is None:
                asyncio.get_running_loop().call_later(LOOK_EVERY_S, look_again.set)
            await look_again.wait()


async def _answer(condition: Callable[[], object]) -> object:
    answer = condition()
    return await answer if isinstance(answer, Awaitable) else answer


def eventually(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait until ``condition`` holds; fails with ``what`` after the deadline."""
    pause = select.poll()
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        pause.poll(POLL_S * 1000)
