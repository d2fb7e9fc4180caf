"""The hands of people and their programs on a joined folder: they work by paths, and see no state folder.

Changes by them and by a replica give the same events: a watcher cannot tell them apart. What cannot be done
raises OSError.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping

from crdtsync.core.values.folding import PLAIN, Folding
from crdtsync.core.values.paths import name, parent, parents
from crdtsync.core.values.reserved import STATE_FOLDER, reserved_path
from crdtsync.testing.virtual_filesystem import VirtualFilesystem, error
from crdtsync.testing.virtual_happenings import Happening
from crdtsync.testing.virtual_inodes import EXECUTABLE, Dentry, Inode, NodeKind

_ASIDE = ".#{}"
"""Where a program writes what it then renames over a file; never shared."""


class Writer:
    """A file that a program has open for writing, wherever it stands by now."""

    def __init__(self, filesystem: VirtualFilesystem, dentry: Dentry) -> None:
        self._filesystem = filesystem
        self._dentry = dentry
        self.inode = dentry.inode
        self.inode.opened += 1
        self.inode.writers += 1

    def write(self, data: bytes) -> None:
        """Let the file hold just this."""
        if data and self.inode.data:
            self._filesystem.write(self._dentry, b"")
        self._filesystem.write(self._dentry, data)

    def close(self) -> None:
        """A power cut may have closed it before."""
        if self.inode.opened:
            self.inode.opened -= 1
            self.inode.writers -= 1
            self._filesystem.tell_name(self._dentry, Happening.CLOSE_WRITE)
            self._filesystem.release(self.inode)


class Nodes(Mapping[str, Inode]):
    """Every path below the folder, but for the state folder."""

    def __init__(self, filesystem: VirtualFilesystem, top: Inode) -> None:
        self._filesystem = filesystem
        self._top = top
        self._changes = -1
        self._found: dict[str, Dentry] = {}

    def dentry(self, path: str) -> Dentry | None:
        """By any of its spellings."""
        at = self._top
        for part in path.split("/"):
            dentry = None if at.kind is not NodeKind.FOLDER else self._filesystem.get(at, part)
            if dentry is None:
                return None
            at = dentry.inode
        return dentry

    def all(self) -> dict[str, Dentry]:
        if self._changes != self._filesystem.changes:
            self._changes = self._filesystem.changes
            self._found = {}
            waiting = [("", self._top)]
            while waiting:
                prefix, folder = waiting.pop()
                for dentry in folder.names.values():
                    if folder is self._top and dentry.name == STATE_FOLDER:
                        continue
                    path = prefix + dentry.name
                    self._found[path] = dentry
                    if dentry.inode.kind is NodeKind.FOLDER:
                        waiting.append((path + "/", dentry.inode))
        return self._found

    def __getitem__(self, path: str) -> Inode:
        dentry = self.dentry(path)
        if dentry is None:
            raise KeyError(path)
        return dentry.inode

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.dentry(path) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self.all())


class VirtualDisk:
    def __init__(self, filesystem: VirtualFilesystem, top: Inode, folding: Folding = PLAIN) -> None:
        self._filesystem = filesystem
        self._top = top
        self.folding = folding
        """Which names are one here."""
        self.nodes = Nodes(filesystem, top)

    # -- reading ----------------------------------------------------------------------------------------

    def get(self, path: str) -> Inode | None:
        dentry = self.nodes.dentry(path)
        return None if dentry is None else dentry.inode

    def inside(self, folder: str) -> list[str]:
        """All paths below ``folder``, sorted."""
        prefix = f"{self._spelled(folder)}/" if folder else ""
        return sorted(path for path in self.nodes.all() if path.startswith(prefix))

    def is_folder(self, path: str) -> bool:
        node = self._top if path == "" else self.get(path)
        return node is not None and node.kind is NodeKind.FOLDER

    def blocked_by(self, path: str) -> str | None:
        """The outermost folder above ``path`` that is no folder but something else."""
        for folder in reversed(parents(path)):
            if folder in self.nodes and not self.is_folder(folder):
                return folder
        return None

    def files(self) -> Iterator[tuple[str, Inode]]:
        """Everything that a room could share, sorted: files, links, and folders with nothing such in them."""
        for path, dentry in sorted(self.nodes.all().items(), key=lambda item: item[0]):
            if reserved_path(path):
                continue
            if dentry.inode.kind is NodeKind.FOLDER and any(map(self._matters, self.inside(path))):
                continue
            yield path, dentry.inode

    def _matters(self, path: str) -> bool:
        """Whether a folder is needed for this that is in it; not so for what is never shared."""
        return not reserved_path(path) and not (self.is_folder(path) and self.inside(path))

    # -- contents ---------------------------------------------------------------------------------------

    def new_inode(self, kind: NodeKind, data: bytes = b"", executable: bool = False) -> Inode:
        """Something that has no path yet."""
        permissions = {NodeKind.FILE: 0o644, NodeKind.LINK: 0o777, NodeKind.FOLDER: 0o755}[kind]
        return self._filesystem.new_inode(kind, permissions | (EXECUTABLE if executable else 0), data)

    def open(self, path: str) -> Writer:
        return Writer(self._filesystem, self._dentry(path))

    def write_into(self, node: Inode, data: bytes) -> None:
        """A save into the file itself, by a program that has it open for no longer than that."""
        for _, dentry in self._filesystem.everything():
            if dentry.inode is node:
                writer = Writer(self._filesystem, dentry)
                writer.write(data)
                writer.close()
                return
        raise error(errno.ENOENT)

    def put(self, path: str, node: Inode) -> Inode | None:
        """Give ``node`` a path, whose folder is there; returns the file or empty folder that was there."""
        folder = self._folder(parent(path))
        old = self._filesystem.get(folder, name(path))
        if old is None:
            self._add(folder, name(path), node)
            return None
        if old.inode.kind is NodeKind.FOLDER or node.kind is NodeKind.FOLDER:
            if old.inode.kind is not NodeKind.FOLDER or old.inode.names:
                raise error(errno.EISDIR, path)
            self._filesystem.remove(folder, name(path))
            self._add(folder, name(path), node)
            return old.inode
        aside = _ASIDE.format(name(path))
        if self._filesystem.get(folder, aside) is not None:
            self._filesystem.remove(folder, aside)  # left there by a power cut
        self._add(folder, aside, node)
        self._filesystem.rename(folder, aside, folder, name(path))
        return old.inode

    def _add(self, folder: Inode, last: str, node: Inode) -> None:
        dentry = self._filesystem.add(folder, last, node)
        if node.kind is NodeKind.FILE:
            if node.data:
                self._filesystem.tell_name(dentry, Happening.MODIFY)
            self._filesystem.tell_name(dentry, Happening.CLOSE_WRITE)

    # -- names ------------------------------------------------------------------------------------------

    def take(self, path: str) -> Inode:
        """Take the path away from what is there (no folder with something in it)."""
        return self._filesystem.remove(self._folder(parent(path)), name(path))

    def rename(self, path: str, target: str) -> Inode | None:
        """As rename(2): returns the file or empty folder whose place it takes; a folder goes whole."""
        old = self.get(target)
        self._filesystem.rename(
            self._folder(parent(path)), name(path), self._folder(parent(target)), name(target)
        )
        return old

    def exchange(self, path: str, other: str) -> None:
        """As renameat2 with RENAME_EXCHANGE."""
        self._filesystem.exchange(
            self._folder(parent(path)), name(path), self._folder(parent(other)), name(other)
        )

    def make_folder(self, path: str) -> None:
        """With the folders above it."""
        for folder in [*reversed(parents(path)), path]:
            if folder not in self.nodes:
                self._filesystem.add(
                    self._folder(parent(folder)), name(folder), self.new_inode(NodeKind.FOLDER)
                )
            elif not self.is_folder(folder):
                raise error(errno.ENOTDIR, folder)

    def set_executable(self, path: str, executable: bool) -> None:
        dentry = self._dentry(path)
        permissions = dentry.inode.permissions
        self._filesystem.set_permissions(
            dentry, permissions | EXECUTABLE if executable else permissions & ~EXECUTABLE
        )

    # -- helpers ----------------------------------------------------------------------------------------

    def _dentry(self, path: str) -> Dentry:
        return self._filesystem.at(self._folder(parent(path)), name(path))

    def _folder(self, path: str) -> Inode:
        if not path:
            return self._top
        node = self.get(path)
        if node is None:
            raise error(errno.ENOENT, path)
        return node

    def _spelled(self, path: str) -> str:
        """The path as it stands on disk."""
        found = self.nodes.dentry(path) if path else None
        if found is None:
            return path
        return f"{self._spelled(parent(path))}/{found.name}" if parent(path) else found.name
