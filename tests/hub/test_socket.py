"""Frames as they come from the network, in whatever pieces, and what is delivered of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from crdtsync.core.values.limits import KiB
from crdtsync.runtime import hub_socket
from crdtsync.runtime.hub_socket import HubSocket
from tests.waiting import DEADLINE_S, until

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
BOUND = 100 * KiB


class Taker:
    """Serves every connection; remembers what was delivered. Text ``pause`` has the member paused."""

    def __init__(self) -> None:
        self.got: list[str | bytes] = []
        self.sockets: list[HubSocket] = []
        self.port = 0
        self.news = asyncio.Event()
        self.left = asyncio.Event()
        """Somebody's connection is over."""

    async def handle(self, websocket: ServerConnection) -> None:
        assert isinstance(websocket, HubSocket)
        self.sockets.append(websocket)
        over = asyncio.Event()

        def deliver(message: str | bytes) -> None:
            self.got.append(message)
            self.news.set()
            if message == "pause":
                websocket.pause()
            elif message == "end":
                websocket.end()
                over.set()

        websocket.bound_messages(BOUND)
        websocket.attach(deliver, over.set)
        await over.wait()
        self.left.set()

    async def until(self, count: int) -> list[str | bytes]:
        await until(lambda: len(self.got) >= count, self.news)
        return self.got


@asynccontextmanager
async def taking() -> AsyncIterator[Taker]:
    taker = Taker()
    async with serve(
        taker.handle,
        "127.0.0.1",
        0,
        create_connection=HubSocket,
        compression=None,
        close_timeout=DEADLINE_S,
        ping_interval=None,
    ) as server:
        taker.port = next(iter(server.sockets)).getsockname()[1]
        yield taker


class Raw:
    """A client that writes bytes as it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        """Each part is there before the next one comes."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def ends(self) -> None:
        """It says no more; what it was told it has read, or its end would be a failure of the network."""
        await self.reader.readuntil(b"\r\n\r\n")
        self.writer.write_eof()

    async def close_code(self) -> int | None:
        """Read to the end; returns the code of the close frame, if there was one."""
        async with asyncio.timeout(DEADLINE_S):
            everything = await self.reader.read()
        _, _, frames = everything.partition(b"\r\n\r\n")
        while len(frames) >= 2:
            opcode, size = frames[0] & 15, frames[1]
            if opcode == Opcode.CLOSE:
                return int.from_bytes(frames[2:4], "big")
            frames = frames[2 + size :]
        return None


@asynccontextmanager
async def raw(taker: Taker) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", taker.port)
    yield Raw(reader, writer)
    writer.close()


def frame(opcode: Opcode, payload: bytes, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


def text(message: str) -> bytes:
    return frame(Opcode.TEXT, message.encode())


messages = st.one_of(
    st.text(max_size=20).filter(lambda message: message not in ("pause", "end")),
    st.binary(max_size=20),
    st.integers(120, 300).map(lambda size: b"m" * size),
    st.integers(65_530, 65_540).map(lambda size: b"l" * size),
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[str | bytes], bytes]:
    """Messages, and frames that say so: whole or in fragments, with pings between and within."""
    said = draw(st.lists(messages, min_size=1, max_size=6))
    stream = b""
    for message in said:
        payload = message.encode() if isinstance(message, str) else message
        opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=2)))
        pieces = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        for index, piece in enumerate(pieces):
            stream += frame(opcode if index == 0 else Opcode.CONT, piece, index == len(pieces) - 1)
            if draw(st.booleans()):
                stream += frame(Opcode.PING, b"?")
    return said, stream


@given(streams(), st.lists(st.integers(0, 400_000), max_size=8), st.sampled_from([1, 2, 64]))
@settings(max_examples=60, deadline=None)
def test_messages_are_the_same_in_whatever_pieces_they_come(
    said: tuple[list[str | bytes], bytes], cuts: list[int], per_turn: int
) -> None:
    async def scene() -> None:
        expected, frames = said
        stream = REQUEST + frames
        at = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
        async with taking() as taker, raw(taker) as client:
            await client.send(*(stream[a:b] for a, b in pairwise(at)))
            assert await taker.until(len(expected)) == expected

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub_socket, "MESSAGES_PER_TURN", per_turn)
        asyncio.run(scene())


async def test_a_paused_member_is_heard_again_and_in_order() -> None:
    async with taking() as taker, raw(taker) as client:
        await client.send(REQUEST + text("pause") + text("a"), text("b"))
        assert await taker.until(1) == ["pause"]
        await client.send(b"".join(text(str(number)) for number in range(500)))
        taker.sockets[0].unpause()
        expected = ["pause", "a", "b", *map(str, range(500))]
        assert await taker.until(len(expected)) == expected


async def test_a_paused_member_is_not_read_without_end() -> None:
    async with taking() as taker, raw(taker) as client:
        await client.send(REQUEST + text("pause"))
        await taker.until(1)
        chunk = frame(Opcode.BINARY, os.urandom(50 * KiB))
        client.writer.write(chunk * 400)
        await until(lambda: not taker.sockets[0].transport.is_reading())
        taker.sockets[0].unpause()
        assert len(await taker.until(401)) == 401


