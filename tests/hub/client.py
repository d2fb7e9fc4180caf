"""A member of a hub over a real websocket, with a deadline on everything it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from crdtsync.core.values import limits
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.codec import decode_from_hub, encode_from_replica
from crdtsync.core.wire.control import (
    Cursor,
    Hello,
    Presence,
    Refused,
    Welcome,
    decode_control,
    encode_control,
)
from crdtsync.core.wire.messages import Ack, CaughtUp, FromReplica, LogEntry, Push, Relay
from tests.waiting import DEADLINE_S

M = TypeVar("M")


class Client:
    """``async with Client(url) as client``: connected, and with ``join`` greeted and caught up."""

    def __init__(self, url: str, path: str = "/v1/room") -> None:
        self.got: list[object] = []
        self.welcome: Welcome | None = None
        self.close_code: int | None = None
        self._address = url + path
        self._websocket: ClientConnection | None = None
        self._batch = 0

    async def __aenter__(self) -> Self:
        self._websocket = await connect(
            self._address, compression=None, max_size=limits.FRAME_MAX_BYTES, ping_interval=None
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.websocket.close()

    @property
    def websocket(self) -> ClientConnection:
        assert self._websocket is not None
        return self._websocket

    async def hello(self, room: str = "notes", cursor: Cursor | None = None, name: str = "") -> Welcome:
        await self.websocket.send(encode_control(Hello(room=room, replica="r", name=name, cursor=cursor)))
        self.welcome = await self.until(Welcome)
        return self.welcome

    async def join(self, room: str = "notes", cursor: Cursor | None = None, name: str = "") -> Self:
        await self.hello(room, cursor, name)
        await self.until(CaughtUp)
        return self

    async def send(self, message: FromReplica | Presence) -> None:
        if isinstance(message, Presence):
            await self.websocket.send(encode_control(message))
        else:
            await self.websocket.send(encode_from_replica(message))

    async def push(self, *updates: tuple[DocumentId, bytes]) -> int:
        self._batch += 1
        await self.send(Push(self._batch, updates))
        return self._batch

    async def store(self, *updates: tuple[DocumentId, bytes]) -> Ack:
        """Push, and wait until it is durable."""
        batch = await self.push(*updates)
        return await self.until(Ack, lambda ack: ack.batch == batch)

    async def receive(self) -> object:
        async with asyncio.timeout(DEADLINE_S):
            frame = await self.websocket.recv()
        message = decode_control(frame) if isinstance(frame, str) else decode_from_hub(frame)
        self.got.append(message)
        return message

    async def until(self, kind: type[M], fits: Callable[[M], bool] = lambda message: True) -> M:
        """Receive until there is such a message."""
        while True:
            message = await self.receive()
            if isinstance(message, kind) and fits(message):
                return message

    async def until_entries(self, count: int) -> list[LogEntry]:
        while len(self.entries) < count:
            await self.receive()
        return self.entries

    async def until_closed(self) -> int:
        """Receive until the hub closes; returns the code."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            code = self.websocket.close_code
            assert code is not None
            return code

    @property
    def entries(self) -> list[LogEntry]:
        return [entry for message in self.got if isinstance(message, Relay) for entry in message.entries]

    @property
    def refused(self) -> Refused:
        (refused,) = [message for message in self.got if isinstance(message, Refused)]
        return refused
