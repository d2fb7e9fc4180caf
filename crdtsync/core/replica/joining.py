"""The first join: compares a folder with a room before anything is done, and lets a person decide.

A join never deletes or overwrites what is only here; equal files are adopted, so that no text is doubled.
"""

from __future__ import annotations

from crdtsync.core.replica.choices import Compared
from crdtsync.core.replica.effects import AskDiffering
from crdtsync.core.replica.events import Scan
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.values.files import Kind

JOINED_KEY = "joined"
"""There is such a value once it is decided what the first join does: before, nothing is shared."""


class FirstJoin:
    """Steps: scanned and caught up → the files on both sides are read → told, or asked → decided."""

    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self._scan: Scan | None = None
        self._both: list[str] = []
        self._reading = False
        self.asked = False
        self.compared: dict[str, Compared] = {}
        """What the answer is about, by path."""

    def scanned(self, scan: Scan) -> None:
        self._scan = scan

    def advance(self) -> bool:
        """Go on as far as possible; returns True once there is nothing to decide. Call when caught up."""
        state = self._state
        if self._scan is None or self.asked:
            return False
        here = {**self._scan.files, **self._scan.links}
        there = {placed.path for placed in state.view.placements.values() if placed.kind is not Kind.DIR}
        if not here or not there:
            return True
        if not self._reading:
            self._reading = True
            self._both = sorted(path for path in here if path in there)
            for path in self._both:
                state.looking.want(path, here[path].size_bytes)
        if any(state.looking.is_open(path) for path in self._both):
            return False
        differing = [path for path in self._both if not self._equal(path)]
        self.asked = True
        state.out.effect(
            AskDiffering(
                identical=len(self._both) - len(differing),
                only_here=tuple(sorted(path for path in here if path not in there)),
                only_there=tuple(sorted(path for path in there if path not in here)),
                differing=tuple(differing),
            )
        )
        return False

    def _equal(self, path: str) -> bool:
        state = self._state
        seen = state.disk.get(path)
        entry = state.view.at(path)
        if seen is None or entry is None:
            return False
        theirs = state.room_digest(entry)
        if seen.digest != theirs:
            self.compared[path] = Compared(entry, seen, theirs)
        return seen.digest == theirs
