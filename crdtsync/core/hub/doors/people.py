"""Who the Yjs clients of a room are, told to its folder replicas as presences: one for each connection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.doors.crossing import SOMEONE, name_in
from crdtsync.core.hub.doors.text import OpenText
from crdtsync.core.hub.outlet import bounded
from crdtsync.core.hub.room import Room
from crdtsync.core.values import limits
from crdtsync.core.values.ids import EntryId
from crdtsync.core.wire.control import Presence


class People:
    """``text_of`` tells what a channel has open, ``path_of`` where that stands now."""

    def __init__(
        self,
        channels: Mapping[int, Channel],
        text_of: Callable[[Channel], OpenText | None],
        path_of: Callable[[EntryId], str | None],
    ) -> None:
        self._channels = channels
        self._text_of = text_of
        self._path_of = path_of
        self._here: Counter[int] = Counter()

    def __contains__(self, connection: int) -> bool:
        return self._here[connection] > 0

    def come(self, connection: int) -> None:
        self._here[connection] += 1

    def go(self, connection: int) -> None:
        self._here[connection] -= 1
        if not self._here[connection]:
            del self._here[connection]

    def announce(self, room: Room, connection: int) -> None:
        """Tell the replicas who it is, and what it has open with someone in front of it."""
        states: list[str] = []
        paths: list[str] = []
        for channel in self._channels_of(connection):
            text = self._text_of(channel)
            told = [] if text is None else text.gathering.of(channel.number)
            if told:
                states += told
                paths.append(self._path(channel))
        if states:
            editing = tuple(dict.fromkeys(paths))[: limits.PRESENCE_PATHS_MAX]
            room.announce(bounded(Presence(member=connection, name=self.name(connection), editing=editing)))
        elif connection in room.presences:
            room.leave(connection)

    def name(self, connection: int) -> str:
        """As its invite says, else as it says itself."""
        states: list[str] = []
        for channel in self._channels_of(connection):
            if channel.granted.name:
                return channel.granted.name
            if (text := self._text_of(channel)) is not None:
                states += text.gathering.of(channel.number)
        return name_in(states) or SOMEONE

    def _channels_of(self, connection: int) -> list[Channel]:
        return [each for each in self._channels.values() if each.connection.number == connection]

    def _path(self, channel: Channel) -> str:
        path = None if channel.entry is None else self._path_of(channel.entry)
        return path or channel.path
