"""The link to the hub with a real websocket: what nobody takes is not read from the network."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from crdtsync.adapters.hub_link import HubLink, explain, hub_address
from crdtsync.core.values import limits
from crdtsync.errors import CrdtsyncError, HubUnreachable, InvalidName, ProtocolMismatch
from tests.waiting import DEADLINE_S, until

FRAME = bytes(16 * limits.KiB)
FRAMES = 1000


async def test_frames_that_nobody_takes_stay_with_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECEIVED_MAX_BYTES", 1 * limits.MiB)
    sent = 0
    stuck = asyncio.Event()

    async def flood(websocket: ServerConnection) -> None:
        nonlocal sent
        for _ in range(FRAMES):
            sending = asyncio.ensure_future(websocket.send(FRAME))
            done, _ = await asyncio.wait({sending}, timeout=0.5)
            if not done:
                stuck.set()
                await sending
            sent += 1
        await websocket.wait_closed()

    received: list[str | bytes] = []
    arrived = asyncio.Event()

    def take(frame: str | bytes) -> None:
        received.append(frame)
        arrived.set()

    ended: list[CrdtsyncError] = []
    async with serve(flood, "127.0.0.1", 0, compression=None, write_limit=1) as server:
        port = server.sockets[0].getsockname()[1]
        link = HubLink(f"ws://127.0.0.1:{port}", lambda: None, take, ended.append)
        link.open()
        async with asyncio.timeout(DEADLINE_S):
            await stuck.wait()
        assert sum(map(len, received)) <= limits.RECEIVED_MAX_BYTES + len(FRAME)
        taken = 0
        async with asyncio.timeout(DEADLINE_S):
            while taken < FRAMES:
                if taken == len(received):
                    arrived.clear()
                    await arrived.wait()
                assert sum(map(len, received[taken:])) <= limits.RECEIVED_MAX_BYTES + len(FRAME)
                link.taken(received[taken])
                taken += 1
        await link.close()
    assert sent == FRAMES
    assert not ended


class Other:
    """A link and what it was told, with a hub that does as ``says``."""

    def __init__(self) -> None:
        self.received: list[str | bytes] = []
        self.ended: list[CrdtsyncError] = []
        self.news = asyncio.Event()
        self.link: HubLink

    def take(self, frame: str | bytes) -> None:
        self.received.append(frame)
        self.news.set()
        self.link.taken(frame)

    def end(self, reason: CrdtsyncError) -> None:
        self.ended.append(reason)
        self.news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        await until(condition, self.news)


@asynccontextmanager
async def linked(
    says: Callable[[ServerConnection], Awaitable[None]], connected: Callable[[], None] = lambda: None
) -> AsyncIterator[Other]:
    other = Other()
    async with serve(says, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        other.link = HubLink(f"ws://127.0.0.1:{port}", connected, other.take, other.end)
        other.link.open()
        yield other
        await other.link.close()


async def test_messages_come_whole_and_in_order_however_they_are_cut() -> None:
    async def cut(websocket: ServerConnection) -> None:
        await websocket.send("text ä")
        await websocket.send([b"in ", b"three ", b"parts"])
        await websocket.send(["ä", "ö"])
        await websocket.send(b"")
        await websocket.wait_closed()

    async with linked(cut) as other:
        await other.until(lambda: len(other.received) == 4)
        assert other.received == ["text ä", b"in three parts", "äö", b""]


async def test_what_the_hub_says_before_it_closes_is_heard_first() -> None:
    async def refuse(websocket: ServerConnection) -> None:
        await websocket.send("no")
        await websocket.close(1008, "go away")

    async with linked(refuse) as other:
        await other.until(lambda: other.ended)
        assert other.received == ["no"]
        assert len(other.ended) == 1


async def test_text_that_is_none_ends_the_connection() -> None:
    async def lie(websocket: ServerConnection) -> None:
        await websocket.send(b"\xff\xfe", text=True)
        await websocket.wait_closed()

    async with linked(lie) as other:
        await other.until(lambda: other.ended)
        assert other.received == []


async def test_frames_arrive_in_order_whether_or_not_the_network_takes_them_at_once() -> None:
    heard: list[str | bytes] = []
    open_gate, all_heard = asyncio.Event(), asyncio.Event()

    async def listen(websocket: ServerConnection) -> None:
        await open_gate.wait()
        async for frame in websocket:
            heard.append(frame)
            if len(heard) == FRAMES:
                all_heard.set()

    ready = asyncio.Event()
    async with linked(listen, ready.set) as other:
        async with asyncio.timeout(DEADLINE_S):
            await ready.wait()
            for number in range(FRAMES):
                other.link.send(number.to_bytes(4) + FRAME if number % 3 else f"{number}")
            open_gate.set()
            await all_heard.wait()
    assert heard == [number.to_bytes(4) + FRAME if number % 3 else f"{number}" for number in range(FRAMES)]


async def test_nothing_comes_any_more_from_a_hub_that_was_left() -> None:
    go_on, done = asyncio.Event(), asyncio.Event()

    async def talk(websocket: ServerConnection) -> None:
        await websocket.send("first")
        await go_on.wait()
        with suppress(ConnectionClosed):
            await websocket.send("late")
            await websocket.wait_closed()
        done.set()

    async with linked(talk) as other:
        await other.until(lambda: other.received)
        other.link.drop("enough")
        other.link.send("to nobody")
        go_on.set()
        async with asyncio.timeout(DEADLINE_S):
            await done.wait()
        assert other.received == ["first"]
        assert [str(reason) for reason in other.ended] == ["enough"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(b"", HubUnreachable), (b"HTTP/1.1 101 Swi", HubUnreachable), (b"SSH-2.0-other\r\n", ProtocolMismatch)],
)
async def test_who_hangs_up_before_it_answers_may_be_a_hub_that_is_just_ending(
    answer: bytes, kind: type[CrdtsyncError]
) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    ended: asyncio.Future[CrdtsyncError] = asyncio.get_running_loop().create_future()
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        link = HubLink(f"ws://127.0.0.1:{port}", lambda: None, lambda frame: None, ended.set_result)
        link.open()
        async with asyncio.timeout(DEADLINE_S):
            assert isinstance(await ended, kind)
        await link.close()


async def ends_with(url: str) -> CrdtsyncError:
    """What a link to ``url`` is told, which cannot be opened."""
    ended: asyncio.Future[CrdtsyncError] = asyncio.get_running_loop().create_future()
    link = HubLink(url, lambda: None, lambda frame: None, ended.set_result, ssl.create_default_context())
    link.open()
    async with asyncio.timeout(DEADLINE_S):
        reason = await ended
    await link.close()
    return reason


@pytest.mark.parametrize(
    ("url", "next_step"),
    [
        ("ws://127.0.0.1:4799", "start one with: crdtsync hub --port 4799"),
        ("ws://localhost", "start one with: crdtsync hub --port 80"),
        ("wss://localhost:4747", "check the address, or have one started there"),
        ("ws://hub.example:4747", "check the address, or have one started there"),
    ],
)
def test_where_no_hub_runs_a_person_is_told_what_would_start_one_just_there(url: str, next_step: str) -> None:
    assert str(explain(ConnectionRefusedError(), url)) == f"No hub runs at {url}; {next_step}"


@pytest.mark.parametrize(
    "host", ["hub..example", "h" * 64 + ".example", "h\udcff"], ids=["gap", "long", "bytes"]
)
async def test_a_name_that_no_machine_can_have_is_told_and_not_waited_for(host: str) -> None:
    reason = await ends_with(f"wss://{host}:4747")
    assert isinstance(reason, ProtocolMismatch)
    assert "no machine can have that name" in str(reason)


async def test_a_hub_without_tls_that_is_asked_for_it_is_told_with_the_way_out() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        reason = await ends_with(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert isinstance(reason, HubUnreachable)
    assert "ws://" in str(reason)


@pytest.mark.parametrize(
    "url", ["ws://[::1", "ws://h:port", "ws://", "ftp://h", "ws://h:0", "ws://h\uff03:1"]
)
def test_what_is_no_address_is_told_with_one_that_is(url: str) -> None:
    with pytest.raises(InvalidName, match="it looks like ws:"):
        hub_address(url)


def test_an_address_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(InvalidName, match="join by an invite") as told:
        hub_address("wss://ann:secret@hub.example")
    assert "secret" not in str(told.value)
