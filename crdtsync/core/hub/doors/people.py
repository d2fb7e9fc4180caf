"""Who the Yjs clients of a room are, told to its folder replicas as presences: one for each connection."""

from __future__ import annotations

from collections.abc import Callable

from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.doors.crossing import SOMEONE, name_in
from crdtsync.core.hub.doors.text import OpenText
from crdtsync.core.hub.outlet import bounded
from crdtsync.core.hub.room import Room
from crdtsync.core.values import limits
from crdtsync.core.values.ids import EntryId
from crdtsync.core.wire.awareness import ClientState
from crdtsync.core.wire.control import Presence


class People:
    """``text_of`` tells what a channel has open, ``path_of`` where that stands now."""

    def __init__(
        self,
        text_of: Callable[[Channel], OpenText | None],
        path_of: Callable[[EntryId], str | None],
    ) -> None:
        self._text_of = text_of
        self._path_of = path_of
        self._here: dict[int, list[Channel]] = {}
        """The channels of each connection."""

    def __contains__(self, connection: int) -> bool:
        return connection in self._here

    def __len__(self) -> int:
        return len(self._here)

    def come(self, channel: Channel) -> None:
        self._here.setdefault(channel.connection.number, []).append(channel)

    def go(self, channel: Channel) -> None:
        channels = self._here[channel.connection.number]
        channels.remove(channel)
        if not channels:
            del self._here[channel.connection.number]

    def announce(self, room: Room, connection: int) -> None:
        """Tell the replicas who it is, and what it has open with someone in front of it."""
        states: list[ClientState] = []
        paths: list[str] = []
        for channel in self._here.get(connection, ()):
            text = self._text_of(channel)
            told = () if text is None else text.gathering.of(channel.number)
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
        states: list[ClientState] = []
        for channel in self._here.get(connection, ()):
            if channel.granted.name:
                return channel.granted.name
            if (text := self._text_of(channel)) is not None:
                states += text.gathering.of(channel.number)
        return name_in(states) or SOMEONE

    def _path(self, channel: Channel) -> str:
        path = None if channel.entry is None else self._path_of(channel.entry)
        return path or channel.path
