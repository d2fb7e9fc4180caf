"""The window that transfers share: bounded, fair by bytes, as large as the line is fast."""

from __future__ import annotations

import asyncio

import pytest

from crdtsync.runtime.fair_window import FairWindow, Flow


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def fixed(size_bytes: int) -> FairWindow:
    return FairWindow(Clock(), size_bytes, size_bytes)


class Customer:
    """Enters a window again and again; ``log`` has who was let in, in order."""

    def __init__(self, window: FairWindow, name: str, log: list[str], size_bytes: int) -> None:
        self.flow = Flow()
        self._window = window
        self._name = name
        self._log = log
        self._size_bytes = size_bytes

    async def run(self, times: int) -> None:
        for _ in range(times):
            await self._window.enter(self.flow, self._size_bytes)
            self._log.append(self._name)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_no_more_is_inside_than_the_capacity() -> None:
    window = fixed(100)
    log: list[str] = []
    task = asyncio.create_task(Customer(window, "a", log, 40).run(5))
    await settle()
    assert len(log) == 2
    window.leave(40)
    await settle()
    assert len(log) == 3
    task.cancel()


async def test_one_that_is_larger_than_the_capacity_enters_alone() -> None:
    window = fixed(100)
    await window.enter(Flow(), 10)
    entering = asyncio.create_task(window.enter(Flow(), 500))
    await settle()
    assert not entering.done()
    window.leave(10)
    await entering


async def test_a_small_one_that_comes_late_passes_a_large_one() -> None:
    window = fixed(100)
    log: list[str] = []
    large = asyncio.create_task(Customer(window, "large", log, 100).run(50))
    await settle()
    for _ in range(10):
        window.leave(100)
        await settle()
    small = asyncio.create_task(Customer(window, "small", log, 10).run(1))
    await settle()
    window.leave(100)
    await settle()
    assert log[-1] == "small"
    large.cancel()
    await small


async def test_large_and_small_get_the_same_number_of_bytes() -> None:
    window = fixed(100)
    log: list[str] = []
    tasks = [
        asyncio.create_task(Customer(window, "large", log, 100).run(100)),
        asyncio.create_task(Customer(window, "small", log, 20).run(1000)),
    ]
    await settle()
    sizes = {"large": 100, "small": 20}
    left = 0
    while len(log) < 240:
        assert left < len(log), "somebody is inside at any time"
        window.leave(sizes[log[left]])
        left += 1
        await settle()
    assert abs(log.count("large") * 100 - log.count("small") * 20) <= 200
    for task in tasks:
        task.cancel()


async def test_one_that_gives_up_takes_no_room() -> None:
    window = fixed(100)
    await window.enter(Flow(), 100)
    gone = asyncio.create_task(window.enter(Flow(), 60))
    waiting = asyncio.create_task(window.enter(Flow(), 100))
    await settle()
    gone.cancel()
    window.leave(100)
    await waiting
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_one_that_gives_up_in_the_instant_of_its_turn_gives_it_back() -> None:
    window = fixed(100)
    await window.enter(Flow(), 100)
    gone = asyncio.create_task(window.enter(Flow(), 100))
    await settle()
    window.leave(100)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    async with asyncio.timeout(5):
        await window.enter(Flow(), 100)


async def test_the_capacity_follows_the_line() -> None:
    clock = Clock()
    window = FairWindow(clock, 100, 10_000)
    log: list[str] = []
    task = asyncio.create_task(Customer(window, "a", log, 50).run(10_000))
    await settle()
    left = 0

    async def pass_time(bytes_per_s: int) -> None:
        nonlocal left
        for _ in range(10):
            clock.now_s += 0.11
            budget = int(bytes_per_s * 0.11)
            while budget >= 50 and left < len(log):
                window.leave(50)
                left += 1
                budget -= 50
                await settle()

    await pass_time(8000)
    assert 2000 <= window.capacity_bytes <= 4500
    await pass_time(1000)
    assert 100 <= window.capacity_bytes <= 600
    task.cancel()


async def test_a_line_that_nobody_needs_keeps_its_capacity() -> None:
    clock = Clock()
    window = FairWindow(clock, 100, 10_000)
    task = asyncio.create_task(Customer(window, "a", [], 50).run(12))
    for _ in range(12):
        await settle()
        clock.now_s += 0.02
        window.leave(50)
    await task
    before = window.capacity_bytes
    assert before > 500
    for _ in range(20):
        await window.enter(Flow(), 1)
        clock.now_s += 1.0
        window.leave(1)
    assert window.capacity_bytes == before
