"""One process per replica: a lock on ``.crdtsync/lock`` that the kernel lets go of with its holder."""

from __future__ import annotations

import errno
import json
import os

from crdtsync.adapters.kernel import Kernel
from crdtsync.core.values.ids import printable
from crdtsync.errors import AlreadyJoined, FolderError

LOCK = "lock"


class FolderLock:
    """Held from construction until ``release``; the file says who holds it, for those who come later."""

    def __init__(self, state_fd: int, directory: str, room: str, calls: Kernel) -> None:
        """Raises AlreadyJoined, naming the process and its room, and FolderError where locks do not work."""
        self._calls = calls
        try:
            self._fd = calls.open(LOCK, os.O_RDWR | os.O_CREAT, state_fd)
        except OSError as error:
            raise FolderError(
                f"{printable(directory)} cannot be joined: its lock cannot be opened ({error.strerror})"
            ) from error
        try:
            calls.lock(self._fd)
        except OSError as error:
            holder = self._holder()
            calls.close(self._fd)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise AlreadyJoined(f"{printable(directory)} is joined already, {holder}") from error
            raise FolderError(
                f"{printable(directory)} cannot be joined: its file system has no locks ({error.strerror})"
            ) from error
        calls.truncate(self._fd, 0)
        calls.write_all(self._fd, json.dumps({"pid": os.getpid(), "room": room}).encode("ascii"))

    def release(self) -> None:
        self._calls.close(self._fd)

    def _holder(self) -> str:
        try:
            held = json.loads(self._calls.read(self._fd, 4096))
            return f"to room {printable(str(held['room']))} by process {int(held['pid'])}; end that one first"
        except (ValueError, KeyError, TypeError):
            return "by another process; end that one first"
