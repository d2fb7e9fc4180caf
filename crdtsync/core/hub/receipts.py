"""What a member is owed about its own pushes: where each ends in the log, and when that is durable."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from crdtsync.core.hub.batch import Rows
from crdtsync.core.hub.outlet import Outlet
from crdtsync.core.wire.codec import encode_from_hub, encode_relay
from crdtsync.core.wire.messages import Accepted, Ack


@dataclass(frozen=True, slots=True)
class _Place:
    """A pushed batch and where it ends in the log."""

    batch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Passage:
    """Frames that take a member on in the log, of ``size`` together, and how many batches they accept."""

    frames: tuple[bytes, ...]
    size: int
    accepts: int


class Receipts:
    """A batch is accepted in its place among the relays, then acknowledged once it is durable; in order."""

    def __init__(self, outlet: Outlet) -> None:
        self.told_durable = 0
        """The end of the durable log, as last told to the member."""
        self._outlet = outlet
        self._pushed: deque[_Place] = deque()
        self._accepted: deque[_Place] = deque()

    @property
    def unaccepted(self) -> bool:
        return bool(self._pushed)

    @property
    def all_given(self) -> bool:
        return not self._pushed and not self._accepted

    def add(self, batch: int, sequence: int) -> None:
        """A batch of this member ends at ``sequence``; everything before it was added earlier."""
        self._pushed.append(_Place(batch, sequence))

    def passage(self, rows: Rows, through: int) -> Passage:
        """Relays of these rows, with an Accepted wherever they pass the end of a batch.

        ``through``: the rows are all there is up to there.
        """
        frames: list[bytes] = []
        part: list[bytes] = []
        pushed = iter(self._pushed)
        place = next(pushed, None)
        accepts = 0
        for sequence, encoded in (*rows, (through + 1, None)):
            while place is not None and place.sequence < sequence:
                if part:
                    frames.append(encode_relay(part))
                    part = []
                frames.append(encode_from_hub(Accepted(place.batch, place.sequence)))
                accepts += 1
                place = next(pushed, None)
            if encoded is not None:
                part.append(encoded)
        if part:
            frames.append(encode_relay(part))
        return Passage(tuple(frames), sum(map(len, frames)), accepts)

    def give(self, passage: Passage) -> None:
        for frame in passage.frames:
            self._outlet.send(frame)
        for _ in range(passage.accepts):
            self._accepted.append(self._pushed.popleft())

    def acknowledge(self, durable: int, position: int) -> None:
        """Acknowledge what has been accepted and is durable. The member has all rows up to ``position``."""
        while self._accepted and self._accepted[0].sequence <= durable:
            self.told_durable = max(self.told_durable, min(durable, position))
            self._outlet.say(Ack(self._accepted.popleft().batch, self.told_durable))
