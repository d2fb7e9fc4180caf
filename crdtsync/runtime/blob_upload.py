"""Brings one blob to the hub: asks which chunks it lacks, reads these again from the file and sends them."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from crdtsync.adapters.chunker import index_of, read_chunk
from crdtsync.adapters.compression import seal
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.files import Manifest
from crdtsync.core.wire.blobs import DIGESTS_PER_FRAME_MAX, Sealed
from crdtsync.runtime.blob_job import SafeOpener, Tools, UploadJob, first_error

WINDOW_SHARES: Final = 8
"""Chunks that travel together are at most this part of the window, so that others are under way meanwhile."""
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ESTALE})


class FileChanged(Exception):
    """The file no longer holds what its manifest says; ``str`` is for a person."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A chunk where it first occurs; ``total_bytes`` counts all of its occurrences."""

    digest: Digest
    offset: int
    size_bytes: int
    total_bytes: int


async def upload(job: UploadJob, tools: Tools) -> Digest:
    """Return the blob's index once the hub has everything durably.

    Raises FileChanged, OSError (the file cannot be read now), ValueError (the index is too large), HubFull
    and PeerError.
    """
    path = 0
    while True:
        try:
            return await _upload_from(job, job.paths[path], tools)
        except FileChanged:
            path += 1
            if path >= len(job.paths):
                raise


async def _upload_from(job: UploadJob, path: str, tools: Tools) -> Digest:
    job.done_bytes = 0
    sender = _Sender(job, path, tools)
    try:
        async with asyncio.TaskGroup() as tasks:
            for page in _pages(job.manifest):
                await sender.send_missing(page, tasks)
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    finally:
        sender.close()
    if len(job.manifest.chunks) <= 1:
        return job.digest
    index, encoded = await tools.workers.run(index_of, job.manifest)
    stored = await tools.link.have(list(encoded))
    for (digest, data), had in zip(encoded.items(), stored, strict=True):
        if not had:
            async with tools.outbound.inside(job.flow, len(data)):
                await tools.link.put(digest, await tools.workers.run(seal, data))
    return index


class _Sender:
    """One file on its way; opened when the first chunk is needed, and the same file from then on."""

    def __init__(self, job: UploadJob, path: str, tools: Tools) -> None:
        self._job = job
        self._path = path
        self._tools = tools
        self._fd: int | None = None
        self._let_in: list[_Piece] = []
        """The window has let these in, and nobody reads them yet."""
        self._let_in_bytes = 0

    def close(self) -> None:
        self._tools.outbound.leave(self._let_in_bytes, moved=False)
        if self._fd is not None:
            os.close(self._fd)

    async def send_missing(self, page: list[_Piece], tasks: asyncio.TaskGroup) -> None:
        """Ask for a page of chunks, and start sending what the hub lacks as the window allows.

        Several at a time: a thread and a task for each would cost more than the chunk itself.
        """
        window = self._tools.outbound
        stored = await self._tools.link.have([piece.digest for piece in page])
        for piece, had in zip(page, stored, strict=True):
            if had:
                self._job.done_bytes += piece.total_bytes
                continue
            if self._fd is None:
                self._fd = await self._tools.workers.acquire(os.close, _open, self._tools.opener, self._path)
            enough = self._let_in_bytes + piece.size_bytes > window.capacity_bytes // WINDOW_SHARES
            if enough or not window.lets_in(piece.size_bytes):
                self._start(self._fd, tasks)
            await window.enter(self._job.flow, piece.size_bytes)
            self._let_in.append(piece)
            self._let_in_bytes += piece.size_bytes
        if self._fd is not None:
            self._start(self._fd, tasks)

    def _start(self, fd: int, tasks: asyncio.TaskGroup) -> None:
        if self._let_in:
            task = tasks.create_task(self._send(fd, self._let_in))
            task.add_done_callback(functools.partial(self._leave, self._let_in_bytes))
            self._let_in, self._let_in_bytes = [], 0

    async def _send(self, fd: int, pieces: list[_Piece]) -> None:
        sealed = await self._tools.workers.run(_read, fd, pieces, self._path)
        await self._tools.link.put_all(
            [(piece.digest, one) for piece, one in zip(pieces, sealed, strict=True)]
        )
        self._job.done_bytes += sum(piece.total_bytes for piece in pieces)

    def _leave(self, size_bytes: int, task: asyncio.Task[None]) -> None:
        self._tools.outbound.leave(size_bytes, moved=not task.cancelled())


def _pages(manifest: Manifest) -> Iterator[list[_Piece]]:
    """The distinct chunks, as many at a time as one frame can ask about."""
    totals: dict[Digest, int] = {}
    for chunk in manifest.chunks:
        totals[chunk.digest] = totals.get(chunk.digest, 0) + chunk.size_bytes
    page: list[_Piece] = []
    offset = 0
    for chunk in manifest.chunks:
        total_bytes = totals.pop(chunk.digest, None)
        if total_bytes is not None:
            page.append(_Piece(chunk.digest, offset, chunk.size_bytes, total_bytes))
            if len(page) == DIGESTS_PER_FRAME_MAX:
                yield page
                page = []
        offset += chunk.size_bytes
    if page:
        yield page


def _open(opener: SafeOpener, path: str) -> int:
    """Raises FileChanged when there is no such file any more, OSError when it cannot be read now."""
    try:
        return opener(path)
    except OSError as error:
        if error.errno in _GONE:
            raise FileChanged(f"{path} is gone: {error.strerror}") from None
        raise


def _read(fd: int, pieces: list[_Piece], path: str) -> list[Sealed]:
    sealed: list[Sealed] = []
    for piece in pieces:
        try:
            data = read_chunk(fd, piece.offset, piece.size_bytes)
        except IsADirectoryError:
            raise FileChanged(f"{path} is a folder now") from None
        if digest_of(data) != piece.digest:
            raise FileChanged(f"{path} changed while it was sent; it is read and sent again")
        sealed.append(seal(data))
    return sealed
