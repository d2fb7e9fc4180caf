"""The replica's end of the blob socket: asks about, sends and gets single chunks, whatever the line does.

Knows chunks only, not the blobs they belong to. Askers see no connection: what is asked for is sent when
there is one, in frames of many, and again after a loss, since every request is idempotent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Sequence
from typing import Final, TypeVar, assert_never

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from crdtsync.adapters.hub_link import CLOSE_TIMEOUT_S, OPEN_TIMEOUT_S, explain, hub_address
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import printable
from crdtsync.core.wire import blobs as wire
from crdtsync.core.wire.blobs import Sealed
from crdtsync.core.wire.control import Hello, Left, Presence, Refused, Welcome, decode_control, encode_control
from crdtsync.errors import PeerError
from crdtsync.runtime.blob_asks import Ask, Lane
from crdtsync.runtime.blob_socket import BlobSocket

IDLE_S: Final = 30.0
"""The socket is closed after this long without a request."""
ANSWER_TIMEOUT_S: Final = 60.0
"""How long a ping may wait behind chunks on a slow line before the line counts as dead."""
GETS_PER_FRAME_MAX: Final = 256
_LASTING: Final = frozenset({"version", "room", "denied", "limit"})
"""Refusals that will still hold in a moment."""

logger = logging.getLogger(__name__)

T = TypeVar("T")


class HubFull(Exception):
    """The hub cannot store the chunk now; ``str`` says why."""


class _Ended(Exception):
    """The hub ended the connection; ``code`` is that of its refusal."""

    def __init__(self, reason: str, code: str | None = None) -> None:
        super().__init__(reason)
        self.code = code


class BlobLink:
    """One socket to one room's chunks, opened when something is asked and closed when idle."""

    def __init__(
        self, url: str, hello: Hello, *, tls: ssl.SSLContext | None = None, idle_s: float = IDLE_S
    ) -> None:
        """``url`` is the hub's, such as ``ws://host:4747``; ``tls`` for ``wss``: whom to trust."""
        self._tls = tls
        self._url = hub_address(url) + wire.BLOBS_PATH
        self._hello = hello
        self._idle_s = idle_s
        self._haves: Lane[bool] = Lane()
        self._puts: Lane[None] = Lane()
        self._gets: Lane[Sealed | None] = Lane()
        self._shared: dict[Digest, Ask[Sealed | None]] = {}
        """Chunks that someone asked for and has not put anywhere yet."""
        self._wake = asyncio.Event()
        self._retry = asyncio.Event()
        self._number = 0
        self._backoff_s = limits.RECONNECT_FIRST_S
        self._task: asyncio.Task[None] | None = None
        self.connected = False
        self.trouble: str | None = None
        """Why there is no connection, for a person; None when there is one or none is needed."""

    async def have(self, digests: Sequence[Digest]) -> list[bool]:
        """For each, whether the hub has stored it durably. Raises PeerError when the hub refuses to say."""
        asks = [self._haves.join(digest) for digest in digests]
        try:
            self._start()
            return [await asyncio.shield(ask.answer) for ask in asks]
        finally:
            for ask in asks:
                self._haves.part(ask)

    async def put(self, digest: Digest, sealed: Sealed) -> None:
        """Return once the hub has stored the chunk durably. Raises HubFull, PeerError."""
        await self._one(self._puts, digest, sealed)

    async def put_all(self, chunks: Sequence[tuple[Digest, Sealed]]) -> None:
        """Return once the hub has stored them all durably. Raises HubFull, PeerError."""
        asks = [self._puts.join(digest, sealed) for digest, sealed in chunks]
        try:
            self._start()
            await asyncio.wait([ask.answer for ask in asks], return_when=asyncio.FIRST_EXCEPTION)
            for ask in asks:
                if ask.answer.done():
                    ask.answer.result()
        finally:
            for ask in asks:
                self._puts.part(ask)

    async def get(self, digest: Digest) -> Sealed | None:
        """The chunk, unverified, or None if the hub does not have it. Raises PeerError."""
        return await self._one(self._gets, digest)

    def ask_for(self, digest: Digest) -> Ask[Sealed | None]:
        """As ``get``, for many: the ask's answer will be as there. Who asks before ``no_more`` shares it."""
        ask = self._shared.get(digest)
        if ask is not None and ask.answer.done() and (ask.answer.exception() or ask.answer.result() is None):
            ask = None
        if ask is None:
            ask = self._shared[digest] = self._gets.join(digest)
            self._start()
        else:
            ask.waiting += 1
        return ask

    def no_more(self, ask: Ask[Sealed | None]) -> None:
        """Who asked is done with it, answered or not."""
        self._gets.part(ask)
        if not ask.waiting and self._shared.get(ask.digest) is ask:
            del self._shared[ask.digest]

    def retry_now(self) -> None:
        """Do not wait out a pause between attempts: the network has changed."""
        self._backoff_s = limits.RECONNECT_FIRST_S
        self._retry.set()

    async def close(self) -> None:
        """Once nobody asks any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _one(self, lane: Lane[T], digest: Digest, sealed: Sealed | None = None) -> T:
        ask = lane.join(digest, sealed)
        try:
            self._start()
            return await asyncio.shield(ask.answer)
        finally:
            lane.part(ask)

    def _start(self) -> None:
        self._wake.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._wanted():
            try:
                await self._connection()
            except (PeerError, _Ended, OSError, WebSocketException) as error:
                self._lost(error)
            except Exception as error:
                logger.exception("The connection for blobs ended in a way that was not foreseen")
                self._lost(error)
            else:
                continue
            finally:
                self.connected = False
            pause_s = self._backoff_s * random.uniform(0.75, 1.25)
            self._backoff_s = min(2 * self._backoff_s, limits.RECONNECT_MAX_S)
            self._retry.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._retry.wait()

    def _wanted(self) -> bool:
        return bool(self._haves.known or self._puts.known or self._gets.known)

    def _lost(self, error: Exception) -> None:
        self.trouble = str(error if isinstance(error, (PeerError, _Ended)) else explain(error, self._url))
        if isinstance(error, _Ended) and error.code == "protocol":
            # The same requests would only be refused again; those who asked decide what to do instead.
            for lane in (self._haves, self._puts, self._gets):
                for ask in lane.lost():
                    ask.fail(PeerError(f"the hub refuses: {error}"))
        elif isinstance(error, PeerError) or (isinstance(error, _Ended) and error.code in _LASTING):
            self._backoff_s = limits.RECONNECT_MAX_S
        for lane in (self._haves, self._puts, self._gets):
            lane.send_again()

    async def _connection(self) -> None:
        """One connection, from the greeting until it is idle. Raises what ended it otherwise."""
        async with connect(
            self._url,
            create_connection=BlobSocket,
            ssl=self._tls,
            compression=None,
            max_size=wire.BLOB_FRAME_MAX_BYTES,
            ping_interval=limits.HEARTBEAT_S,
            ping_timeout=ANSWER_TIMEOUT_S,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            proxy=None,
            user_agent_header="crdtsync",
        ) as websocket:
            assert isinstance(websocket, BlobSocket)
            websocket.read_large_frames(wire.BLOB_FRAME_MAX_BYTES)
            await websocket.send(encode_control(self._hello))
            async with asyncio.timeout(limits.HELLO_TIMEOUT_S):
                first = await websocket.recv()
            if not isinstance(first, str) or not isinstance(_control(first), Welcome):
                raise PeerError("the hub's first message is not a welcome")
            self.connected = True
            self.trouble = None
            ends = [asyncio.create_task(self._read(websocket)), asyncio.create_task(self._send(websocket))]
            try:
                done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for end in done:
                    end.result()
            finally:
                for end in ends:
                    end.cancel()
                await asyncio.gather(*ends, return_exceptions=True)

    async def _send(self, websocket: ClientConnection) -> None:
        """Send what is asked; ends when nothing was for ``idle_s``."""
        while True:
            message = self._next_message()
            if message is not None:
                await websocket.send(wire.encode_from_replica(message))
                continue
            self._wake.clear()
            try:
                async with asyncio.timeout(self._idle_s):
                    await self._wake.wait()
            except TimeoutError:
                if not self._wanted():
                    return

    def _next_message(self) -> wire.BlobsFromReplica | None:
        """The small questions first, then the chunks."""
        self._number += 1
        number = self._number
        if haves := self._haves.take(number, wire.DIGESTS_PER_FRAME_MAX, 0):
            return wire.Have(number, tuple(ask.digest for ask in haves))
        if gets := self._gets.take(number, GETS_PER_FRAME_MAX, 0):
            return wire.Get(number, tuple(ask.digest for ask in gets))
        if puts := self._puts.take(number, wire.DIGESTS_PER_FRAME_MAX, wire.PUTS_PER_FRAME_MAX_BYTES):
            return wire.Put(number, tuple((ask.digest, ask.sealed) for ask in puts if ask.sealed is not None))
        return None

    async def _read(self, websocket: ClientConnection) -> None:
        async for frame in websocket:
            if isinstance(frame, str):
                raise PeerError(f"an unexpected message of the hub: {type(_control(frame)).__name__}")
            message = wire.decode_from_hub(frame)
            match message:
                case wire.Had(number, stored):
                    for had, flag in zip(self._haves.answered(number, len(stored)), stored, strict=True):
                        had.settle(flag)
                case wire.Chunks(number, chunks):
                    for got, sealed in zip(self._gets.answered(number, len(chunks)), chunks, strict=True):
                        got.settle(sealed)
                case wire.Stored(numbers):
                    for number in numbers:
                        for put in self._puts.answered_whole(number):
                            put.settle(None)
                case wire.Unstored(numbers, reason):
                    for number in numbers:
                        for put in self._puts.answered_whole(number):
                            put.fail(HubFull(printable(reason)))
                case _:
                    assert_never(message)
            self._backoff_s = limits.RECONNECT_FIRST_S
        raise _Ended("the hub closed the connection")


def _control(frame: str) -> Hello | Welcome | Presence | Left:
    """Raises _Ended when it is a refusal."""
    message = decode_control(frame)
    if isinstance(message, Refused):
        raise _Ended(printable(message.message), message.code)
    return message
