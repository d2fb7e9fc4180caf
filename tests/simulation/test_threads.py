"""The threads of the simulator tell of what they did as real ones do."""

from __future__ import annotations

from functools import partial

import pytest

from crdtsync.testing.clock import Clock
from crdtsync.testing.virtual_threads import VirtualThreads


@pytest.mark.parametrize(("count", "told"), [(1, ["slow", "quick"]), (2, ["quick", "slow"])])
def test_what_one_thread_did_is_told_in_the_order_in_which_it_did_it(count: int, told: list[str]) -> None:
    """What several did is told as the clock has it."""
    clock = Clock()
    to_begin, to_tell_slowly, to_tell_quickly = 0.0, 1.0, 0.1
    delays = iter([to_begin] * count + [to_tell_slowly, *[to_begin] * (2 - count), to_tell_quickly])
    threads = VirtualThreads(clock, count, lambda: next(delays))
    heard: list[str] = []
    for name in ("slow", "quick"):
        threads.submit(partial(str, name), heard.append)
    clock.run_until(clock.now_s + 5.0)
    assert heard == told
