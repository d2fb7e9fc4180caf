"""The hub's end of the blob socket: admits members of a room to its chunks, carries these to and from disk.

What a chunk file looks like is the chunk store's; who may enter a room is decided by the hub that made this.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias, assert_never

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from crdtsync.adapters.chunk_store import ChunkStore, NewChunk
from crdtsync.adapters.compression import unseal
from crdtsync.core.hub.admission import READ_ONLY, Asking, Denied, Granted
from crdtsync.core.hub.shared import Counts
from crdtsync.core.values import limits
from crdtsync.core.values.ids import check_room_name
from crdtsync.core.wire import blobs as wire
from crdtsync.core.wire.control import Hello, Refused, Welcome, decode_control, encode_control
from crdtsync.core.wire.messages import PROTOCOL_VERSION
from crdtsync.errors import InvalidName, PeerError
from crdtsync.runtime.fair_window import FairWindow, Flow
from crdtsync.runtime.group_commit import GroupCommit
from crdtsync.runtime.hub_gate import Gate, peer_of
from crdtsync.runtime.hub_socket import HubSocket
from crdtsync.runtime.workers import Workers

PUTS_MAX_BYTES: Final = 16 * limits.MiB
"""Received from one member and not stored yet; twice what a replica has under way, so that none waits."""
ALL_PUTS_MAX_BYTES: Final = 64 * limits.MiB
"""The same for all members together; above it they wait."""
GETS_MAX: Final = 64
"""Gets of one member that wait for their turn; above it no further frame of that member is read."""
CLOSE_REFUSED: Final = 1008
ROOM_FULL: Final = "this room's files hold as much as a hub keeps; use another room for what is new"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Traffic:
    """Counts since the start, for the metrics; bytes are those of binary messages."""

    connections: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    stored_chunks: int = 0
    sent_chunks: int = 0
    missing_chunks: int = 0


class HubBlobs:
    """Serves the chunks below ``chunk_root`` to any number of blob sockets. Made on the loop it runs on."""

    def __init__(
        self, chunk_root: Path, gate: Gate, counts: Counts | None = None, *, store: ChunkStore | None = None
    ) -> None:
        """Refusals go into ``counts``. Raises OSError."""
        self._gate = gate
        self._counts = counts or Counts()
        self.store = store or ChunkStore(chunk_root)
        self.traffic = Traffic()
        self.workers = Workers("hub-blobs", bulk=True)
        self.commits = GroupCommit(self.store.write, self.workers)
        self.puts = FairWindow(time.monotonic, ALL_PUTS_MAX_BYTES, ALL_PUTS_MAX_BYTES)

    def refuse(self, code: str) -> None:
        """Count a refusal."""
        self._counts.refuse(code)

    async def close(self) -> None:
        """After all ``serve`` have ended: finish what is being stored."""
        await self.commits.close()
        self.workers.close()
        self.store.close()

    async def serve(self, websocket: ServerConnection) -> None:
        """Speak with one member until either side closes; one that errs is refused."""
        _bound_messages(websocket)
        self.traffic.connections += 1
        try:
            hello, granted = await self._greet(websocket)
            session = _Session(self, websocket, hello.room, granted)
            leave = self._gate.enter(websocket, granted, session.expel)
            try:
                if isinstance(websocket, HubSocket):
                    websocket.read_large_frames(wire.BLOB_FRAME_MAX_BYTES)
                await websocket.send(encode_control(_WELCOME))
                await session.run()
            finally:
                leave()
        except _Refuse as refusal:
            self._counts.refuse(refusal.code)
            await _refuse(websocket, refusal.code, str(refusal))
        except PeerError as error:
            self._counts.refuse("protocol")
            logger.warning("A member broke the blob protocol: %s", error)
            await _refuse(websocket, "protocol", str(error))
        except OSError as error:
            logger.error("The chunks of a room cannot be read: %s", error)
            await _refuse(websocket, "limit", "the hub cannot read its disk; try again later")
        except ConnectionClosed:
            pass
        finally:
            self.traffic.connections -= 1

    async def _greet(self, websocket: ServerConnection) -> tuple[Hello, Granted]:
        try:
            async with asyncio.timeout(limits.HELLO_TIMEOUT_S):
                first = await websocket.recv()
        except TimeoutError:
            raise PeerError(f"no hello within {limits.HELLO_TIMEOUT_S:.0f} s") from None
        message = decode_control(first) if isinstance(first, str) else None
        if not isinstance(message, Hello):
            raise PeerError("the first message is not a hello")
        if message.version != PROTOCOL_VERSION:
            raise _Refuse("version", f"this hub speaks version {PROTOCOL_VERSION}, not {message.version}")
        try:
            check_room_name(message.room)
        except InvalidName as error:
            raise _Refuse("room", str(error)) from None
        granted = self._gate.admit(Asking(message.room, message.token, None, peer_of(websocket)))
        if isinstance(granted, Denied):
            await asyncio.sleep(granted.after_s)
            raise _Refuse("denied", granted.reason)
        return message, replace(granted, read_only=granted.read_only or message.read_only)


_Code: TypeAlias = Literal["version", "room", "denied", "limit", "protocol", "shutdown"]
_WELCOME = Welcome(member=0, epoch="", sequence=0, resume=False)
"""Only that it is welcome matters here: this socket has no log."""


class _Refuse(Exception):
    def __init__(self, code: _Code, message: str) -> None:
        super().__init__(message)
        self.code = code


def _bound_messages(websocket: ServerConnection) -> None:
    """A server has one bound for all of its sockets, and the replica's main socket needs a larger one."""
    for name in ("max_message_size", "max_size"):  # until websockets 15 and after
        if hasattr(websocket.protocol, name):
            setattr(websocket.protocol, name, wire.BLOB_FRAME_MAX_BYTES)


