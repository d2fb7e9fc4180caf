"""Large files read and written past the page cache, where the file system can (``O_DIRECT``).

Pages of the cache cost more than the disk does: each has to be found, filled by a copy and written back, and
a machine that had given the memory away must ask for it again. Knows open files and aligned memory only.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

BLOCK_BYTES: Final = 4096
"""Memory, offset and size of each such read or write are multiples of this: no disk asks for more."""
_DIRECT: Final = getattr(os, "O_DIRECT", 0)
_CANNOT: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP})
_PROBES: Final = 8


def aligned_memory(size_bytes: int) -> memoryview:
    """Zeros that begin at a page. Shared memory, so that a fork meanwhile leaves it where it is."""
    return memoryview(mmap.mmap(-1, size_bytes))


def open_past_cache(path: str) -> int | None:
    """The file at ``path`` for writes of whole blocks, or None where that cannot be. Raises OSError."""
    if not _DIRECT:
        return None
    try:
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | _DIRECT)
    except OSError as error:
        if error.errno in _CANNOT:
            return None
        raise


def is_refusal(error: OSError) -> bool:
    """Whether the file system says that it cannot, and not that the disk fails."""
    return error.errno in _CANNOT


@contextmanager
def past_cache(fd: int) -> Iterator[bool]:
    """Have reads of the open file go past the cache for a while, unless much of it is there anyway.

    Gives whether they do: then memory, offset and size must be whole blocks. Nobody else may read ``fd``
    meanwhile.
    """
    if not _DIRECT or _is_cached(fd):
        yield False
        return
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    try:
        yield _can_read_directly(fd, flags)
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)


def _can_read_directly(fd: int, flags: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | _DIRECT)
        os.preadv(fd, [aligned_memory(BLOCK_BYTES)], 0)
    except OSError:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
        return False
    return True


def _is_cached(fd: int) -> bool:
    """Whether at least half of some places of the file could be read without the disk."""
    size_bytes = os.fstat(fd).st_size
    memory = bytearray(1)
    hits = 0
    for probe in range(_PROBES):
        try:
            hits += os.preadv(fd, [memory], size_bytes * probe // _PROBES, os.RWF_NOWAIT)
        except BlockingIOError:
            continue
        except (OSError, AttributeError):  # nobody can tell
            return True
    return hits * 2 >= _PROBES
