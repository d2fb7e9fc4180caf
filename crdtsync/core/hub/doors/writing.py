"""What clients write into the texts of one room: checked, applied, gathered for the log, and answered.

Large updates are read by a worker first. A text of which there is no file yet becomes one by ``making``.
"""

from __future__ import annotations

from collections.abc import Callable

from crdtsync.core.hub import bounds
from crdtsync.core.hub.doors import codes
from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.doors.checking import LargeUpdates
from crdtsync.core.hub.doors.gathered import Gathered
from crdtsync.core.hub.doors.making import Making
from crdtsync.core.hub.doors.people import People
from crdtsync.core.hub.doors.places import Places
from crdtsync.core.hub.doors.text import OpenText, malformed, too_large
from crdtsync.core.hub.doors.texts import OpenTexts
from crdtsync.core.hub.events import UpdatesChecked
from crdtsync.core.hub.room import Room
from crdtsync.core.hub.shared import Shared
from crdtsync.core.text.update import EMPTY_UPDATE, UpdateShape
from crdtsync.core.tree.rows import Origin
from crdtsync.core.values import limits
from crdtsync.errors import MalformedUpdate


class Writing:
    """``author``: the number of the desk as a member of the room. ``here`` and ``places`` are that room and
    what stands in it, which are known before anyone writes; ``refuse`` ends a channel."""

    def __init__(
        self,
        author: int,
        shared: Shared,
        texts: OpenTexts,
        making: Making,
        people: People,
        here: Callable[[], Room],
        places: Callable[[], Places],
        refuse: Callable[[Channel, int, str], None],
    ) -> None:
        self._texts = texts
        self._making = making
        self._people = people
        self._here = here
        self._places = places
        self._refuse = refuse
        self._gathered = Gathered(author)
        self._large = LargeUpdates(shared)

    def take(self, channel: Channel, text: OpenText, update: bytes, at_ms: int) -> None:
        """Of any size: ``checked`` goes on with a large one."""
        if not self._large.take(channel, update, at_ms):
            self.apply(channel, text, update, at_ms)

    def checked(self, event: UpdatesChecked) -> None:
        """A large update has been read."""
        checking = self._large.done(event.channel)
        if checking is None or (text := self._texts.of(checking.channel)) is None:
            return
        channel = checking.channel
        if event.problem is None:
            self.apply(channel, text, checking.update, checking.at_ms, event.shape)
        else:
            self._refuse_update(channel, codes.MALFORMED, malformed(channel.path, event.problem))

    def forget(self, channel: Channel) -> None:
        """The client is done with the document, or gone."""
        self._large.done(channel.number)

    def pay(self) -> bool:
        """The log is durable further than it was; returns whether more is owed."""
        return self._gathered.pay(self._here())

    def apply(
        self, channel: Channel, text: OpenText, update: bytes, at_ms: int, shape: UpdateShape | None = None
    ) -> None:
        room = self._here()
        if update == EMPTY_UPDATE:
            self._owe(channel, text)
            return
        if len(update) > bounds.UPDATE_MAX_BYTES or text.grows_too_large(update):
            self._refuse_update(channel, codes.TOO_LARGE, too_large(channel.path))
            return
        try:
            if channel.granted.read_only:
                channel.connection.applied(channel, text.holds(update, shape))
                return
            if (full := room.full(len(update))) is not None and not text.holds(update, shape):
                self._refuse_update(channel, codes.TOO_LARGE, full)
                return
            change = text.apply(update, channel.number, shape)
        except MalformedUpdate as error:
            self._refuse_update(channel, codes.MALFORMED, malformed(channel.path, str(error)))
            return
        if change.changed or change.pending:
            if text.entry is not None:
                self._gathered.add(room, text, at_ms)
            elif room.documents >= limits.DOCUMENTS_PER_ROOM_MAX and text.document.text:
                full = f"The room {room.name!r} has as many files as a hub keeps."
                self._refuse(channel, codes.TOO_LARGE, full)
                return
            else:
                origin = Origin(self._people.name(channel.connection.number), at_ms)
                self._making.soon(room, self._places(), channel, text, origin)
        self._owe(channel, text)

    def _refuse_update(self, channel: Channel, code: int, reason: str) -> None:
        channel.connection.applied(channel, False)
        self._refuse(channel, code, reason)

    def _owe(self, channel: Channel, text: OpenText) -> None:
        if channel.connection.answers:
            self._making.make(text)  # what the answer is about has a place in the log
        self._gathered.owe(self._here(), channel)
