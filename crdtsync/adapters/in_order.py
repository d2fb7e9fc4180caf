"""A large file that is written from its start on: past the page cache, and hashed as a whole on the way.

So it need not be read again to be hashed. Knows bytes and one open file; in which order they come is the
caller's to see to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from blake3 import blake3

from crdtsync.adapters.past_cache import BLOCK_BYTES, aligned_memory, is_refusal, open_past_cache
from crdtsync.adapters.system_calls import REAL
from crdtsync.core.values import limits

GATHERED_BYTES: Final = 2 * limits.MiB
"""Written at once: 1.5 GB/s on a disk that takes 1.2 GB/s in pieces of half of it."""


class InOrder:
    """Not safe for threads. What was added is in the file after ``flush`` at the latest.

    An error of the disk is raised again by all that follows: nobody may take the file for what was added.
    """

    def __init__(self, fd: int, path: str) -> None:
        """``fd``: the same file as ``path``, for writing what is not a whole block. Raises OSError."""
        self._fd = fd
        self._direct_fd = open_past_cache(path)
        self._memory = aligned_memory(GATHERED_BYTES)
        self._whole = blake3()
        self._start = 0
        """Where in the file the memory begins; a multiple of its size."""
        self._written = 0
        """How much of the memory is in the file already."""
        self.size_bytes = 0
        """Added so far."""
        self._error: OSError | None = None

    def close(self) -> None:
        """Without a flush. The memory goes with the last view of it."""
        if self._direct_fd is not None:
            os.close(self._direct_fd)
            self._direct_fd = None

    def add(self, data: bytes | memoryview) -> None:
        """Put ``data`` behind what was added before. Raises OSError."""
        if self._error is not None:
            raise self._error
        rest = memoryview(data)
        self._whole.update(rest)
        while rest:
            at = self.size_bytes - self._start
            taken = min(len(rest), GATHERED_BYTES - at)
            self._memory[at : at + taken] = rest[:taken]
            self.size_bytes += taken
            rest = rest[taken:]
            if at + taken == GATHERED_BYTES:
                with self._lasting_error():
                    self._write_gathered()
                self._start = self.size_bytes
                self._written = 0

    def flush(self) -> None:
        """Raises OSError."""
        at = self.size_bytes - self._start
        with self._lasting_error():
            self._write(self._written, at)
        self._written = at

    def whole(self) -> blake3:
        """The hash of what was added, to go on with."""
        return self._whole.copy()

    @contextmanager
    def _lasting_error(self) -> Iterator[None]:
        if self._error is not None:
            raise self._error
        try:
            yield
        except OSError as error:
            self._error = error
            raise

    def _write_gathered(self) -> None:
        begin = self._written
        if self._direct_fd is not None:
            head = -begin % BLOCK_BYTES
            if head:
                self._write(begin, begin + head)
            begin = self._write_directly(begin + head)
        if begin < GATHERED_BYTES:
            self._write(begin, GATHERED_BYTES)
            REAL.begin_writing(self._fd)

    def _write_directly(self, begin: int) -> int:
        """From ``begin``, a whole block, to the end of the memory; returns how far that went."""
        assert self._direct_fd is not None
        while begin < GATHERED_BYTES:
            try:
                count = os.pwrite(self._direct_fd, self._memory[begin:], self._start + begin)
            except OSError as error:
                if not is_refusal(error):
                    raise
                count = 0
            begin += count
            if count == 0 or count % BLOCK_BYTES:  # it cannot after all, or the disk is nearly full
                self.close()
                break
        return begin

    def _write(self, begin: int, end: int) -> None:
        rest = self._memory[begin:end]
        offset = self._start + begin
        while rest:
            count = os.pwrite(self._fd, rest, offset)
            rest = rest[count:]
            offset += count
