"""The hub's chunks on disk, one file each, apart for each room; knows nothing of connections or blobs.

Layout below the root: ``<room folder>/ab/cdef…`` (the chunk's digest), holding one byte for the codec and
then the data; ``tmp/`` for files that do not have their name yet. See docs/storage.md.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crdtsync.adapters.chunker import read_chunk
from crdtsync.adapters.compression import unseal
from crdtsync.adapters.durability import free_bytes, make_durable, size_of_disk_bytes, write_new_file
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.wire.blobs import Codec, Sealed
from crdtsync.errors import PeerError

_FILE_MAX_BYTES: Final = 1 + limits.CHUNK_MAX_BYTES
_ASIDE: Final = ".corrupt"
_NOT_IN_A_FOLDER_NAME = re.compile(r"[^a-z0-9_-]+")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk to be stored, already verified against its digest."""

    room: str
    digest: Digest
    sealed: Sealed


@functools.lru_cache(maxsize=4096)
def room_folder(room: str) -> str:
    """The name of a room's folder: readable as far as it can be, and of another room never the same.

    Rooms that differ only in case, or are too long for a file name, are told apart by the digest.
    """
    readable = _NOT_IN_A_FOLDER_NAME.sub("_", room.lower())[:40]
    return f"{readable}-{digest_of(room.encode('utf-8'))[:32]}"


