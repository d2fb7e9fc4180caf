"""What may wait until nobody is to be told anything: done one by one when there is time, or when late.

Never much in one turn: whoever says something meanwhile waits for that.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from crdtsync.core.hub import bounds


class PutOff:
    """Once for each thing that it is about, and nothing once it was done otherwise."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, Callable[[], None]] = {}
        self._since_s: float | None = None
        """When the oldest was seen to wait."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, about: Hashable, what: Callable[[], None]) -> None:
        self._waiting[about] = what

    def do(self, now_s: float, *, idle: bool, last: bool) -> None:
        """In each turn of the hub, also the last; ``idle``: nobody is to be told anything in this one."""
        if not self._waiting:
            self._since_s = None
            return
        if self._since_s is None:
            self._since_s = now_s
        if last:
            count = len(self._waiting)
        elif now_s >= self._since_s + bounds.PUT_OFF_MAX_S:
            count = bounds.LATE_PER_TURN
        else:
            count = int(idle)
        for _ in range(min(count, len(self._waiting))):
            self._waiting.pop(next(iter(self._waiting)))()
