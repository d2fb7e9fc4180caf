"""Brings one blob into staging: from what lies there already, from files near it, and from the hub."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
from collections import deque
from concurrent.futures import Future
from typing import Final

from crdtsync.adapters.alike import take_alike
from crdtsync.adapters.blob_staging import Arrived, offsets_of
from crdtsync.adapters.chunker import manifest_of_file, read_chunk
from crdtsync.adapters.compression import unseal
from crdtsync.adapters.part_file import PartFile
from crdtsync.core.values import limits
from crdtsync.core.values.digests import EMPTY_DIGEST, Digest, digest_of
from crdtsync.core.values.files import Chunk, Manifest
from crdtsync.core.values.manifests import INDEX_BYTES_PER_CHUNK, Describes, decode_manifest
from crdtsync.core.wire.blobs import Sealed
from crdtsync.errors import PeerError
from crdtsync.runtime.blob_asks import Ask
from crdtsync.runtime.blob_job import FetchJob, SafeOpener, Tools, first_error

INLINE_BYTES: Final = 16 * limits.KiB
"""Unpacking and hashing less than this takes less time than handing it to a thread."""
UNPACKED_BYTES: Final = 1 * limits.MiB
"""So much of one blob is unpacked by a thread before it turns to others."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class HubLacks(Exception):
    """The hub does not have ``chunk``, a part of the blob or of its index."""

    def __init__(self, chunk: Digest) -> None:
        super().__init__(f"the hub does not have the chunk {chunk[:12]}")
        self.chunk = chunk


async def fetch(job: FetchJob, tools: Tools) -> None:
    """Return once the blob stands complete, verified and durable in staging.

    Raises HubLacks, OSError (the disk) and PeerError (what the hub has is not the blob).
    """
    if job.lacked is not None and not (await tools.link.have([job.lacked]))[0]:
        raise HubLacks(job.lacked)
    threads = tools.workers if job.size_bytes <= limits.CHUNK_MAX_BYTES else tools.long_workers
    if await threads.run(tools.staging.is_complete, job.digest, job.size_bytes, stopped=job.stopped.is_set):
        return
    if job.index is None or job.index == job.digest:
        await _whole(job, tools)
    else:
        await _in_parts(job, job.index, tools)


async def _whole(job: FetchJob, tools: Tools) -> None:
    """A blob of one chunk, or none."""
    if job.size_bytes > limits.CHUNK_MAX_BYTES:
        raise PeerError(f"a blob of {job.size_bytes} bytes without an index")
    async with tools.inbound.inside(job.flow, job.size_bytes):
        data: bytes | memoryview | None = b"" if job.size_bytes == 0 else None
        if data is None and job.near:
            data = await tools.workers.run(_find_whole, job, tools.opener)
        if data is None:
            data = await _chunk(job.digest, tools)
        if len(data) != job.size_bytes or (not data and job.digest != EMPTY_DIGEST):
            raise PeerError(f"it has another size than the {job.size_bytes} bytes that the room says")
        await tools.arrivals.commit([Arrived(job.digest, data)])


async def _chunk(digest: Digest, tools: Tools) -> bytes | memoryview:
    """One verified chunk of the hub."""
    sealed = await tools.link.get(digest)
    if sealed is None:
        raise HubLacks(digest)
    if len(sealed.data) < INLINE_BYTES:
        return unseal(sealed, digest)
    return await tools.workers.run(unseal, sealed, digest)


def _find_whole(job: FetchJob, opener: SafeOpener) -> bytes | None:
    """The blob from a file nearby that holds just it."""
    for path in job.near:
        try:
            fd = opener(path)
        except OSError:
            continue
        try:
            if os.fstat(fd).st_size == job.size_bytes:
                data = read_chunk(fd, 0, job.size_bytes)
                if digest_of(data) == job.digest:
                    return data
        except OSError:
            continue
        finally:
            os.close(fd)
    return None


async def _in_parts(job: FetchJob, index: Digest, tools: Tools) -> None:
    threads = tools.long_workers
    manifest = await tools.workers.run(tools.staging.index, job.digest)
    if manifest is None or manifest.size_bytes != job.size_bytes:
        manifest = await _manifest(job, index, tools)
    part = await threads.acquire(PartFile.close, tools.staging.open_part, manifest, job.stopped.is_set)
    job.done = lambda: part.present_bytes
    try:
        await threads.run(_take_near, part, job, tools, asyncio.get_running_loop())
        tools.parts.add(part)
        await _take_from_hub(part, job, tools)
        whole = await _checked(part, tools)
    finally:
        tools.parts.discard(part)
        await threads.run(part.close)
    if not whole:
        await threads.run(tools.staging.drop_part, job.digest)
        raise PeerError("its index lists chunks that do not make it up")
    await tools.arrivals.commit([Arrived(job.digest, None)])


async def _checked(part: PartFile, tools: Tools) -> bool:
    """Whether the part is the blob; by then it is on the disk itself, which works while it is hashed."""
    try:
        async with asyncio.TaskGroup() as tasks:
            checking = tasks.create_task(tools.long_workers.run(part.is_whole))
            tasks.create_task(tools.workers.run(part.flush))
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    return checking.result()


