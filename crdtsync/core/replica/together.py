"""Makes one event of many that waited together; knows which may be joined, and how many are not too many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crdtsync.core.replica import events as ev

TOGETHER_MAX: Final = 256
"""Of what is taken in as one event, as ``_weight`` reckons: 20 to 30 ms, in which nothing else happens."""
WEIGHT_BYTES: Final = 4 << 10
"""Of a frame: what takes as long as one small file."""


def together(events: Iterable[ev.Event]) -> list[ev.Event]:
    """The same, with those that may be joined, and follow each other, as one event."""
    joined: list[ev.Event] = []
    some: list[ev.Joinable] = []
    weight = 0
    for event in events:
        if not isinstance(event, ev.Joinable):
            joined += _as_one(some)
            joined.append(event)
            some, weight = [], 0
            continue
        weight += _weight(event)
        if weight > TOGETHER_MAX:
            joined += _as_one(some)
            some, weight = [], _weight(event)
        some.append(event)
    return joined + _as_one(some)


def _as_one(events: list[ev.Joinable]) -> list[ev.Event]:
    return [ev.Several(tuple(events))] if len(events) > 1 else list(events)


def _weight(event: ev.Joinable) -> int:
    """How long it takes to take it in, of some hundred: as many files as that."""
    match event:
        case ev.Hint():
            return 0
        case ev.StepsDone(outcomes):
            return len(outcomes)
        case ev.BinaryFrame(data):
            return 1 + len(data) // WEIGHT_BYTES
        case _:
            return 1
