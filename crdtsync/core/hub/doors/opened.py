"""Which texts clients have opened under which paths, also after the last client has left a room.

A client that kept its document comes back under the path that it knows, wherever the file is by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from crdtsync.core.values.ids import EntryId

PATHS_MAX: Final = 10_000
"""Paths of all rooms that are remembered, the latest: about 300 bytes each."""
ENTRIES_MAX: Final = 32
"""Texts of one path."""


class Opened:
    """``remember`` is told of what is worth to be kept over a restart, and ``recall`` brings it back."""

    def __init__(self, remember: Callable[[str, str, EntryId], None]) -> None:
        self._remember = remember
        self._entries: dict[tuple[str, str], tuple[EntryId, ...]] = {}

    def recall(self, room: str, opened: Iterable[tuple[str, EntryId]]) -> None:
        """The room is loaded; what was remembered of it, the oldest first."""
        for path, entry in opened:
            if entry not in self.at(room, path):
                self._put(room, path, entry)

    def add(self, room: str, path: str, entry: EntryId) -> None:
        if entry not in self.at(room, path)[:1]:
            self._remember(room, path, entry)
        self._put(room, path, entry)

    def _put(self, room: str, path: str, entry: EntryId) -> None:
        known = self._entries.pop((room, path), ())
        others = tuple(each for each in known if each != entry)
        self._entries[room, path] = (entry, *others)[:ENTRIES_MAX]
        if len(self._entries) > PATHS_MAX:
            del self._entries[next(iter(self._entries))]

    def at(self, room: str, path: str) -> tuple[EntryId, ...]:
        """The latest first."""
        return self._entries.get((room, path), ())
