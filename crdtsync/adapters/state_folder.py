"""Opens the folder to be joined and makes the state folder in it; says why where that cannot be.

What the parts of the state folder hold is known by those who use them.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from crdtsync.adapters.folder_lock import LOCK, FolderLock
from crdtsync.adapters.kernel import Kernel
from crdtsync.adapters.private_folder import PrivateFolder
from crdtsync.core.values.ids import printable
from crdtsync.core.values.reserved import STATE_FOLDER
from crdtsync.errors import FolderError

STAGING: Final = "staging"
TRASH: Final = "trash"
CHUNKS: Final = "chunks"
GIT_IGNORE: Final = ".gitignore"
STATE_FILE: Final = "state.db"
NEEDED: Final = (LOCK, STATE_FILE)
"""Without its lock another process may join the folder, too; without its state what is agreed is unknown."""


class StateFolder:
    """The joined folder at ``directory`` (absolute, without links) with its state folder, locked and open."""

    def __init__(self, directory: str | Path, room: str, calls: Kernel) -> None:
        """Make what is missing, and lock it for this process.

        Raises AlreadyJoined when a process holds it, and FolderError when it cannot be joined: a file in its
        place, inside another joined folder, not writable.
        """
        self._calls = calls
        self._open: list[int] = []
        self._lock: FolderLock | None = None
        given = str(directory)
        try:
            self._refuse_inside(calls.real_path(str(directory)))
            calls.make_folders(str(directory))
            self.directory = calls.real_path(str(directory))
            self.root_fd = self._keep(calls.open_folder(self.directory))
            self.state_fd = self._made(STATE_FOLDER, self.root_fd).fd
            self.staging = self._made(f"{STATE_FOLDER}/{STAGING}", self.state_fd)
            for name in (TRASH, CHUNKS):
                self._made(f"{STATE_FOLDER}/{name}", self.state_fd)
            self._ignore_in_git()
            self._check_device()
            self._lock = FolderLock(self.state_fd, self.directory, room, calls)
        except OSError as error:
            self.close()
            raise unjoinable(given, error) from error
        except FolderError:
            self.close()
            raise

    @property
    def state_directory(self) -> str:
        return os.path.join(self.directory, STATE_FOLDER)

    def close(self) -> None:
        """Let go of the lock and of all descriptors; may be called again."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        while self._open:
            self._calls.close(self._open.pop())

    def remove_unused(self) -> None:
        """Take the state folder away, unless something is kept in it: what is left would look joined."""
        state = Path(self.state_directory)
        with suppress(OSError):  # something is kept in one of them: then all that matters stays
            for name in (STAGING, TRASH, CHUNKS):
                (state / name).rmdir()
            for name in (GIT_IGNORE, LOCK):
                (state / name).unlink()
            state.rmdir()

    def _keep(self, fd: int) -> int:
        self._open.append(fd)
        return fd

    def _made(self, path: str, above_fd: int) -> PrivateFolder:
        folder = PrivateFolder(path, above_fd, self._calls)
        self._keep(folder.fd)
        return folder

    def _ignore_in_git(self) -> None:
        with suppress(FileExistsError):
            fd = self._calls.open(GIT_IGNORE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self.state_fd)
            try:
                self._calls.write_all(fd, b"*\n")
            finally:
                self._calls.close(fd)

    def _check_device(self) -> None:
        if self._calls.fstat(self.staging.fd).st_dev != self._calls.fstat(self.root_fd).st_dev:
            raise FolderError(
                f"{printable(self.directory)} cannot be joined: {STATE_FOLDER} in it is on another file "
                "system, so files could not be replaced in one step. Unmount it"
            )

    def _refuse_inside(self, directory: str) -> None:
        above = os.path.dirname(directory)
        if STATE_FOLDER in directory.split("/"):
            raise FolderError(
                f"{printable(directory)} is inside the state folder of a joined folder; join that"
            )
        while True:
            if self._is_folder(os.path.join(above, STATE_FOLDER)):
                raise FolderError(
                    f"{printable(directory)} is inside {printable(above)}, which is joined to a room: "
                    "join one or the other, or a folder elsewhere"
                )
            if above == os.path.dirname(above):
                return
            above = os.path.dirname(above)

    def _is_folder(self, path: str) -> bool:
        try:
            return stat.S_ISDIR(self._calls.stat(path).st_mode)
        except OSError:
            return False


_REASONS: Final[dict[int, str]] = {
    errno.EEXIST: "it is a file; name a folder",
    errno.ENOTDIR: "it, or something it is in, is a file or a link where a folder must be",
    errno.ELOOP: f"{STATE_FOLDER} in it is a link; remove that",
    errno.EACCES: "permission denied; it must be readable and writable for you",
    errno.EPERM: "not permitted; it must be writable for you",
    errno.EROFS: "it is on a read-only file system",
    errno.ENOSPC: "the disk is full; free some space",
    errno.ENAMETOOLONG: "its name is too long",
}


def unjoinable(directory: str, error: OSError) -> FolderError:
    """What says why the folder cannot be joined."""
    why = _REASONS.get(error.errno or 0, str(error.strerror or error))
    return FolderError(f"{printable(directory)} cannot be joined: {why}")
