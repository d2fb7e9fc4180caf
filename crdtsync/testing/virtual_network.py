"""Connections between replicas and the hub: in order, late, now and then cut with all on its way."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from crdtsync.core.hub.events import HocuspocusDoor, YjsDoor
from crdtsync.testing.clock import Clock
from crdtsync.testing.virtual_hub import Line, VirtualHub


class VirtualLink:
    """A way to the hub: of a replica, or of a Yjs client, which says at its ``door`` what it wants.

    ``opened``, ``received`` and ``ended`` tell of the latest connection.
    """

    def __init__(
        self,
        clock: Clock,
        rng: Random,
        hub: VirtualHub,
        opened: Callable[[], None],
        received: Callable[[bytes | str], None],
        ended: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._hub = hub
        self._opened = opened
        self._received = received
        self._ended = ended
        self.online = True
        self.latency_s = 0.001
        self.bytes_per_s: float | None = None
        """How fast this end reads; None: as fast as it comes."""
        self.door: YjsDoor | HocuspocusDoor | None = None
        self.close_code = 0
        """Why the latest connection ended, as the hub's close frame says; 0 if there was none."""
        self._connection = 0
        self._lost: dict[int, float] = {}
        """Connections that the hub holds for open, and until when their frames stall."""
        self._member: int | None = None
        self._up_free_s = 0.0
        self._down_free_s = 0.0

    def open(self) -> None:
        """Connect; the answer comes later. Replaces a connection that is open."""
        self.close()
        self._later(self._delay_s(), self._try)

    def close(self) -> None:
        """From our side: nothing is told of it."""
        member, self._member = self._member, None
        self._connection += 1
        if member is not None:
            self._hub.hang_up(member)

    def drop(self, reason: str) -> None:
        """From our side, and the end is told, as a websocket's is."""
        self.close()
        self._later(0.0, lambda: self._ended(reason))

    def cut(self) -> None:
        """The network fails: what is on its way, in either direction, is gone."""
        if self._member is not None:
            self.drop("the network failed")

    def unplug(self) -> None:
        """``cut``, and nothing can be opened before ``online`` is set again."""
        self.online = False
        self.cut()

    def lose(self, stalled_s: float, noticed_s: float) -> None:
        """As ``cut`` for this end, but the hub does not know: what is on its way to it arrives when it has
        stalled so long, and the connection ends there after a longer time."""
        member, self._member = self._member, None
        if member is not None:
            self._lost[member] = self._clock.now_s + stalled_s
            self._hub.loses(member)
            self._connection += 1
            self._later(0.0, lambda: self._ended("the network failed"))
            self._clock.after(noticed_s, lambda: self._hang_up(member))

    def _hang_up(self, member: int) -> None:
        del self._lost[member]
        self._hub.hang_up(member)

    def send(self, frame: bytes | str) -> None:
        if self._member is None:
            return
        self._up_free_s = max(self._up_free_s, self._clock.now_s + self._delay_s())
        member = self._member
        self._clock.after(self._up_free_s - self._clock.now_s, lambda: self._arrive(member, frame))

    def _try(self) -> None:
        if not self.online or not self._hub.up:
            self._ended("the hub cannot be reached")
            return
        connection = self._connection
        self.close_code = 0
        self._up_free_s = self._down_free_s = self._clock.now_s
        self._opened_as(connection)

    def _opened_as(self, connection: int) -> None:
        line = Line(
            deliver=lambda frame: self._deliver(connection, frame),
            ended=lambda reason: self._hub_ended(connection, reason, line.close_code),
            door=self.door,
            bytes_per_s=lambda: self.bytes_per_s,
        )
        self._member = self._hub.connect(line)
        self._opened()

    def _arrive(self, member: int, frame: bytes | str) -> None:
        stalled_until_s = self._lost.get(member, 0.0)
        if stalled_until_s > self._clock.now_s:
            self._clock.after(stalled_until_s - self._clock.now_s, lambda: self._arrive(member, frame))
        elif member == self._member or member in self._lost:
            self._hub.take(member, frame)

    def _deliver(self, connection: int, frame: bytes | str) -> None:
        self._down_free_s = max(self._down_free_s, self._clock.now_s + self._delay_s())
        if connection == self._connection:
            self._later(self._down_free_s - self._clock.now_s, lambda: self._received(frame))

    def _hub_ended(self, connection: int, reason: str, code: int) -> None:
        """After everything that the hub has sent before."""
        if connection == self._connection:
            self._down_free_s = max(self._down_free_s, self._clock.now_s + self._delay_s())
            self._later(self._down_free_s - self._clock.now_s, lambda: self._closed_by_hub(reason, code))

    def _closed_by_hub(self, reason: str, code: int) -> None:
        self.close_code = code
        self._member = None
        self._connection += 1
        self._ended(reason)

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do it unless the connection is another by then."""
        connection = self._connection
        self._clock.after(delay_s, lambda: action() if connection == self._connection else None)

    def _delay_s(self) -> float:
        return self.latency_s * self._rng.uniform(0.5, 1.5)
