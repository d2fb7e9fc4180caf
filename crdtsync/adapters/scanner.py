"""Walks the joined folder and reports names and fingerprints; reads no contents and changes nothing.

Works through directory descriptors alone, one open per level, and never follows a link.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Final

from crdtsync.adapters.contents import TOO_LARGE, link_problem, special_reason
from crdtsync.adapters.failures import unreadable_reason
from crdtsync.adapters.filesystem import Blocked, Tree, fingerprint_of, split
from crdtsync.adapters.ignores import FolderRules, Ignores
from crdtsync.adapters.kernel import Entry
from crdtsync.adapters.root_guard import RootGuard
from crdtsync.adapters.spelling import Listings
from crdtsync.core.replica.events import Scan, ScannedFolder
from crdtsync.core.values import limits
from crdtsync.core.values.files import Fingerprint
from crdtsync.core.values.paths import path_problem
from crdtsync.core.values.reserved import STATE_FOLDER, litter_name
from crdtsync.errors import FolderError

NESTED: Final = "it is joined to a room by itself; what is in it is not shared here"


class Scanner:
    """Scans on a worker thread; each scan is one call."""

    def __init__(self, tree: Tree, guard: RootGuard, ignores: Ignores) -> None:
        self._tree = tree
        self._guard = guard
        self._ignores = ignores

    def scan(self, below: str = "") -> Scan:
        """What is inside the folder ``below`` (and the folder itself, unless it is the root).

        Nothing is reported when there is no such folder, or it is ignored. Raises RootGone, also when the
        root vanished while the scan went on.
        """
        with self._guard.guarded():
            walk = _Walk(self._tree, self._ignores)
            walk.run(below)
        return Scan(walk.files, walk.links, walk.folders, walk.unreadable, walk.unshareable)


def refuse_nested(scan: Scan, directory: str) -> None:
    """Raises FolderError when a folder inside ``directory`` is joined by itself."""
    for path, reason in scan.unshareable.items():
        if reason == NESTED:
            raise FolderError(
                f"{directory} cannot be joined: {path} inside it is joined to a room by itself. "
                f"Join another folder, or end that one by removing {path}/{STATE_FOLDER}"
            )


class _Folder:
    """One folder under way: its open descriptor, and the folders in it that are still to be walked."""

    __slots__ = ("depth", "empty", "fd", "path", "rules", "waiting")

    def __init__(self, path: str, fd: int, depth: int) -> None:
        self.path = path
        self.fd = fd
        self.depth = depth
        self.empty = False
        self.rules: FolderRules | None = None
        self.waiting: Iterator[str] = iter(())


class _Walk:
    def __init__(self, tree: Tree, ignores: Ignores) -> None:
        self._tree = tree
        self._calls = tree.calls
        self._ignores = ignores
        self.files: dict[str, Fingerprint] = {}
        self.links: dict[str, Fingerprint] = {}
        self.folders: dict[str, ScannedFolder] = {}
        self.unreadable: dict[str, str] = {}
        self.unshareable: dict[str, str] = {}

    def run(self, below: str) -> None:
        above: FolderRules | None = None
        try:
            if below:
                folder, name = split(below)
                above = self._ignores.folder(folder)
                if above.ignored(name, True) or not Listings(self._tree).spell(below):
                    return
            with self._tree.folder(below) as fd:
                top = _Folder(below, fd, below.count("/") + 1 if below else 0)
                self._walk(top, above)
        except (FileNotFoundError, Blocked):
            return
        except OSError as error:
            self.unreadable[below] = unreadable_reason(error)

    def _walk(self, top: _Folder, above: FolderRules | None) -> None:
        """Depth first, with one open descriptor per level; ``top`` stays the caller's to close."""
        stack: list[_Folder] = []
        if self._list(top, above):
            stack.append(top)
        try:
            while stack:
                here = stack[-1]
                name = next(here.waiting, None)
                if name is None:
                    self._finish(stack)
                    continue
                path = f"{here.path}/{name}" if here.path else name
                try:
                    fd = self._calls.open_folder(name, here.fd)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self.unreadable[path] = unreadable_reason(error)
                    continue
                folder = _Folder(path, fd, here.depth + 1)
                if self._list(folder, here.rules):
                    stack.append(folder)
                else:
                    self._calls.close(fd)
        finally:
            for folder in stack[1:]:
                self._calls.close(folder.fd)

    def _finish(self, stack: list[_Folder]) -> None:
        done = stack.pop()
        if done.path:
            self.folders[done.path] = ScannedFolder(done.empty)
        if stack:
            self._calls.close(done.fd)

    def _list(self, folder: _Folder, above: FolderRules | None) -> bool:
        """Report what is directly inside; False when the folder itself is not to be walked."""
        path, prefix = folder.path, folder.path + "/" if folder.path else ""
        try:
            entries = self._calls.entries(folder.fd)
        except OSError as error:
            self.unreadable[path] = unreadable_reason(error)
            return False
        names = {entry.name for entry in entries}
        folder.empty = all(map(litter_name, names))
        if path and STATE_FOLDER in names:
            self.unshareable[path] = NESTED
            return False
        rules = folder.rules = self._ignores.scanned(path, folder.fd, above, names)
        shallow = folder.depth < limits.PATH_MAX_DEPTH
        below: list[str] = []
        spelled = self._tree.folding.spelled
        for entry in entries:
            name = spelled(entry.name)
            is_dir = entry.is_dir(follow_symlinks=False)
            if rules.ignored(name, is_dir):
                continue
            full = prefix + name
            if not shallow or not full.isascii() or len(full) > limits.PATH_MAX_BYTES:
                problem = path_problem(full)
                if problem is not None:
                    self.unshareable[full] = problem
                    continue
            if is_dir:
                below.append(name)
            else:
                self._file(full, entry, folder.fd)
        folder.waiting = iter(below)
        return True

    def _file(self, path: str, entry: Entry, dir_fd: int) -> None:
        try:
            status = entry.stat(follow_symlinks=False)
            mode = status.st_mode
            if stat.S_ISREG(mode):
                if status.st_size > limits.BLOB_MAX_BYTES:
                    self.unshareable[path] = TOO_LARGE
                else:
                    self.files[path] = fingerprint_of(status)
            elif stat.S_ISLNK(mode):
                problem = link_problem(path, self._calls.readlink(entry.name, dir_fd))
                if problem is None:
                    self.links[path] = fingerprint_of(status)
                else:
                    self.unshareable[path] = problem
            elif not stat.S_ISDIR(mode):  # it became a folder just now: a hint tells, and it is looked at
                self.unshareable[path] = special_reason(mode)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.unreadable[path] = unreadable_reason(error)
