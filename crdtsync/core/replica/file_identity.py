"""Tells which file it is that stands at a path, by its inode and by what it holds.

The inode alone does not tell: that of a deleted file is given to the next new one. Who saves several files
as new ones, one after the other, has each take the inode of the one before, as if they had been renamed onto
each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.text.distance import apart
from crdtsync.core.values.digests import EMPTY_DIGEST, Digest
from crdtsync.core.values.files import Absent, Content, Fingerprint, Present, Seen, TextContent
from crdtsync.core.values.ids import EntryId

LEFT_MAX_COUNT = 1024
"""Files that left their paths, remembered in case they turn up at another one."""

K = TypeVar("K")
V = TypeVar("V")


class _Look(NamedTuple):
    """``origin``: what is agreed of the file of that inode; ``here``: of the path."""

    path: str
    seen: Seen
    origin: Synced | None
    here: Synced | None

    @property
    def brings(self) -> Synced | None:
        """The origin, if something else is agreed of the path, or nothing."""
        origin, here = self.origin, self.here
        return None if origin is None or (here is not None and origin.entry == here.entry) else origin


class FileIdentity:
    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self._left: dict[tuple[int, int, Digest], str] = {}
        """Files that were gone from their paths lately, with those."""
        self._came: dict[str, EntryId] = {}
        """Whose file was seen at another path while it held what it was, and at each look since."""
        self._paths: dict[EntryId, list[str]] = {}
        """The same the other way round, as of the present event."""
        self._compared: dict[object, float | None] = {}
        """How far texts are from each other that were compared in the present event."""

    def note(self, seen: Sequence[tuple[str, Seen]], held: Mapping[str, Seen]) -> set[str]:
        """Take in what was looked at; returns the paths, of those and of what is held, where a file stands
        that was elsewhere before."""
        self._compared.clear()
        looks = [self._look(path, each) for path, each in seen]
        before = [self._look(path, each) for path, each in held.items()]
        brought = {look.path for look in [*before, *looks] if self._is_brought(look)}
        reused = self._state.disk.reused
        for look in looks:
            self._comes(look)
            self._leaves(look)
            reused.pop(look.path, None)
            if look.here is not None and (brings := look.brings) is not None and self._is_reused(look):
                reused[look.path] = brings.entry
        self._paths.clear()
        for path, entry in self._came.items():
            self._paths.setdefault(entry, []).append(path)
        return brought

    def is_of(self, origin: Synced, content: Content, here: Synced | None, at_most: float = 0.5) -> bool:
        """Whether it is the content of that file, or an edit of it rather than of what stood ``here``, of
        which at most that share is another text."""
        if origin.digest == content.digest or content.digest == EMPTY_DIGEST:
            return True
        other = None if here is None else self._apart(here, content)
        # A tool that writes many files anew gives most of them the inodes of others.
        apart = self._apart(origin, content, at_most if other is None else min(at_most, other))
        return apart is not None and apart <= at_most and (other is None or apart < other)

    def is_older_of(self, origin: Synced, content: Content, here: Synced | None) -> bool:
        """Whether it is an edit of what that file was before others' edits, as stale buffers are, rather than
        of what stood ``here``."""
        other = None if here is None else self._apart(here, content)
        if other is None or not isinstance(content, TextContent):
            return False
        at_most = min(0.5, other)
        older = (
            apart(each.text, content.text, at_most) for each in self._state.documents.versions(origin.entry)
        )
        return any(each is not None and each <= 0.5 and each < other for each in older)

    def has_come(self, origin: Synced, path: str) -> bool:
        """Whether the very file was seen there as it was: what it holds by now is an edit of that."""
        return self._came.get(path) == origin.entry

    def came_to(self, agreed: Synced) -> Sequence[str]:
        """The paths where the very file was seen last."""
        return self._paths.get(agreed.entry, ())

    def _look(self, path: str, seen: Seen) -> _Look:
        origin = self._state.synced.with_inode(seen.fingerprint) if isinstance(seen, Present) else None
        return _Look(path, seen, origin, self._state.agreed_at(path))

    def _is_brought(self, look: _Look) -> bool:
        """Whether a known file stands at a path that was not its own, also if its own has another by now."""
        path, seen, origin, here = look
        if not isinstance(seen, Present):
            return False
        if origin is not None and origin.path != path and self.is_of(origin, seen.content, here):
            return True
        return self._left.get(_file_of(seen.fingerprint, seen.content.digest), path) != path

    def _is_reused(self, look: _Look) -> bool:
        """Whether by what the file holds it is rather the one that stood there than the one whose inode it
        has."""
        _, seen, origin, here = look
        assert isinstance(seen, Present) and origin is not None and here is not None
        near = self._apart(here, seen.content)
        if near is None or near > 0.5:
            return False
        far = self._apart(origin, seen.content, near)
        return far is None or far > near

    def _comes(self, look: _Look) -> None:
        """Also of a look that has to be repeated: the next one may find the file edited."""
        path, seen, origin, here = look
        if origin is not None and self.has_come(origin, path):
            return
        self._came.pop(path, None)
        brings = look.brings
        if brings is not None and isinstance(seen, Present) and self.is_of(brings, seen.content, here):
            self._came[path] = brings.entry
            _bound(self._came)

    def _leaves(self, look: _Look) -> None:
        """Remember the file that stood at the path, if it does so no more: it may turn up at another one even
        after its deletion was told."""
        path, seen, _, agreed = look
        if agreed is None or agreed.fingerprint is None or agreed.digest is None:
            return
        file = _file_of(agreed.fingerprint, agreed.digest)
        other = isinstance(seen, Present) and file[:2] != (seen.fingerprint.device, seen.fingerprint.inode)
        if other or isinstance(seen, Absent):
            self._left[file] = path
            _bound(self._left)

    def _apart(self, agreed: Synced, content: Content, at_most: float = 1.0) -> float | None:
        key = agreed.entry, agreed.digest, content.digest, at_most
        if key not in self._compared:
            self._compared[key] = self._state.documents.apart(agreed, content, at_most)
        return self._compared[key]


def _bound(remembered: dict[K, V]) -> None:
    if len(remembered) > LEFT_MAX_COUNT:
        del remembered[next(iter(remembered))]


def _file_of(fingerprint: Fingerprint, digest: Digest) -> tuple[int, int, Digest]:
    """A file with its content: the inode alone is given to another file as soon as its own is deleted."""
    return fingerprint.device, fingerprint.inode, digest
