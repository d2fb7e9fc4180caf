"""When to try the hub again: soon, then ever less often, with jitter; at once if the network changed."""

from __future__ import annotations

from crdtsync.core.values import limits
from crdtsync.core.values.ids import Randomness


class Reconnecting:
    """``due``: when to connect next, None while connected or connecting."""

    def __init__(self, rng: Randomness) -> None:
        self._rng = rng
        self._delay_s = limits.RECONNECT_FIRST_S
        self.due: float | None = None

    def lost(self, now: float) -> None:
        """The connection ended, or an attempt failed. Jitter keeps many replicas from coming back at once."""
        self.due = now + self._delay_s * (0.5 + self._rng.random())
        self._delay_s = min(self._delay_s * 2, limits.RECONNECT_MAX_S)

    def slowly(self) -> None:
        """The hub refused us, or broke the protocol: trying again soon would help nobody."""
        self._delay_s = limits.RECONNECT_MAX_S

    def caught_up(self) -> None:
        """The session is good: the next loss is met quickly."""
        self._delay_s = limits.RECONNECT_FIRST_S

    def network_changed(self, now: float) -> None:
        if self.due is not None:
            self.due = now

    def take(self, now: float) -> bool:
        """Whether it is time; asked once, it is under way."""
        if self.due is None or now < self.due:
            return False
        self.due = None
        return True
