"""The backstop against changes that leave no trace: each file is read again about once a day, one at a time.

Size, times and inode tell of every honest change; this is for tools that restore them all.
"""

from __future__ import annotations

from collections import deque

from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.values import limits


class Rehashing:
    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self._paths: deque[str] = deque()
        self._due: float | None = None

    @property
    def deadline(self) -> float | None:
        return self._due

    def tick(self, now: float) -> None:
        """Look at the next file once it is due. A look that finds what was agreed on changes nothing."""
        state = self._state
        if not state.running or not len(state.synced):
            self._due = None
            return
        if self._due is None:
            self._due = now + self._pause_s
        if now < self._due:
            return
        self._due = now + self._pause_s
        if not self._paths:
            self._paths.extend(agreed.path for agreed in state.synced if agreed.fingerprint is not None)
        while self._paths:
            path = self._paths.popleft()
            if state.synced.at(path) is not None:
                state.looking.want(path)
                return

    @property
    def _pause_s(self) -> float:
        return limits.REHASH_PERIOD_S / len(self._state.synced)