async def _refuse(websocket: ServerConnection, code: _Code, message: str) -> None:
    try:
        await websocket.send(encode_control(Refused(code=code, message=message)))
        await websocket.close(CLOSE_REFUSED, code)
    except ConnectionClosed:
        pass


class _Session:
    """One member: reads its requests in order, and answers Puts, and Gets, in the order of each."""

    def __init__(self, hub: HubBlobs, websocket: ServerConnection, room: str, granted: Granted) -> None:
        self._hub = hub
        self._websocket = websocket
        self._room = room
        self._read_only = granted.read_only
        self._expelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gets: asyncio.Queue[wire.Get] = asyncio.Queue(GETS_MAX)
        self._found: asyncio.Queue[wire.Chunks] = asyncio.Queue(1)
        self._puts = FairWindow(time.monotonic, PUTS_MAX_BYTES, PUTS_MAX_BYTES)
        self._own_flow = Flow()
        self._flow = Flow()
        self._stored: list[int] = []
        self._unstored: dict[str, list[int]] = {}
        self._answers = asyncio.Event()

    def expel(self, reason: str) -> None:
        """Refuse whatever comes next; what is under way is given up."""
        if not self._expelled.done():
            self._expelled.set_exception(_Refuse("denied", reason))

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                answering = [
                    tasks.create_task(self._until_expelled()),
                    tasks.create_task(self._read_chunks()),
                    tasks.create_task(self._answer_gets()),
                    tasks.create_task(self._answer_puts()),
                ]
                await self._read(tasks)
                for task in answering:
                    task.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from None

    async def _until_expelled(self) -> None:
        await self._expelled

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        async for frame in self._websocket:
            if isinstance(frame, str):
                raise PeerError("a text message after the hello")
            self._hub.traffic.received_bytes += len(frame)
            message = wire.decode_from_replica(frame)
            match message:
                case wire.Have(request, digests):
                    stored = await self._hub.workers.run(self._hub.store.has, self._room, digests)
                    await self._send(wire.Had(request, stored))
                case wire.Get():
                    await self._gets.put(message)
                case wire.Put() if self._read_only:
                    raise _Refuse("denied", READ_ONLY)
                case wire.Put():
                    await self._puts.enter(self._own_flow, len(frame))
                    await self._hub.puts.enter(self._flow, len(frame))
                    task = tasks.create_task(self._put(message))
                    task.add_done_callback(functools.partial(self._leave, len(frame)))
                case _:
                    assert_never(message)

    async def _put(self, message: wire.Put) -> None:
        try:
            chunks = await self._hub.workers.run(_verified, self._hub.store, self._room, message)
            await self._hub.commits.commit(chunks)
        except OSError as error:
            if error.strerror == ROOM_FULL:
                self._hub.refuse("limit")
            else:
                logger.error("Chunks cannot be stored: %s", error)
            self._unstored.setdefault(_reason(error), []).append(message.request)
        else:
            self._stored.append(message.request)
            self._hub.traffic.stored_chunks += len(chunks)
        self._answers.set()

    def _leave(self, size_bytes: int, _: asyncio.Task[None]) -> None:
        self._hub.puts.leave(size_bytes)
        self._puts.leave(size_bytes)

    async def _answer_puts(self) -> None:
        """One frame acknowledges all that one commit of the store has settled."""
        while True:
            await self._answers.wait()
            self._answers.clear()
            stored, self._stored = self._stored, []
            unstored, self._unstored = self._unstored, {}
            for start in range(0, len(stored), wire.DIGESTS_PER_FRAME_MAX):
                await self._send(wire.Stored(tuple(stored[start : start + wire.DIGESTS_PER_FRAME_MAX])))
            for reason, requests in unstored.items():
                for start in range(0, len(requests), wire.DIGESTS_PER_FRAME_MAX):
                    some = tuple(requests[start : start + wire.DIGESTS_PER_FRAME_MAX])
                    await self._send(wire.Unstored(some, reason))

    async def _read_chunks(self) -> None:
        """One frame ahead of what is being sent, so that the disk and the line work at the same time."""
        while True:
            get = await self._gets.get()
            rest = get.digests
            while rest:
                chunks = await self._hub.workers.run(
                    self._hub.store.read, self._room, rest, wire.BLOB_BATCH_BYTES
                )
                rest = rest[len(chunks) :]
                await self._found.put(wire.Chunks(get.request, tuple(chunks)))

    async def _answer_gets(self) -> None:
        traffic = self._hub.traffic
        while True:
            message = await self._found.get()
            missing = message.chunks.count(None)
            traffic.missing_chunks += missing
            traffic.sent_chunks += len(message.chunks) - missing
            await self._send(message)

    async def _send(self, message: wire.BlobsFromHub) -> None:
        frame = wire.encode_from_hub(message)
        self._hub.traffic.sent_bytes += len(frame)
        await self._websocket.send(frame)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to answer to, when one led to others; the group itself for one that is not foreseen."""
    errors = _flat(group)
    if not all(isinstance(error, (PeerError, OSError, ConnectionClosed, _Refuse)) for error in errors):
        return group
    return next((error for error in errors if isinstance(error, (PeerError, _Refuse))), errors[0])


def _flat(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _flat(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _verified(store: ChunkStore, room: str, message: wire.Put) -> list[NewChunk]:
    """Raises PeerError for a chunk that is not what its name says, OSError when the room is full."""
    for digest, sealed in message.chunks:
        unseal(sealed, digest)
    if not store.room_for(room, sum(len(sealed.data) for _, sealed in message.chunks)):
        raise OSError(errno.EDQUOT, ROOM_FULL)
    return [NewChunk(room, digest, sealed) for digest, sealed in message.chunks]


def _reason(error: OSError) -> str:
    if error.strerror == ROOM_FULL:
        return ROOM_FULL
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the hub's disk is full"
    return f"the hub's disk fails: {error.strerror}"
