"""In which order the hub has told of the last updates of each text, so that a hub that lost them can be told.

Knows updates only; what their order means is known to ``hub_side``.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from crdtsync.core.values.ids import EntryId

_TOLD_MAX: Final = 16
_TOLD_MAX_TEXTS: Final = 128
_TOLD_MAX_BYTES: Final = 4096
"""Of the last updates so many of one text, of so many texts, each so large at most: 8 MB."""


class ToldOrder:
    def __init__(self) -> None:
        self._updates: OrderedDict[EntryId, list[bytes]] = OrderedDict()
        self.lost: set[EntryId] = set()
        """Texts of which a hub that lost its order has yet to tell what it has."""

    def add(self, entry: EntryId, update: bytes) -> None:
        """The hub has told of this after all others."""
        if entry in self.lost:
            return
        updates = self._updates.pop(entry, [])
        if len(update) > _TOLD_MAX_BYTES:
            return  # what came before is not worth more than this
        if update in updates:
            updates.remove(update)
        self._updates[entry] = [*updates[1 - _TOLD_MAX :], update]
        if len(self._updates) > _TOLD_MAX_TEXTS:
            self._updates.popitem(last=False)

    def lose(self) -> None:
        """The hub is another one, or was restored."""
        self.lost.update(self._updates)

    def take(self, entry: EntryId) -> list[bytes]:
        """What the hub that is gone had told of a text, which is to be told anew."""
        self.lost.discard(entry)
        return self._updates.pop(entry, [])