def kept_free_bytes(disk_bytes: int) -> int:
    """What chunks leave free on a disk of that size: they never take the room of the log of updates."""
    return min(limits.HUB_FREE_MIN_BYTES, disk_bytes // limits.HUB_FREE_SHARE)


class ChunkStore:
    """All methods may block on the disk and may be called from any thread.

    One process holds a root at a time (the hub's lock on its data folder sees to that). A chunk's name
    appears only once its content is on the disk, so a kill or a power cut never leaves half a chunk.
    """

    def __init__(
        self,
        root: Path,
        *,
        free_min_bytes: int | None = None,
        free: Callable[[str], int] = free_bytes,
    ) -> None:
        """Make ``root`` if need be and clear what a killed process left behind. Raises OSError.

        ``free_min_bytes`` is left free for the log of updates; None: a share of the disk, as ``limits`` says.
        """
        self._root = root
        self._free = free
        self._temporary = root / "tmp"
        self._temporary.mkdir(parents=True, exist_ok=True)
        self._free_min_bytes = free_min_bytes
        for left in self._temporary.iterdir():
            left.unlink()
        self._names = itertools.count()
        self._writing = threading.Lock()
        self._settling: frozenset[str] = frozenset()
        self._used: dict[str, int] = {}
        """How much each room's chunks take, of those that were written to since the start."""
        self._root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        with self._writing:
            os.close(self._root_fd)

    def has(self, room: str, digests: Iterable[Digest]) -> tuple[bool, ...]:
        """Which of these are stored durably in that room. Their contents are not read."""
        settling = self._settling
        paths = [self._path(room, digest) for digest in digests]
        return tuple(path not in settling and os.path.exists(path) for path in paths)

    def room_for(self, room: str, size_bytes: int) -> bool:
        """Whether the room may take that much more. Counts what it has once. Raises OSError."""
        used_bytes = self._used.get(room_folder(room))
        if used_bytes is None:
            with self._writing:  # not for every question, which would wait for the disk
                used_bytes = self._used_by(room)
        return used_bytes + size_bytes <= limits.ROOM_CHUNKS_MAX_BYTES

    def read(self, room: str, digests: Sequence[Digest], enough_bytes: int) -> list[Sealed | None]:
        """The first of these chunks, in order, until together they are ``enough_bytes`` or more.

        None: not stored, or found damaged and set aside, so that whoever has it stores it again.
        Raises OSError when the disk cannot be read for another reason than that.
        """
        found: list[Sealed | None] = []
        total = 0
        for digest in digests:
            sealed = self._read_one(self._path(room, digest), digest)
            found.append(sealed)
            if sealed is not None:
                total += len(sealed.data)
                if total >= enough_bytes:
                    break
        return found

    def write(self, chunks: Sequence[NewChunk]) -> None:
        """Store these durably, as one batch; those that are there already cost nothing.

        Raises OSError, with ENOSPC when the disk is full: then some of them may be stored, and all of them
        can be tried again.
        """
        with self._writing:
            fresh = {
                path: chunk
                for chunk in chunks
                if not os.path.exists(path := self._path(chunk.room, chunk.digest)) or path in self._settling
            }
            if not fresh:
                return
            self._check_space(sum(len(chunk.sealed.data) for chunk in fresh.values()))
            # Kept when the disk fails midway: what stands under its name may still be lost in a power cut,
            # and is not called stored until a later batch has made it durable.
            self._settling |= fresh.keys()
            self._write_fresh(fresh)
            self._settling -= fresh.keys()
            for chunk in fresh.values():
                if (folder := room_folder(chunk.room)) in self._used:
                    self._used[folder] += 1 + len(chunk.sealed.data)

    def _used_by(self, room: str) -> int:
        folder = room_folder(room)
        if folder not in self._used:
            used = 0
            with contextlib.suppress(FileNotFoundError):
                for part in os.scandir(f"{self._root}/{folder}"):
                    used += sum(file.stat().st_size for file in os.scandir(part))
            self._used[folder] = used
        return self._used[folder]

    def _write_fresh(self, fresh: dict[str, NewChunk]) -> None:
        temporary: dict[str, str] = {}
        try:
            for path, chunk in fresh.items():
                temporary[path] = f"{self._temporary}/{next(self._names)}"
                write_new_file(temporary[path], bytes((chunk.sealed.codec,)), chunk.sealed.data)
            make_durable(self._root_fd, list(temporary.values()))
            changed: set[str] = set()
            for path, written in temporary.items():
                folder = os.path.dirname(path)
                try:
                    os.rename(written, path)
                except FileNotFoundError:
                    changed |= {os.path.dirname(folder), str(self._root)}
                    os.makedirs(folder, mode=0o700, exist_ok=True)
                    os.rename(written, path)
                changed.add(folder)
            make_durable(self._root_fd, list(changed))
        except OSError:
            for written in temporary.values():
                with contextlib.suppress(OSError):
                    os.unlink(written)
            raise

    def _check_space(self, size_bytes: int) -> None:
        root = str(self._root)
        free = self._free(root)
        kept = (
            kept_free_bytes(size_of_disk_bytes(root))
            if self._free_min_bytes is None
            else self._free_min_bytes
        )
        if free - size_bytes < kept:
            raise OSError(errno.ENOSPC, f"{free} bytes are free, and {kept} are kept free", root)

    def _read_one(self, path: str, digest: Digest) -> Sealed | None:
        try:
            return _sealed_in(path, digest)
        except FileNotFoundError:
            return self._regained(path, digest)
        except (PeerError, ValueError, IndexError) as error:
            cause = str(error)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            cause = str(error)
        logger.error(
            "The chunk %s is damaged: %s. It is set aside until a replica sends it again", path, cause
        )
        with contextlib.suppress(FileNotFoundError):  # another reader was first
            os.replace(path, path + _ASIDE)
        return None

    def _regained(self, path: str, digest: Digest) -> Sealed | None:
        """What was set aside while the disk could not be read, and is sound: nobody else may have it."""
        try:
            sealed = _sealed_in(path + _ASIDE, digest)
        except (OSError, PeerError, ValueError, IndexError):
            return None
        with contextlib.suppress(OSError):  # another reader was first, or the next one does it
            os.replace(path + _ASIDE, path)
        return sealed

    def _path(self, room: str, digest: Digest) -> str:
        return f"{self._root}/{room_folder(room)}/{digest[:2]}/{digest[2:]}"


def _sealed_in(path: str, digest: Digest) -> Sealed:
    """Raises OSError, and PeerError, ValueError or IndexError when it is not that chunk."""
    with open(path, "rb", buffering=0) as file:
        content = read_chunk(file.fileno(), 0, _FILE_MAX_BYTES + 1)
    sealed = Sealed(Codec(content[0]), content[1:])
    unseal(sealed, digest)
    return sealed
