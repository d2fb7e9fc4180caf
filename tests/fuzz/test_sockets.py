"""Real sockets given garbage, halves, too much and the wrong order: they answer, and go on serving others."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from crdtsync.adapters.control_client import socket_address
from crdtsync.adapters.control_socket import REQUEST_MAX_BYTES, ControlServer
from crdtsync.core.wire.control import Hello, encode_control
from crdtsync.runtime.hub import HubServer
from crdtsync.testing.fuzzing import editors, frames
from crdtsync.testing.fuzzing.choices import Choices
from tests.hub.client import Client
from tests.hub.material import NOTES, lone_update
from tests.waiting import DEADLINE_S

SEED: Final = 20
UPGRADE: Final = (
    b"GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
GREETING: Final = encode_control(Hello(room="notes", replica="r"))


@pytest.fixture
async def hub(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[HubServer]:
    """One that must not report an error of its own."""
    with caplog.at_level(logging.WARNING):
        async with HubServer("127.0.0.1", 0, tmp_path / "data") as server:
            yield server
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert [error for error in errors if error != "opening handshake failed"] == []


async def still_serves(hub: HubServer) -> None:
    async with Client(hub.url) as client:
        await client.join("honest")
        await client.store((NOTES, lone_update("still here")))


async def poured(hub: HubServer, *pieces: bytes) -> None:
    """Write the pieces one after the other to the hub's port, then hang up."""
    port = int(hub.url.rpartition(":")[2])
    async with asyncio.timeout(DEADLINE_S):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def masked(opcode: int, payload: bytes, length: int | None = None) -> bytes:
    """A websocket frame of a client that may lie about its length."""
    size = len(payload) if length is None else length
    if size < 126:
        head = bytes((opcode, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((opcode, 0x80 | 126)) + struct.pack(">H", size)
    else:
        head = bytes((opcode, 0x80 | 127)) + struct.pack(">Q", size)
    return head + bytes(4) + payload


async def test_a_port_takes_any_bytes(hub: HubServer) -> None:
    rng = random.Random(SEED)
    halves = [
        UPGRADE % path for path in (b"/v1/room", b"/v1/blobs", b"/yjs/notes/a.md", b"/hocuspocus", b"/")
    ]
    for data in (
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /healthz HTTP/1.1\r\n" + b"X: " + b"y" * 70_000,
        b"GET " + b"/" * 70_000,
        b"POST /v1/room HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 1000,
        b"GET /v1/room HTTP/1.1\r\n" * 300,
        b"\r\n\r\n\0\0\0",
        *(half[: rng.randrange(len(half))] for half in halves),
        *(rng.randbytes(rng.choice((1, 100, 5000))) for _ in range(20)),
    ):
        await poured(hub, data)
    await poured(hub, *(bytes((byte,)) for byte in halves[0][:60]))
    await still_serves(hub)


@pytest.mark.parametrize("path", [b"/v1/room", b"/v1/blobs", b"/yjs/notes/a.md", b"/hocuspocus"])
async def test_a_websocket_takes_any_frames(hub: HubServer, path: bytes) -> None:
    rng = random.Random(SEED)
    hello = masked(0x81, GREETING.encode())
    for first in (b"", hello):
        for second in (
            masked(0x82, b"", length=1 << 62),
            masked(0x82, b"x" * 500, length=1 << 20),
            masked(0x80, b"continues nothing"),
            masked(0x01, b"half of a text"),
            masked(0x81, b"\xff\xfe"),
            masked(0x89, b"x" * 200),
            masked(0x88, b"\x00"),
            masked(0x8F, b""),
            masked(0xF2, b""),
            bytes((0x82, 3)) + b"not masked",
            *(rng.randbytes(rng.choice((1, 20, 300))) for _ in range(6)),
        ):
            await poured(hub, UPGRADE % path, first + second)
    await still_serves(hub)


@pytest.mark.parametrize("path", ["/v1/room", "/v1/blobs", "/yjs/notes/a.md", "/hocuspocus"])
async def test_a_door_takes_any_messages(hub: HubServer, path: str) -> None:
    rng = random.Random(SEED)
    for _ in range(25):
        choices = Choices(rng.randbytes(600), wild=12)
        with suppress(ConnectionClosed):
            async with asyncio.timeout(DEADLINE_S), connect(hub.url + path, compression=None) as websocket:
                if rng.random() < 0.8:
                    await websocket.send(GREETING)
                for _ in range(rng.randrange(6)):
                    await websocket.send(message(choices))
    await still_serves(hub)


def message(choices: Choices) -> str | bytes:
    """Of any protocol, whatever the door."""
    make = choices.pick(
        (
            *(frames.from_replica, frames.blobs_from_replica, frames.from_hub, editors.yjs),
            *(editors.hocuspocus, editors.hocuspocus, frames.control),
        )
    )
    made = frames.damaged(make(choices), choices)
    return made.decode("utf-8", "replace") if make is frames.control or choices.chance(12) else made


async def echo(params: Mapping[str, Any]) -> Any:
    return dict(params)


async def test_a_control_socket_takes_any_lines(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    server = ControlServer(tmp_path, {"echo": echo})
    await server.start()
    try:
        for _ in range(40):
            await _talk(tmp_path, rng)
        honest = b'{"id": 7, "method": "echo", "params": {"a": 1}}'
        assert await _asked(tmp_path, honest + b"\n") == [{"id": 7, "result": {"a": 1}}]
    finally:
        await server.close()


async def _talk(folder: Path, rng: random.Random) -> None:
    """Some lines of anything, the last perhaps without its end: each whole one is answered."""
    choices = Choices(rng.randbytes(300), wild=12)
    lines = []
    for _ in range(rng.randrange(5)):
        too_long = b"x" * (REQUEST_MAX_BYTES + 9)
        line = rng.choice((frames.control_request(choices), rng.randbytes(40), b"[" * 50_000, too_long))
        lines.append(line.replace(b"\n", b" "))
    answers = await _asked(folder, b"".join(line + b"\n" for line in lines) + rng.choice((b"", b'{"id"')))
    assert len(answers) == len(lines)
    assert all(("result" in answer) != ("error" in answer) for answer in answers)


async def _asked(folder: Path, data: bytes) -> list[dict[str, Any]]:
    async with asyncio.timeout(DEADLINE_S):
        with socket_address(folder) as address:
            reader, writer = await asyncio.open_unix_connection(address)
        writer.write(data)
        writer.write_eof()
        answered = await reader.read()
        writer.close()
        await writer.wait_closed()
    return [json.loads(line) for line in answered.splitlines()]
