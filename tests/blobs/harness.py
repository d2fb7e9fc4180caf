"""A hub and replicas for blobs: a real websocket server with ``HubBlobs`` on loopback, real folders."""

from __future__ import annotations

import asyncio
import errno
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from websockets.asyncio.server import Server, ServerConnection, serve

from crdtsync.adapters.chunk_store import ChunkStore
from crdtsync.adapters.chunker import manifest_of_bytes
from crdtsync.core.hub.admission import Admit, everyone
from crdtsync.core.replica.events import Fetched, FetchFailed, Uploaded, UploadFailed
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Manifest
from crdtsync.core.values.limits import FRAME_MAX_BYTES
from crdtsync.runtime.blob_transfer import BlobTransfers, Outcome
from crdtsync.runtime.hub_blobs import HubBlobs
from crdtsync.runtime.hub_gate import Gate
from crdtsync.runtime.hub_socket import HubSocket
from crdtsync.runtime.workers import Workers
from tests.waiting import until

T = TypeVar("T")


def noise(seed: int, size_bytes: int) -> bytes:
    """Content that does not compress, always the same for a seed."""
    return random.Random(seed).randbytes(size_bytes)


async def one_turn() -> None:
    """Let everything on the loop that can run do so once."""
    await asyncio.sleep(0)


async def without_threads(_: Workers, __: object, work: Callable[..., T], *given: Any, **named: Any) -> T:
    """In place of ``Workers.acquire``: how fast threads are on a busy machine decides on no order."""
    await one_turn()
    return work(*given, **named)


@dataclass
class Hub:
    """A hub that can be stopped and started again at the same port."""

    root: Path
    admit: Admit = everyone
    gate: Gate | None = None
    store: ChunkStore | None = None
    port: int = 0
    blobs: HubBlobs | None = None
    server: Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def running(self) -> HubBlobs:
        assert self.blobs is not None
        return self.blobs

    async def start(self) -> None:
        self.blobs = HubBlobs(self.root, self.gate or Gate(self.admit), store=self.store)
        self.server = await serve(
            self.serve,
            "127.0.0.1",
            self.port,
            compression=None,
            max_size=FRAME_MAX_BYTES,
            create_connection=HubSocket,
        )
        self.port = next(iter(self.server.sockets)).getsockname()[1]

    async def serve(self, websocket: ServerConnection) -> None:
        assert websocket.request is not None and isinstance(websocket, HubSocket)
        websocket.leave_to_library()
        assert websocket.request.path == "/v1/blobs"
        await self.running.serve(websocket)

    async def stop(self) -> None:
        assert self.server is not None
        self.server.close()
        await self.server.wait_closed()
        await self.running.close()

    def cut(self) -> None:
        """Break all connections, as a network does."""
        assert self.server is not None
        for connection in self.server.connections:
            connection.transport.abort()


@asynccontextmanager
async def running_hub(root: Path, **kwargs: object) -> AsyncIterator[Hub]:
    hub = Hub(root, **kwargs)  # type: ignore[arg-type]
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()


@dataclass
class Replica:
    """A folder with the blob part of a replica; the outcomes of its transfers in order."""

    folder: Path
    hub: Hub
    room: str = "room"
    token: str | None = None
    idle_s: float = 30.0
    outcomes: list[Outcome] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    transfers: BlobTransfers = field(init=False)
    _emitted: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.staging.parent.mkdir(parents=True, exist_ok=True)  # where the state is kept
        self.start()

    @property
    def staging(self) -> Path:
        return self.folder / ".crdtsync" / "staging"

    def start(self) -> None:
        self.transfers = BlobTransfers(
            hub_url=self.hub.url,
            room=self.room,
            replica="r",
            name="n",
            token=self.token,
            opener=self.open,
            staging=self.staging,
            emit=self._emit,
            idle_s=self.idle_s,
        )

    def _emit(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._emitted.set()

    def open(self, path: str) -> int:
        self.opened.append(path)
        if path in self.denied:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return os.open(self.folder / path, os.O_RDONLY | os.O_NOFOLLOW)

    def write(self, path: str, data: bytes) -> Manifest:
        (self.folder / path).write_bytes(data)
        return manifest_of_bytes(data)

    async def outcome(self, digest: Digest) -> Outcome:
        """The next outcome for the digest, taken off the list."""
        await self.until(lambda: any(outcome.digest == digest for outcome in self.outcomes))
        found = next(outcome for outcome in self.outcomes if outcome.digest == digest)
        self.outcomes.remove(found)
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for outcomes until ``condition`` holds."""
        await until(condition, self._emitted)

    async def upload(self, path: str, data: bytes) -> Uploaded:
        manifest = self.write(path, data)
        self.transfers.upload(path, manifest)
        outcome = await self.outcome(manifest.digest)
        assert isinstance(outcome, Uploaded), outcome
        return outcome

    async def failed_upload(self, path: str, manifest: Manifest) -> UploadFailed:
        self.transfers.upload(path, manifest)
        outcome = await self.outcome(manifest.digest)
        assert isinstance(outcome, UploadFailed), outcome
        return outcome

    def ask(self, uploaded: Uploaded, size_bytes: int, near: tuple[str, ...] = ()) -> None:
        index = None if uploaded.index == uploaded.digest else uploaded.index
        self.transfers.fetch(uploaded.digest, size_bytes, index, near)

    async def fetch(self, uploaded: Uploaded, data: bytes, near: tuple[str, ...] = ()) -> None:
        """Fetch it and check what arrives."""
        self.ask(uploaded, len(data), near)
        outcome = await self.outcome(uploaded.digest)
        assert isinstance(outcome, Fetched), outcome
        assert (self.staging / f"blob-{uploaded.digest}").read_bytes() == data

    async def failed_fetch(self, uploaded: Uploaded, size_bytes: int) -> FetchFailed:
        self.ask(uploaded, size_bytes)
        outcome = await self.outcome(uploaded.digest)
        assert isinstance(outcome, FetchFailed), outcome
        return outcome


@asynccontextmanager
async def replica(folder: Path, hub: Hub, **kwargs: object) -> AsyncIterator[Replica]:
    made = Replica(folder, hub, **kwargs)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.transfers.close()
