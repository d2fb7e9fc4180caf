"""Files, links and folders of a virtual file system: what they hold, and how much of it a power cut spares.

Knows nothing of how they are reached; names are up to ``virtual_filesystem``.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from crdtsync.core.values.digests import Digest, digest_of

DEVICE: Final = 1
USER: Final = 1000
EXECUTABLE: Final = 0o111


class NodeKind(Enum):
    FILE = auto()
    LINK = auto()
    FOLDER = auto()


_FORMAT: Final = {NodeKind.FILE: stat.S_IFREG, NodeKind.LINK: stat.S_IFLNK, NodeKind.FOLDER: stat.S_IFDIR}


@dataclass(slots=True, eq=False)
class Dentry:
    """One name of an inode. It goes along when the name changes, and with whoever has it open."""

    folder: Inode
    name: str
    inode: Inode
    linked: bool = True


@dataclass(slots=True, eq=False)
class Inode:
    """A file, a link or a folder. ``data`` is a file's content or a link's target in UTF-8."""

    number: int
    kind: NodeKind
    permissions: int
    data: bytes = b""
    names: dict[str, Dentry] = field(default_factory=dict)
    """What is in a folder, by the key of its name."""
    links: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    opened: int = 0
    """How many descriptors are open on it, for whatever."""
    writers: int = 0
    """How many of them can write."""
    locked: bool = False
    above: Dentry | None = None
    """A folder's only name; None for the root, and for one that was removed."""
    attributes: dict[str, bytes] = field(default_factory=dict)
    user: int = USER
    group: int = USER
    device: int = DEVICE
    """Of the file system that it is on; another one is as if mounted there."""
    spared: bytes = b""
    """What of the content is on the disk itself."""
    unspared: list[bytes] | None = None
    """The contents since then, oldest first; None: ``spared`` is all there is."""

    @property
    def digest(self) -> Digest:
        return digest_of(self.data)

    @property
    def executable(self) -> bool:
        return self.kind is NodeKind.FILE and bool(self.permissions & stat.S_IXUSR)

    @property
    def removed(self) -> bool:
        return self.links == 0

    def hold(self, data: bytes) -> None:
        """Let the content be this; not yet on the disk itself."""
        if self.unspared is None:
            self.unspared = []
        self.unspared.append(data)
        self.data = data

    def spare(self) -> None:
        """The content is on the disk itself from here on."""
        self.spared = self.data
        self.unspared = None

    def status(self) -> os.stat_result:
        """As stat(2) has it."""
        if self.kind is NodeKind.FOLDER:
            size_bytes, links = (
                4096,
                2 + sum(each.inode.kind is NodeKind.FOLDER for each in self.names.values()),
            )
        else:
            size_bytes, links = len(self.data), self.links
        seconds = self.mtime_ns // 1_000_000_000, self.ctime_ns // 1_000_000_000
        return os.stat_result(
            (
                _FORMAT[self.kind] | self.permissions,
                self.number,
                self.device,
                links,
                self.user,
                self.group,
                size_bytes,
                seconds[0],
                *seconds,
            ),
            {
                "st_mtime": self.mtime_ns / 1e9,
                "st_ctime": self.ctime_ns / 1e9,
                "st_atime": self.mtime_ns / 1e9,
                "st_mtime_ns": self.mtime_ns,
                "st_ctime_ns": self.ctime_ns,
                "st_atime_ns": self.mtime_ns,
            },
        )
