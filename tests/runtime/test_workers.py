"""Threads for blocking work: how they are awaited, and whom they let go first."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from crdtsync.runtime.workers import NICENESS, Workers


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process has one niceness")
def test_only_threads_for_bulk_yield_to_the_loop() -> None:
    async def run() -> tuple[int, int]:
        bulk, quick = Workers("bulk", 1, bulk=True), Workers("quick", 1)
        try:
            return await bulk.run(niceness), await quick.run(niceness)
        finally:
            bulk.close()
            quick.close()

    own = niceness()
    yielding, as_we = asyncio.run(run())
    assert (yielding, as_we) == (min(own + NICENESS, 19), own)
    assert niceness() == own
