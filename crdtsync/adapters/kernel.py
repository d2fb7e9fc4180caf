"""What the disk code needs of a kernel, as one interface: the real one, or one that exists in memory.

Every call is one primitive: other processes act between any two of them, and the process may end there.
Names are str with surrogateescape, taken relative to a directory descriptor; no call but ``stat``,
``real_path`` and ``make_folders`` follows a link. All calls raise OSError, with the errno of Linux.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Protocol


class Unsupported(OSError):
    """The kernel or the file system lacks this call; a caller has a slower or weaker way."""


class Entry(Protocol):
    """One name in a folder, as it was when the folder was listed."""

    @property
    def name(self) -> str: ...

    def is_dir(self, *, follow_symlinks: bool = True) -> bool: ...

    def is_file(self, *, follow_symlinks: bool = True) -> bool: ...

    def is_symlink(self) -> bool: ...

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """A primitive of its own, unless it was asked for before; needs the folder to be open still."""
        ...


class Kernel(Protocol):
    @property
    def umask(self) -> int:
        """The process's umask."""
        ...

    # -- descriptors ------------------------------------------------------------------------------

    def open(self, name: str, flags: int, dir_fd: int | None = None, mode: int = 0o600) -> int: ...

    def open_folder(self, name: str, dir_fd: int | None = None) -> int: ...

    def open_path(self, path: str, dir_fd: int) -> int:
        """A folder at a path of several names, none of which may be a link, in one call.

        Raises Unsupported where there is no such call.
        """
        ...

    def open_file(self, name: str, dir_fd: int) -> int:
        """Open for reading without ever waiting on a FIFO or becoming a terminal's process."""
        ...

    def close(self, fd: int) -> None: ...

    def move_descriptor(self, fd: int, to_fd: int) -> None:
        """What is open at ``fd`` is open at ``to_fd`` instead, and what was open there no more."""
        ...

    def read(self, fd: int, size_bytes: int) -> bytes: ...

    def pread_into(self, fd: int, view: memoryview, offset: int) -> int:
        """Fill ``view`` from ``offset`` on without moving the file position; how many bytes there were."""
        ...

    def write_all(self, fd: int, data: bytes) -> None: ...

    def truncate(self, fd: int, size_bytes: int) -> None: ...

    def lock(self, fd: int) -> None:
        """Take the file's lock, held until the descriptor is closed; EWOULDBLOCK when another holds it."""
        ...

    def fsync(self, fd: int) -> None: ...

    def syncfs(self, fd: int) -> None:
        """Make all that is on the descriptor's file system durable."""
        ...

    # -- looking ----------------------------------------------------------------------------------

    def stat(self, path: str) -> os.stat_result:
        """What an absolute path leads to."""
        ...

    def lstat(self, name: str, dir_fd: int | None = None) -> os.stat_result: ...

    def fstat(self, fd: int) -> os.stat_result: ...

    def readlink(self, name: str, dir_fd: int) -> str: ...

    def entries(self, fd: int) -> Sequence[Entry]:
        """What is in the open folder."""
        ...

    def real_path(self, path: str) -> str:
        """Where a path leads, absolute and without links, as far as it exists."""
        ...

    def pause(self, seconds: float) -> None:
        """Let time pass in this thread."""
        ...

    # -- changing names ---------------------------------------------------------------------------

    def rename(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        """Plain rename: replaces what is at the new name."""
        ...

    def rename_noreplace(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        """Rename; FileExistsError when anything is at the new name. Raises Unsupported."""
        ...

    def exchange(self, name: str, dir_fd: int, other: str, other_dir_fd: int) -> None:
        """Swap what is at two names in one atomic step. Raises Unsupported."""
        ...

    def link(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        """A second name for the same file; FileExistsError when anything is at the new name."""
        ...

    def symlink(self, target: str, name: str, dir_fd: int) -> None: ...

    def unlink(self, name: str, dir_fd: int) -> None: ...

    def mkdir(self, name: str, dir_fd: int, mode: int = 0o777) -> None: ...

    def make_folders(self, path: str) -> None:
        """The folder at ``path``, with those above it; one that is there already will do."""
        ...

    def rmdir(self, name: str, dir_fd: int) -> None: ...

    # -- permissions and attributes ---------------------------------------------------------------

    def fchmod(self, fd: int, mode: int) -> None: ...

    def fchown(self, fd: int, uid: int, gid: int) -> None: ...

    def attributes(self, fd: int) -> list[str]: ...

    def copy_attribute(self, fd: int, to_fd: int, attribute: str) -> None: ...

    def open_for_writing_elsewhere(self, fd: int) -> bool | None:
        """Whether anyone can still write to this file through a descriptor or mapping; None: cannot tell.

        ``fd`` must be open for reading only.
        """
        ...


def is_regular(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)
