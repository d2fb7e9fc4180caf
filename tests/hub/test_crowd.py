"""How many connections and requests one address may have, counted and on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from crdtsync.core.hub.admission import Denied, Peer
from crdtsync.core.hub.crowd import TOO_FAST, TOO_MANY, TOO_MANY_HERE, Crowd
from crdtsync.core.hub.shared import Counts
from crdtsync.core.values import limits
from crdtsync.core.wire.hocuspocus import Named, Token, encode_hocuspocus
from crdtsync.runtime import hub_entrance
from crdtsync.runtime.hub import HubServer
from crdtsync.runtime.hub_gate import Gate
from crdtsync.runtime.hub_socket import HubSocket
from tests.hub.client import Client
from tests.hub.material import NOTES, lone_update
from tests.hub.test_server import get
from tests.waiting import DEADLINE_S

FAR = Peer("203.0.113.9", local=False)
OTHER = Peer("203.0.113.10", local=False)
HERE = Peer("127.0.0.1", local=True)


def small(monkeypatch: pytest.MonkeyPatch, **bounds: float) -> None:
    for name, value in bounds.items():
        monkeypatch.setattr(limits, name, value)


# -- counting -----------------------------------------------------------------------------------------


def test_one_address_has_so_many_connections_and_others_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, CONNECTIONS_PER_ADDRESS_MAX=3, UNKNOWN_PER_ADDRESS_MAX=2)
    crowd = Crowd()
    assert [crowd.arrive(FAR, 0) for _ in range(3)] == [None, None, TOO_MANY_HERE]
    crowd.known(FAR)
    assert [crowd.arrive(FAR, 0) for _ in range(2)] == [None, TOO_MANY_HERE]
    assert crowd.arrive(OTHER, 0) is None
    crowd.leave(FAR, unknown=True)
    assert crowd.arrive(FAR, 0) is None
    assert [crowd.arrive(HERE, 0) for _ in range(5)] == [None] * 5


def test_all_together_have_so_many_also_from_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, CONNECTIONS_MAX=3, CONNECTIONS_BEFORE_HELLO_MAX=2)
    crowd = Crowd()
    assert [crowd.arrive(HERE, 0), crowd.arrive(FAR, 0), crowd.arrive(HERE, 0)] == [None, None, TOO_MANY]
    crowd.known(HERE)
    crowd.known(FAR)
    assert [crowd.arrive(HERE, 0), crowd.arrive(HERE, 0)] == [None, TOO_MANY]


def test_an_address_asks_so_often_and_then_so_often_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, REQUESTS_PER_ADDRESS_BURST=3, REQUESTS_PER_ADDRESS_PER_S=2)
    crowd = Crowd()

    def ask(peer: Peer, now_s: float) -> str | None:
        answer = crowd.arrive(peer, now_s)
        if answer is None:
            crowd.leave(peer, unknown=True)
        return answer

    assert [ask(FAR, 10) for _ in range(4)] == [None, None, None, TOO_FAST]
    assert ask(OTHER, 10) is None
    assert [ask(FAR, 10.6), ask(FAR, 10.6)] == [None, TOO_FAST]
    assert [ask(FAR, 100) for _ in range(4)] == [None, None, None, TOO_FAST]


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("anl")), max_size=200))
def test_counts_are_those_of_the_connections_there_are(steps: list[tuple[int, str]]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        small(patched, ADDRESSES_KEPT_MAX=5, REQUESTS_PER_ADDRESS_BURST=1000)
        crowd = Crowd()
        here: list[tuple[Peer, bool]] = []
        for number, step in steps:
            peer = Peer(f"203.0.113.{number}", local=False)
            mine = [each for each in here if each[0] == peer]
            if step == "a" and crowd.arrive(peer, 0) is None:
                here.append((peer, True))
            elif step == "n" and (peer, True) in mine:
                crowd.known(peer)
                here[here.index((peer, True))] = (peer, False)
            elif step == "l" and mine:
                here.remove(mine[0])
                crowd.leave(peer, unknown=mine[0][1])
        assert crowd.connections == len(here)
        assert crowd.unknown == sum(unknown for _, unknown in here)
        assert len(crowd._addresses) <= 5 + len({peer for peer, _ in here})


# -- real sockets -------------------------------------------------------------------------------------


@pytest.fixture
async def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HubServer]:
    """One that takes everyone for somebody from afar."""
    monkeypatch.setattr(hub_entrance, "peer_of_address", lambda _: FAR)
    async with HubServer("127.0.0.1", 0, tmp_path / "data") as server:
        yield server


async def close_code(client: Client) -> int | None:
    """Read whatever comes until the hub closes."""
    async with asyncio.timeout(DEADLINE_S):
        with suppress(ConnectionClosed):
            async for _ in client.websocket:
                pass
        await client.websocket.wait_closed()
    return client.websocket.close_code


async def test_those_beyond_the_bound_are_told_and_members_go_on(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch, UNKNOWN_PER_ADDRESS_MAX=3)
    async with Client(hub.url) as ann, Client(hub.url) as bob:
        await ann.join()
        await bob.join()
        silent = [await connect(hub.url + "/v1/room") for _ in range(3)]
        for path in ("/v1/room", "/v1/blobs", "/yjs/notes/a.txt", "/hocuspocus"):
            with pytest.raises(InvalidStatus) as caught:
                await connect(hub.url + path)
            assert caught.value.response.status_code == 429
            assert b"as many connections" in caught.value.response.body
        assert hub.counts.refusals == {"crowd": 4}
        update = lone_update("hello")
        await ann.store((NOTES, update))
        assert [entry.update for entry in await bob.until_entries(1)] == [update]
        for websocket in silent:
            await websocket.close()
        async with Client(hub.url) as carl:
            await carl.join()
    status, _, metrics = await get(hub, "/metrics")
    assert status == 200 and 'crdtsync_hub_refusals_total{code="crowd"} 4.0' in metrics


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """What the hub says until it closes."""
    async with asyncio.timeout(DEADLINE_S):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def test_an_endless_request_is_ended_and_holds_up_nobody(hub: HubServer) -> None:
    host, port = hub.url.removeprefix("ws://").split(":")
    async with Client(hub.url) as ann:
        await ann.join()
        for filler in (b"X-Filler: " + b"x" * 1000 + b"\r\n", b"x" * 1000):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /v1/room HTTP/1.1\r\n" + filler * 1000)
            assert b"101" not in await all_of(reader)
            writer.close()
        await ann.store((NOTES, lone_update("hello")))


async def test_who_dribbles_a_request_or_never_says_one_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HELLO_TIMEOUT_S", 0.2)
    async with HubServer("127.0.0.1", 0, tmp_path) as hub:
        host, port = hub.url.removeprefix("ws://").split(":")
        lines = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        lines[1][1].write(b"GET /v1/ro")
        lines[2][1].write(b"GET /v1/room HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        for reader, writer in lines:
            assert b"101" not in await all_of(reader)
            writer.close()


@pytest.mark.parametrize("path", ["/v1/room", "/v1/blobs", "/hocuspocus", "/yjs/notes/a.txt"])
async def test_a_frame_that_says_it_is_huge_is_refused_before_it_comes(hub: HubServer, path: str) -> None:
    async with Client(hub.url) as ann, Client(hub.url, path) as evil:
        await ann.join()
        transport = evil.websocket.transport
        transport.write(bytes([0x82, 0x80 | 127]) + (1 << 40).to_bytes(8, "big") + bytes(4))
        assert await close_code(evil) == 1009
        await ann.store((NOTES, lone_update("hello")))


async def test_a_message_of_endless_empty_fragments_is_ended(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch, FRAGMENTS_MAX=100)
    async with Client(hub.url) as ann, Client(hub.url) as evil:
        await ann.join()
        await evil.join()
        first, empty = bytes([0x02, 0x80, 0, 0, 0, 0]), bytes([0x00, 0x80, 0, 0, 0, 0])
        evil.websocket.transport.write(first + 200 * empty)
        assert await close_code(evil) == 1009
        assert hub.counts.refusals == {"protocol": 1}
        await ann.store((NOTES, lone_update("hello")))


async def test_no_more_is_read_than_the_hub_comes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, UNHEARD_MAX_BYTES=100_000)
    came, hear, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    heard: list[bytes | str] = []

    async def serve_one(websocket: ServerConnection) -> None:
        pause = websocket.transport.pause_reading

        def paused() -> None:
            pause()
            came.set()

        monkeypatch.setattr(websocket.transport, "pause_reading", paused)
        assert isinstance(websocket, HubSocket)
        websocket.leave_to_library()
        await hear.wait()
        while len(heard) < len(sent):
            heard.append(await websocket.recv())
        done.set()

    made: Any = hub_entrance.Entrance(Crowd(), Counts()).connection
    sent: list[bytes | str] = [bytes(50_000), "é" * 10_000, bytes(90_000), bytes(2_000_000)] * 10
    async with (
        serve(serve_one, "127.0.0.1", 0, create_connection=made, max_queue=None, max_size=None) as server,
        connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", compression=None) as client,
    ):

        async def speak() -> None:
            for message in sent:
                if len(message) < 1_000_000:
                    await client.send(message)
                else:
                    await client.send([message[:999_999], message[999_999:]])

        speaking = asyncio.create_task(speak())
        async with asyncio.timeout(DEADLINE_S):
            (connection,) = server.connections
            await came.wait()
            frames = connection.recv_messages.frames.queue
            assert sum(len(frame.data) for frame in frames) < 100_000 + 2_000_000
            assert not speaking.done()
            hear.set()
            await speaking
            await done.wait()
    assert heard == sent


async def test_who_pings_and_never_reads_is_let_go(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, UNREAD_MAX_BYTES=100_000)
    host, port = hub.url.removeprefix("ws://").split(":")
    async with Client(hub.url) as ann:
        await ann.join()
        _, writer = await asyncio.open_connection(host, int(port), limit=1)
        writer.write(
            b"GET /v1/room HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        ping = bytes([0x89, 0x80 | 125]) + bytes(4) + bytes(125)
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(ConnectionError):
                while True:
                    writer.write(1000 * ping)
                    await writer.drain()
        assert hub.counts.refusals == {"unread": 1}
        await ann.store((NOTES, lone_update("hello")))
        writer.close()


@pytest.mark.parametrize("path", ["/v1/room", "/v1/blobs", "/hocuspocus"])
async def test_who_was_not_let_in_says_little(hub: HubServer, path: str) -> None:
    async with Client(hub.url, path) as evil:
        await evil.websocket.send(b"\0" * (limits.CONTROL_MAX_BYTES + 1))
        assert await close_code(evil) in (1009, 1002, 1008)


async def test_who_is_denied_a_document_is_not_heard_at_length(tmp_path: Path) -> None:
    gate = Gate(lambda asking: Denied("no"))
    async with HubServer("127.0.0.1", 0, tmp_path, gate=gate) as hub:
        for path in ("/yjs/notes/a.txt", "/hocuspocus"):
            async with Client(hub.url, path) as evil:
                with suppress(ConnectionClosed):  # it may be told before it has said it
                    await evil.websocket.send(b"\0" * (limits.CONTROL_MAX_BYTES + 1))
                assert await close_code(evil) in (1009, 1002, 4400, 4403)


async def test_a_hocuspocus_client_that_is_let_in_nowhere_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HELLO_TIMEOUT_S", 0.3)
    gate = Gate(lambda asking: Denied("no"))
    async with HubServer("127.0.0.1", 0, tmp_path, gate=gate) as hub, Client(hub.url, "/hocuspocus") as evil:
        await evil.websocket.send(encode_hocuspocus(Named("notes/a.txt", Token("guess"))))
        assert await close_code(evil) == 4400
