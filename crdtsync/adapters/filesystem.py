"""Safe walks below one root descriptor: folder by folder, never through a link, never above the root.

Knows paths, descriptors and fingerprints; what is read or changed at the end of a walk is up to the callers.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from crdtsync.adapters.kernel import Kernel
from crdtsync.core.values.files import Fingerprint
from crdtsync.core.values.folding import PLAIN, Folding

_new: Final = tuple.__new__
"""A third of the time of a call by name, for each file of a scan."""


class Blocked(OSError):
    """A file or a link stands where a folder must be; ``path`` is its room-relative path."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        self.path = path


class Tree:
    """The folders below one root; ``root_fd`` stays open as long as this is used.

    ``folding`` is what the file system takes for one name. ``respell`` then sees to it that a folder on the
    way to something new is spelled as its path says: it gets its name, the folder around it, and its path.
    """

    def __init__(self, root_fd: int, calls: Kernel, folding: Folding = PLAIN) -> None:
        self.root_fd = root_fd
        self.folding = folding
        self.respell: Callable[[str, int, str], object] | None = None
        self.calls = calls
        self.device = calls.fstat(root_fd).st_dev

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """A descriptor of the folder at ``path`` ("" is the root), open inside the ``with``.

        Raises FileNotFoundError when it is not there, Blocked when a file or a link is in the way, and any
        other OSError when a folder on the way cannot be read.
        """
        fd = self._walk(path, None)
        try:
            yield fd
        finally:
            self.calls.close(fd)

    @contextmanager
    def made_folder(self, path: str) -> Iterator[int]:
        """Like ``folder``; missing folders are made, and removed again when an OSError is raised inside.

        Raises Blocked and other OSErrors.
        """
        made: list[str] = []
        try:
            fd = self._walk(path, made)
            try:
                yield fd
            finally:
                self.calls.close(fd)
        except OSError:
            self._remove(made)
            raise

    def _walk(self, path: str, made: list[str] | None) -> int:
        calls = self.calls
        if not path:
            return calls.open_folder(".", self.root_fd)
        if made is None or self.respell is None:
            with suppress(OSError):
                return calls.open_path(path, self.root_fd)
        # Step by step: to make what is missing, to spell it, or to find out what is in the way.
        fd = calls.open_folder(".", self.root_fd)
        done = 0
        for part in path.split("/"):
            done += len(part) + 1
            here = path[: done - 1]
            try:
                below = self._step(fd, part, here, made)
            except OSError as error:
                if error.errno in (errno.ENOTDIR, errno.ELOOP):
                    raise Blocked(here) from error
                raise
            finally:
                calls.close(fd)
            fd = below
        return fd

    def _step(self, fd: int, part: str, here: str, made: list[str] | None) -> int:
        try:
            below = self.calls.open_folder(part, fd)
        except FileNotFoundError:
            if made is None:
                raise
        else:
            self._spell(part, fd, here, below, made is not None)
            return below
        with suppress(FileExistsError):  # someone made it, or something else, just now: opening it tells
            self.calls.mkdir(part, fd)
            made.append(here)
        return self.calls.open_folder(part, fd)

    def _spell(self, part: str, fd: int, here: str, below: int, to_make: bool) -> None:
        if to_make and self.respell is not None:
            try:
                self.respell(part, fd, here)
            except OSError:
                self.calls.close(below)
                raise

    def _remove(self, made: list[str]) -> None:
        for path in reversed(made):
            above, name = split(path)
            with suppress(OSError), self.folder(above) as fd:
                self.calls.rmdir(name, fd)


def split(path: str) -> tuple[str, str]:
    """The folder of ``path`` ("" is the root) and its last name."""
    folder, _, name = path.rpartition("/")
    return folder, name


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    mode = status.st_mode
    executable = mode & stat.S_IXUSR != 0 and stat.S_ISREG(mode)
    modified_ns, changed_ns = status.st_mtime_ns, status.st_ctime_ns
    fields = status.st_dev, status.st_ino, status.st_size, modified_ns, changed_ns, executable
    return _new(Fingerprint, fields)
