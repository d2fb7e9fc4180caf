"""How often something may be done: so many times at once, then so many times a second."""

from __future__ import annotations


class Allowance:
    """What is left of ``burst``; it grows back by ``per_s``. Times in seconds on any one clock."""

    __slots__ = ("_at_s", "_burst", "_left", "_per_s")

    def __init__(self, burst: float, per_s: float, now_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = burst
        self._at_s = now_s

    def spend(self, now_s: float) -> bool:
        """Take one off, if there is one."""
        self._left = min(self._left + max(0.0, now_s - self._at_s) * self._per_s, self._burst)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
