"""What every connection of a Yjs client has: an outgoing queue with a bound, and whether it is read from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crdtsync.core.hub import bounds
from crdtsync.core.hub.effects import Pause, Unpause
from crdtsync.core.hub.outlet import Outlet
from crdtsync.core.hub.shared import Lost, Shared


@dataclass(frozen=True, slots=True)
class Farewell:
    """How a connection ends once the event is handled."""

    code: int
    reason: str


class Wire:
    def __init__(self, number: int, shared: Shared) -> None:
        self.number = number
        self.farewell: Farewell | None = None
        self._shared = shared
        self._outlet = Outlet(number, shared)
        self._drained: list[Callable[[], None]] = []
        self._waiting = 0
        self._paused = False

    def send(self, *frames: bytes) -> None:
        """What answers one request goes out as a whole, however large a text is: more than a queue and one
        answer never waits, for then the client is not read from. One that does not read and was promised
        more is let go: it comes back and is told only what it lacks."""
        if self.farewell is not None:
            return
        if self._outlet.is_over and sum(map(len, frames)) > bounds.SHORT_ANSWER_BYTES:
            self._shared.counts.dropped += 1
            self.end(1013, "this client does not read")
            return
        for frame in frames:
            self._outlet.send(frame)
        self.settle()

    @property
    def is_idle(self) -> bool:
        """All that was sent is with the network, so that it ``takes`` whatever comes next."""
        return self.farewell is None and not self._outlet.queued

    def takes(self, size: int) -> bool:
        """Count frames that go out to many; False, counting nothing, while it does not keep up."""
        if self.farewell is not None or not self._outlet.take(size):
            return False
        if self._outlet.is_over:
            self.settle()
        return True

    def when_drained(self, then: Callable[[], None]) -> None:
        """Call it once everything that was sent is with the network."""
        self._drained.append(then)

    def sent(self, size: int) -> None:
        self._outlet.sent(size)
        self.settle()
        if self._drained and not self._outlet.queued:
            drained, self._drained = self._drained, []
            for then in drained:
                then()

    def wait(self) -> None:
        self._waiting += 1
        self.settle()

    def go_on(self) -> None:
        self._waiting -= 1
        self.settle()

    def settle(self) -> None:
        """Pause or unpause: the client is not read from while something of it waits."""
        overloaded = self._shared.uncommitted_bytes > bounds.UNCOMMITTED_MAX_BYTES
        if overloaded:
            self._shared.held[self.number] = None
        pause = overloaded or self._waiting > 0 or self._outlet.is_over
        if pause is not self._paused:
            self._paused = pause
            self._shared.add(Pause(self.number) if pause else Unpause(self.number))

    def end(self, code: int, reason: str) -> None:
        """Close the connection after what was sent."""
        if self.farewell is None:
            self.farewell = Farewell(code, reason)
            self._shared.lost.append(Lost(self.number, code, reason))
