"""The texts that the clients of one room have open: made ones by their entry, others by the path to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from crdtsync.core.hub.doors.channel import Channel, Phase
from crdtsync.core.hub.doors.places import Places
from crdtsync.core.hub.doors.text import OpenText
from crdtsync.core.hub.doors.usage import Usage
from crdtsync.core.tree.rows import Create, Origin
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.core.wire.awareness import ClientState


class OpenTexts:
    """``wake`` is called when there is something to ``flush``."""

    def __init__(self, wake: Callable[[], None], usage: Usage) -> None:
        self._wake = wake
        self.usage = usage
        self._untold: dict[OpenText, None] = {}
        self.made: dict[EntryId, OpenText] = {}
        self.unmade: dict[str, OpenText] = {}
        """Texts of files that do not exist yet."""

    def __len__(self) -> int:
        return len(self.made) + len(self.unmade)

    def __iter__(self) -> Iterator[OpenText]:
        return iter((*self.made.values(), *self.unmade.values()))

    def of(self, channel: Channel) -> OpenText | None:
        """What the channel has open."""
        if channel.phase is not Phase.OPEN:
            return None
        return self.unmade.get(channel.path) if channel.entry is None else self.made.get(channel.entry)

    def neighbours(self, channel: Channel) -> list[Channel]:
        """The other channels of the text that this one has open."""
        text = self.of(channel)
        return [] if text is None else [each for each in text.channels.values() if each is not channel]

    def held(self, entry: EntryId) -> bytes | None:
        """The state vector of a text that is open."""
        text = self.made.get(entry)
        return None if text is None else text.document.state_vector

    def make(
        self, text: OpenText, entry: EntryId, places: Places, origin: Origin
    ) -> list[tuple[DocumentId, bytes]]:
        """The file of a text exists from now on; returns the updates that say all of it, few of many."""
        text.entry = entry
        self.made[entry] = self.unmade.pop(text.path)
        for channel in text.channels.values():
            channel.entry = entry
        tree = places.edit([Create(entry, Kind.TEXT, text.path, False, origin)])
        return [*((DocumentId(entry), update) for update in text.telling.take_unlogged()), (TREE, tree)]

    def add(self, text: OpenText) -> OpenText:
        """Have it open, by its entry or by the path to be."""
        before = len(self)
        if text.entry is None:
            self.unmade[text.path] = text
        else:
            self.made[text.entry] = text
        self.usage.texts += len(self) - before
        return text

    def close_if_unused(self, text: OpenText) -> bool:
        """Forget a text that no channel has open; True for one of a file that exists."""
        if text.channels:
            return False
        if text.entry is not None:
            known = self.made.pop(text.entry, None) is not None
            self.usage.texts -= known
            return known
        del self.unmade[text.path]
        self.usage.texts -= 1
        return False

    def soon(self, text: OpenText) -> None:
        """It has something to tell."""
        self._untold[text] = None
        self._wake()

    def flush(self) -> None:
        """Have all texts tell what they have to tell."""
        untold, self._untold = self._untold, {}
        for text in untold:
            text.flush()

    def announce(self, states: Sequence[ClientState]) -> None:
        """Tell all channels of all texts who is here."""
        for text in self:
            text.telling.awareness(states)
