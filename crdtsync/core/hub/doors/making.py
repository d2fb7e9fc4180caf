"""The texts of one room that become files with their first character: once others were told of that, since it
takes longer. What a client is owed, and whoever wants to know what is there, do not wait for that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.doors.opened import Opened
from crdtsync.core.hub.doors.places import Places
from crdtsync.core.hub.doors.text import OpenText
from crdtsync.core.hub.doors.texts import OpenTexts
from crdtsync.core.hub.room import Room
from crdtsync.core.hub.shared import Shared
from crdtsync.core.tree.rows import Origin
from crdtsync.core.values.ids import Randomness, new_entry_id

_Asked: TypeAlias = tuple[Room, Places, Origin, bool]


class Making:
    """``author``: the number of the desk as a member of the room. ``move`` has a channel, which holds that
    state vector of the text, go on with a file that is there already."""

    def __init__(
        self,
        author: int,
        texts: OpenTexts,
        opened: Opened,
        shared: Shared,
        rng: Randomness,
        move: Callable[[Channel, OpenText, bytes], None],
    ) -> None:
        self._author = author
        self._texts = texts
        self._opened = opened
        self._shared = shared
        self._rng = rng
        self._move = move
        self._asked: dict[OpenText, _Asked] = {}
        """By whom, and whether that client returns."""

    def soon(self, room: Room, places: Places, channel: Channel, text: OpenText, origin: Origin) -> None:
        """The channel has changed a text of which there is no file yet."""
        if text not in self._asked:
            self._asked[text] = room, places, origin, channel.returns
            self._shared.put_off.add(text, partial(self.make, text))
            room.put_off[self._author] = self.make_all

    def make_all(self) -> None:
        for text in list(self._asked):
            self.make(text)

    def make(self, text: OpenText | None) -> None:
        """From here on there is a file, if one was asked for, and there is a character in it."""
        if text is None or (asked := self._asked.pop(text, None)) is None:
            return
        room, places, origin, returns = asked
        if not self._asked:
            del room.put_off[self._author]
        if not text.document.text:
            return
        made = places.made_as(text.path, text.document.encode_state(), returns)
        if made in places:  # a folder has brought it back meanwhile
            for each in list(text.channels.values()):
                self._move(each, text, text.document.state_vector)
            return
        entry = made or new_entry_id(self._rng)
        self._opened.add(room.name, text.path, entry)
        room.add(self._author, self._texts.make(text, entry, places, origin), origin.at_ms)
