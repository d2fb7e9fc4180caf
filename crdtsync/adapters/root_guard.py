"""Notices when the joined folder is no longer the one that was joined; leaves to others what to do then."""

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
    """Remembers device and inode of the folder at ``directory`` (absolute) and of its state folder."""

    def __init__(self, directory: str, calls: Kernel) -> None:
        self.directory = directory
        self._shown = printable(directory)
        self._calls = calls
        self._root = _identity(calls.stat(directory))
        self._state_folder = f"{directory}/{STATE_FOLDER}"
        self._state = _identity(calls.lstat(self._state_folder))

    def check(self) -> None:
        """Raises RootGone when the folder was removed, moved away, replaced or unmounted.

        Also when it cannot be looked at, once that has lasted for ``limits.ROOT_LOOK_AGAIN_S``; until then
        this call does not return, so nothing is seen or done meanwhile.
        """
        if self.is_there():
            return
        shown = self._shown
        try:
            found = self._reached(lambda: self._calls.stat(self.directory), self.directory)
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
        kept = self._state_folder
        try:
            state = self._reached(lambda: self._calls.lstat(kept), kept)
        except OSError as error:
            raise RootGone(
                f"{shown}/{STATE_FOLDER} is gone ({error.strerror}), so what was agreed is unknown. "
                "Nothing was deleted for others. Join the folder again: equal files are recognised"
            ) from error
        if _identity(state) != self._state:
            raise RootGone(
                f"{shown}/{STATE_FOLDER} was replaced while the folder was joined. "
                "Nothing was deleted for others. Join the folder again"
            )

    def is_there(self) -> bool:
        """Whether it is the folder that was joined, as far as one look tells; waits for no other."""
        try:
            found = self._calls.stat(self.directory)
            state = self._calls.lstat(self._state_folder)
        except OSError:
            return False
        return (_identity(found), _identity(state)) == (self._root, self._state)

    def _reached(self, look: Callable[[], os.stat_result], path: str) -> os.stat_result:
        """What a look finds, however many it takes. Raises OSError when nothing is there, and RootGone."""
        pauses_s = iter(limits.ROOT_LOOK_AGAIN_S)
        while True:
            try:
                return look()
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
