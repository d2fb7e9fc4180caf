"""Where a file system takes several names for one: finds that out, and keeps to the spelling that is meant.

Such a file system finds a file by any of its names, so "is it there" is asked of the listing alone.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Final
from unicodedata import normalize

from crdtsync.adapters.exchange import put_new
from crdtsync.adapters.filesystem import Tree, split
from crdtsync.adapters.kernel import Kernel
from crdtsync.adapters.staging import Held, Stage, Staging
from crdtsync.core.replica.steps import Cause, Failed, Outcome, Raced
from crdtsync.core.values.files import Absent, Kind, Seen
from crdtsync.core.values.folding import Folding
from crdtsync.core.values.ids import EntryId, printable

_NO_ENTRY: Final = EntryId("0" * 24)
_PROBE: Final = "probe-"
_NO_SUCH_NAME: Final = frozenset({errno.ENOENT, errno.EINVAL, errno.EILSEQ})
"""How a file system says that it does not have a name, or cannot."""
_LOOKS_MAX: Final = 3


def probe(calls: Kernel, dir_fd: int, nonce: str) -> Folding:
    """What the file system of the open folder folds; a name that it does not take does not count as folded.

    Raises OSError where nothing can be made there now: to take two names for two files then would double one.

    ext4 and f2fs fold folder by folder, and a new folder does as the one around it: what holds of the state
    folder holds of the joined one. A folder in it that was made to differ is not found out.
    """
    accented = f"{_PROBE}{nonce}-\u00e9"
    return Folding(
        case=_same(calls, dir_fd, f"{_PROBE}{nonce}-case", f"{_PROBE}{nonce}-CASE"),
        form=_same(calls, dir_fd, accented, normalize("NFD", accented)),
        tail=_same(calls, dir_fd, f"{_PROBE}{nonce}-tail.", f"{_PROBE}{nonce}-tail"),
    )


def _same(calls: Kernel, dir_fd: int, name: str, other: str) -> bool:
    """Whether a file of the one name is found by the other. Raises OSError."""
    try:
        calls.close(calls.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd))
        try:
            one, two = calls.lstat(name, dir_fd), calls.lstat(other, dir_fd)
            return (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)
        finally:
            with suppress(OSError):
                calls.unlink(name, dir_fd)
    except OSError as error:
        if error.errno not in _NO_SUCH_NAME:
            raise
        return False


class Listings:
    """The names in the folders of one tree, in the spelling that paths have: for a moment's questions."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._names: dict[str, frozenset[str]] = {}

    def spell(self, path: str) -> bool:
        """Whether what a lookup finds at ``path`` is listed just so, with every folder above it.

        Raises OSError when a folder cannot be read.
        """
        if not self._tree.folding:
            return True
        while path:
            folder, name = split(path)
            if name not in self._names.get(folder, ()) and name not in self._listed(folder):
                return False
            path = folder
        return True

    def _listed(self, folder: str) -> frozenset[str]:
        with self._tree.folder(folder) as fd:
            entries = self._tree.calls.entries(fd)
        names = self._names[folder] = frozenset(self._tree.folding.spelled(entry.name) for entry in entries)
        return names


class Spelling:
    """Gives names that are there another spelling, and tells of those that are taken by one."""

    def __init__(self, tree: Tree, staging: Staging) -> None:
        self._tree = tree
        self._calls = tree.calls
        self._staging = staging
        self._folding = tree.folding
        if tree.folding:
            tree.respell = self.respell

    def is_one(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> bool:
        """Whether both names are there and lead to one file of one folder, for being one here."""
        if not self._folding or self._folding.key(name) != self._folding.key(new_name):
            return False
        calls = self._calls
        try:
            files = calls.lstat(name, dir_fd), calls.lstat(new_name, new_dir_fd)
        except FileNotFoundError:
            return False
        return _identity(*files) and _identity(calls.fstat(dir_fd), calls.fstat(new_dir_fd))

    def respell(self, name: str, dir_fd: int, path: str, was: str | None = None) -> bool:
        """Have what a lookup of ``name`` finds in the open folder listed as just that; ``path`` is its path.

        Returns False where someone else has just given it another name than that, and than it ``was``; that
        stays. Raises OSError, with nothing moved or with the file in staging, from where the next start
        brings it.
        """
        calls, staging = self._calls, self._staging
        given = self._given(name, dir_fd)
        if given is None or self._folding.spelled(given) == name:
            return True
        if was not in (None, self._folding.spelled(given)):
            return False
        calls.rename(given, dir_fd, name, dir_fd)
        if self._given(name, dir_fd) != given:
            return True  # it has the name, or had it and somebody has respelled it since
        # RACE: to Linux a rename between two names of one file is no rename, so it goes by way of staging,
        # and for an instant a reader finds nothing. Nothing is lost: what someone makes there meanwhile
        # stays, and ours waits in staging for the next start.
        folder = split(path)[0]
        before = f"{folder}/{given}" if folder else given
        held = Held(staging.new_nonce(), Stage.SWAPPING, _NO_ENTRY, None, None, before, Kind.BLOB, other=path)
        staging.note(held)
        try:
            calls.rename(given, dir_fd, held.name, staging.fd)
        except OSError:
            staging.forget(held)
            raise
        try:
            put_new(calls, held.name, staging.fd, name, dir_fd)
        except OSError:
            put_new(calls, held.name, staging.fd, given, dir_fd)
            staging.forget(held)
            raise
        staging.forget(held)
        return True

    def taken(self, path: str, seen: Seen) -> Outcome:
        """The outcome of a step that found a name taken, where a look then found ``seen``."""
        if not self._folding or not isinstance(seen, Absent):
            return Raced(path, seen)
        return Failed(
            Cause.BLOCKED,
            f"{printable(path)} could not be made: here its name is taken for that of something else "
            "there, which is not shared. Rename one of the two",
        )

    def _given(self, name: str, dir_fd: int) -> str | None:
        """The name in the listing of what a lookup of ``name`` finds; None when it finds nothing."""
        calls, key = self._calls, self._folding.key
        for _ in range(_LOOKS_MAX):  # it may be renamed between being found and being listed
            try:
                status = calls.lstat(name, dir_fd)
            except FileNotFoundError:
                return None
            listed = [entry.name for entry in calls.entries(dir_fd) if key(entry.name) == key(name)]
            for given in sorted(listed, key=lambda each: self._folding.spelled(each) != name):
                with suppress(FileNotFoundError):
                    if _identity(calls.lstat(given, dir_fd), status):
                        return given
        raise OSError(errno.ESTALE, "its name is not in the listing of its folder", name)


def _identity(one: os.stat_result, two: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino, stat.S_IFMT(one.st_mode)) == (
        two.st_dev,
        two.st_ino,
        stat.S_IFMT(two.st_mode),
    )
