"""The trash of a replica: plain files at ``.crdtsync/trash/<UTC time>/<original path>``, for a limited time.

Knows how files come in, are listed, restored and expire; why something is thrown away is up to the caller.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from crdtsync.adapters.contents import read_all
from crdtsync.adapters.exchange import put_new
from crdtsync.adapters.filesystem import Blocked, Tree, split
from crdtsync.adapters.staging import Staging
from crdtsync.core.values import limits
from crdtsync.core.values.ids import printable
from crdtsync.core.values.late import dataclass
from crdtsync.core.values.reserved import STATE_FOLDER
from crdtsync.errors import FolderError

_TIME_FORMAT: Final = "%Y-%m-%dT%H-%M-%SZ"
_REASONS_SUFFIX: Final = ".reasons"
_UNKNOWN_REASON: Final = "unknown"
_TRIES: Final = 1000


@dataclass(frozen=True, slots=True)
class Trashed:
    """One file in the trash. ``location`` is relative to the joined folder; ``trashed_at`` is ISO 8601."""

    path: str
    trashed_at: str
    reason: str
    location: str
    size_bytes: int


class Trash:
    """The folder ``.crdtsync/trash``, below ``tree``'s root; safe to use from several threads.

    ``utc_s`` is the wall clock in seconds since 1970.
    """

    def __init__(self, tree: Tree, staging: Staging, utc_s: Callable[[], float]) -> None:
        self._tree = tree
        self._calls = tree.calls
        self._staging = staging
        self._utc_s = utc_s
        self._lock = threading.Lock()
        self._size_bytes: int | None = None

    def keep(self, name: str, dir_fd: int, path: str, reason: str) -> bool:
        """Put the file at ``name`` into the trash as ``path``; returns whether it is still at ``name`` too.

        It gets a second name where the file system can do that, so that a writer that has it open is still
        noticed; else it is moved. Raises OSError, with the file where it was.
        """
        with self._lock:
            size_bytes = self._calls.lstat(name, dir_fd).st_size
            for folder in self._folders():
                with suppress(FileExistsError, Blocked):
                    still_there = self._keep_in(folder, name, dir_fd, path, reason)
                    break
            else:
                raise OSError(errno.EEXIST, "the trash is full of files of this name", path)
            if self._size_bytes is not None:
                self._size_bytes += size_bytes
            if self._size_bytes is None or self._size_bytes > limits.TRASH_MAX_BYTES:
                self._expire()
        return still_there

    def _folders(self) -> Iterator[str]:
        now = datetime.fromtimestamp(self._utc_s(), UTC).strftime(_TIME_FORMAT)
        yield now
        for number in range(1, _TRIES):
            yield f"{now}-{number}"

    def _keep_in(self, folder: str, name: str, dir_fd: int, path: str, reason: str) -> bool:
        above, last = split(path)
        with self._tree.made_folder(_trash(folder, above)) as trash_fd:
            try:
                self._calls.link(name, dir_fd, last, trash_fd)
                still_there = True
            except OSError as error:
                if error.errno == errno.EXDEV:
                    self._copy(name, dir_fd, last, trash_fd)
                    still_there = True
                elif error.errno in (errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS):
                    put_new(self._calls, name, dir_fd, last, trash_fd)
                    still_there = False
                else:
                    raise
        with suppress(OSError):  # the file is safe; a full disk may cost its reason
            self._note_reason(folder, path, reason)
        return still_there

    def _copy(self, name: str, dir_fd: int, last: str, trash_fd: int) -> None:
        temporary = self._staging.temporary(self._staging.new_nonce())
        self._staging.copy(name, dir_fd, temporary, self._staging.fd)
        put_new(self._calls, temporary, self._staging.fd, last, trash_fd)

    def _note_reason(self, folder: str, path: str, reason: str) -> None:
        line = json.dumps({"path": path, "reason": reason}) + "\n"
        with self._tree.folder(_trash()) as fd:
            file = self._calls.open(
                folder + _REASONS_SUFFIX, os.O_WRONLY | os.O_APPEND | os.O_CREAT, fd, mode=0o600
            )
            try:
                self._calls.write_all(file, line.encode("ascii"))
            finally:
                self._calls.close(file)

    def holds(self, path: str, device: int, inode: int) -> bool:
        """Whether this very file has a name in the trash."""
        with self._lock:
            return self._find(path, device, inode) is not None

    def drop(self, path: str, device: int, inode: int) -> None:
        """Take this very file out again: it got a name in the folder after all."""
        with self._lock:
            folder = self._find(path, device, inode)
            if folder is not None:
                above, last = split(path)
                with suppress(OSError), self._tree.folder(_trash(folder, above)) as fd:
                    self._calls.unlink(last, fd)

    def _find(self, path: str, device: int, inode: int) -> str | None:
        above, last = split(path)
        for folder in reversed(self._times()):
            with suppress(OSError), self._tree.folder(_trash(folder, above)) as fd:
                status = self._calls.lstat(last, fd)
                if (status.st_dev, status.st_ino) == (device, inode):
                    return folder
        return None

    # -- for people -------------------------------------------------------------------------------------

    def listing(self) -> list[Trashed]:
        """Everything in the trash, oldest first."""
        with self._lock:
            return [found for folder in self._times() for found in self._files(folder)]

    def restore(self, path: str, location: str | None = None) -> str:
        """Move a file back to ``path``, the newest one of that name or the one at ``location``.

        Returns the location it was at. Raises FolderError when there is none, or something is at ``path``.
        """
        found = [each for each in self.listing() if each.path == path and location in (None, each.location)]
        if not found:
            raise FolderError(f"{printable(path)} is not in the trash; 'crdtsync trash' lists what is there")
        chosen = found[-1]
        folder, name = split(chosen.location)
        try:
            with self._tree.folder(folder) as fd, self._tree.made_folder(split(path)[0]) as target_fd:
                put_new(self._calls, name, fd, split(path)[1], target_fd)
        except FileExistsError as error:
            raise FolderError(
                f"{printable(path)} cannot be restored: something is there now; move it away first"
            ) from error
        except OSError as error:
            raise FolderError(f"{printable(path)} cannot be restored: {error.strerror}") from error
        with self._lock:
            self._size_bytes = None
        return chosen.location

    # -- bounds -----------------------------------------------------------------------------------------

    def expire(self) -> None:
        """Delete what is older than TRASH_MAX_AGE_S and, oldest first, what exceeds TRASH_MAX_BYTES."""
        with self._lock:
            self._expire()

    def _expire(self) -> None:
        times = self._times()
        sizes = {folder: [(found, found.size_bytes) for found in self._files(folder)] for folder in times}
        total = sum(size for found in sizes.values() for _, size in found)
        oldest_kept = self._utc_s() - limits.TRASH_MAX_AGE_S
        for folder in times:
            too_old = _time_of(folder).timestamp() < oldest_kept
            for found, size in sizes[folder]:
                if too_old or total > limits.TRASH_MAX_BYTES:
                    above, name = split(found.location)
                    with suppress(OSError), self._tree.folder(above) as fd:
                        self._calls.unlink(name, fd)
                        total -= size
            self._remove_empty(folder)
        self._size_bytes = total

    def _remove_empty(self, folder: str) -> None:
        """Remove the folders below a time that hold nothing any more, and the time itself."""
        for path in sorted(self._folders_below(folder), key=len, reverse=True):
            above, name = split(path)
            with suppress(OSError), self._tree.folder(above) as fd:
                self._calls.rmdir(name, fd)
        with suppress(OSError), self._tree.folder(_trash()) as fd:
            if folder not in {entry.name for entry in self._calls.entries(fd)}:
                self._calls.unlink(folder + _REASONS_SUFFIX, fd)

    # -- reading ----------------------------------------------------------------------------------------

    def _times(self) -> list[str]:
        """The folders of the trash, oldest first."""
        with suppress(FileNotFoundError), self._tree.folder(_trash()) as fd:
            names = [entry.name for entry in self._calls.entries(fd) if not entry.is_symlink()]
            return sorted((name for name in names if _is_time(name)), key=_order)
        return []

    def _files(self, folder: str) -> Iterator[Trashed]:
        reasons = self._reasons(folder)
        trashed_at = _time_of(folder).isoformat().replace("+00:00", "Z")
        prefix = _trash(folder)
        for location, status in self._walk(prefix):
            if not stat.S_ISDIR(status.st_mode):
                path = location[len(prefix) + 1 :]
                reason = reasons.get(path, _UNKNOWN_REASON)
                yield Trashed(path, trashed_at, reason, location, status.st_size)

    def _folders_below(self, folder: str) -> list[str]:
        prefix = _trash(folder)
        return [prefix, *(path for path, status in self._walk(prefix) if stat.S_ISDIR(status.st_mode))]

    def _walk(self, top: str) -> Iterator[tuple[str, os.stat_result]]:
        waiting = [top]
        while waiting:
            here = waiting.pop()
            try:
                with self._tree.folder(here) as fd:
                    found = [
                        (f"{here}/{entry.name}", entry.stat(follow_symlinks=False))
                        for entry in self._calls.entries(fd)
                    ]
            except OSError:
                continue
            for path, status in sorted(found):
                yield path, status
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(path)

    def _reasons(self, folder: str) -> dict[str, str]:
        reasons: dict[str, str] = {}
        with suppress(OSError), self._tree.folder(_trash()) as fd:
            file = self._calls.open_file(folder + _REASONS_SUFFIX, fd)
            try:
                noted = read_all(self._calls, file, self._calls.fstat(file).st_size)
            finally:
                self._calls.close(file)
            for line in noted.splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    one = json.loads(line)
                    reasons[str(one["path"])] = str(one["reason"])
        return reasons


def _trash(*parts: str) -> str:
    return "/".join((STATE_FOLDER, "trash", *(part for part in parts if part)))


def _is_time(name: str) -> bool:
    try:
        _time_of(name)
    except ValueError:
        return False
    return not name.endswith(_REASONS_SUFFIX)


def _time_of(folder: str) -> datetime:
    return datetime.strptime(folder[:20], _TIME_FORMAT).replace(tzinfo=UTC)


def _order(folder: str) -> tuple[str, int]:
    number = folder[21:]
    return folder[:20], int(number) if number.isdigit() else 0
