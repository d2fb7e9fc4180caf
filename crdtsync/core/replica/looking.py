"""When to look at which path: watcher hints, settle times, looks and scans under way.

Hints are reasons to look, never facts. Knows times and paths only; what a look found is judged by the engine.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from typing import assert_never

from crdtsync.core.replica.events import Hint, HintKind
from crdtsync.core.values import limits
from crdtsync.core.values.paths import is_below

LOOK_BATCH_PATHS = 256
LOOK_BATCH_BYTES = 8 * limits.MiB
LOOKS_UNDER_WAY_MAX = 2
"""Two batches: one is read from disk while the engine takes in the other."""


class Wait(Enum):
    """Why a path is not believed yet."""

    QUIET = auto()
    """Written to without a close: wait for a pause."""
    ABSENT = auto()
    """Nothing was there: an editor may be about to put it back."""
    EMPTIED = auto()
    """Emptied: its writer may be about to fill it again."""
    EMPTY_FOLDER = auto()
    """A folder without files: someone may be about to fill it."""


@dataclass(slots=True)
class _Settling:
    wait: Wait
    since: float
    due: float


class Looking:
    """Collects the paths to look at, and tells which answers are still true when they arrive."""

    def __init__(self) -> None:
        self._wanted: dict[str, int] = {}
        self._under_way: dict[str, bool] = {}
        self._resting: dict[str, int] = {}
        """Those of the wanted that a step of ours is about to change: looked at once it is done."""
        self._hinted: set[str] = set()
        """Of those to be looked at, the paths for which hints, or a scan, are the only reason."""
        self._batches: list[tuple[str, ...]] = []
        self._settling: dict[str, _Settling] = {}
        self._next_due = inf
        """No path that settles, and is not about to be looked at, is due before this."""
        self._closed: dict[str, float] = {}
        self.answered: set[str] = set()
        """Those of which an answer has come that has yet to be taken, beside the one being taken."""
        self._scan_number = 0
        self._scans: dict[int, tuple[str, set[str]]] = {}

    # -- what is to be looked at ------------------------------------------------------------------

    def hint(self, hint: Hint, now: float) -> None:
        """Look at the path at once, or when it has been quiet for ``SETTLE_QUIET_S``."""
        settling = self._settling.get(hint.path)
        match hint.kind:
            case HintKind.CLOSED:
                self._closed[hint.path] = now
                if settling is not None and settling.wait is Wait.EMPTIED:
                    self._bound_emptied(hint.path, settling)
                self.suspect(hint.path)
            case HintKind.CREATED | HintKind.DELETED:
                self.suspect(hint.path)
            case HintKind.MODIFIED:
                self._closed.pop(hint.path, None)
                if settling is None:
                    self._settle_until(hint.path, Wait.QUIET, now, now + limits.SETTLE_QUIET_S)
                elif settling.wait is Wait.QUIET:
                    latest = settling.since + limits.SETTLE_QUIET_MAX_S
                    settling.due = min(now + limits.SETTLE_QUIET_S, latest)
                else:
                    self.suspect(hint.path)
            case _:
                assert_never(hint.kind)

    def hint_new(self, hint: Hint, now: float, settle_s: float = limits.SETTLE_NEW_S) -> None:
        """Wait a little, as where nothing was known at the path: it may be a name that a tool renames away in
        the same breath."""
        settling = self._settling.get(hint.path)
        passing = hint.kind in (HintKind.CREATED, HintKind.CLOSED)
        if not passing or self.is_asked(hint.path) or (settling and settling.wait is not Wait.QUIET):
            self.hint(hint, now)
            return
        if settling is None:
            settling = self._settle_until(hint.path, Wait.QUIET, now, now + settle_s)
        settling.due = min(now + settle_s, settling.since + limits.SETTLE_QUIET_MAX_S)
        self._next_due = min(self._next_due, settling.due)

    def want(self, path: str, size_bytes: int = 0) -> None:
        """Read ``path`` as soon as there is room; a look under way is not trusted any more."""
        self._hinted.discard(path)
        self._ask(path, size_bytes)

    def suspect(self, path: str, size_bytes: int = 0) -> None:
        """As ``want``, but what is known to stand there, and still does, need not be read again."""
        if not self.is_asked(path):
            self._hinted.add(path)
        self._ask(path, size_bytes)

    def is_hinted(self, path: str) -> bool:
        """Whether nothing but hints, or a scan, led to the look that is wanted or under way."""
        return path in self._hinted

    def _ask(self, path: str, size_bytes: int) -> None:
        if path in self._under_way:
            self._under_way[path] = False
        elif path not in self._resting:
            self._wanted[path] = size_bytes

    def touched(self, path: str) -> None:
        """A step of ours changed ``path``: what looks and scans under way tell of it is of no use."""
        if path in self._under_way:
            self._under_way[path] = False
        for _, touched in self._scans.values():
            touched.add(path)

    # -- looks --------------------------------------------------------------------------------------

    def step_over(self, path: str) -> None:
        """A step of ours on ``path`` is done: it can be looked at."""
        if path in self._resting:
            self._wanted[path] = self._resting.pop(path)

    def take_looks(self, stepping: Container[str] = ()) -> list[tuple[str, ...]]:
        """The batches of paths to look at now; those in ``stepping`` rest until ``step_over``."""
        batches: list[tuple[str, ...]] = []
        while self._wanted and len(self._batches) < LOOKS_UNDER_WAY_MAX:
            batch: list[str] = []
            size_bytes = 0
            resting: list[str] = []
            for path, expected_bytes in self._wanted.items():
                if path in stepping:
                    resting.append(path)
                    continue
                if batch and size_bytes + expected_bytes > LOOK_BATCH_BYTES:
                    break
                batch.append(path)
                size_bytes += expected_bytes
                if len(batch) == LOOK_BATCH_PATHS:
                    break
            for path in batch:
                del self._wanted[path]
                self._under_way[path] = True
                settling = self._settling.get(path)
                if settling is not None and settling.wait is Wait.QUIET:
                    del self._settling[path]
            for path in resting:
                self._resting[path] = self._wanted.pop(path)
            if not batch:
                break
            taken = tuple(batch)
            self._batches.append(taken)
            batches.append(taken)
        return batches

    def looked(self, paths: Iterable[str]) -> set[str]:
        """A batch is answered; returns the paths whose answer is still true, the others are wanted again."""
        batch = tuple(paths)
        if batch in self._batches:
            self._batches.remove(batch)
        valid: set[str] = set()
        for path in batch:
            if self._under_way.pop(path, False):
                valid.add(path)
                self._hinted.discard(path)
            else:
                self._wanted[path] = 0
            if (settling := self._settling.get(path)) is not None:
                self._next_due = min(self._next_due, settling.due)
        return valid

    # -- settling -----------------------------------------------------------------------------------

    def settle(self, path: str, wait: Wait, now: float) -> bool:
        """Whether what was seen at ``path`` has lasted long enough; if not it is looked at again when due."""
        settling = self._settling.get(path)
        if settling is None or settling.wait is not wait:
            settling = self._settle_until(path, wait, now, now + _FIRST_WAIT_S[wait])
            if wait is Wait.EMPTIED:
                self._bound_emptied(path, settling)
            return False
        if now < settling.due:
            return False
        del self._settling[path]
        return True

    def settled(self, path: str) -> None:
        """Something that needs no waiting is there."""
        self._settling.pop(path, None)
        self._closed.pop(path, None)

    def stands(self, path: str) -> None:
        """A scan found there what was read before. A write that was hinted at is still looked for: two in one
        tick of the clock, of the same size, leave the same fingerprint."""
        settling = self._settling.get(path)
        if settling is None or settling.wait is not Wait.QUIET:
            self.settled(path)

    def _bound_emptied(self, path: str, settling: _Settling) -> None:
        """Its writer has closed it: two seconds from then, and never more than ten in all."""
        closed = self._closed.get(path)
        if closed is not None:
            latest = settling.since + limits.SETTLE_EMPTIED_MAX_S
            settling.due = min(closed + limits.SETTLE_EMPTIED_AFTER_CLOSE_S, latest)
            self._next_due = min(self._next_due, settling.due)

    def _settle_until(self, path: str, wait: Wait, now: float, due: float) -> _Settling:
        settling = self._settling[path] = _Settling(wait, now, due)
        self._next_due = min(self._next_due, due)
        return settling

    def is_absent(self, path: str) -> bool:
        """Whether a look found nothing at ``path`` and its settle time is running."""
        settling = self._settling.get(path)
        return settling is not None and settling.wait is Wait.ABSENT

    @property
    def any_settling(self) -> bool:
        """Whether anything was seen or heard of any path that is not believed yet."""
        return bool(self._settling or self._closed)

    @property
    def any_absent(self) -> bool:
        """Whether any path is absent and not yet believed to be."""
        return any(settling.wait is Wait.ABSENT for settling in self._settling.values())

    def is_asked(self, path: str) -> bool:
        """Whether a look at ``path`` has yet to be answered."""
        return path in self._wanted or path in self._under_way or path in self._resting

    @property
    def resting(self) -> Iterable[str]:
        """Paths to look at once a step of ours on them is done."""
        return self._resting

    def is_open(self, path: str) -> bool:
        """Whether an answer for ``path`` is still awaited."""
        return self.is_asked(path) or path in self._settling or path in self.answered

    @property
    def open_paths(self) -> list[str]:
        """All paths of which an answer is still awaited."""
        return [*self._wanted, *self._under_way, *self._resting, *self._settling, *self.answered]

    # -- scans --------------------------------------------------------------------------------------

    def start_scan(self, below: str) -> int:
        """The number for a scan of the folder ``below``."""
        self._scan_number += 1
        self._scans[self._scan_number] = (below, set())
        return self._scan_number

    def scanned(self, number: int) -> tuple[str, set[str]] | None:
        """A scan is answered: its folder, and the paths that our steps changed meanwhile."""
        return self._scans.pop(number, None)

    def scanning(self, below: str) -> bool:
        """Whether a scan that will cover the folder has yet to be answered."""
        return any(below == folder or is_below(below, folder) for folder, _ in self._scans.values())

    def scan_pending(self, number: int) -> bool:
        return number in self._scans

    # -- time ---------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When ``tick`` should be called, or a little before."""
        return None if self._next_due == inf else self._next_due

    def tick(self, now: float) -> None:
        """Want what is due. Cheap while nothing is: it is called at every event."""
        if now < self._next_due:
            return
        self._next_due = inf
        for path, settling in self._settling.items():
            if self.is_asked(path):
                continue
            if settling.due <= now:
                if settling.wait is Wait.QUIET:
                    self._hinted.add(path)
                self._wanted[path] = 0
            else:
                self._next_due = min(self._next_due, settling.due)

    @property
    def idle(self) -> bool:
        return not (self._wanted or self._under_way or self._resting or self._settling or self._scans)

    @property
    def open_count(self) -> int:
        """Paths and scans whose answer is awaited."""
        paths = {*self._wanted, *self._under_way, *self._resting, *self._settling}
        return len(paths) + len(self._scans)


_FIRST_WAIT_S = {
    Wait.QUIET: limits.SETTLE_QUIET_S,
    Wait.ABSENT: limits.SETTLE_DELETION_S,
    Wait.EMPTIED: limits.SETTLE_EMPTIED_MAX_S,
    Wait.EMPTY_FOLDER: limits.SETTLE_DELETION_S,
}
