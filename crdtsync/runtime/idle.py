"""When the store's free space is given back to the disk: now and then, in small parts, with pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

PERIOD_S: Final = 10.0
PAUSE_S: Final = 0.05
"""Between two parts, so that saves and commits go first."""


async def shrink_when_idle(shrink: Callable[[], Awaitable[bool]]) -> NoReturn:
    """Call ``shrink`` until cancelled; it returns whether there is more to do."""
    pause_s = PERIOD_S
    while True:
        await asyncio.sleep(pause_s)
        pause_s = PAUSE_S if await shrink() else PERIOD_S
