"""Recognises files that changed names among each other: each is still there, at the path of another.

Decides from one batch of looks what is such a cycle; what the renames mean for the
room is left to ``ingest``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crdtsync.core.replica.ingest import Ingest
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.trees import OnDisk
from crdtsync.core.values.files import Present, Seen, kind_of


class Swapping:
    def __init__(self, state: ReplicaState, ingest: Ingest) -> None:
        self._state = state
        self._ingest = ingest
        self._waiting: set[str] = set()
        """Paths that were held back once, until the path that their file came from was looked at as well."""

    def take(self, seen: Mapping[str, Seen], now: float) -> set[str]:
        """Take in the files that changed names; returns the paths that are dealt with, or have to wait."""
        if not self._state.running:
            return set()
        came = {path: origin for path, each in seen.items() if (origin := self._came_from(path, each))}
        waiting: set[str] = set()
        while True:
            left = [path for path, origin in came.items() if origin.path not in came]
            if not left:
                break
            for path in left:
                origin = came.pop(path)
                if origin.path not in seen and path not in self._waiting:
                    waiting.add(path)
                    self._state.looking.want(origin.path)
                    self._state.looking.want(path)
        self._waiting.difference_update(seen)
        self._waiting |= waiting
        if came:
            self._swapped(came, seen, now)
        return waiting | came.keys()

    def _came_from(self, path: str, seen: Seen) -> Synced | None:
        """The entry whose file, as it was, stands at the path of another."""
        state = self._state
        here = state.synced.at(path)
        if here is None or here in state.unsure or not isinstance(seen, Present):
            return None
        origin = state.synced.with_inode(seen.fingerprint)
        if origin is None or origin.entry == here or origin.entry in state.unsure:
            return None
        unchanged = origin.digest == seen.content.digest and state.synced.at(origin.path) == origin.entry
        return origin if unchanged else None

    def _swapped(self, came: Mapping[str, Synced], seen: Mapping[str, Seen], now: float) -> None:
        state = self._state
        placements = {path: state.view.get(origin.entry) for path, origin in came.items()}
        if not state.may_ingest and any(
            placed is None or placed.path != path for path, placed in placements.items()
        ):
            self._stand(came, seen)
            state.deferred.update(came)
            return
        for path, origin in came.items():
            self._ingest.move(origin, path, placements[path], self._found(seen[path]))
            state.edited_here(path, now)
            state.out.notice("sent", origin.path, f"renamed to {path}")
        self._stand(came, seen)
        state.replan([origin.entry for origin in came.values()])

    def _stand(self, paths: Iterable[str], seen: Mapping[str, Seen]) -> None:
        for path in paths:
            self._state.looking.settled(path)
            self._state.disk.put(path, self._found(seen[path]))

    def _found(self, seen: Seen) -> OnDisk:
        assert isinstance(seen, Present)
        return OnDisk(kind_of(seen.content), seen.content.digest, seen.fingerprint)
