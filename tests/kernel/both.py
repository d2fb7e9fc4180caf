"""The real kernel and the virtual one side by side: the same deeds on both, and what came of them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crdtsync.adapters.kernel import Kernel
from crdtsync.adapters.system_calls import SystemCalls
from crdtsync.testing.virtual_filesystem import VirtualFilesystem
from crdtsync.testing.virtual_kernel import VirtualKernel


@dataclass
class Place:
    """A folder of a kernel, open at ``fd``."""

    kernel: Kernel
    path: str
    fd: int

    def write(self, name: str, data: bytes, flags: int = 0, dir_fd: int | None = None) -> None:
        at = self.fd if dir_fd is None else dir_fd
        fd = self.kernel.open(name, os.O_WRONLY | os.O_CREAT | flags, at)
        try:
            self.kernel.write_all(fd, data)
        finally:
            self.kernel.close(fd)

    def read(self, name: str) -> bytes:
        fd = self.kernel.open_file(name, self.fd)
        try:
            return self.kernel.read(fd, 1 << 20)
        finally:
            self.kernel.close(fd)

    def fill(self) -> None:
        """Something of every kind."""
        kernel = self.kernel
        self.write("f", b"one")
        self.write("g", b"two")
        kernel.link("g", self.fd, "h", self.fd)
        for folder in ("d", "full"):
            kernel.mkdir(folder, self.fd)
        fd = kernel.open_folder("full", self.fd)
        self.write("in", b"inside", dir_fd=fd)
        kernel.mkdir("below", fd)
        kernel.close(fd)
        for name, target in (("l", "f"), ("dl", "d"), ("x", "nowhere"), ("loop", "loop")):
            kernel.symlink(target, name, self.fd)

    def tree(self) -> dict[str, tuple[object, ...]]:
        """All that is there: kinds, permissions, numbers of links, contents, and which names are one file."""
        found: dict[str, tuple[object, ...]] = {}
        first: dict[int, str] = {}
        waiting = [("", self.kernel.open_folder(".", self.fd))]
        while waiting:
            prefix, fd = waiting.pop()
            for entry in sorted(self.kernel.entries(fd), key=lambda entry: entry.name):
                path, status = prefix + entry.name, entry.stat(follow_symlinks=False)
                mode = status.st_mode
                assert entry.is_dir(follow_symlinks=False) == stat.S_ISDIR(mode)
                assert entry.is_file(follow_symlinks=False) == stat.S_ISREG(mode)
                assert entry.is_symlink() == stat.S_ISLNK(mode)
                content: object = None
                if stat.S_ISDIR(mode):
                    waiting.append((path + "/", self.kernel.open_folder(entry.name, fd)))
                    found[path] = (mode, "folder")
                    continue
                if stat.S_ISLNK(mode):
                    content = self.kernel.readlink(entry.name, fd)
                else:
                    file = self.kernel.open_file(entry.name, fd)
                    content = self.kernel.read(file, 1 << 20)
                    self.kernel.close(file)
                one = first.setdefault(status.st_ino, path)
                found[path] = (mode, status.st_nlink, status.st_size, content, one)
            self.kernel.close(fd)
        return found


def real(folder: Path) -> Place:
    calls = SystemCalls()
    folder.mkdir(parents=True, exist_ok=True)
    return Place(calls, str(folder), calls.open_folder(str(folder)))


def virtual(path: str = "/somewhere") -> Place:
    kernel = VirtualKernel(VirtualFilesystem(lambda: 1_700_000_000_000_000_000))
    kernel.make_folders(path)
    return Place(kernel, path, kernel.open_folder(path))


def outcome(deed: Callable[..., object], *arguments: object) -> object:
    """What it returned, or the name of its error."""
    try:
        return deed(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
