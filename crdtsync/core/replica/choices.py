"""What a first join does with the files that the folder and the room both have, and that differ.

A choice holds for what was compared: what either side did since is kept, as if nobody had chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crdtsync.core.replica.events import Differing
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.trees import OnDisk
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId


@dataclass(frozen=True, slots=True)
class Compared:
    """What stood at one path when the question was asked: here, and in the room as this entry."""

    entry: EntryId
    mine: OnDisk
    theirs: Digest | None


class Choices:
    """Both are kept, but for the paths of which a person has chosen otherwise."""

    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self._given_up: dict[str, Digest | None] = {}
        """By path: what stood here, where the room's was chosen."""
        self._compared: Mapping[str, Compared] = {}

    def choose(self, differing: Differing, compared: Mapping[str, Compared], now: float) -> None:
        """What is done with what was compared at these paths."""
        self._compared = compared
        for path, each in compared.items():
            placed = self._state.view.get(each.entry)
            if differing is Differing.BOTH or placed is None or placed.path != path:
                continue
            if differing is Differing.HUB or (
                differing is Differing.NEWEST and not self._is_newer(each, placed)
            ):
                self._given_up[path] = each.mine.digest
            elif self._state.room_digest(each.entry) == each.theirs:
                self._edit(placed, each, now)

    def gives_up(self, path: str, seen: OnDisk) -> bool:
        """Whether the room's file was chosen over just this one."""
        return path in self._given_up and self._given_up[path] == seen.digest

    def keeps(self, path: str, seen: OnDisk) -> bool:
        """Whether just this one was compared with the room's, and is kept beside that."""
        compared = self._compared.get(path)
        return compared is not None and compared.mine.digest == seen.digest

    def _is_newer(self, compared: Compared, placed: Placement) -> bool:
        """Whether what stood here was changed later than the room's."""
        room_ms = (
            self._state.documents.at_ms(placed.entry) if placed.version is None else placed.version.at_ms
        )
        fingerprint = compared.mine.fingerprint
        return fingerprint is not None and fingerprint.mtime_ns // 1_000_000 > room_ms

    def _edit(self, placed: Placement, compared: Compared, now: float) -> None:
        """Ours becomes an edit of the room's: its history goes on, and what others do meanwhile stays."""
        state, entry = self._state, placed.entry
        covered = state.documents.state_vector(entry) if placed.kind is Kind.TEXT else b""
        digest, fingerprint = compared.theirs, compared.mine.fingerprint_of(compared.theirs)
        agreed = Synced(entry, placed.path, placed.kind, digest, placed.executable, covered, fingerprint)
        state.agree(agreed)
        state.documents.keep_agreed(agreed, now)
