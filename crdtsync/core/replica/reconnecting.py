"""When to leave the hub, and when to try it again: soon, then ever less often, with jitter; at once if the
network changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from crdtsync.core.replica.effects import Disconnect, Halt
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.values import limits
from crdtsync.core.values.ids import Randomness
from crdtsync.core.wire.control import Refused
from crdtsync.errors import PeerError


class Reconnecting:
    """``due``: when to connect next, None while connected or connecting."""

    def __init__(self, rng: Randomness, out: Outbox) -> None:
        self._rng = rng
        self._out = out
        self._delay_s = limits.RECONNECT_FIRST_S
        self.due: float | None = None

    def lost(self, now: float) -> None:
        """The connection ended, or an attempt failed. Jitter keeps many replicas from coming back at once."""
        self.due = now + self._delay_s * (0.5 + self._rng.random())
        self._delay_s = min(self._delay_s * 2, limits.RECONNECT_MAX_S)

    def heed(self, what_the_hub_says: Callable[[], None]) -> None:
        """Leave a hub that breaks the protocol."""
        try:
            what_the_hub_says()
        except PeerError as error:
            self._out.effect(Disconnect(f"the hub broke the protocol: {error}"))
            self._slowly()

    def refused(self, refused: Refused) -> bool:
        """The hub will not have us; returns whether that is for good."""
        match refused.code:
            case "denied" | "room" | "version":
                mismatch = refused.code == "version"
                self._out.effect(Halt(refused.message, denied=not mismatch, mismatch=mismatch))
                return True
            case "limit" | "protocol":
                self._slowly()
                self._out.effect(Disconnect(refused.message))
            case "shutdown":
                self._out.effect(Disconnect(refused.message))
            case _:
                assert_never(refused.code)
        return False

    def _slowly(self) -> None:
        """Trying again soon would help nobody."""
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
