"""The blobs of a replica on their way to and from the hub: takes the engine's wishes, gives back events.

Decides which transfers run and what each end means for the engine; how one is done is in ``blob_upload`` and
``blob_fetch``, the connection is in ``blob_link``.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import heapq
import itertools
import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias, TypeVar, assert_never

from crdtsync.adapters.blob_staging import BlobStaging
from crdtsync.core.replica.events import Fetched, FetchFailed, Uploaded, UploadFailed
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Manifest
from crdtsync.core.values.ids import printable
from crdtsync.core.wire.control import Hello
from crdtsync.errors import PeerError
from crdtsync.runtime.blob_fetch import HubLacks, fetch
from crdtsync.runtime.blob_job import Direction, FetchJob, Job, SafeOpener, Tools, Transfer, UploadJob
from crdtsync.runtime.blob_link import IDLE_S, BlobLink, HubFull
from crdtsync.runtime.blob_upload import FileChanged, upload
from crdtsync.runtime.fair_window import FairWindow
from crdtsync.runtime.group_commit import GroupCommit
from crdtsync.runtime.workers import Workers

ACTIVE_MAX: Final = 128
"""Transfers that run at once: enough small ones to fill a frame, few enough for their open files."""
OLDEST_EVERY: Final = 4
"""The smallest transfer starts first, but each fourth start is the oldest, so that none waits forever."""
UPLOAD_AGAIN_S: Final = 5.0
"""An upload that failed, and not because the file changed, begins again no sooner than this."""
REMEMBERED_MAX: Final = 10_000
"""Failures that are remembered, to spend less on the next attempt."""
WINDOW_MIN_BYTES: Final = limits.CHUNK_MAX_BYTES
WINDOW_MAX_BYTES: Final = 8 * limits.MiB
"""Of chunks under way in either direction; with compressed copies, what a transfer of any size takes."""

_Key: TypeAlias = tuple[Direction, Digest]
Outcome: TypeAlias = Uploaded | UploadFailed | Fetched | FetchFailed
K = TypeVar("K")
V = TypeVar("V")
logger = logging.getLogger(__name__)


class BlobTransfers:
    """Everything but ``close`` returns at once; ``emit`` is called on the loop, once for each wish.

    While the hub cannot be reached transfers wait, and go on by themselves.
    """

    def __init__(
        self,
        *,
        hub_url: str,
        room: str,
        replica: str,
        name: str,
        token: str | None,
        tls: ssl.SSLContext | None = None,
        opener: SafeOpener,
        staging: Path,
        emit: Callable[[Outcome], None],
        idle_s: float = IDLE_S,
    ) -> None:
        """Made on the loop it runs on. ``opener`` is called in worker threads. Raises OSError (staging)."""
        self._loop = asyncio.get_running_loop()
        self._emit = emit
        self._staging = BlobStaging(staging)
        self._staging.tidy(time.time())
        self._workers = Workers("blobs", bulk=True)
        self._long_workers = Workers("blobs-long", 2, bulk=True)
        self.link = BlobLink(
            hub_url, Hello(room=room, replica=replica, name=name, token=token), tls=tls, idle_s=idle_s
        )
        self._tools = Tools(
            link=self.link,
            workers=self._workers,
            long_workers=self._long_workers,
            opener=opener,
            staging=self._staging,
            arrivals=GroupCommit(self._staging.finish, self._workers),
            outbound=FairWindow(time.monotonic, WINDOW_MIN_BYTES, WINDOW_MAX_BYTES),
            inbound=FairWindow(time.monotonic, WINDOW_MIN_BYTES, WINDOW_MAX_BYTES),
        )
        self._jobs: dict[_Key, Job] = {}
        self._waiting: dict[Job, None] = {}
        self._smallest: list[tuple[int, int, Job]] = []
        self._numbers = itertools.count()
        self._starts = itertools.count(1)
        self._running: dict[Job, asyncio.Task[None]] = {}
        self._ending: dict[_Key, asyncio.Task[None]] = {}
        self._lacked: dict[tuple[Digest, tuple[str, ...]], Digest] = {}
        self._upload_failed_s: dict[Digest, float] = {}

    def upload(self, path: str, manifest: Manifest) -> None:
        """Bring the chunks of the file at ``path`` to the hub: ends in Uploaded or UploadFailed."""
        known = self._jobs.get((Direction.UP, manifest.digest))
        if isinstance(known, UploadJob):
            if path not in known.paths:
                known.paths.append(path)
            return
        self._add((Direction.UP, manifest.digest), UploadJob(manifest, [path]))

    def fetch(self, digest: Digest, size_bytes: int, index: Digest | None, near: tuple[str, ...]) -> None:
        """Bring a blob to ``blob-<digest>`` in staging: ends in Fetched or FetchFailed."""
        if (Direction.DOWN, digest) not in self._jobs:
            lacked = self._lacked.pop((digest, near), None)
            self._add((Direction.DOWN, digest), FetchJob(digest, size_bytes, index, near, lacked))

    def cancel(self, digest: Digest) -> None:
        """The blob need not be fetched any more: no event follows, and what has arrived is kept."""
        key = (Direction.DOWN, digest)
        if key in self._jobs:
            self._stop(key)

    def network_changed(self) -> None:
        self.link.retry_now()

    def progress(self) -> list[Transfer]:
        """Every transfer that was asked for and has not ended, the running ones first."""
        jobs = sorted(self._jobs.values(), key=lambda job: job not in self._running)
        return [job.progress() for job in jobs]

    async def close(self) -> None:
        """Stop everything; what has arrived is kept."""
        for key in list(self._jobs):
            self._stop(key)
        while self._running:
            await asyncio.wait(self._running.values())
        await self.link.close()
        await self._tools.arrivals.close()
        self._workers.close()
        self._long_workers.close()
        self._staging.close()

    def _add(self, key: _Key, job: Job) -> None:
        self._jobs[key] = job
        pause_s = 0.0
        if isinstance(job, UploadJob) and job.digest in self._upload_failed_s:
            pause_s = self._upload_failed_s.pop(job.digest) + UPLOAD_AGAIN_S - self._loop.time()
        if pause_s > 0:
            self._loop.call_later(pause_s, self._enqueue, key, job)
        else:
            self._enqueue(key, job)

    def _enqueue(self, key: _Key, job: Job) -> None:
        if self._jobs.get(key) is job:
            self._waiting[job] = None
            heapq.heappush(self._smallest, (job.size_bytes, next(self._numbers), job))
            self._start_some()

    def _start_some(self) -> None:
        while self._waiting and len(self._running) < ACTIVE_MAX:
            job = self._next()
            del self._waiting[job]
            direction = Direction.UP if isinstance(job, UploadJob) else Direction.DOWN
            task = asyncio.create_task(self._run((direction, job.digest), job))
            self._running[job] = task
            task.add_done_callback(functools.partial(self._ended, job))

    def _next(self) -> Job:
        if next(self._starts) % OLDEST_EVERY == 0:
            return next(iter(self._waiting))
        while True:
            *_, job = heapq.heappop(self._smallest)
            if job in self._waiting:
                return job

    def _stop(self, key: _Key) -> None:
        job = self._jobs.pop(key)
        self._waiting.pop(job, None)
        job.stopped.set()
        task = self._running.get(job)
        if task is not None:
            task.cancel()
            self._ending[key] = task

    def _ended(self, job: Job, _: asyncio.Task[None]) -> None:
        del self._running[job]
        self._start_some()

    async def _run(self, key: _Key, job: Job) -> None:
        while (ending := self._ending.get(key)) is not None:  # a cancelled one may still hold the part
            await asyncio.wait([ending])
            if self._ending.get(key) is ending:
                del self._ending[key]
        outcome = await self._outcome(job)
        if self._jobs.get(key) is job:
            del self._jobs[key]
            self._emit(outcome)

    async def _outcome(self, job: Job) -> Outcome:
        try:
            match job:
                case UploadJob():
                    return Uploaded(job.digest, await upload(job, self._tools))
                case FetchJob():
                    await fetch(job, self._tools)
                    return Fetched(job.digest)
                case _:
                    assert_never(job)
        except FileChanged as error:
            return UploadFailed(job.digest, printable(str(error)), changed=True)
        except HubLacks as error:
            if isinstance(job, FetchJob):
                _remember(self._lacked, (job.digest, job.near), error.chunk)
            return FetchFailed(job.digest, f"{error}; it comes once someone sends it again", missing=True)
        except (OSError, HubFull, PeerError, ValueError) as error:
            return self._failed(job, _reason(error))
        except Exception as error:
            logger.exception("A transfer of the blob %s ended in a way that was not foreseen", job.digest)
            return self._failed(job, f"{type(error).__name__}: {error}")

    def _failed(self, job: Job, reason: str) -> UploadFailed | FetchFailed:
        if isinstance(job, FetchJob):
            return FetchFailed(job.digest, reason, missing=False)
        _remember(self._upload_failed_s, job.digest, self._loop.time())
        return UploadFailed(job.digest, reason, changed=False)


def _remember(known: dict[K, V], key: K, value: V) -> None:
    """Note it, and forget the oldest when there are too many."""
    known[key] = value
    if len(known) > REMEMBERED_MAX:
        del known[next(iter(known))]


def _reason(error: Exception) -> str:
    """For a person; what happens next is the engine's to say."""
    if not isinstance(error, OSError):
        return str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({error.strerror}); free some space, it goes on where it stopped"
    return f"{error.strerror or error}" + (f": {printable(str(error.filename))}" if error.filename else "")
