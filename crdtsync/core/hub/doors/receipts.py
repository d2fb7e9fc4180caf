"""Answers that clients are owed for what they sent: given once the log is durable that far, in order."""

from __future__ import annotations

from crdtsync.core.hub.doors.channel import Channel, Phase


class Receipts:
    def __init__(self) -> None:
        self._owed: list[tuple[int, Channel]] = []

    def __len__(self) -> int:
        return len(self._owed)

    def owe(self, channel: Channel, sequence: int, durable: int) -> None:
        """An answer is due when the log is durable up to ``sequence``; now it is up to ``durable``."""
        self._owed.append((sequence, channel))
        if self._owed[0][0] <= durable:
            self.pay(durable)

    def pay(self, durable: int) -> None:
        """Tell the authors of all updates up to this row of the log that they are durable."""
        paid = 0
        for sequence, _ in self._owed:
            if sequence > durable:
                break
            paid += 1
        owed, self._owed = self._owed[:paid], self._owed[paid:]
        for _, channel in owed:
            if channel.phase is Phase.OPEN:
                channel.connection.applied(channel, True)
