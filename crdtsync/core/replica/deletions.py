"""The guard on deletions: what vanished within one settle window is judged together before any is sent.

A mass deletion is more often an accident (a script, a wrong mount) than a wish: it waits for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crdtsync.core.values import limits
from crdtsync.core.values.ids import EntryId

BURST_MAX_S = 10.0
"""A window that never ends (something deletes all the time) is judged after this long."""


class Deletions:
    def __init__(self) -> None:
        self._burst: dict[EntryId, float] = {}
        self._unmounted: set[EntryId] = set()
        """Of all that are gone: those of which the disk is gone on which they were."""
        self._since = 0.0
        self._judged_at = 0.0
        self.held: set[EntryId] = set()
        self.passed: set[EntryId] = set()
        """Judged or confirmed, and on their way to be sent; a look at their paths need not be waited for."""

    def add(self, entry: EntryId, now: float, wait_s: float = 0.0, *, unmounted: bool = False) -> None:
        """The entry's file is gone from disk; not judged before ``wait_s`` from now.

        ``unmounted``: with all that was mounted where it stood, so nobody may have deleted it: it is held.
        """
        if entry in self.held:
            return
        if unmounted:
            self._unmounted.add(entry)
        if not self._burst:
            self._since = now
        self._burst[entry] = now + wait_s

    def restart(self, now: float) -> None:
        """The hub is back: what vanished meanwhile is one burst, and may still be found to be renamed."""
        self._since = now

    def discard(self, entry: EntryId) -> None:
        """The file is back, or has been found elsewhere."""
        self._burst.pop(entry, None)
        self._unmounted.discard(entry)
        self.held.discard(entry)
        self.passed.discard(entry)

    @property
    def any(self) -> bool:
        """Whether any entry is gone from disk and still in the room."""
        return bool(self._burst or self.held or self.passed or self._unmounted)

    @property
    def covered(self) -> set[EntryId]:
        """Those whose deletion must not be sent yet."""
        return {*self._burst, *self.held}

    def covers(self, entry: EntryId) -> bool:
        """Whether the deletion must not be sent yet."""
        return entry in self._burst or entry in self.held

    @property
    def unmounted(self) -> bool:
        """Whether some of those that are held are gone with what was mounted where they stood."""
        return not self._unmounted.isdisjoint(self.held)

    @property
    def waiting(self) -> bool:
        return bool(self._burst)

    @property
    def deadline(self) -> float | None:
        """When they are judged even if others are still settling, or need not wait any more."""
        if not self._burst:
            return None
        latest = self._since + BURST_MAX_S
        return min((ready for ready in self._burst.values() if ready > self._judged_at), default=latest)

    def judge(
        self, entries_in_room: int, in_room: Callable[[EntryId], bool], still_settling: bool, now: float
    ) -> tuple[list[EntryId], bool]:
        """The entries that may be planned now, and whether others were held instead.

        Nothing is sent of what others have deleted too: it counts for nothing.
        """
        self._judged_at = now
        waits = still_settling or any(ready > now for ready in self._burst.values())
        if not self._burst or (waits and now < self._since + BURST_MAX_S):
            return [], False
        theirs = [entry for entry in self._burst if not in_room(entry)]
        burst = [entry for entry in self._burst if in_room(entry)]
        self._burst.clear()
        self.passed.update(theirs)
        lost = [entry for entry in burst if entry in self._unmounted]
        count = len(burst) + len(self.held)
        most = 2 * count > entries_in_room and count >= limits.MASS_DELETION_MIN_ENTRIES
        everything = count >= entries_in_room and count >= limits.MASS_DELETION_ALL_MIN_ENTRIES
        if most or everything:
            self.held.update(burst)
            return theirs, bool(burst)
        self.held.update(lost)
        burst = [entry for entry in burst if entry not in self.held]
        self.passed.update(burst)
        return [*theirs, *burst], bool(lost)

    def release(self) -> list[EntryId]:
        """Let go of all that was held."""
        released = sorted(self.held)
        self.held.clear()
        self._unmounted.difference_update(released)
        return released

    def forget(self, gone_in_room: Iterable[EntryId]) -> None:
        """Others deleted them too: there is nothing left to hold."""
        for entry in gone_in_room:
            self.discard(entry)
