"""The kernel's primitives over a virtual file system, for one process: descriptors, paths, leases, locks.

Before each primitive ``before`` is called with its name: others may act then, it may raise OSError (a fault),
or end the process. All that a process does after its end raises Killed. Permission bits bind nobody, as for
root.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from crdtsync.adapters.kernel import Entry, Kernel, Unsupported
from crdtsync.testing.virtual_descriptors import Descriptors, OpenFile
from crdtsync.testing.virtual_filesystem import VirtualFilesystem, error
from crdtsync.testing.virtual_happenings import Happening
from crdtsync.testing.virtual_inodes import Dentry, Inode, NodeKind
from crdtsync.testing.virtual_paths import Listed, Paths

_PERMISSIONS: Final = 0o7777


class Killed(BaseException):
    """The process has ended; nothing of it runs any more."""


@dataclass(frozen=True, slots=True)
class Primitive:
    """One call about to happen: its name, and the paths (absolute) at which it changes what is there."""

    number: int
    name: str
    changes: tuple[tuple[Inode, str], ...] = ()


class VirtualKernel(Kernel):
    """``cwd`` is nowhere: paths without a descriptor are absolute."""

    def __init__(
        self,
        filesystem: VirtualFilesystem,
        before: Callable[[Primitive], None] = lambda primitive: None,
        sleep: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.filesystem = filesystem
        self.before = before
        self._sleep = sleep
        self.primitives = 0
        """How many there were."""
        self.ended = False
        self.exchanges = True
        """Whether the file system can exchange, and rename without replacing."""
        self._open = Descriptors()
        self._paths = Paths(filesystem)
        self._root = Dentry(filesystem.root, "", filesystem.root)

    @property
    def umask(self) -> int:
        return 0o022

    def end(self) -> None:
        """The process is gone, and its descriptors with it."""
        self.ended = True
        for fd in self._open.all():
            self._close(fd)

    def dentry_of(self, fd: int) -> Dentry:
        """What is open there. Raises OSError, EBADF."""
        return self._open.at(fd).dentry

    def _enter(self, name: str, *changes: tuple[Inode, str]) -> None:
        if self.ended:
            raise Killed
        self.primitives += 1
        self.before(Primitive(self.primitives, name, changes))
        if self.ended:
            raise Killed

    # -- descriptors ------------------------------------------------------------------------------

    def open(self, name: str, flags: int, dir_fd: int | None = None, mode: int = 0o600) -> int:
        folder, last = self._enter_at("open", name, dir_fd, changes=bool(flags & (os.O_CREAT | os.O_TRUNC)))
        dentry = self._paths.found(folder, last)
        filesystem = self.filesystem
        if dentry is None:
            if not flags & os.O_CREAT:
                raise error(errno.ENOENT, name)
            inode = filesystem.new_inode(NodeKind.FILE, mode & ~self.umask & _PERMISSIONS)
            dentry = filesystem.add(folder, last, inode)
        elif flags & os.O_CREAT and flags & os.O_EXCL:
            raise error(errno.EEXIST, name)
        return self._opened(dentry, flags, name)

    def open_folder(self, name: str, dir_fd: int | None = None) -> int:
        folder, last = self._enter_at("open_folder", name, dir_fd)
        return self._opened(self._paths.needed(folder, last), os.O_RDONLY | os.O_DIRECTORY, name)

    def open_path(self, path: str, dir_fd: int) -> int:
        raise Unsupported(errno.ENOSYS, "others may act between the steps", path)

    def open_file(self, name: str, dir_fd: int) -> int:
        folder, last = self._enter_at("open_file", name, dir_fd)
        return self._opened(self._paths.needed(folder, last), os.O_RDONLY, name)

    def _opened(self, dentry: Dentry, flags: int, name: str) -> int:
        access = flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
        inode, writable = dentry.inode, access != os.O_RDONLY
        if flags & os.O_DIRECTORY and inode.kind is not NodeKind.FOLDER:
            raise error(errno.ENOTDIR, name)
        if inode.kind is NodeKind.LINK:
            raise error(errno.ELOOP, name)
        if inode.kind is NodeKind.FOLDER and (writable or flags & os.O_CREAT):
            raise error(errno.EISDIR, name)
        if flags & os.O_TRUNC and writable and inode.data:
            self.filesystem.write(dentry, b"")
        inode.opened += 1
        inode.writers += writable
        appends = bool(flags & os.O_APPEND)
        return self._open.add(OpenFile(dentry, access != os.O_WRONLY, writable, appends))

    def close(self, fd: int) -> None:
        if self.ended:
            raise Killed
        self._close(fd)

    def move_descriptor(self, fd: int, to_fd: int) -> None:
        self._enter("move_descriptor")
        self._open.at(fd)
        self._close(to_fd)
        self._open.put(self._open.take(fd), to_fd)

    def _close(self, fd: int) -> None:
        file = self._open.take(fd)
        inode = file.dentry.inode
        inode.opened -= 1
        inode.writers -= file.writable
        if file.locks:
            inode.locked = False
        if file.writable:
            self.filesystem.tell_name(file.dentry, Happening.CLOSE_WRITE)
        self.filesystem.release(inode)

    def read(self, fd: int, size_bytes: int) -> bytes:
        self._enter("read")
        file = self._open.readable(fd)
        data = file.dentry.inode.data[file.position : file.position + size_bytes]
        file.position += len(data)
        return data

    def pread_into(self, fd: int, view: memoryview, offset: int) -> int:
        self._enter("pread_into")
        data = self._open.readable(fd).dentry.inode.data[offset : offset + len(view)]
        view[: len(data)] = data
        return len(data)

    def write_all(self, fd: int, data: bytes) -> None:
        """A fault in it leaves the first half written."""
        try:
            self._enter("write_all")
        except OSError:
            with suppress(OSError):
                self._write(self._open.writable(fd), data[: len(data) // 2])
            raise
        self._write(self._open.writable(fd), data)

    def _write(self, file: OpenFile, data: bytes) -> None:
        held = file.dentry.inode.data
        start = len(held) if file.appends else file.position
        if data:
            gap = bytes(max(0, start - len(held)))
            self.filesystem.write(file.dentry, held[:start] + gap + data + held[start + len(data) :])
        file.position = start + len(data)

    def truncate(self, fd: int, size_bytes: int) -> None:
        self._enter("truncate")
        file = self._open.at(fd)
        if not file.writable:
            raise error(errno.EINVAL)
        held = file.dentry.inode.data
        self.filesystem.write(file.dentry, held[:size_bytes] + bytes(max(0, size_bytes - len(held))))

    def lock(self, fd: int) -> None:
        self._enter("lock")
        file = self._open.at(fd)
        if file.dentry.inode.locked and not file.locks:
            raise error(errno.EWOULDBLOCK)
        file.locks = file.dentry.inode.locked = True

    def fsync(self, fd: int) -> None:
        self._enter("fsync")
        self.filesystem.sync_inode(self._open.at(fd).dentry.inode)

    def syncfs(self, fd: int) -> None:
        self._enter("syncfs")
        self._open.at(fd)
        self.filesystem.sync()

    # -- looking ----------------------------------------------------------------------------------

    def stat(self, path: str) -> os.stat_result:
        self._enter("stat")
        return self._paths.follow(path).inode.status()

    def lstat(self, name: str, dir_fd: int | None = None) -> os.stat_result:
        folder, last = self._enter_at("lstat", name, dir_fd)
        return self._paths.needed(folder, last).inode.status()

    def fstat(self, fd: int) -> os.stat_result:
        self._enter("fstat")
        return self._open.at(fd).dentry.inode.status()

    def readlink(self, name: str, dir_fd: int) -> str:
        folder, last = self._enter_at("readlink", name, dir_fd)
        inode = self._paths.needed(folder, last).inode
        if inode.kind is not NodeKind.LINK:
            raise error(errno.EINVAL, name)
        return os.fsdecode(inode.data)

    def entries(self, fd: int) -> Sequence[Entry]:
        self._enter("entries")
        folder = self._open.at(fd).dentry.inode
        if folder.kind is not NodeKind.FOLDER:
            raise error(errno.ENOTDIR)
        if folder.removed:
            return []
        return [
            Listed(dentry.name, dentry.inode.kind, partial(self.lstat, dentry.name, fd))
            for dentry in folder.names.values()
        ]

    def real_path(self, path: str) -> str:
        self._enter("real_path")
        return self._paths.real(path)

    def pause(self, seconds: float) -> None:
        self._sleep(seconds)
        if self.ended:
            raise Killed

    # -- changing names ---------------------------------------------------------------------------

    def rename(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        self._rename("rename", name, dir_fd, new_name, new_dir_fd)

    def rename_noreplace(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        self._rename("rename_noreplace", name, dir_fd, new_name, new_dir_fd)

    def exchange(self, name: str, dir_fd: int, other: str, other_dir_fd: int) -> None:
        self._rename("exchange", name, dir_fd, other, other_dir_fd)

    def _rename(self, primitive: str, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        folder, target = self._open.folder(dir_fd), self._open.folder(new_dir_fd)
        self._enter(primitive, (folder, name), (target, new_name))
        filesystem = self.filesystem
        match primitive:
            case "rename":
                filesystem.rename(folder, name, target, new_name)
            case "exchange":
                filesystem.exchange(folder, name, target, new_name)
            case _:
                filesystem.at(folder, name)
                if filesystem.get(target, new_name) is not None:
                    raise error(errno.EEXIST, new_name)
                filesystem.rename(folder, name, target, new_name)

    def link(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        folder, target = self._open.folder(dir_fd), self._open.folder(new_dir_fd)
        self._enter("link", (target, new_name))
        inode = self.filesystem.at(folder, name).inode
        self._paths.check_free(target, new_name)
        if inode.kind is NodeKind.FOLDER:
            raise error(errno.EPERM, name)
        self.filesystem.add(target, new_name, inode)

    def symlink(self, target: str, name: str, dir_fd: int) -> None:
        folder, last = self._enter_at("symlink", name, dir_fd, changes=True)
        self._paths.check_free(folder, last)
        inode = self.filesystem.new_inode(NodeKind.LINK, 0o777, os.fsencode(target))
        self.filesystem.add(folder, last, inode)

    def unlink(self, name: str, dir_fd: int) -> None:
        folder, last = self._enter_at("unlink", name, dir_fd, changes=True)
        if self._paths.needed(folder, last).inode.kind is NodeKind.FOLDER:
            raise error(errno.EISDIR, name)
        self.filesystem.remove(folder, last)

    def mkdir(self, name: str, dir_fd: int, mode: int = 0o777) -> None:
        folder, last = self._enter_at("mkdir", name, dir_fd, changes=True)
        self._paths.check_free(folder, last)
        self._make(folder, last, mode)

    def make_folders(self, path: str) -> None:
        self._enter("make_folders")
        folder = self.filesystem.root
        for part in path.strip("/").split("/"):
            found = self._paths.found(folder, part)
            folder = self._make(folder, part, 0o777) if found is None else found.inode
            if folder.kind is NodeKind.LINK:
                with suppress(OSError):
                    folder = self._paths.follow(path).inode
        if folder.kind is not NodeKind.FOLDER:
            raise error(errno.EEXIST, path)

    def _make(self, folder: Inode, name: str, mode: int) -> Inode:
        inode = self.filesystem.new_inode(NodeKind.FOLDER, mode & ~self.umask & _PERMISSIONS)
        self.filesystem.add(folder, name, inode)
        return inode

    def rmdir(self, name: str, dir_fd: int) -> None:
        folder, last = self._enter_at("rmdir", name, dir_fd, changes=True)
        if last == ".":
            raise error(errno.EINVAL, name)
        if self._paths.needed(folder, last).inode.kind is not NodeKind.FOLDER:
            raise error(errno.ENOTDIR, name)
        self.filesystem.remove(folder, last)

    # -- permissions and attributes ---------------------------------------------------------------

    def fchmod(self, fd: int, mode: int) -> None:
        self._enter("fchmod")
        self.filesystem.set_permissions(self._open.at(fd).dentry, stat.S_IMODE(mode))

    def fchown(self, fd: int, uid: int, gid: int) -> None:
        self._enter("fchown")
        self.filesystem.set_owner(self._open.at(fd).dentry, uid, gid)

    def attributes(self, fd: int) -> list[str]:
        self._enter("attributes")
        return sorted(self._open.at(fd).dentry.inode.attributes)

    def copy_attribute(self, fd: int, to_fd: int, attribute: str) -> None:
        self._enter("copy_attribute")
        attributes = self._open.at(fd).dentry.inode.attributes
        if attribute not in attributes:
            raise error(errno.ENODATA)
        self.filesystem.set_attribute(self._open.at(to_fd).dentry, attribute, attributes[attribute])

    def open_for_writing_elsewhere(self, fd: int) -> bool | None:
        self._enter("open_for_writing_elsewhere")
        return self._open.at(fd).dentry.inode.writers > 0

    # -- paths ------------------------------------------------------------------------------------

    def _enter_at(
        self, primitive: str, name: str, dir_fd: int | None, changes: bool = False
    ) -> tuple[Inode, str]:
        """The folder that a name is in, and its last part."""
        if self.ended:
            raise Killed
        if dir_fd is None:
            self._enter(primitive)
            return self._paths.walked(name)
        folder = self._open.folder(dir_fd)
        if changes:
            self._enter(primitive, (folder, name))
        else:
            self._enter(primitive)
        return folder, name
