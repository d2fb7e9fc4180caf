"""Which document is compacted next: those whose log has grown most since the last time, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from crdtsync.core.hub import bounds
from crdtsync.core.hub.effects import Compact, Notice
from crdtsync.core.hub.events import Compacted
from crdtsync.core.hub.room import Room
from crdtsync.core.hub.shared import Shared
from crdtsync.core.hub.store import Size
from crdtsync.core.values import limits
from crdtsync.core.values.ids import DocumentId


class Compacting:
    """Has documents compacted, one at a time, until it is stopped."""

    def __init__(self, shared: Shared, rooms: Mapping[str, Room]) -> None:
        self._shared = shared
        self._rooms = rooms
        self._compactor = Compactor()
        self._stopped = False

    def grown(self, sizes: Iterable[Size], durable: Mapping[str, int]) -> None:
        """Documents that have just grown; the log of each room is durable up to a row."""
        for size in sizes:
            self._compactor.consider((size,), durable[size.room])
        self._go_on()

    def done(self, event: Compacted) -> None:
        """Count what it saved, and go on with the next document that is due."""
        rows = self._compactor.done(event.size)
        if event.size is not None:
            self._shared.counts.compactions += 1
            self._shared.counts.compacted_rows += rows
            if (room := self._rooms.get(event.room)) is not None:
                room.size_bytes -= event.size.freed_bytes
        if event.problem is not None:
            self._shared.add(Notice("compaction", event.room, event.problem))
        self._go_on()

    def stop(self) -> None:
        self._stopped = True

    def _go_on(self) -> None:
        if not self._stopped and (effect := self._compactor.next()) is not None:
            room = self._rooms.get(effect.room)
            through = effect.through if room is None else room.compactable(effect.through)
            self._shared.add(replace(effect, through=through))


class Compactor:
    """A queue of documents. One that compaction could not make small is left alone until it has doubled."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, DocumentId], tuple[Size, int]] = {}
        self._running: tuple[Size, int] | None = None
        self._left: dict[tuple[str, DocumentId], Size] = {}

    def consider(self, sizes: Iterable[Size], durable: int) -> None:
        """Documents of one room that have just grown; the log is durable up to ``durable``."""
        for size in sizes:
            key = (size.room, size.document)
            if key in self._waiting or (
                self._is_due(size, self._left.get(key))
                and len(self._waiting) < bounds.COMPACTIONS_WAITING_MAX
            ):
                self._waiting[key] = (size, durable)

    def next(self) -> Compact | None:
        """The next document to compact, if none is being compacted."""
        if self._running is not None or not self._waiting:
            return None
        key = next(iter(self._waiting))
        self._running = self._waiting.pop(key)
        size, durable = self._running
        return Compact(size.room, size.document, durable)

    def done(self, size: Size | None) -> int:
        """The last one took this size, or could not be compacted. Returns by how many rows it shrank."""
        if self._running is None:
            return 0
        before, _ = self._running
        self._running = None
        key = (before.room, before.document)
        after = size or before
        if len(self._left) >= bounds.COMPACTIONS_WAITING_MAX:
            self._left.clear()
        if self._is_due(after, None) or after.rows > limits.COMPACT_AFTER_UPDATES // 2:
            self._left[key] = after
        else:
            self._left.pop(key, None)
        return before.rows - after.rows

    @staticmethod
    def _is_due(size: Size, left: Size | None) -> bool:
        if left is not None and size.rows < 2 * left.rows and size.size_bytes < 2 * left.size_bytes:
            return False
        many = limits.COMPACT_AFTER_UPDATES
        added_bytes = size.size_bytes - size.compacted_bytes
        large = bounds.COMPACT_AFTER_BYTES + bounds.COMPACT_AFTER_GROWTH * size.compacted_bytes
        return (
            (size.rows >= many and added_bytes * bounds.COMPACT_AFTER_SHARE >= size.compacted_bytes)
            or size.rows >= many * bounds.COMPACT_AFTER_SHARE
            or (size.rows > 1 and size.size_bytes >= large)
        )