async def _manifest(job: FetchJob, index: Digest, tools: Tools) -> Manifest:
    """The blob's chunks, as its index says. Raises HubLacks, and PeerError for the index of another blob."""
    # How large it is shows only once it is here; chunks of the least size would make it this large.
    likely_bytes = INDEX_BYTES_PER_CHUNK * (2 + job.size_bytes // limits.CHUNK_MIN_BYTES)
    async with tools.inbound.inside(job.flow, min(likely_bytes, limits.CHUNK_MAX_BYTES)):
        encoded = await _chunk(index, tools)
    manifest, describes = await tools.workers.run(decode_manifest, bytes(encoded))
    if describes is Describes.MANIFEST:
        pieces = [await _piece(job, chunk, tools) for chunk in manifest.chunks]
        manifest, describes = await tools.workers.run(decode_manifest, b"".join(pieces))
    if describes is not Describes.CONTENT or (manifest.digest, manifest.size_bytes) != (
        job.digest,
        job.size_bytes,
    ):
        raise PeerError("its index is that of another blob")
    return manifest


async def _piece(job: FetchJob, chunk: Chunk, tools: Tools) -> bytes | memoryview:
    async with tools.inbound.inside(job.flow, chunk.size_bytes):
        data = await _chunk(chunk.digest, tools)
    if len(data) != chunk.size_bytes:
        raise PeerError(f"the chunk {chunk.digest[:12]} has another size than its index says")
    return data


def _take_near(part: PartFile, job: FetchJob, tools: Tools, loop: asyncio.AbstractEventLoop) -> None:
    """Copy what other files have. One that cannot be read costs no more than a longer transfer."""

    def ask(chunk: Chunk) -> Future[bytes | memoryview]:
        return asyncio.run_coroutine_threadsafe(_piece(job, chunk, tools), loop)

    def take_from(path: str) -> None:
        fd = tools.opener(path)
        try:
            if take_alike(part, fd, ask):
                part.take(fd, offsets_of(manifest_of_file(fd, stopped=job.stopped.is_set)))
        finally:
            os.close(fd)

    sources = [functools.partial(tools.staging.take_from_neighbours, part, job.digest)]
    sources += [functools.partial(take_from, path) for path in job.near]
    for take in sources:
        if part.missing():
            try:
                take()
            except OSError as error:
                if error.errno in _FULL or isinstance(error, InterruptedError):
                    raise


async def _take_from_hub(part: PartFile, job: FetchJob, tools: Tools) -> None:
    arriving = _Arriving(part, job, tools)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(arriving.ask())
            tasks.create_task(arriving.take())
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    finally:
        arriving.close()


class _Arriving:
    """The chunks of one part on their way from the hub, in order; one thread at a time unpacks several."""

    def __init__(self, part: PartFile, job: FetchJob, tools: Tools) -> None:
        self._part = part
        self._job = job
        self._tools = tools
        self._asked: deque[tuple[Chunk, Ask[Sealed | None]]] = deque()
        self._more = asyncio.Event()
        self._all_asked = False

    async def ask(self) -> None:
        """Ask for what is missing, as the window allows."""
        tools = self._tools
        for chunk in self._part.missing():
            await tools.inbound.enter(self._job.flow, chunk.size_bytes)
            given = asked = False
            try:
                given = await self._is_given(chunk)
                if not given:
                    self._asked.append((chunk, tools.link.ask_for(chunk.digest)))
                    self._more.set()
                    asked = True
            finally:
                if not asked:
                    tools.inbound.leave(chunk.size_bytes, moved=given)
        self._all_asked = True
        self._more.set()

    async def take(self) -> None:
        """Put what has arrived into the part, until nothing more will come."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._asked:
                await asyncio.wait([self._asked[0][1].answer])
                await self._take_some()
            if self._all_asked:
                return

    def close(self) -> None:
        while self._asked:
            self._leave(moved=False)

    async def _is_given(self, chunk: Chunk) -> bool:
        """Whether another part that is put together here had it."""
        for other in self._tools.parts:
            if other is not self._part and other.holds(chunk.digest):
                return await self._tools.workers.run(other.give, chunk.digest, self._part)
        return False

    async def _take_some(self) -> None:
        arrived: list[tuple[Sealed, Chunk]] = []
        size_bytes = 0
        for chunk, ask in self._asked:
            if not ask.answer.done() or size_bytes >= UNPACKED_BYTES:
                break
            sealed = ask.answer.result()
            if sealed is None:
                raise HubLacks(chunk.digest)
            arrived.append((sealed, chunk))
            size_bytes += chunk.size_bytes
        await self._tools.workers.run(_unpack_into, self._part, arrived)
        for _ in arrived:
            self._leave(moved=True)

    def _leave(self, *, moved: bool) -> None:
        chunk, ask = self._asked.popleft()
        self._tools.link.no_more(ask)
        self._tools.inbound.leave(chunk.size_bytes, moved=moved)


def _unpack_into(part: PartFile, arrived: list[tuple[Sealed, Chunk]]) -> None:
    for sealed, chunk in arrived:
        data = unseal(sealed, chunk.digest)
        if len(data) != chunk.size_bytes:
            raise PeerError(f"the chunk {chunk.digest[:12]} has another size than its index says")
        part.write(chunk.digest, data)
