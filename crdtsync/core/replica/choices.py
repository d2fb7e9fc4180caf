"""What a first join does with the files that the folder and the room both have, and that differ."""

from __future__ import annotations

from crdtsync.core.replica.events import Differing
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.trees import OnDisk
from crdtsync.core.tree.view import Placement


class Choices:
    """Both are kept, but for the paths of which a person has chosen otherwise."""

    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self._chosen = Differing.BOTH
        self._paths: frozenset[str] = frozenset()

    def choose(self, differing: Differing, paths: frozenset[str]) -> None:
        """What is done with the files at these paths."""
        self._chosen = differing
        self._paths = paths

    def of(self, placed: Placement, seen: OnDisk) -> Differing:
        """What is done with a file of the room and what stands at its path; never ``NEWEST``."""
        if placed.path not in self._paths:
            return Differing.BOTH
        if self._chosen is not Differing.NEWEST:
            return self._chosen
        room_ms = (
            self._state.documents.at_ms(placed.entry) if placed.version is None else placed.version.at_ms
        )
        mine_ms = 0 if seen.fingerprint is None else seen.fingerprint.mtime_ns // 1_000_000
        return Differing.MINE if mine_ms > room_ms else Differing.HUB
