"""The queue of events between threads and the loop."""

from __future__ import annotations

import pytest

from crdtsync.core.values import limits
from crdtsync.runtime.event_queue import EventQueue


async def test_what_overflows_is_one_event_until_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EVENTS_WAITING_MAX", 3)
    queue: EventQueue[str] = EventQueue()
    for number in range(1000):
        queue.put_bounded(f"hint {number}", "lost")
    queue.put("kept")
    assert queue.take() == ["hint 0", "hint 1", "hint 2", "lost", "kept"]
    queue.put_bounded("hint", "lost")
    assert queue.take() == ["hint"]
