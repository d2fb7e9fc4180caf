"""The descriptors of one simulated process: what each has open, how, and where it reads and writes."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Final

from crdtsync.testing.virtual_filesystem import error
from crdtsync.testing.virtual_inodes import Dentry, Inode, NodeKind

FIRST_DESCRIPTOR: Final = 1_000_000
"""No real descriptor has such a number, so one that leaks to a real system call fails there."""


@dataclass(slots=True)
class OpenFile:
    """An open file or folder. Files are read and written from ``position`` on."""

    dentry: Dentry
    readable: bool
    writable: bool
    appends: bool
    position: int = 0
    locks: bool = False


class Descriptors:
    """Numbers are never used again. All that looks one up raises OSError, EBADF for one that is not open."""

    def __init__(self) -> None:
        self._open: dict[int, OpenFile] = {}
        self._next_fd = FIRST_DESCRIPTOR

    def add(self, file: OpenFile) -> int:
        fd = self._next_fd
        self._next_fd += 1
        self._open[fd] = file
        return fd

    def put(self, file: OpenFile, fd: int) -> None:
        """It is open at that number, which was another's."""
        self._open[fd] = file

    def take(self, fd: int) -> OpenFile:
        """It is open no more."""
        file = self.at(fd)
        del self._open[fd]
        return file

    def all(self) -> list[int]:
        return list(self._open)

    def at(self, fd: int) -> OpenFile:
        file = self._open.get(fd)
        if file is None:
            raise error(errno.EBADF)
        return file

    def folder(self, fd: int) -> Inode:
        """Raises ENOTDIR."""
        folder = self.at(fd).dentry.inode
        if folder.kind is not NodeKind.FOLDER:
            raise error(errno.ENOTDIR)
        return folder

    def readable(self, fd: int) -> OpenFile:
        """Raises EISDIR, and EBADF for one that is open for writing only."""
        file = self.at(fd)
        if file.dentry.inode.kind is NodeKind.FOLDER:
            raise error(errno.EISDIR)
        if not file.readable:
            raise error(errno.EBADF)
        return file

    def writable(self, fd: int) -> OpenFile:
        file = self.at(fd)
        if not file.writable:
            raise error(errno.EBADF)
        return file
