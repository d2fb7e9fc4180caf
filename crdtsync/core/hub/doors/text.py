"""One text that clients have open: its document, its channels, and who is there.

Knows what each channel is to be told; the room, its log and its tree are the desk's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from crdtsync.core.hub.doors.awareness import Gathering
from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.doors.telling import Telling
from crdtsync.core.hub.shared import Shared
from crdtsync.core.text import statevector
from crdtsync.core.text.causal import is_news
from crdtsync.core.text.document import Change, TextDocument
from crdtsync.core.text.typist import Typist
from crdtsync.core.text.update import UpdateShape, check_update
from crdtsync.core.values import limits
from crdtsync.core.values.ids import EntryId, printable
from crdtsync.core.wire.awareness import ClientState
from crdtsync.core.wire.yjs import Awareness, SyncStep1, SyncStep2, YjsMessage

_TYPED: Final = Change(True, False)


class OpenText:
    """``entry`` is None as long as there is no such file: ``path`` is where it will be made."""

    def __init__(
        self,
        entry: EntryId | None,
        path: str,
        client_id: int,
        updates: Iterable[bytes],
        shared: Shared,
        soon: Callable[[OpenText], None],
        plain: bool = False,
    ) -> None:
        """``soon``: have ``flush`` called at the end of the turn. ``plain``: as for TextDocument."""
        self.entry = entry
        self.path = path
        self._client_id = client_id
        self.document = TextDocument(client_id, updates, plain=plain)
        self.channels: dict[int, Channel] = {}
        self.telling = Telling(self.document, shared, lambda: soon(self))
        self.gathering = Gathering()
        self._typists: dict[int, Typist] = {}
        """Channels whose last update typed."""
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

    def holds(self, update: bytes, shape: UpdateShape | None = None) -> bool:
        """Whether the update is no news. ``shape`` as for ``apply``. Raises MalformedUpdate."""
        shape = shape or check_update(update)
        if is_news(shape, statevector.decode(self.document.state_vector)):
            return False
        scratch = TextDocument(self._client_id, [self.document.encode_state(), *self.document.pending])
        change = scratch.apply_update(update, shape)
        return not (change.changed or change.pending)

    def apply(self, update: bytes, author: int = 0, shape: UpdateShape | None = None) -> Change:
        """Take an update in, and tell everyone but the channel ``author``. Raises MalformedUpdate.

        ``shape``: what ``check_update`` has returned for it, if it was called.
        """
        typist = self._typists.get(author)
        if typist is not None and self._type_on(typist, update, author):
            return _TYPED
        shape = shape or check_update(update)
        change = self.document.apply_later(update, shape)
        self._watch(author, update, None if change.pending else shape)
        if change.pending or change.parts:
            self.telling.parts(update if author else None, change.parts)
        elif change.changed or not author:
            self.telling.update(update, shape, author)
        return change

    def tell_ahead(self, channel: Channel, update: bytes, frame: bytes) -> None:
        """Tell everyone but the channel of an update of it, if it types on; ``apply`` follows at once.

        ``frame``: in which it came, as the channel's dialect says it.
        """
        typist = self._typists.get(channel.number)
        if typist is None or self.entry is None or channel.granted.read_only:
            return
        if self._size_max_bytes + len(update) > limits.TEXT_REMAINS_MAX_BYTES:
            return
        typed = typist.read(update)
        if typed is not None and self.document.may_type_on(typed):
            self.telling.update_ahead(self.channels, channel, update, frame)

    def _type_on(self, typist: Typist, update: bytes, author: int) -> bool:
        typed = typist.read(update)
        if typed is None or not self.document.type_on(update, typed):
            return False
        self.telling.update(update, typed, author)
        typist.type_on(typed)
        return True

    def _watch(self, author: int, update: bytes, shape: UpdateShape | None) -> None:
        """Be prepared for an author who types on."""
        typist = self.document.typist(update, shape) if author and shape is not None else None
        if typist is not None:
            self._typists[author] = typist
        else:
            self._typists.pop(author, None)

    def flush(self) -> None:
        """Send what is to be told."""
        self.telling.flush(self.channels)

    def greet(self, channel: Channel, state_vector: bytes, replicas: tuple[ClientState, ...]) -> None:
        """The channel opens the text, and holds ``state_vector``. Raises ValueError."""
        self.flush()
        states = (*self.gathering.all(), *replicas)
        self.answer(channel, state_vector, *([Awareness(states)] if states else []))
        self.channels[channel.number] = channel

    def answer(self, channel: Channel, state_vector: bytes, *also: YjsMessage) -> None:
        """What the channel lacks, and what is lacked here: to this channel only. Raises ValueError."""
        channel.say(
            SyncStep2(self.document.diff_update(state_vector)),
            SyncStep1(self.document.state_vector),
            *also,
        )

    def leave(self, channel: Channel) -> None:
        del self.channels[channel.number]
        self.telling.forget(channel)
        self._typists.pop(channel.number, None)
        if left := self.gathering.leave(channel.number):
            self.telling.awareness(left)


def malformed(path: str, problem: str) -> str:
    """What to say to whoever sends an update that cannot be applied."""
    return f"An update of {printable(path)!r} was refused: {printable(problem, 300)}."


def too_large(path: str) -> str:
    """What to say to whoever makes the text at ``path`` larger than a text may be."""
    return f"{printable(path)!r} would be above {limits.TEXT_REMAINS_MAX_BYTES} bytes, the most for a text."
