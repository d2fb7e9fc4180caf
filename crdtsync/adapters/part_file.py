"""A blob that is being put together in a file: verified chunks at their offsets, from any source.

Knows one file and its manifest; where the chunks come from is the caller's. What a chunk's place holds counts
only once it was read back or written from verified bytes in this process, so a part survives any restart.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import threading
from collections.abc import Callable, Mapping
from typing import Final

from blake3 import blake3

from crdtsync.adapters.chunker import digest_of_file, read_chunk
from crdtsync.adapters.durability import free_bytes
from crdtsync.adapters.in_order import InOrder
from crdtsync.adapters.system_calls import REAL
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.files import Chunk, Manifest

BLOCK_BYTES: Final = 4096
"""File systems share (reflink) ranges that start at a multiple of this."""
STAT_BLOCK_BYTES: Final = 512
READ_BYTES: Final = 4 * limits.MiB
WRITE_BEHIND_BYTES: Final = 8 * limits.MiB
"""The disk is told to begin after this much, so that it works all the time and nobody's fsync waits for a
gigabyte of somebody else's."""
IN_ORDER_FROM_BYTES: Final = 64 * limits.MiB
"""Whoever wants a smaller blob finds it in the page cache."""
IN_ORDER_MAX: Final = 8
"""Parts that are written in order at a time, for the sake of memory; the others as chunks come."""
HELD_MAX_BYTES: Final = 4 * limits.MiB
"""Chunks of one part that came before others which stand before them, as several threads unpack them."""
_FICLONERANGE: Final = 0x4020940D
"""From linux/fs.h."""
_NO_COPY_IN_KERNEL = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_in_order_slots = threading.BoundedSemaphore(IN_ORDER_MAX)


