"""Makes batches of files survive a power cut; knows nothing of what is in them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from typing import Final

SYNCFS_FROM_FILES: Final = 4
"""From this many on, one ``syncfs`` is cheaper than a ``fsync`` each (0.4 ms a file; 0.3 to 4 ms in all)."""


def make_durable(folder_fd: int, paths: Sequence[str]) -> None:
    """Return once the contents of these files, and the names in these folders, are on the disk itself.

    ``folder_fd`` is open on the file system that holds them all. Raises OSError when the disk fails.
    """
    if len(paths) >= SYNCFS_FROM_FILES and _SYNCFS is not None:
        if _SYNCFS(folder_fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return
    for path in paths:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write_new_file(path: str, *parts: bytes, mode: int = 0o600) -> None:
    """Write a file that does not exist yet; not yet durable. Raises OSError; then a part may remain."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(fd, rest) :]
    finally:
        os.close(fd)


def _find_syncfs() -> Callable[[int], int] | None:
    function = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if function is None:
        return None
    function.argtypes = [ctypes.c_int]
    function.restype = ctypes.c_int

    def syncfs(fd: int) -> int:
        return int(function(fd))

    return syncfs


_SYNCFS = _find_syncfs()
