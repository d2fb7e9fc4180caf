"""A page's websocket to the hub: it comes back by itself, and leaves a connection on which nothing comes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from crdtsync.core.hub.events import HocuspocusDoor, YjsDoor
from crdtsync.testing.clock import Clock
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_network import VirtualLink

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 2.5
CHECK_EVERY_S = 3.0
SILENCE_MAX_S = 30.0


class PageSocket:
    """Open until ``close``, which ``ended`` may call; ``ended`` is told the reason each time."""

    def __init__(
        self,
        clock: Clock,
        rng: Random,
        hub: VirtualHub,
        door: YjsDoor | HocuspocusDoor,
        latency_s: float,
        opened: Callable[[], None],
        received: Callable[[bytes], None],
        ended: Callable[[str], None],
    ) -> None:
        self.open = True
        self.connected = False
        self._clock = clock
        self._told_opened = opened
        self._told_received = received
        self._told_ended = ended
        self._failures = 0
        self._heard_at_s = clock.now_s
        self.link = VirtualLink(clock, rng, hub, self._opened, self._received, self._ended)
        self.link.latency_s = latency_s
        self.link.door = door
        self.link.open()
        self._check()

    def send(self, frame: bytes) -> None:
        """What is said while there is no connection is lost."""
        if self.connected:
            self.link.send(frame)

    def close(self) -> None:
        self.open = self.connected = False
        self.link.close()

    def _opened(self) -> None:
        self.connected = True
        self._failures = 0
        self._heard_at_s = self._clock.now_s
        self._told_opened()

    def _received(self, frame: bytes | str) -> None:
        assert isinstance(frame, bytes), "Yjs clients are spoken to in binary frames only"
        self._heard_at_s = self._clock.now_s
        self._told_received(frame)

    def _ended(self, reason: str) -> None:
        self.connected = False
        self._told_ended(reason)
        if self.open:
            delay_s = min(BACKOFF_FIRST_S * 2**self._failures, BACKOFF_MAX_S)
            self._failures += 1
            self._clock.after(delay_s, lambda: self.link.open() if self.open else None)

    def _check(self) -> None:
        if self.open:
            if self.connected and self._clock.now_s - self._heard_at_s > SILENCE_MAX_S:
                self.link.cut()
            self._clock.after(CHECK_EVERY_S, self._check)
