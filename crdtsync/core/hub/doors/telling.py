"""What the channels of one text are to be told: gathered for a turn of the hub, then sent to all at once.

Updates of one turn become one. A client that does not keep up is told nothing for a while, and then in one
update all that it lacks: so what waits for it does not grow. An update that came before others on which it
builds is told after them: a client of Yrs would show it, and drop what comes late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.shared import Shared
from crdtsync.core.text import statevector
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.merging import Merging, Shape, merge_updates
from crdtsync.core.text.typist import Typed
from crdtsync.core.text.update import check_update
from crdtsync.core.wire.awareness import ClientState
from crdtsync.core.wire.yjs import Awareness, SyncUpdate, YjsMessage

AUTHORS_SPARED_MAX: Final = 4
"""So many authors of one turn are not told what they said; more hear it again, which changes nothing."""

_Piece: TypeAlias = tuple[int, bytes, Shape]


class _Behind:
    """A channel that does not keep up: what its client holds at least, and the news of who is here."""

    def __init__(self, clocks: Mapping[int, int]) -> None:
        self.clocks = clocks
        self.states: dict[int, ClientState] = {}


class Telling:
    """``soon`` is called when there is something to ``flush``."""

    def __init__(self, document: TextDocument, shared: Shared, soon: Callable[[], None]) -> None:
        self._document = document
        self._shared = shared
        self._soon = soon
        self._updates: list[_Piece] = []
        """With the channel that made it, or 0."""
        self._merging: Merging | None = None
        """The same, put together, if there are several."""
        self._told = 0
        """So many of them, from the first on, everyone was told of already."""
        self._ahead = b""
        """What everyone was told of before the document took it in."""
        self._logged = 0
        """So many of them were given to the log, or came from there."""
        self._unlogged: list[bytes] = []
        """What clients made and were told of, and the log was not given yet."""
        self._states: dict[int, ClientState] = {}
        """The latest of each client, in the order in which they came."""
        self._is_due = False
        """Whether to tell who is here, be it nobody: clients leave where nothing comes."""
        self._behind: dict[int, _Behind] = {}

    def update(self, update: bytes, shape: Shape, author: int = 0) -> None:
        """The document has taken an update in."""
        if self._updates:
            self._together().add(update, shape)
        elif update == self._ahead:
            self._told = 1
        self._ahead = b""
        self._updates.append((author, update, shape))
        self._soon()

    def parts(self, made: bytes | None, parts: Iterable[bytes]) -> None:
        """The document has taken these in, in that order, in place of ``made`` as a client made it."""
        if made is not None:
            self._unlogged = [*self.take_unlogged(), made]
        for part in parts:
            self.update(part, check_update(part))

    def update_ahead(
        self, channels: Mapping[int, Channel], author: Channel, update: bytes, frame: bytes
    ) -> None:
        """Send an update at once, for which ``update`` follows as soon as the document has taken it in.

        ``frame``: as the author's dialect says it. Nothing is sent while something else is still to be told,
        or waits for the network: who falls behind is told what the document holds, which lacks this one yet.
        """
        if self._updates or self._is_due or self._behind:
            return
        groups: dict[str, list[Channel]] = {}
        for channel in channels.values():
            if channel is not author or channel.is_told_own:
                if not channel.connection.is_idle:
                    return
                groups.setdefault(channel.dialect, []).append(channel)
        self._ahead = update
        for dialect, group in groups.items():
            told = frame if dialect == author.dialect else group[0].encode(SyncUpdate(update))
            members = [each.connection.number for each in group if each.connection.takes(len(told))]
            self._shared.send(tuple(members), told)

    def _together(self) -> Merging:
        """What came in this turn, of which there is more than one."""
        if self._merging is None:
            self._merging = Merging()
            _, update, shape = self._updates[0]
            self._merging.add(update, shape)
        return self._merging

    def _all(self) -> list[bytes]:
        return (
            self._merging.updates() if self._merging is not None else [each for _, each, _ in self._updates]
        )

    def take_unlogged(self) -> list[bytes]:
        """What clients made since this was called last, as few updates as may be: for the log."""
        unlogged, self._unlogged = self._unlogged, []
        fresh, self._logged = self._updates[self._logged :], len(self._updates)
        if len(fresh) == len(self._updates) and all(author for author, _, _ in fresh):
            return unlogged + self._all()
        return unlogged + merge_updates((update, shape) for author, update, shape in fresh if author)

    def awareness(self, states: Iterable[ClientState]) -> None:
        self._is_due = True
        for state in states:
            self._states.pop(state.client, None)
            self._states[state.client] = state
        self._soon()

    def forget(self, channel: Channel) -> None:
        self._behind.pop(channel.number, None)

    def flush(self, channels: Mapping[int, Channel]) -> None:
        """Send what was gathered."""
        if self._logged < len(self._updates):
            self._unlogged = self.take_unlogged()
        everything = self._all()
        updates, self._updates, self._logged, self._merging = self._updates, [], 0, None
        if self._told:
            del updates[: self._told]
            everything = merge_updates((each, shape) for _, each, shape in updates)
            self._told = 0
        states, self._states = tuple(self._states.values()), {}
        is_due, self._is_due = self._is_due, False
        if not channels or not (updates or is_due):
            return
        everyone = {author for author, _, _ in updates}
        authors = everyone & channels.keys()
        if len(authors) > AUTHORS_SPARED_MAX:
            authors = set()
        groups: dict[tuple[int, str], list[Channel]] = {}
        for channel in channels.values():
            spared = channel.number if channel.number in authors and not channel.is_told_own else 0
            groups.setdefault((spared, channel.dialect), []).append(channel)
        messages: dict[int, list[YjsMessage]] = {}
        for (spared, _), group in groups.items():
            if spared not in messages:
                if spared not in everyone or not spared:
                    told = everything
                elif len(everyone) == 1:
                    told = []
                else:
                    told = merge_updates((each, shape) for by, each, shape in updates if by != spared)
                messages[spared] = [SyncUpdate(update) for update in told]
                if is_due:  # last: a cursor may stand behind what was typed just now
                    messages[spared].append(Awareness(states))
            if messages[spared]:
                self._send(group, messages[spared], updates, states)

    def _send(
        self,
        group: Sequence[Channel],
        messages: Iterable[YjsMessage],
        updates: Sequence[_Piece],
        states: Iterable[ClientState],
    ) -> None:
        """To channels that are told the same by the same bytes."""
        frames = [group[0].encode(message) for message in messages]
        size_bytes = sum(map(len, frames))
        members = []
        for channel in group:
            if (behind := self._behind.get(channel.number)) is not None:
                behind.states.update((state.client, state) for state in states)
            elif channel.connection.takes(size_bytes):
                members.append(channel.connection.number)
            else:
                self._fall_behind(channel, updates, states)
        if members:
            for frame in frames:
                self._shared.send(tuple(members), frame)

    def _fall_behind(
        self,
        channel: Channel,
        updates: Iterable[_Piece],
        states: Iterable[ClientState],
    ) -> None:
        clocks = statevector.decode(self._document.state_vector)
        for _, _, shape in updates:
            for client, clock in _first_clocks(shape):
                clocks[client] = min(clocks.get(client, 0), clock)
        behind = self._behind[channel.number] = _Behind(clocks)
        behind.states.update((state.client, state) for state in states)
        self._shared.counts.fell_behind += 1
        channel.connection.when_drained(lambda: self._catch_up(channel, behind))

    def _catch_up(self, channel: Channel, behind: _Behind) -> None:
        """It has read all that was sent: one update holds what came meanwhile."""
        if self._behind.get(channel.number) is not behind:
            return
        del self._behind[channel.number]
        channel.say(
            SyncUpdate(self._document.diff_update(statevector.encode(behind.clocks))),
            *([Awareness(tuple(behind.states.values()))] if behind.states else []),
        )


def _first_clocks(shape: Shape) -> Iterable[tuple[int, int]]:
    """Of each client the first clock that the update inserts."""
    if shape is None:
        return ()
    if isinstance(shape, Typed):
        return ((shape.client, shape.start),)
    return [(client, ranges[0][0]) for client, ranges in shape.inserts.items()]
