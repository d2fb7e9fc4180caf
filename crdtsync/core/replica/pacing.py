"""Keeps a file from being written for every keystroke of someone who types into it in a page.

After each write of a text its file rests for a moment: the first keystroke is written at once, those that
come meanwhile together.
"""

from __future__ import annotations

from crdtsync.core.values import limits
from crdtsync.core.values.ids import EntryId


class Pacing:
    def __init__(self) -> None:
        self._resting: dict[EntryId, float] = {}
        """Until when, in this order."""
        self._waiting: set[EntryId] = set()

    def __len__(self) -> int:
        """Texts that wait to be written."""
        return len(self._waiting)

    @property
    def deadline(self) -> float | None:
        """When ``tick`` has something to say."""
        return min((self._resting[entry] for entry in self._waiting), default=None)

    def wrote(self, entry: EntryId, now: float) -> None:
        self._resting.pop(entry, None)
        self._resting[entry] = now + limits.REST_AFTER_WRITE_S

    def rests(self, entry: EntryId, now: float) -> bool:
        """Whether a write of this text has to wait; if so it is told by ``tick`` when it has not."""
        if now >= self._resting.get(entry, now):
            return False
        self._waiting.add(entry)
        return True

    def tick(self, now: float) -> set[EntryId]:
        """The texts that have waited long enough."""
        rested = set()
        while self._resting:
            entry = next(iter(self._resting))
            if self._resting[entry] > now:
                break
            del self._resting[entry]
            rested.add(entry)
        due = rested & self._waiting
        self._waiting -= due
        return due
