"""Contents of binary files on their way between a program and the hub, through a temporary folder.

Knows streams of bytes and digests; which file of the room has which content is left to others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from crdtsync.adapters.chunker import manifest_of_file
from crdtsync.core.replica.events import Fetched, FetchFailed, Uploaded, UploadFailed
from crdtsync.core.tree.rows import Version
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.errors import ContentMissing, CrdtsyncError, StoreError
from crdtsync.runtime.blob_job import Direction, Transfer
from crdtsync.runtime.blob_transfer import BlobTransfers, Outcome
from crdtsync.runtime.room import RoomRunner

PIECE_BYTES: Final = 256 * limits.KiB
"""What a reader is given at a time, at most."""
MISSING_RETRY_S: Final = 2.0
MISSING_TRIES: Final = 5
"""Someone who has the content is asked for it, and needs a moment to send it."""
STAGING: Final = "staging"
_Key: TypeAlias = tuple[Direction, Digest]


@dataclass(frozen=True, slots=True)
class Stored:
    """A content that the hub has, durably. ``index``: as in ``Version``."""

    digest: Digest
    size_bytes: int
    index: Digest | None


class RoomBlobs:
    """Made with the room; touches disk and network once something is read or written."""

    def __init__(self, runner: RoomRunner, want: Callable[[tuple[Digest, ...]], None]) -> None:
        """``want`` asks the others for contents that the hub lacks."""
        self._runner = runner
        self._want = want
        self._folder: Path | None = None
        self._transfers: BlobTransfers | None = None
        self._waiting: dict[_Key, asyncio.Future[Outcome]] = {}
        self._users: Counter[_Key] = Counter()
        self._readers: Counter[Digest] = Counter()
        self._missing: set[Digest] = set()

    def progress(self) -> list[Transfer]:
        """Every transfer that has not ended."""
        return [] if self._transfers is None else self._transfers.progress()

    async def close(self) -> None:
        """Stop everything, and remove the temporary folder."""
        for future in self._waiting.values():
            future.cancel()
        if self._transfers is not None:
            await self._transfers.close()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def scratch(self) -> int:
        """A file without a name, to write a content into. The caller closes it. Raises StoreError."""
        self._open()
        assert self._folder is not None
        try:
            fd, path = tempfile.mkstemp(dir=self._folder)
            os.unlink(path)
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be written: {error.strerror}") from error
        return fd

    async def store(self, fd: int) -> Stored:
        """Bring the content of an open file to the hub. Waits while the hub is away.

        Raises CrdtsyncError: the hub is full, or the file cannot be read.
        """
        transfers = self._open()
        try:
            manifest = await asyncio.to_thread(manifest_of_file, fd)
        except OSError as error:
            raise StoreError(f"The content cannot be read: {error.strerror}") from error
        outcome = await self._outcome(
            (Direction.UP, manifest.digest), lambda: transfers.upload(str(fd), manifest)
        )
        match outcome:
            case Uploaded(digest, index):
                return Stored(digest, manifest.size_bytes, None if index == digest else index)
            case UploadFailed(_, reason, _):
                raise CrdtsyncError(f"The content could not be brought to the hub: {reason}")
        raise AssertionError(f"an upload ended in {outcome}")

    async def read(self, version: Version) -> AsyncGenerator[bytes, None]:
        """The content in pieces of at most PIECE_BYTES, once all of it is here and verified.

        Waits while the hub is away. Raises ContentMissing, CrdtsyncError.
        """
        fd = await self._bring(version)
        try:
            offset = 0
            while piece := await asyncio.to_thread(os.pread, fd, PIECE_BYTES, offset):
                offset += len(piece)
                yield piece
        except OSError as error:
            raise StoreError(f"The content cannot be read: {error.strerror}") from error
        finally:
            os.close(fd)

    async def _bring(self, version: Version) -> int:
        """The content as an open file."""
        transfers = self._open()
        digest = version.digest
        self._readers[digest] += 1
        try:
            for _ in range(MISSING_TRIES):
                outcome = await self._outcome(
                    (Direction.DOWN, digest),
                    lambda: transfers.fetch(digest, version.size_bytes, version.index, ()),
                )
                match outcome:
                    case Fetched():
                        return os.open(self._path(digest), os.O_RDONLY | os.O_CLOEXEC)
                    case FetchFailed(_, _, True):
                        self._missing.add(digest)
                        self._want(tuple(self._missing))
                        await asyncio.sleep(MISSING_RETRY_S)
                    case FetchFailed(_, reason, _):
                        raise CrdtsyncError(f"The content could not be brought here: {reason}")
        except OSError as error:
            raise StoreError(f"The content cannot be read: {error.strerror}") from error
        finally:
            self._leave(digest)
        raise ContentMissing("The hub lacks the content; it comes when someone who has it connects")

    def _leave(self, digest: Digest) -> None:
        """The last reader takes the name away; who has it open goes on reading."""
        self._readers[digest] -= 1
        if self._readers[digest]:
            return
        del self._readers[digest]
        with contextlib.suppress(OSError):
            os.unlink(self._path(digest))
        if digest in self._missing:
            self._missing.discard(digest)
            self._want(tuple(self._missing))

    def _path(self, digest: Digest) -> str:
        return f"{self._folder}/{STAGING}/blob-{digest}"

    async def _outcome(self, key: _Key, begin: Callable[[], None]) -> Outcome:
        """How the transfer ends, which is begun unless another waits for it already."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            begin()
        self._users[key] += 1
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if future.cancelled():
                self._runner.check()
            raise
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]
                if self._waiting.get(key) is future:
                    del self._waiting[key]
                    if self._transfers is not None and key[0] is Direction.DOWN:
                        self._transfers.cancel(key[1])

    def _emit(self, outcome: Outcome) -> None:
        direction = Direction.UP if isinstance(outcome, Uploaded | UploadFailed) else Direction.DOWN
        future = self._waiting.pop((direction, outcome.digest), None)
        if future is not None and not future.done():
            future.set_result(outcome)

    def _open(self) -> BlobTransfers:
        if self._transfers is None:
            self._runner.check()
            options = self._runner.options
            try:
                self._folder = Path(tempfile.mkdtemp(prefix="crdtsync-"))
                self._transfers = BlobTransfers(
                    hub_url=self._runner.hub,
                    room=options.room,
                    replica=self._runner.replica_id,
                    name=options.name,
                    token=options.token,
                    tls=self._runner.tls,
                    opener=lambda path: os.dup(int(path)),
                    staging=self._folder / STAGING,
                    emit=self._emit,
                )
            except OSError as error:
                raise StoreError(f"No temporary folder can be made: {error.strerror}") from error
        return self._transfers