class PartFile:
    """All methods block on the disk and raise OSError; ``write`` may be called from several threads at once.

    InterruptedError is raised by the long ones soon after ``stopped`` says so.
    """

    def __init__(self, path: str, manifest: Manifest, stopped: Callable[[], bool]) -> None:
        """Open ``path``, or make it; what it holds is unknown until ``resume``."""
        self._path = path
        self._manifest = manifest
        self._stopped = stopped
        self._offsets: list[int] = []
        self._places: dict[Digest, list[int]] = {}
        offset = 0
        for position, chunk in enumerate(manifest.chunks):
            self._offsets.append(offset)
            self._places.setdefault(chunk.digest, []).append(position)
            offset += chunk.size_bytes
        self._offsets.append(offset)
        self._present = bytearray(len(manifest.chunks))
        self._behind_bytes = 0
        """Written since the disk was last told to begin with it."""
        self.present_bytes = 0
        self._whole = blake3()
        self._hashed_bytes = 0
        """So much of the beginning is in ``_whole``."""
        self._lock = threading.RLock()
        self._next = 0
        """Chunks before this one were written in order, if there is an order."""
        self._held: dict[int, bytes | memoryview] = {}
        self._held_bytes = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(self._fd).st_size != manifest.size_bytes:
                os.ftruncate(self._fd, manifest.size_bytes)
            self._order = self._begin_order()
        except OSError:
            os.close(self._fd)
            raise

    def close(self) -> None:
        """What arrived last and cannot be written will be missing when the part is taken up again."""
        with contextlib.suppress(OSError):
            self._end_order()
        os.close(self._fd)

    def missing(self) -> list[Chunk]:
        """The chunks still to be found, each once, in the order of the file."""
        found = dict.fromkeys(
            chunk for chunk, present in zip(self._manifest.chunks, self._present, strict=True) if not present
        )
        return list(found)

    def resume(self) -> None:
        """Take up what an earlier process left in the file."""
        if os.fstat(self._fd).st_blocks == 0:
            return
        for position, offset in enumerate(self._offsets[:-1]):
            if not self._is_hole(offset, self._manifest.chunks[position].size_bytes):
                self._verify(position)
        if self.present_bytes:
            self._end_order()
        self.repeat()

    def check_space(self) -> None:
        """Raises OSError (ENOSPC) when the whole will not fit; better said before any work is done for it."""
        needed = self._manifest.size_bytes - os.fstat(self._fd).st_blocks * STAT_BLOCK_BYTES
        free = free_bytes(os.path.dirname(self._path))
        if needed > free:
            raise OSError(errno.ENOSPC, f"{needed} bytes are needed and {free} are free", self._path)

    def write(self, digest: Digest, data: bytes | memoryview) -> None:
        """Put a chunk, verified by the caller, at all of its places."""
        with self._lock:
            for position in self._places[digest]:
                if not self._present[position] and not self._add(position, position + 1, data):
                    self._hold(position, data)

    # -- for a source that has many of the chunks -----------------------------------------------------

    @property
    def count(self) -> int:
        """How many chunks the blob has."""
        return len(self._present)

    @property
    def size_bytes(self) -> int:
        return self._manifest.size_bytes

    def chunk(self, position: int) -> Chunk:
        return self._manifest.chunks[position]

    def offset(self, position: int) -> int:
        """Where the chunk begins, in bytes; for ``count``, where the blob ends."""
        return self._offsets[position]

    def is_present(self, position: int) -> bool:
        return bool(self._present[position])

    def check_stopped(self) -> None:
        if self._stopped():
            raise InterruptedError(errno.EINTR, "the transfer was cancelled", self._path)

    def can_share(self, fd: int) -> bool:
        """Whether this file can share blocks (reflink) with the one open at ``fd``."""
        if self.present_bytes or self.size_bytes < BLOCK_BYTES or os.fstat(fd).st_size < BLOCK_BYTES:
            return False
        try:
            fcntl.ioctl(self._fd, _FICLONERANGE, struct.pack("qQQQ", fd, 0, BLOCK_BYTES, 0))
        except OSError:
            return False
        return True

    def copy_span(self, fd: int, source: int, first: int, after: int) -> None:
        """Copy chunks that follow each other from another file, which may change meanwhile."""
        self._copy(fd, source, self._offsets[first], self._offsets[after] - self._offsets[first])
        for position in range(first, after):
            self._verify(position)

    def write_span(self, first: int, after: int, data: memoryview) -> None:
        """Put chunks that follow each other, verified by the caller."""
        with self._lock:
            if not self._add(first, after, data):
                self._end_order()
                self._pwrite(data, self._offsets[first])
                self._mark(first, after)

    @property
    def is_in_order(self) -> bool:
        """Whether it is written from its start on, and best brought in that order."""
        return self._order is not None

    def flush(self) -> None:
        """Return once what was written so far is on the disk itself."""
        self._settle()
        os.fsync(self._fd)

    # -- for chunks that others wait for ---------------------------------------------------------------

    def holds(self, digest: Digest) -> bool:
        """Whether the chunk is one of the blob's and is present."""
        return any(self._present[position] for position in self._places.get(digest, ()))

    def give(self, digest: Digest, to: PartFile) -> bool:
        """Copy a chunk that this part ``holds``; False when it cannot, as when it was closed meanwhile."""
        position = next(place for place in self._places[digest] if self._present[place])
        try:
            self._settle()
            data = read_chunk(self._fd, self._offsets[position], self._manifest.chunks[position].size_bytes)
        except OSError:
            return False
        if digest_of(data) != digest:
            return False
        to.write(digest, data)
        return True

    def take(self, fd: int, offsets: Mapping[Digest, int]) -> None:
        """Copy what is missing from another file that may have it; the file may change meanwhile."""
        chunks = self._manifest.chunks
        position = 0
        while position < len(chunks):
            start = offsets.get(chunks[position].digest) if not self._present[position] else None
            if start is None:
                position += 1
                continue
            first, end = position, start
            while position < len(chunks) and not self._present[position]:
                if offsets.get(chunks[position].digest) != end or end - start > READ_BYTES:
                    break
                end += chunks[position].size_bytes
                position += 1
            self._copy(fd, start, self._offsets[first], end - start)
            for copied in range(first, position):
                self._verify(copied)
        self.repeat()

    def is_whole(self) -> bool:
        """Whether the file has the blob's digest; what was not hashed on its way is read once more."""
        self._end_order()
        found = digest_of_file(self._fd, stopped=self._stopped, begun=(self._whole, self._hashed_bytes))
        return found == self._manifest.digest

    def _verify(self, position: int) -> None:
        """Mark the chunk if its place holds it already."""
        self.check_stopped()
        chunk = self._manifest.chunks[position]
        offset = self._offsets[position]
        if (
            not self._present[position]
            and digest_of(read_chunk(self._fd, offset, chunk.size_bytes)) == chunk.digest
        ):
            self._mark(position, position + 1)

    def repeat(self) -> None:
        """Fill the places of chunks that are present at another place of the blob."""
        self._settle()
        for digest, places in self._places.items():
            source = next((place for place in places if self._present[place]), None)
            if source is None or all(self._present[place] for place in places):
                continue
            data = read_chunk(self._fd, self._offsets[source], self._manifest.chunks[source].size_bytes)
            self.write(digest, data)

    def _is_hole(self, offset: int, size_bytes: int) -> bool:
        """Nothing was ever written there, so there is no need to read and hash its zeros."""
        try:
            return os.lseek(self._fd, offset, os.SEEK_DATA) >= offset + size_bytes
        except OSError as error:
            return error.errno == errno.ENXIO

    def _mark(self, first: int, after: int) -> None:
        for position in range(first, after):
            if not self._present[position]:
                self._present[position] = 1
                self.present_bytes += self._manifest.chunks[position].size_bytes

    # -- in order --------------------------------------------------------------------------------------

    def _begin_order(self) -> InOrder | None:
        if self.size_bytes < IN_ORDER_FROM_BYTES or not _in_order_slots.acquire(blocking=False):
            return None
        try:
            return InOrder(self._fd, self._path)
        except OSError:
            _in_order_slots.release()
            raise

    def _add(self, first: int, after: int, data: bytes | memoryview) -> bool:
        """Put chunks behind those before them, if these are there, and what was held behind both."""
        if self._order is None or first != self._next:
            return False
        self._order.add(data)
        self._mark(first, after)
        for position in range(first, after):  # of a chunk that is repeated
            self._held_bytes -= len(self._held.pop(position, b""))
        self._next = after
        while (held := self._held.pop(self._next, None)) is not None:
            self._held_bytes -= len(held)
            self._order.add(held)
            self._next += 1
        return True

    def _hold(self, position: int, data: bytes | memoryview) -> None:
        """Keep a chunk until those before it are there; with too much of that, the order is given up."""
        if self._order is not None and self._held_bytes + len(data) > HELD_MAX_BYTES:
            self._end_order()
        if self._order is None:
            self._pwrite(data, self._offsets[position])
        else:
            self._held[position] = data
            self._held_bytes += len(data)
        self._mark(position, position + 1)

    def _settle(self) -> None:
        """See to it that what is present can be read from the file."""
        with self._lock:
            if self._order is not None:
                self._order.flush()
            while self._held:
                position, data = self._held.popitem()
                self._held_bytes -= len(data)
                self._pwrite(data, self._offsets[position])

    def _end_order(self) -> None:
        """From here on chunks are written where they belong as they come, and hashed afterwards."""
        with self._lock:
            if self._order is None:
                return
            order, self._order = self._order, None
            try:
                order.flush()
                self._whole, self._hashed_bytes = order.whole(), order.size_bytes
                self._settle()
            finally:
                order.close()
                _in_order_slots.release()

    def _copy(self, fd: int, source: int, target: int, size_bytes: int) -> None:
        """In the kernel where it can, so that file systems that can share the blocks do. May fall short."""
        end = source + size_bytes
        while source < end:
            size = end - source
            if source % BLOCK_BYTES and source % BLOCK_BYTES == target % BLOCK_BYTES:
                size = min(size, BLOCK_BYTES - source % BLOCK_BYTES)
            try:
                count = os.copy_file_range(fd, self._fd, size, source, target)
            except OSError as error:
                if error.errno not in _NO_COPY_IN_KERNEL:
                    raise
                data = read_chunk(fd, source, min(size, READ_BYTES))
                self._pwrite(data, target)
                count = len(data)
            if count == 0:
                return
            source += count
            target += count

    def _pwrite(self, data: bytes | memoryview, offset: int) -> None:
        rest = memoryview(data)
        while rest:
            count = os.pwrite(self._fd, rest, offset)
            rest = rest[count:]
            offset += count
        self._behind_bytes += len(data)
        if self._behind_bytes >= WRITE_BEHIND_BYTES:
            self._behind_bytes = 0
            REAL.begin_writing(self._fd)
