"""Answers that clients are owed for what they sent: given once the log is durable that far, in order."""

from __future__ import annotations

from collections import deque

from crdtsync.core.hub.doors.channel import Channel, Phase


class Receipts:
    def __init__(self) -> None:
        self._owed: deque[tuple[int, Channel]] = deque()

    def __len__(self) -> int:
        return len(self._owed)

    def owe(self, channel: Channel, sequence: int, durable: int) -> None:
        """An answer is due when the log is durable up to ``sequence``; now it is up to ``durable``."""
        self._owed.append((sequence, channel))
        self.pay(durable)

    def pay(self, durable: int) -> None:
        while self._owed and self._owed[0][0] <= durable:
            _, channel = self._owed.popleft()
            if channel.phase is Phase.OPEN:
                channel.connection.applied(channel, True)
