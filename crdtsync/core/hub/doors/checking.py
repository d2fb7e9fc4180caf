"""Large updates of Yjs clients on their way through a worker, which reads them so that the hub need not."""

from __future__ import annotations

from dataclasses import dataclass

from crdtsync.core.hub import bounds
from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.effects import CheckUpdates
from crdtsync.core.hub.shared import Shared
from crdtsync.core.values.ids import DocumentId, EntryId

_ANY_TEXT = DocumentId(EntryId("0" * 24))
"""The worker only needs to know that it is a text."""


@dataclass(frozen=True, slots=True)
class Checking:
    channel: Channel
    update: bytes
    at_ms: int


class LargeUpdates:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._checking: dict[int, Checking] = {}

    def take(self, channel: Channel, update: bytes, at_ms: int) -> bool:
        """Have it checked, and nothing else taken from its client meanwhile; False for a small one."""
        if len(update) <= bounds.CHECK_INLINE_MAX_BYTES or channel.number in self._checking:
            return False
        self._checking[channel.number] = Checking(channel, update, at_ms)
        channel.connection.wait()
        updates = ((_ANY_TEXT, update),)
        self._shared.add(CheckUpdates(channel.connection.number, updates, channel.number))
        return True

    def done(self, channel: int) -> Checking | None:
        """It has been checked, or nobody wants to know any more."""
        checking = self._checking.pop(channel, None)
        if checking is not None:
            checking.channel.connection.go_on()
        return checking
