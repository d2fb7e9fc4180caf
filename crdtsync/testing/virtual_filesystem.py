"""A file system that exists in memory: names, inodes, what changes tell a watcher, what a power cut undoes.

Works on folders and names, as the kernel does once a path was walked; descriptors and processes are up to
``virtual_kernel``, people's hands to ``virtual_disk``. What cannot be done raises OSError as Linux does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Final

from crdtsync.testing.virtual_happenings import Happening, Listener
from crdtsync.testing.virtual_inodes import Dentry, Inode, NodeKind
from crdtsync.testing.virtual_power import Journal, Ordering, SlotChange, torn

NAME_MAX_BYTES: Final = 255
_FIRST_INODE: Final = 100


def error(number: int, name: object = None) -> OSError:
    """The OSError of that number, of the kind that Python makes of it."""
    return OSError(number, os.strerror(number), name)


@dataclass(frozen=True, slots=True)
class Naming:
    """``key``: equal for names that are one here. ``stored``: how listing a folder spells a name."""

    key: Callable[[str], str] = str
    stored: Callable[[str], str] = str


class VirtualFilesystem:
    """``now_ns`` is the wall clock; times of files are multiples of ``tick_ns``.

    With a tick of 0 no two changes happen at the same instant. ``naming`` says which names are one.
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        *,
        tick_ns: int = 0,
        naming: Naming | None = None,
    ) -> None:
        self._clock_ns = now_ns
        self.tick_ns = tick_ns
        self.naming = naming or Naming()
        self.reuses_numbers = False
        """Whether a new inode gets the number of one that is gone, as ext4 has it."""
        self.listeners: dict[Inode, list[Listener]] = {}
        self.on_sync: Callable[[], None] = lambda: None
        """Called whenever all is on the disk itself."""
        self.changes = 0
        """How many changes of names there were, ever."""
        self._last_ns = 0
        self._number = _FIRST_INODE
        self._free_numbers: list[int] = []
        self._cookie = 0
        self._journal = Journal(Ordering.ORDERED)
        self._unspared: dict[Inode, None] = {}
        self.root = self.new_inode(NodeKind.FOLDER, 0o755)
        self.root.links = 1

    def order(self, ordering: Ordering) -> None:
        """Before anything happens: what ``fsync`` of a file commits."""
        self._journal = Journal(ordering)

    # -- looking ------------------------------------------------------------------------------------

    def get(self, folder: Inode, name: str) -> Dentry | None:
        self._check_length(name)
        return folder.names.get(self.naming.key(name))

    def at(self, folder: Inode, name: str) -> Dentry:
        """Raises FileNotFoundError, NotADirectoryError."""
        if folder.kind is not NodeKind.FOLDER:
            raise error(errno.ENOTDIR, name)
        self._check_length(name)
        found = folder.names.get(self.naming.key(name))
        if found is None:
            raise error(errno.ENOENT, name)
        return found

    def path_of(self, folder: Inode) -> str:
        """Where the folder is, absolute; "" for the root."""
        parts = []
        while folder.above is not None:
            parts.append(folder.above.name)
            folder = folder.above.folder
        return "".join(f"/{part}" for part in reversed(parts))

    def now_ns(self) -> int:
        now_ns = self._clock_ns()
        if self.tick_ns:
            return now_ns - now_ns % self.tick_ns
        self._last_ns = max(self._last_ns + 1, now_ns)
        return self._last_ns

    # -- inodes -------------------------------------------------------------------------------------

    def new_inode(self, kind: NodeKind, permissions: int, data: bytes = b"") -> Inode:
        """Something that has no name yet."""
        if self.reuses_numbers and self._free_numbers:
            number = heappop(self._free_numbers)
        else:
            self._number += 1
            number = self._number
        now_ns = self.now_ns()
        inode = Inode(number, kind, permissions, mtime_ns=now_ns, ctime_ns=now_ns)
        if data:
            inode.data = data
            if kind is NodeKind.LINK:
                inode.spared = data  # it is part of what the journal holds
            else:
                self._hold(inode, data)
        return inode

    def write(self, dentry: Dentry, data: bytes) -> None:
        """Let a file hold this from now on; ``dentry`` is the name under which its writer opened it."""
        inode = dentry.inode
        self._hold(inode, data)
        inode.mtime_ns = inode.ctime_ns = self.now_ns()
        self.tell_name(dentry, Happening.MODIFY)

    def set_permissions(self, dentry: Dentry, permissions: int) -> None:
        dentry.inode.permissions = permissions
        self._changed_inode(dentry)

    def set_owner(self, dentry: Dentry, user: int, group: int) -> None:
        """-1 leaves one as it is."""
        inode = dentry.inode
        inode.user = inode.user if user < 0 else user
        inode.group = inode.group if group < 0 else group
        self._changed_inode(dentry)

    def set_attribute(self, dentry: Dentry, attribute: str, value: bytes) -> None:
        dentry.inode.attributes[attribute] = value
        self._changed_inode(dentry)

    def release(self, inode: Inode) -> None:
        """Somebody closed it: an inode without names is gone with its last descriptor."""
        if inode.removed and not inode.opened and inode is not self.root:
            self._unspared.pop(inode, None)
            if inode.kind is NodeKind.FOLDER:
                self._tell(inode, Happening.DELETE_SELF, "")
            heappush(self._free_numbers, inode.number)

    def _hold(self, inode: Inode, data: bytes) -> None:
        inode.hold(data)
        self._unspared[inode] = None

    def _changed_inode(self, dentry: Dentry) -> None:
        dentry.inode.ctime_ns = self.now_ns()
        self.tell_name(dentry, Happening.ATTRIB)

    # -- names --------------------------------------------------------------------------------------

    def add(self, folder: Inode, name: str, inode: Inode) -> Dentry:
        """Give an inode a name that is free."""
        self._check_free(folder, name)
        dentry = Dentry(folder, name, inode)
        if inode.links:  # another name for it
            inode.ctime_ns = self.now_ns()
        self._changed(self._put_in(folder, name, dentry))
        self._touch(folder)
        self._tell(folder, Happening.CREATE | _is_folder(inode), dentry.name)
        return dentry

    def remove(self, folder: Inode, name: str) -> Inode:
        """Take the name away from a file, a link or an empty folder."""
        dentry = self.at(folder, name)
        inode = dentry.inode
        if inode.names:
            raise error(errno.ENOTEMPTY, name)
        shown = dentry.name
        self._changed(self._take_out(folder, name))
        self._touch(folder)
        inode.ctime_ns = self.now_ns()
        self.release(inode)
        self._tell(folder, Happening.DELETE | _is_folder(inode), shown)
        return inode

    def rename(self, folder: Inode, name: str, target: Inode, new_name: str) -> None:
        """As rename(2)."""
        dentry = self.at(folder, name)
        inode = dentry.inode
        self._check_name(target, new_name)
        other = self.get(target, new_name)
        if inode.kind is NodeKind.FOLDER and self._is_inside(target, inode):
            raise error(errno.EINVAL, new_name)
        if other is not None and other is not dentry:
            if other.inode is inode:
                return  # two names of one file: POSIX has rename do nothing
            if other.inode.kind is NodeKind.FOLDER and self._is_inside(folder, other.inode):
                raise error(errno.ENOTEMPTY, new_name)
            if inode.kind is NodeKind.FOLDER and other.inode.kind is not NodeKind.FOLDER:
                raise error(errno.ENOTDIR, new_name)
            if other.inode.kind is NodeKind.FOLDER and inode.kind is not NodeKind.FOLDER:
                raise error(errno.EISDIR, new_name)
            if other.inode.names:
                raise error(errno.ENOTEMPTY, new_name)
        elif other is dentry and new_name == name:
            return
        old_name = dentry.name
        out: list[SlotChange] = []
        stored = new_name
        if other is not None and other is not dentry:
            stored = other.name  # the place keeps its spelling
            out.append(self._take_out(target, stored))
        self._changed(*out, self._take_out(folder, name), self._put_in(target, stored, dentry))
        inode.ctime_ns = self.now_ns()
        self._touch(folder)
        self._touch(target)
        if other is not None and other is not dentry:
            other.inode.ctime_ns = inode.ctime_ns
        self._tell_move(folder, old_name, target, dentry.name, inode, None if other is None else other.inode)
        if other is not None:
            self.release(other.inode)

    def exchange(self, folder: Inode, name: str, other_folder: Inode, other_name: str) -> None:
        """As renameat2(2) with RENAME_EXCHANGE."""
        one, other = self.at(folder, name), self.at(other_folder, other_name)
        for inode, into in ((one.inode, other_folder), (other.inode, folder)):
            if inode.kind is NodeKind.FOLDER and self._is_inside(into, inode):
                raise error(errno.EINVAL, other_name)
        if one.inode is other.inode:
            return  # two names of one file
        first, second = one.name, other.name
        self._changed(
            self._take_out(folder, first),
            self._take_out(other_folder, second),
            self._put_in(folder, first, other),
            self._put_in(other_folder, second, one),
        )
        one.inode.ctime_ns = other.inode.ctime_ns = self.now_ns()
        self._touch(folder)
        self._touch(other_folder)
        self._tell_move(folder, first, other_folder, second, one.inode)
        self._tell_move(other_folder, second, folder, first, other.inode)

    def _check_free(self, folder: Inode, name: str) -> None:
        self._check_name(folder, name)
        if self.get(folder, name) is not None:
            raise error(errno.EEXIST, name)

    def _check_name(self, folder: Inode, name: str) -> None:
        if folder.kind is not NodeKind.FOLDER:
            raise error(errno.ENOTDIR, name)
        if folder.removed:
            raise error(errno.ENOENT, name)
        self._check_length(name)

    @staticmethod
    def _check_length(name: str) -> None:
        if len(name) > NAME_MAX_BYTES // 4 and len(os.fsencode(name)) > NAME_MAX_BYTES:
            raise error(errno.ENAMETOOLONG, name)

    def _is_inside(self, folder: Inode, top: Inode) -> bool:
        while folder is not top:
            if folder.above is None:
                return False
            folder = folder.above.folder
        return True

    def _take_out(self, folder: Inode, name: str) -> SlotChange:
        key = self.naming.key(name)
        dentry = folder.names.pop(key)
        dentry.linked = False
        dentry.inode.links -= 1
        if dentry.inode.above is dentry:
            dentry.inode.above = None
        return SlotChange(folder, key, (dentry, dentry.name), None)

    def _put_in(self, folder: Inode, name: str, dentry: Dentry) -> SlotChange:
        key, stored = self.naming.key(name), self.naming.stored(name)
        dentry.folder, dentry.name, dentry.linked = folder, stored, True
        dentry.inode.links += 1
        if dentry.inode.kind is NodeKind.FOLDER:
            dentry.inode.above = dentry
        folder.names[key] = dentry
        return SlotChange(folder, key, None, (dentry, stored))

    def _changed(self, *change: SlotChange) -> None:
        """These changes of names are one."""
        self._journal.add(change)
        self.changes += 1

    def _touch(self, folder: Inode) -> None:
        folder.mtime_ns = folder.ctime_ns = self.now_ns()

    # -- durability ---------------------------------------------------------------------------------

    def sync(self) -> None:
        """All that was done is on the disk itself."""
        self._journal.commit()
        for inode in self._unspared:
            inode.spare()
        self._unspared.clear()
        self.on_sync()

    def sync_inode(self, inode: Inode) -> None:
        self._journal.commit_names_of(inode)
        if self._unspared.pop(inode, 0) is None:
            inode.spare()

    def cut_power(self, rng: Random) -> None:
        """Nobody has anything open any more, and what was not synced may be lost, all or in part."""
        for change in self._journal.cut(rng):
            for slot in reversed(change):
                if slot.after is not None:
                    slot.folder.names.pop(slot.key).linked = False
                if slot.before is not None:
                    dentry, name = slot.before
                    dentry.folder, dentry.name, dentry.linked = slot.folder, name, True
                    slot.folder.names[slot.key] = dentry
            self.changes += 1
        for inode in self._unspared:
            inode.data = torn(inode, rng)
            inode.spare()
        self._unspared.clear()
        self.listeners.clear()
        self._count_again()

    def _count_again(self) -> None:
        waiting, seen = [self.root], {self.root: 1}
        while waiting:
            folder = waiting.pop()
            for dentry in folder.names.values():
                if dentry.inode.kind is NodeKind.FOLDER:
                    dentry.inode.above = dentry
                    waiting.append(dentry.inode)
                seen[dentry.inode] = seen.get(dentry.inode, 0) + 1
        for inode, links in seen.items():
            inode.links = links
            inode.opened = inode.writers = 0
            inode.locked = False

    def everything(self) -> Iterator[tuple[str, Dentry]]:
        """Every name, with its absolute path."""
        waiting = [("", self.root)]
        while waiting:
            above, folder = waiting.pop()
            for dentry in folder.names.values():
                path = f"{above}/{dentry.name}"
                yield path, dentry
                if dentry.inode.kind is NodeKind.FOLDER:
                    waiting.append((path, dentry.inode))

    # -- telling ------------------------------------------------------------------------------------

    def tell_name(self, dentry: Dentry, what: int) -> None:
        """Something happened to what was opened by this name."""
        if dentry.linked:
            self._tell(dentry.folder, what | _is_folder(dentry.inode), dentry.name)
        if dentry.inode.kind is NodeKind.FOLDER:
            self._tell(dentry.inode, what | Happening.IS_FOLDER, "")

    def _tell_move(
        self,
        folder: Inode,
        name: str,
        target: Inode,
        new_name: str,
        inode: Inode,
        replaced: Inode | None = None,
    ) -> None:
        self._cookie += 1
        self._tell(folder, Happening.MOVED_FROM | _is_folder(inode), name, self._cookie)
        self._tell(target, Happening.MOVED_TO | _is_folder(inode), new_name, self._cookie)
        if replaced is not None and replaced.kind is NodeKind.FOLDER:
            self._tell(replaced, Happening.ATTRIB | Happening.IS_FOLDER, "")
        if inode.kind is NodeKind.FOLDER:
            self._tell(inode, Happening.MOVE_SELF, "")

    def _tell(self, folder: Inode, what: int, name: str, cookie: int = 0) -> None:
        for listener in self.listeners.get(folder, ()):
            listener.happened(folder, what, name, cookie)


def _is_folder(inode: Inode) -> int:
    return Happening.IS_FOLDER if inode.kind is NodeKind.FOLDER else 0
