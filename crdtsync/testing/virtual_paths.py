"""Walks paths of a virtual file system, and lists folders; descriptors are up to ``virtual_kernel``."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from crdtsync.testing.virtual_filesystem import VirtualFilesystem, error
from crdtsync.testing.virtual_inodes import Dentry, Inode, NodeKind

_LINKS_MAX: Final = 40


class Paths:
    def __init__(self, filesystem: VirtualFilesystem) -> None:
        self._filesystem = filesystem

    def found(self, folder: Inode, name: str) -> Dentry | None:
        """What has that name there, if anything has."""
        if name == ".":
            return folder.above or Dentry(folder, "", folder)
        if not name:
            raise error(errno.ENOENT, name)
        if folder.kind is not NodeKind.FOLDER:
            raise error(errno.ENOTDIR, name)
        return self._filesystem.get(folder, name)

    def check_free(self, folder: Inode, name: str) -> None:
        """Raises OSError, EEXIST."""
        if self.found(folder, name) is not None:
            raise error(errno.EEXIST, name)

    def needed(self, folder: Inode, name: str) -> Dentry:
        """What has that name there. Raises OSError, ENOENT."""
        found = self.found(folder, name)
        if found is None:
            raise error(errno.ENOENT, name)
        return found

    def walked(self, path: str) -> tuple[Inode, str]:
        """The folder of an absolute path, links on the way followed; and its last part."""
        above, _, last = path.rstrip("/").rpartition("/")
        if not last:
            return self._filesystem.root, "."
        return (self.follow(above).inode if above else self._filesystem.root), last

    def follow(self, path: str, links: int = 0) -> Dentry:
        """What an absolute path leads to, links followed. Raises OSError, ELOOP among others."""
        folder, last = self.walked(path)
        found = self.needed(folder, last)
        if found.inode.kind is not NodeKind.LINK:
            return found
        if links > _LINKS_MAX:
            raise error(errno.ELOOP, path)
        target = os.fsdecode(found.inode.data)
        if not target.startswith("/"):
            target = f"{self._filesystem.path_of(folder)}/{target}"
        return self.follow(target, links + 1)

    def real(self, path: str) -> str:
        """An absolute path without links, as far as it leads; like os.path.realpath."""
        left = path.split("/")[::-1]
        done: list[str] = []
        links = 0
        while left:
            part = left.pop()
            if part == "..":
                done = done[:-1]
            if part in ("", ".", ".."):
                continue
            try:
                folder, last = self.walked("/".join(["", *done, part]))
                inode = self.needed(folder, last).inode
            except OSError:
                inode = None
            if inode is None or inode.kind is not NodeKind.LINK or links > _LINKS_MAX:
                done.append(part)
                continue
            links += 1
            target = os.fsdecode(inode.data)
            done = [] if target.startswith("/") else done
            left += target.split("/")[::-1]
        return "/" + "/".join(done)


@dataclass(frozen=True, slots=True)
class Listed:
    """A name in a folder, with its kind as of the listing; like os.DirEntry, it asks for no more at once."""

    name: str
    kind: NodeKind
    look: Callable[[], os.stat_result]

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self.kind is NodeKind.FOLDER

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return self.kind is NodeKind.FILE

    def is_symlink(self) -> bool:
        return self.kind is NodeKind.LINK

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return self.look()
