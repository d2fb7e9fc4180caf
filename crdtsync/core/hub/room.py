"""One loaded room: its log's end, its live members and who is here; speaks no protocol of its own.

A room deals in updates of documents. It numbers them, hands them to the listeners that are live, and keeps
those that are not durable yet. How a listener says it to its member, and how a member that is behind reads
the log, is the listener's matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from crdtsync.core.hub import bounds
from crdtsync.core.hub.batch import Batch, Outgoing, batches
from crdtsync.core.hub.shared import Shared
from crdtsync.core.hub.store import Epoch, RoomRecord, Row
from crdtsync.core.text.update import EMPTY_UPDATE
from crdtsync.core.values import limits
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.control import Left, Presence
from crdtsync.core.wire.messages import LogEntry


class Listener(Protocol):
    """A member of a room, whatever protocol it speaks."""

    @property
    def number(self) -> int: ...

    @property
    def waits_for_store(self) -> bool:
        """Whether it is given only what is durable: it could not bring back what the hub lost."""
        ...

    def take(self, batch: Batch) -> bytes | str | None:
        """New rows, while live. Returns a frame to send, best the same object for many members."""
        ...

    def flushed(self) -> None:
        """Everything that was added has been given to the live members."""
        ...

    def stored(self) -> None:
        """The end of the durable log has moved, and this listener asked to hear of it."""
        ...

    def tell_durable(self) -> bytes | str | None:
        """The end of the durable log has moved; called now and then, while live. As for ``take``."""
        ...

    def tell_presence(self, presence: Presence | Left) -> bytes | str | None:
        """Another member came, moved or left. As for ``take``."""
        ...


class Room:
    """The log is numbered up to ``head`` and durable up to ``durable``."""

    def __init__(self, name: str, epoch: str, record: RoomRecord, shared: Shared) -> None:
        self.name = name
        self.epoch = epoch
        self.epochs: tuple[Epoch, ...] = record.epochs
        self.documents = record.documents
        self.size_bytes = record.size_bytes
        """Of all updates, with those that are not durable yet."""
        self.head = self.durable = self._told_durable = record.head
        self.members: dict[int, Listener] = {}
        self.live: dict[int, Listener] = {}
        self.awaiting_store: dict[int, Listener] = {}
        """Members that want ``stored``."""
        self.awaiting_flush: dict[int, Listener] = {}
        """Members that want ``flushed``."""
        self.put_off: dict[int, Callable[[], None]] = {}
        """Members that have yet to ``add`` something, when there is time or when ``gather`` is called."""
        self._unplaced: dict[int, int] = {}
        """Members that have yet to be told the place of an edit of theirs, and how far they have read."""
        self.presences: dict[int, Presence] = {}
        self.told_at_s = float("-inf")
        self._shared = shared
        self._tail: list[Outgoing] = []
        self._gathered: list[Outgoing] = []
        self._unsafe: deque[Batch] = deque()
        """What those are to be given who wait for the store."""
        self._gathering: dict[int, Callable[[], None]] = {}
        self._unstored: list[Row] = []
        self._news: dict[int, Presence | Left] = {}

    @property
    def idle(self) -> bool:
        """Nobody is here, and nothing is on its way to the store."""
        return not self.members and not self._tail

    @property
    def has_news(self) -> bool:
        return bool(self._news) or (self._told_durable < self.durable and bool(self.live))

    def add(self, author: int, updates: Iterable[tuple[DocumentId, bytes]], at_ms: int) -> int:
        """Number updates that have been checked; those that change nothing are left out.

        Returns the end of the log.
        """
        for document, update in updates:
            if update == EMPTY_UPDATE:
                continue
            self.head += 1
            entry = LogEntry(self.head, at_ms, document, update)
            row = Outgoing(author, entry)
            self._tail.append(row)
            self._gathered.append(row)
            self._unstored.append(Row(self.name, entry))
            self._shared.unstored[self.name] = self.take_unstored
            self._shared.uncommitted_bytes += row.size_bytes
            self.size_bytes += len(update)
            self._shared.counts.updates += 1
            self._shared.counts.update_bytes += len(update)
        self._touch()
        return self.head

    def reads(self, member: int, position: int | None) -> None:
        """A member has read up to there, and its own edits stand behind that; None: none of them does."""
        if position is None:
            self._unplaced.pop(member, None)
        else:
            self._unplaced[member] = position

    def compactable(self, through: int) -> int:
        """Up to where, at most ``through``, rows can be made one.

        That goes to where the last of them stood, behind which edits of those who still read must not come to
        stand: of the same change by two, nobody could tell the later one. Who does not read at all is not
        waited for.
        """
        waiting = [at for at in self._unplaced.values() if at >= through - bounds.COMPACTION_WAITS_ROWS]
        return min([through, *waiting])

    def full(self, more_bytes: int) -> str | None:
        """Why the room cannot take that much more, or None."""
        if self.size_bytes + more_bytes <= limits.ROOM_UPDATES_MAX_BYTES:
            return None
        return (
            f"The room {self.name!r} holds {self.size_bytes} bytes of texts with their histories; a hub "
            f"keeps at most {limits.ROOM_UPDATES_MAX_BYTES}. Use another room for what is new."
        )

    def flush(self) -> None:
        """Give what was added to the live members."""
        was_touched = self.name in self._shared.touched
        self._gather()
        if not was_touched:
            self._shared.touched.pop(self.name, None)  # what was added just now is given just now
        gathered, self._gathered = self._gathered, []
        for batch in batches(gathered):
            authors = {row.author for row in batch.rows}
            for made_it in (False, True):  # to others it is news
                self._give(
                    (listener.number, listener.take(batch))
                    for listener in list(self.live.values())
                    if (listener.number in authors) is made_it and not listener.waits_for_store
                )
            self._unsafe.append(batch)
        self._give_stored()
        for listener in list(self.awaiting_flush.values()):
            listener.flushed()

    def gather(self) -> None:
        """Have members add all that they gathered: from here on ``head`` counts all that the hub has."""
        for add in list(self.put_off.values()):
            add()
        self._gather()

    def _gather(self) -> None:
        gathering, self._gathering = self._gathering, {}
        for give in gathering.values():
            give()

    def gather_later(self, author: int, give: Callable[[], None]) -> None:
        """The member has something to ``add`` at the end of this turn, or when ``gather`` is called."""
        self._gathering[author] = give
        self._touch()

    def await_flush(self, listener: Listener) -> None:
        """The listener wants ``flushed`` at the end of this turn."""
        self.awaiting_flush[listener.number] = listener
        self._touch()

    def tail_after(self, sequence: int) -> list[Outgoing]:
        """Rows that may not be durable yet, above ``sequence``."""
        return [row for row in self._tail if row.entry.sequence > sequence]

    def take_unstored(self) -> list[Row]:
        rows, self._unstored = self._unstored, []
        return rows

    def stored(self, through: int) -> None:
        """The log is durable up to ``through``."""
        self.durable = through
        self._touch()
        done = 0
        for row in self._tail:
            if row.entry.sequence > through:
                break
            done += 1
            self._shared.uncommitted_bytes -= row.size_bytes
        del self._tail[:done]
        self._give_stored()
        for listener in list(self.awaiting_store.values()):
            listener.stored()
        for listener in list(self.awaiting_flush.values()):
            if listener.waits_for_store:
                listener.flushed()

    def abandon(self) -> None:
        """The store did not take the tail; the room is about to be unloaded."""
        self._shared.uncommitted_bytes -= sum(row.size_bytes for row in self._tail)
        self._tail.clear()
        self._unstored.clear()
        self._gathered.clear()
        self._gathering.clear()
        self._unsafe.clear()

    def enter(self, listener: Listener) -> None:
        """Tell the newcomer who is here."""
        self.members[listener.number] = listener
        for presence in self.presences.values():
            self._give([(listener.number, listener.tell_presence(presence))])

    def leave(self, number: int) -> None:
        """A member is gone: forget it, and have the others told if they knew of it."""
        for members in (self.members, self.live, self.awaiting_store, self.awaiting_flush):
            members.pop(number, None)
        self._news.pop(number, None)
        self._unplaced.pop(number, None)
        if self.presences.pop(number, None) is not None:
            self._news[number] = Left(member=number)
        self._touch()

    def announce(self, presence: Presence) -> None:
        """Remember who a member is and what it edits, for those here and those to come."""
        if self.presences.get(presence.member) != presence:
            self.presences[presence.member] = presence
            self._news[presence.member] = presence
            self._touch()

    def tell(self) -> None:
        """Give members the news of each other and of the store, of which only the latest matters."""
        news, self._news = self._news, {}
        for about, presence in news.items():
            self._give(
                (listener.number, listener.tell_presence(presence))
                for listener in list(self.members.values())
                if listener.number != about
            )
        if self._told_durable < self.durable:
            self._told_durable = self.durable
            self._give((listener.number, listener.tell_durable()) for listener in list(self.live.values()))

    def next_tell_s(self, now_s: float) -> float:
        """When news may be told: at once after a quiet time, else not more often than TELL_EVERY_S."""
        return max(now_s, self.told_at_s + bounds.TELL_EVERY_S)

    def _give_stored(self) -> None:
        while self._unsafe and self._unsafe[0].last <= self.durable:
            batch = self._unsafe.popleft()
            self._give(
                (listener.number, listener.take(batch))
                for listener in list(self.live.values())
                if listener.waits_for_store
            )

    def _touch(self) -> None:
        self._shared.touched[self.name] = None

    def _give(self, answers: Iterable[tuple[int, bytes | str | None]]) -> None:
        """Send frames to members, the same frame to all its members in one go."""
        frames: dict[int, tuple[bytes | str, list[int]]] = {}
        for member, frame in answers:
            if frame is not None:
                frames.setdefault(id(frame), (frame, []))[1].append(member)
        for frame, members in frames.values():
            self._shared.send(tuple(members), frame)
