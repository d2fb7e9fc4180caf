"""A folder of ours that nobody else may enter, open at a descriptor; made anew where someone deletes it.

Knows that one folder; what is in it, and whose work has to wait for it, is up to the callers.
"""

from __future__ import annotations

import errno
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from crdtsync.adapters.filesystem import Blocked, split
from crdtsync.adapters.kernel import Kernel

_PRIVATE: Final = 0o700


class PrivateFolder:
    """The folder with the last name of ``path`` in the one open at ``above_fd``; open at ``fd`` until closed.

    It is never one that a link leads to.
    """

    def __init__(self, path: str, above_fd: int, calls: Kernel) -> None:
        """Make it where it is missing. Raises Blocked and other OSErrors."""
        self._path = path
        self._name = split(path)[1]
        self._above_fd = above_fd
        self._calls = calls
        self._above_is_ours = False
        self.fd: Final = self._opened()

    @classmethod
    def at(cls, path: Path, calls: Kernel) -> PrivateFolder:
        """The one at a path, of which the last two names may be no links. Raises as the other way."""
        above_fd = calls.open_folder(str(path.parent))
        try:
            folder = cls(str(path), above_fd, calls)
        except OSError:
            calls.close(above_fd)
            raise
        folder._above_is_ours = True
        return folder

    def stand(self) -> None:
        """See to it that it has its name: one that was deleted, or moved away, is made anew and is open at
        ``fd`` from now on. Raises as at first.
        """
        calls, here = self._calls, self._calls.fstat(self.fd)
        with suppress(FileNotFoundError):
            there = calls.lstat(self._name, self._above_fd)
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                return
        calls.move_descriptor(self._opened(), self.fd)

    def close(self) -> None:
        self._calls.close(self.fd)
        if self._above_is_ours:
            self._calls.close(self._above_fd)

    def _opened(self) -> int:
        calls = self._calls
        with suppress(FileExistsError):
            calls.mkdir(self._name, self._above_fd, _PRIVATE)
        try:
            fd = calls.open_folder(self._name, self._above_fd)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise Blocked(self._path) from error
            raise
        if stat.S_IMODE(calls.fstat(fd).st_mode) != _PRIVATE:
            calls.fchmod(fd, _PRIVATE)
        return fd
