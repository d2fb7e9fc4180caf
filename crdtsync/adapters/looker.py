"""Looks at single paths of the joined folder: what is there, with content; changes nothing.

An answer is a fact about the disk at one instant, or says that it could not be had. It is never a guess.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from crdtsync.adapters.contents import CHANGING, observe
from crdtsync.adapters.failures import unreadable_reason
from crdtsync.adapters.filesystem import Blocked, Tree, fingerprint_of, split
from crdtsync.adapters.ignores import FolderRules, Ignores, is_ignore_file
from crdtsync.adapters.recutting import Cuts
from crdtsync.adapters.root_guard import RootGuard
from crdtsync.adapters.scanner import NESTED
from crdtsync.adapters.spelling import Listings
from crdtsync.core.replica.effects import LookAt
from crdtsync.core.values import limits
from crdtsync.core.values.files import (
    IGNORED,
    Absent,
    Folder,
    Seen,
    Unchanged,
    Unreadable,
    Unshareable,
)
from crdtsync.core.values.paths import parent, path_problem
from crdtsync.core.values.reserved import STATE_FOLDER, litter_name

GLANCE_MAX_BYTES: Final = 64 * limits.KiB
"""Reading, hashing and decoding it takes about as long as waking another thread."""


class Looker:
    """Looks on a worker thread; each look is one call."""

    def __init__(self, tree: Tree, guard: RootGuard, ignores: Ignores) -> None:
        self._tree = tree
        self._calls = tree.calls
        self._guard = guard
        self._ignores = ignores
        self._cuts = Cuts()

    def look(self, paths: Iterable[LookAt]) -> tuple[tuple[str, Seen], ...]:
        """What is at each path, in their order.

        Raises RootGone, also when the root vanished meanwhile: then nothing that was seen may be believed.
        """
        paths = tuple(paths)
        for wanted in paths:
            if is_ignore_file(wanted.path):
                self._ignores.invalidate(wanted.path)
        listings = Listings(self._tree)
        with self._guard.guarded():
            return tuple(
                (wanted.path, self._told(wanted, self.look_at(wanted, listings))) for wanted in paths
            )

    def _told(self, wanted: LookAt, seen: Seen) -> Seen:
        """Where nothing is: whether what is mounted there is gone, too, and our own file system shows."""
        if wanted.device is None or seen != Absent():
            return seen
        at: str | None = parent(wanted.path)
        while at is not None:
            with suppress(FileNotFoundError, Blocked), self._tree.folder(at) as dir_fd:
                device = self._calls.fstat(dir_fd).st_dev
                return Absent(unmounted=device == self._tree.device != wanted.device)
            at = parent(at) if at else None
        return seen

    def glance(self, wanted: LookAt) -> Seen | None:
        """What is at the path, if that is a file which can be read without waiting: else None.

        That is a small one on the file system of the folder itself, on which the caller's thread waits for
        its own state anyway.
        """
        folder, name = split(wanted.path)
        if path_problem(wanted.path) is not None or is_ignore_file(wanted.path):
            return None
        if not self._guard.is_there():
            return None
        try:
            with self._tree.folder(folder) as dir_fd:
                status = self._calls.lstat(name, dir_fd)
                small = stat.S_ISREG(status.st_mode) and status.st_size <= GLANCE_MAX_BYTES
                if not small or status.st_dev != self._tree.device:
                    return None
                rules = self._ignores.folder(folder)
                seen = self._at(dir_fd, name, wanted, status, rules, None)
        except OSError:
            return None
        return seen if self._guard.is_there() else None

    def look_at(self, wanted: LookAt, listings: Listings | None = None) -> Seen:
        """One look, by a caller that guards the root itself.

        What is there under another spelling is not at this path. ``listings`` may be of a moment ago: of
        what has changed since, a hint will tell.
        """
        problem = path_problem(wanted.path)
        if problem is not None:
            return Unshareable(problem)
        folder, name = split(wanted.path)
        try:
            rules = self._ignores.folder(folder)
            try:
                with self._tree.folder(folder) as dir_fd:
                    status = self._calls.lstat(name, dir_fd)
                    return self._at(dir_fd, name, wanted, status, rules, listings)
            except (FileNotFoundError, Blocked):
                # Every folder above could be read, or one of them is no folder: nothing can be at this path.
                return Unshareable(IGNORED) if rules.ignored(name, False) else Absent()
        except OSError as error:
            return Unreadable(unreadable_reason(error))

    def _at(
        self,
        dir_fd: int,
        name: str,
        wanted: LookAt,
        status: os.stat_result,
        rules: FolderRules,
        listings: Listings | None,
    ) -> Seen:
        """What is at a name of which there is a ``status``. Raises OSError."""
        is_dir = stat.S_ISDIR(status.st_mode)
        if not (listings or Listings(self._tree)).spell(wanted.path):
            return Unshareable(IGNORED) if rules.ignored(name, is_dir) else Absent()
        if rules.ignored(name, is_dir):
            return Unshareable(IGNORED)
        if is_dir:
            return self._folder(name, dir_fd)
        unless = wanted.unless
        if unless is not None and unless.tells_writes and fingerprint_of(status) == unless:
            return Unchanged(unless)
        return observe(self._calls, dir_fd, name, wanted.path, wanted.known_text, self._cuts)

    def _folder(self, name: str, dir_fd: int) -> Seen:
        try:
            fd = self._calls.open_folder(name, dir_fd)
        except NotADirectoryError:
            return CHANGING
        try:
            names = {entry.name for entry in self._calls.entries(fd)}
            if STATE_FOLDER in names:
                return Unshareable(NESTED)
            return Folder(empty=all(map(litter_name, names)))
        finally:
            self._calls.close(fd)
