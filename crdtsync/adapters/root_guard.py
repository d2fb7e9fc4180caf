"""Notices when the joined folder, or what a replica needs in it, is no longer what was joined.

What to do then is left to others.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from crdtsync.adapters.kernel import Kernel
from crdtsync.core.values import limits
from crdtsync.core.values.ids import printable
from crdtsync.core.values.reserved import STATE_FOLDER
from crdtsync.errors import RootGone

_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
"""Nothing is there. Any other error says only that nobody could look: it may pass."""


class RootGuard:
    """Remembers device and inode of the folder at ``directory`` (absolute), of its state folder, and of what
    is needed in that."""

    def __init__(self, directory: str, calls: Kernel) -> None:
        self.directory = directory
        self._shown = printable(directory)
        self._calls = calls
        self._root = _identity(calls.stat(directory))
        self._state_folder = f"{directory}/{STATE_FOLDER}"
        self._needed: dict[str, tuple[int, int]] = {}
        self._need(self._state_folder)

    def needs(self, name: str) -> None:
        """A file of the state folder without which nobody may go on: what is told holds for that, too."""
        self._need(f"{self._state_folder}/{name}")

    def _need(self, path: str) -> None:
        self._needed[path] = _identity(self._calls.lstat(path))

    def check(self) -> None:
        """Raises RootGone when the folder was removed, moved away, replaced or unmounted.

        Also when it cannot be looked at, once that has lasted for ``limits.ROOT_LOOK_AGAIN_S``; until then
        this call does not return, so nothing is seen or done meanwhile.
        """
        if self.is_there():
            return
        shown = self._shown
        try:
            found = self._reached(lambda path: self._calls.stat(path), self.directory)
        except OSError as error:
            raise RootGone(
                f"{shown} is gone ({error.strerror}). Nothing was deleted for others. "
                "Bring the folder back, or mount it again, and join it again"
            ) from error
        if not stat.S_ISDIR(found.st_mode) or _identity(found) != self._root:
            how = "unmounted or mounted over" if found.st_dev != self._root[0] else "replaced"
            raise RootGone(
                f"{shown} was {how} while it was joined. Nothing was deleted for others. "
                "Bring the original folder back, or join this one anew"
            )
        for path, identity in self._needed.items():
            try:
                kept = self._reached(lambda path: self._calls.lstat(path), path)
            except OSError as error:
                raise RootGone(
                    f"{printable(path)} is gone ({error.strerror}), which a replica needs. "
                    "Nothing was deleted for others. Join the folder again: equal files are recognised"
                ) from error
            if _identity(kept) != identity:
                raise RootGone(
                    f"{printable(path)} was replaced while the folder was joined. "
                    "Nothing was deleted for others. Join the folder again"
                )

    def is_there(self) -> bool:
        """Whether it is the folder that was joined, as far as one look tells; waits for no other."""
        try:
            if _identity(self._calls.stat(self.directory)) != self._root:
                return False
            lstat = self._calls.lstat
            return all(_identity(lstat(path)) == identity for path, identity in self._needed.items())
        except OSError:
            return False

    def _reached(self, look: Callable[[str], os.stat_result], path: str) -> os.stat_result:
        """What a look finds, however many it takes. Raises OSError when nothing is there, and RootGone."""
        pauses_s = iter(limits.ROOT_LOOK_AGAIN_S)
        while True:
            try:
                return look(path)
            except OSError as error:
                if error.errno in _GONE:
                    raise
                pause_s = next(pauses_s, None)
                if pause_s is None:
                    raise RootGone(
                        f"{printable(path)} cannot be looked at ({error.strerror}), for "
                        f"{sum(limits.ROOT_LOOK_AGAIN_S):.0f} seconds now. Nothing was deleted for others. "
                        "Make the folder readable again, and join it again"
                    ) from error
            self._calls.pause(pause_s)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Check before and after, so that what was seen or done inside was of the joined folder."""
        self.check()
        yield
        self.check()


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
