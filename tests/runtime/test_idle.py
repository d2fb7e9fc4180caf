"""Memory goes back to the system soon after a start, and seldom from then on."""

from __future__ import annotations

import asyncio

import pytest

from crdtsync.runtime import idle


def test_after_the_start_it_is_looked_often_and_then_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    answers = iter([True, *[False] * (idle.FIRST_ROUNDS + 1)])

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)

    async def shrink() -> bool:
        try:
            return next(answers)
        except StopIteration:
            raise asyncio.CancelledError from None

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(idle.shrink_when_idle(shrink))
    first = [idle.FIRST_S, idle.PAUSE_S, *[idle.FIRST_S] * (idle.FIRST_ROUNDS - 1)]
    assert pauses == [*first, idle.PERIOD_S, idle.PERIOD_S]
