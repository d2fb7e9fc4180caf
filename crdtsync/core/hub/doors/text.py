"""One text that clients have open: its document, its channels, and who is there.

Knows what each channel is to be told; the room, its log and its tree are the desk's matter.
"""

from __future__ import annotations

from collections.abc import Iterable

from crdtsync.core.hub.doors.awareness import Gathering
from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.text.document import TextDocument
from crdtsync.core.values import limits
from crdtsync.core.values.ids import EntryId, printable
from crdtsync.core.wire.awareness import ClientState
from crdtsync.core.wire.yjs import Awareness, SyncStep1, SyncStep2, SyncUpdate, YjsMessage
from crdtsync.errors import MalformedUpdate


class OpenText:
    """``entry`` is None as long as there is no such file: ``path`` is where it will be made."""

    def __init__(self, entry: EntryId | None, path: str, client_id: int, updates: Iterable[bytes]) -> None:
        self.entry = entry
        self.path = path
        self._client_id = client_id
        self.document = TextDocument(client_id, updates)
        self.channels: dict[int, Channel] = {}
        self.gathering = Gathering()
        self.unmade: list[bytes] = []
        """Updates of a file that is not made yet: so far there is no character to be seen."""
        self._size_max_bytes = len(self.document.text.encode())
        """The text is not longer than this in UTF-8."""

    def grows_too_large(self, update: bytes) -> bool:
        """Whether the text might be above its limit with this update; else it is counted."""
        size = self._size_max_bytes + len(update)
        if size > limits.TEXT_REMAINS_MAX_BYTES:
            size = len(self.document.text.encode()) + len(update)
        if size > limits.TEXT_REMAINS_MAX_BYTES:
            return True
        self._size_max_bytes = size
        return False

    def holds(self, update: bytes) -> bool:
        """Whether the update is no news. Raises MalformedUpdate."""
        scratch = TextDocument(self._client_id, [self.document.encode_state(), *self.document.pending])
        change = scratch.apply_update(update)
        return not (change.changed or change.pending)

    def greet(self, channel: Channel, state_vector: bytes, replicas: tuple[ClientState, ...]) -> None:
        """The channel opens the text, and holds ``state_vector``. Raises ValueError."""
        self.answer(channel, state_vector)
        self.channels[channel.number] = channel
        if states := (*self.gathering.all(), *replicas):
            channel.say(Awareness(states))

    def answer(self, channel: Channel, state_vector: bytes) -> None:
        """What the channel lacks, and what is lacked here: to this channel only. Raises ValueError."""
        channel.say(SyncStep2(self.document.diff_update(state_vector)))
        for update in self.document.pending:
            channel.say(SyncUpdate(update))
        channel.say(SyncStep1(self.document.state_vector))

    def tell(self, message: YjsMessage, but: Channel | None = None) -> None:
        """Tell all channels but one."""
        frames: dict[str, bytes] = {}
        for channel in self.channels.values():
            if channel is not but:
                frame = frames.get(channel.dialect)
                if frame is None:
                    frame = frames[channel.dialect] = channel.encode(message)
                channel.send(frame)

    def leave(self, channel: Channel) -> None:
        if self.channels.pop(channel.number, None) is not None and (
            left := self.gathering.leave(channel.number)
        ):
            self.tell(Awareness(left))


def malformed(path: str, error: MalformedUpdate) -> str:
    """What to say to whoever sends an update that cannot be applied."""
    return f"An update of {printable(path)!r} was refused: {printable(str(error), 300)}."


def too_large(path: str) -> str:
    """What to say to whoever makes the text at ``path`` larger than a text may be."""
    return f"{printable(path)!r} would be above {limits.TEXT_REMAINS_MAX_BYTES} bytes, the most for a text."
