"""What the clients of one room changed in a turn of the hub, on its way to the log: few updates of many.

And who is owed an answer about it, once it is durable.
"""

from __future__ import annotations

from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.doors.receipts import Receipts
from crdtsync.core.hub.doors.text import OpenText
from crdtsync.core.hub.room import Room
from crdtsync.core.values.ids import DocumentId


class Gathered:
    """``author``: the number of the desk as a member of the room."""

    def __init__(self, author: int) -> None:
        self._author = author
        self._receipts = Receipts()
        self._unlogged: dict[OpenText, int] = {}
        """Texts with updates for the log, and when the last of them came."""
        self._owing: list[Channel] = []

    def add(self, room: Room, text: OpenText, at_ms: int) -> None:
        """A client has changed the text."""
        self._give_soon(room)
        self._unlogged[text] = at_ms

    def owe(self, room: Room, channel: Channel) -> None:
        """The client is to hear when all that it sent is durable, if it ever hears of that."""
        if channel.connection.answers:
            self._give_soon(room)
            self._owing += [channel] * (1 + channel.shown_later)
            channel.shown_later = 0

    def pay(self, room: Room) -> bool:
        """The log is durable further than it was; returns whether more is owed."""
        self._receipts.pay(room.durable)
        return bool(self._receipts)

    def _give_soon(self, room: Room) -> None:
        if not self._unlogged and not self._owing:
            room.gather_later(self._author, lambda: self._give(room))

    def _give(self, room: Room) -> None:
        unlogged, self._unlogged = self._unlogged, {}
        for text, at_ms in unlogged.items():
            assert text.entry is not None
            document = DocumentId(text.entry)
            room.add(self._author, [(document, update) for update in text.telling.take_unlogged()], at_ms)
        owing, self._owing = self._owing, []
        for channel in owing:
            self._receipts.owe(channel, room.head, room.durable)
        if self._receipts and (desk := room.live.get(self._author)) is not None:
            room.awaiting_store[self._author] = desk