async def test_who_gives_no_sign_of_life_is_let_go_and_who_does_stays() -> None:
    async with (
        taking() as taker,
        raw(taker) as dead,
        connect(f"ws://127.0.0.1:{taker.port}", compression=None) as alive,
    ):
        await dead.send(REQUEST + text("dead"))
        await alive.send("alive")
        await taker.until(2)
        for _ in range(hub_socket.BEATS_MISSED_MAX + 2):
            for socket in taker.sockets:
                socket.beat()
            await alive.ping()
            await (await alive.ping())  # the hub has read by now what answers its own ping
        with pytest.raises(ConnectionError):
            while await dead.reader.read(1000):
                await dead.send(text("too late"))
            raise ConnectionResetError
        await alive.send("still here")
        assert sorted((await taker.until(3))[:2], key=str) == ["alive", "dead"]
        assert taker.got[2:] == ["still here"]


LAST = {
    "whole": text("the last word"),
    "in parts": frame(Opcode.TEXT, b"the last", False) + frame(Opcode.CONT, b" word"),
    "among signs of life": frame(Opcode.PING, b"?") + text("the last word") + frame(Opcode.PONG, b""),
    "before half a frame": text("the last word") + text("never to be heard")[:-3],
    "with a goodbye": text("the last word") + frame(Opcode.CLOSE, b"\x03\xe8"),
}


@pytest.mark.parametrize("how", LAST)
async def test_what_came_before_the_end_of_a_connection_is_delivered_also_to_whoever_waits(how: str) -> None:
    async with taking() as taker, raw(taker) as client:
        await client.send(REQUEST + text("pause") + LAST[how])
        await taker.until(1)
        await client.ends()
        assert await taker.until(2) == ["pause", "the last word"]
        async with asyncio.timeout(DEADLINE_S):
            await taker.left.wait()


async def test_a_member_that_waits_again_for_what_it_is_given_at_the_end_is_let_go() -> None:
    async with taking() as taker, raw(taker) as client:
        await client.send(REQUEST + text("pause") + text("pause") + frame(Opcode.PING, b"?") + text("late"))
        await taker.until(1)
        await client.ends()
        async with asyncio.timeout(DEADLINE_S):
            await taker.left.wait()
        assert taker.got[:2] == ["pause", "pause"]


async def test_nothing_is_delivered_once_the_hub_wants_no_more_and_the_goodbye_is_heard() -> None:
    async with taking() as taker, connect(f"ws://127.0.0.1:{taker.port}", compression=None) as client:
        for message in ("one", "end", "two", "three"):
            await client.send(message)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1000
        assert taker.got == ["one", "end"]


WRONG = {
    "not masked": (Frame(Opcode.TEXT, b"bare").serialize(mask=False), 1002),
    "reserved bits": (b"\xf2" + frame(Opcode.BINARY, b"x")[1:], 1002),
    "an unknown opcode": (b"\x83" + frame(Opcode.BINARY, b"x")[1:], 1002),
    "a continuation of nothing": (frame(Opcode.CONT, b"x"), 1002),
    "a message within another": (frame(Opcode.TEXT, b"a", False) + frame(Opcode.TEXT, b"b"), 1002),
    "no UTF-8": (frame(Opcode.TEXT, b"\xff\xfe"), 1007),
    "no UTF-8 in parts": (frame(Opcode.TEXT, b"\xff", False) + frame(Opcode.CONT, b"\xfe"), 1007),
    "too large": (frame(Opcode.BINARY, b"x" * (BOUND + 1)), 1009),
    "the beginning of one too large": (frame(Opcode.BINARY, b"x" * (BOUND + 1))[:14], 1009),
    "absurdly large": (b"\x82\xff" + b"\xff" * 12, 1009),
    "too large in parts": (frame(Opcode.BINARY, b"x" * BOUND, False) + frame(Opcode.CONT, b"x"), 1009),
    "a goodbye": (frame(Opcode.CLOSE, b"\x03\xe8"), 1000),
}
"""What is sent, and the close code that answers it."""


@pytest.mark.parametrize("what", WRONG)
async def test_a_connection_that_breaks_the_protocol_is_told_why(what: str) -> None:
    sent, code = WRONG[what]
    async with taking() as taker, raw(taker) as client:
        await client.send(REQUEST + text("before") + sent + text("after"))
        assert await client.close_code() == code
        assert taker.got == ["before"]


@given(st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_whatever_bytes_come_the_next_member_is_heard(garbage: bytes) -> None:
    async def scene() -> None:
        async with taking() as taker:
            async with raw(taker) as client:
                await client.send(REQUEST + garbage)
                client.writer.write_eof()
                await client.reader.read()
            taker.got.clear()
            async with raw(taker) as client:
                await client.send(REQUEST + text("hello"))
                assert await taker.until(1) == ["hello"]

    asyncio.run(scene())
