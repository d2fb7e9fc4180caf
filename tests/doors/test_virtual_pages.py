"""The simulator's pages and the published clients, at a hub that does as it is told: both say the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random
from typing import Any, Protocol, TypeAlias

import pytest
from pycrdt import Doc, Text
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response

from crdtsync.core.wire.awareness import NOBODY, ClientState
from crdtsync.core.wire.hocuspocus import (
    SESSION_SEPARATOR,
    Authenticated,
    CloseDocument,
    Named,
    Ping,
    Pong,
    SyncStatus,
    Token,
    decode_hocuspocus,
    encode_hocuspocus,
)
from crdtsync.core.wire.yjs import (
    Awareness,
    PermissionDenied,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    YjsMessage,
    decode_yjs,
    encode_yjs,
)
from crdtsync.testing.clock import Clock, Trace
from crdtsync.testing.hocuspocus_page import HocuspocusPage, HocuspocusSocket
from crdtsync.testing.page import Page
from crdtsync.testing.virtual_hub import Line, VirtualHub
from crdtsync.testing.yjs_page import YjsPage
from tests.doors.node import HOCUSPOCUS, Y_WEBSOCKET, Node, Peer, missing, need
from tests.waiting import DEADLINE_S, until

PATH = "a.md"
CLIENTS = (Y_WEBSOCKET[0], HOCUSPOCUS[0])


@dataclass
class Hub:
    """What a client says to it, and what it answers: as a hub does, but for what a story says instead."""

    named: bool
    """Whether it is spoken to in Hocuspocus."""
    heard: list[object] = field(default_factory=list)
    docs: dict[str, Doc[Text]] = field(default_factory=dict)
    here: bool = True
    """Whether it can be reached."""
    holds_back: bool = False
    """Answers no changes."""
    asked: int = 0
    """How many steps 2 are due."""
    send: Callable[[bytes], None] = lambda frame: None
    end: Callable[[int, str], None] = lambda code, reason: None

    def opened(self) -> None:
        self.heard.append("opened")

    def go_away(self) -> None:
        self.here = False
        self.end(1012, "later")

    def lets_in(self, *clients: Client) -> bool:
        """Whether nothing of how they begin is still to come."""
        return all(client.shown[1] for client in clients) and not self.asked

    def text(self, name: str = PATH) -> str:
        return str(self.docs.setdefault(name, Doc()).get("content", type=Text))

    def say(self, message: YjsMessage | SyncStatus | CloseDocument | Authenticated, name: str = PATH) -> None:
        self.asked += isinstance(message, SyncStep1)
        if self.named:
            self.send(encode_hocuspocus(Named(self._whole(name), message)))
        else:
            assert not isinstance(message, SyncStatus | CloseDocument | Authenticated)
            self.send(encode_yjs(message))

    def take(self, frame: bytes) -> None:
        if not self.named:
            self._take(PATH, decode_yjs(frame))
        else:
            match decode_hocuspocus(frame):
                case Named(name, message):
                    self._take(self._short(name), message)
                case other:
                    self.heard.append(other)

    def _take(self, name: str, message: object) -> None:
        self.heard.append((name, message))
        self.asked -= isinstance(message, SyncStep2)
        doc = self.docs.setdefault(name, Doc())
        match message:
            case Token():
                self.say(Authenticated(False), name)
            case SyncStep1(state_vector):
                self.say(SyncStep2(doc.get_update(state_vector)), name)
                self.say(SyncStep1(doc.get_state()), name)
            case SyncStep2(update) | SyncUpdate(update):
                doc.apply_update(update)
                if self.named and not self.holds_back:
                    self.say(SyncStatus(True), name)

    def __post_init__(self) -> None:
        self._sessions: list[str] = []

    def _short(self, name: str) -> str:
        """Sessions are drawn by lot: the first one is called so."""
        path, _, session = name.removeprefix("room/").partition(SESSION_SEPARATOR)
        if not session:
            return path
        if name not in self._sessions:
            self._sessions.append(name)
        return f"{path} {self._sessions.index(name)}"

    def _whole(self, name: str) -> str:
        path, _, number = name.partition(" ")
        return self._sessions[int(number)] if number else f"room/{path}"


class Client(Protocol):
    def type(self, text: str) -> None: ...
    def announce(self, state: object) -> None: ...
    def close(self) -> None: ...
    @property
    def shown(self) -> tuple[str, bool, int, bool]:
        """Its text, whether it is synced, how much is unstored, and whether it was refused."""
        ...


Open: TypeAlias = Callable[..., Client]
Until: TypeAlias = Callable[[Callable[[], bool]], Awaitable[None]]
Story: TypeAlias = Callable[[Hub, Open, Until], Awaitable[None]]


class VirtualClient:
    def __init__(self, page: Page) -> None:
        self.page = page

    def type(self, text: str) -> None:
        self.page.replace(len(self.page.text), len(self.page.text), text)

    def announce(self, state: object) -> None:
        self.page.announce(state)

    def close(self) -> None:
        self.page.close()

    @property
    def shown(self) -> tuple[str, bool, int, bool]:
        page = self.page
        return page.text, page.synced, page.unstored, page.refused is not None


class ObedientHub(VirtualHub):
    """In place of the engine, the hub of a story."""

    def __init__(self, clock: Clock, hub: Hub) -> None:
        super().__init__(clock, Random(0), Trace(clock))
        self._told = hub

    @property
    def up(self) -> bool:
        return self._told.here

    def connect(self, line: Line) -> int:
        def end(code: int, reason: str) -> None:
            line.close_code = code
            line.ended(reason)

        self._told.send, self._told.end = line.deliver, end
        self._told.opened()
        return 1

    def take(self, member: int, frame: bytes | str) -> None:
        assert isinstance(frame, bytes)
        self._told.take(frame)

    def hang_up(self, member: int) -> None:
        pass


async def in_memory(named: bool, story: Story) -> Hub:
    clock, hub = Clock(), Hub(named)
    virtual, rng = ObedientHub(clock, hub), Random(1)
    sockets: list[HocuspocusSocket] = []

    def open_page(path: str = PATH, session: bool = False) -> Client:
        if not named:
            return VirtualClient(YjsPage("p", clock, rng, Trace(clock), virtual, "room", path, 0.001))
        if not sockets:
            sockets.append(HocuspocusSocket(clock, rng, virtual, 0.001))
        name = str(len(sockets[0].pages) + 1) if session else ""
        return VirtualClient(HocuspocusPage("p", clock, rng, Trace(clock), sockets[0], "room", path, name))

    async def wait(holds: Callable[[], bool]) -> None:
        assert clock.run_until(clock.now_s + DEADLINE_S, holds)

    await story(hub, open_page, wait)
    return hub


class NodeClient:
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def type(self, text: str) -> None:
        self._peer.insert(text)

    def announce(self, state: object) -> None:
        self._peer.do("present", state=state)

    def close(self) -> None:
        self._peer.do("close")

    @property
    def shown(self) -> tuple[str, bool, int, bool]:
        status = self._peer.status
        refused = status["denied"] or [each for each in status["closed"] if each.get("code") in (1000, 4404)]
        return status["text"], status["synced"], status["unsynced"], bool(refused)


@asynccontextmanager
async def served(hub: Hub) -> AsyncIterator[Server]:
    async def listen(connection: ServerConnection) -> None:
        waiting: asyncio.Queue[bytes | tuple[int, str]] = asyncio.Queue()
        hub.send, hub.end = waiting.put_nowait, lambda code, reason: waiting.put_nowait((code, reason))
        hub.opened()

        async def speak() -> None:
            while True:
                match await waiting.get():
                    case (code, reason):
                        await connection.close(code, reason)
                    case bytes(frame):
                        await connection.send(frame)

        speaking = asyncio.create_task(speak())
        try:
            with suppress(ConnectionClosed):
                async for frame in connection:
                    assert isinstance(frame, bytes)
                    hub.take(frame)
        finally:
            speaking.cancel()

    def answer(connection: ServerConnection, request: object) -> Response | None:
        return None if hub.here else connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")

    async with serve(listen, "127.0.0.1", 0, process_request=answer) as server:
        yield server


async def in_node(client: str, named: bool, story: Story) -> Hub:
    hub, peers = Hub(named), list[Peer]()
    with Node() as node:
        async with served(hub) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"

            def open_page(path: str = PATH, session: bool = False) -> Client:
                options: dict[str, Any] = {"sessionAwareness": session, "socket": "one"} if named else {}
                peers.append(node.open(client, url, f"room/{path}", **options))
                if not named:
                    peers[-1].do("present", state=None)  # as long as nobody is announced
                return NodeClient(peers[-1])

            await story(hub, open_page, until)
    return hub


def said(hub: Hub, besides: str) -> list[object]:
    """What was heard, but of the document ``besides``, with what every client draws by lot called alike."""
    ids: dict[int, tuple[int, int]] = {}
    docs: dict[str, Doc[Text]] = {}

    def plain(each: object) -> object:
        match each:
            case (str(name), SyncStep1(state_vector)):
                return name, "step 1", "empty" if state_vector == b"\0" else "some"
            case (str(name), SyncStep2(update) | SyncUpdate(update) as message):
                doc = docs.setdefault(name, Doc())
                doc.apply_update(update)
                return name, type(message).__name__, str(doc.get("content", type=Text))
            case (str(name), Awareness(states)):
                return name, [told(state) for state in states]
            case _:
                return each

    def told(state: ClientState) -> tuple[int, int, object]:
        number, first = ids.setdefault(state.client, (len(ids), state.clock))
        return number, state.clock - first, json.loads(state.state)

    heard = [each for each in hub.heard if not (isinstance(each, tuple) and each[0] == besides)]
    return [plain(each) for each in heard]


async def both(client: str, story: Story, besides: str = "") -> list[object]:
    """What the simulator's page and the real one say, which is the same.

    Documents of one connection are heard in any order: what is said of ``besides`` is not compared.
    """
    named = client in HOCUSPOCUS
    mine = said(await in_memory(named, story), besides)
    real = said(await in_node(client, named, story), besides)
    assert mine == real
    return mine


@pytest.fixture(autouse=True)
def clients() -> None:
    need(missing())


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_page_says_what_is_typed_and_who_is_here(client: str) -> None:
    async def story(hub: Hub, open_page: Open, until: Until) -> None:
        page = open_page()
        await until(lambda: hub.lets_in(page))
        page.announce({"user": {"name": "Ann"}})
        page.type("one ü🎈")
        await until(lambda: hub.text() == "one ü🎈")
        hub.say(QueryAwareness())
        hub.say(SyncStep1(b"\0"))
        await until(lambda: hub.lets_in(page))
        page.announce({"user": {"name": "Ann"}, "cursor": None})
        await until(lambda: "cursor" in str(hub.heard[-1]))
        assert page.shown == ("one ü🎈", True, 0, False)

    told = await both(client, story)
    assert sum("Ann" in str(each) for each in told) == 3


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_page_says_what_it_knows_of_others(client: str) -> None:
    async def story(hub: Hub, open_page: Open, until: Until) -> None:
        page = open_page()
        await until(lambda: hub.lets_in(page))
        page.announce({"at": 0})
        await until(lambda: '"at"' in str(hub.heard[-1]))
        told = hub.heard[-1]
        assert isinstance(told, tuple)
        (mine,) = told[1].states
        hub.say(Awareness((ClientState(7, 3, '{"a":1}'), ClientState(8, 0, "{}"))))
        hub.say(Awareness((ClientState(7, 3, '{"a":2}'), ClientState(9, 1, NOBODY))))
        hub.say(Awareness((ClientState(7, 4, '{"a":3}'), ClientState(10, 1, "{}"))))
        hub.say(Awareness((ClientState(7, 4, NOBODY), ClientState(mine.client, mine.clock, NOBODY))))
        hub.say(Awareness((ClientState(7, 4, '{"a":4}'),)))
        hub.say(QueryAwareness())
        hub.say(SyncStep1(b"\0"))
        await until(lambda: not hub.asked)

    await both(client, story)


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_page_brings_what_was_typed_while_it_was_offline(client: str) -> None:
    async def story(hub: Hub, open_page: Open, until: Until) -> None:
        page = open_page()
        page.announce({"at": 0})
        await until(lambda: hub.lets_in(page))
        page.type("one")
        await until(lambda: hub.text() == "one")
        hub.go_away()
        await until(lambda: not page.shown[1])
        for number in (1, 2):
            page.type(f" {number}")
            page.announce({"at": number})
        hub.here = True
        await until(lambda: hub.lets_in(page) and page.shown == ("one 1 2", True, 0, False))
        page.type(".")
        await until(lambda: hub.text() == "one 1 2.")

    told = await both(client, story)
    assert told.count("opened") == 2


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_page_comes_back_when_the_hub_ends_the_connection(client: str) -> None:
    async def story(hub: Hub, open_page: Open, until: Until) -> None:
        page = open_page()
        page.type("one")
        await until(lambda: hub.lets_in(page))
        for code in (1012, 1013):
            before = hub.heard.count("opened")
            hub.end(code, "later")
            await until(lambda: hub.heard.count("opened") > before)  # noqa: B023
            await until(lambda: hub.lets_in(page) and page.shown == ("one", True, 0, False))

    told = await both(client, story)
    assert told.count("opened") == 3


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_page_that_is_refused_says_no_more(client: str) -> None:
    async def story(hub: Hub, open_page: Open, until: Until) -> None:
        page = open_page()
        await until(lambda: hub.lets_in(page))
        if not hub.named:
            hub.end(4404, "no")
            await until(lambda: page.shown[3])
            return
        beside = open_page("beside.md")
        await until(lambda: hub.lets_in(beside))
        hub.say(PermissionDenied("no"))
        await until(lambda: page.shown[3])
        page.close()
        await until(lambda: (PATH, CloseDocument()) in hub.heard)
        hub.say(CloseDocument("no"), "beside.md")
        await until(lambda: beside.shown[3])

    told = await both(client, story)
    assert told.count("opened") == 1


@pytest.mark.parametrize("client", HOCUSPOCUS[:1])
async def test_documents_of_one_connection_are_let_in_and_closed_each_by_itself(client: str) -> None:
    async def story(hub: Hub, open_page: Open, until: Until) -> None:
        one = open_page()
        await until(lambda: hub.lets_in(one))
        two = open_page("two.md")
        await until(lambda: hub.lets_in(two))
        hub.send(encode_hocuspocus(Ping()))
        await until(lambda: Pong() in hub.heard)
        one.type("one")
        await until(lambda: hub.text() == "one")
        one.close()
        await until(lambda: (PATH, CloseDocument()) in hub.heard)
        two.type("two")
        await until(lambda: hub.text("two.md") == "two")
        again = open_page()
        await until(lambda: hub.lets_in(again) and again.shown == ("one", True, 0, False))

    told = await both(client, story)
    assert told.count("opened") == 1


@pytest.mark.parametrize("client", HOCUSPOCUS[:1])
async def test_a_closing_is_said_after_what_was_opened_since_then(client: str) -> None:
    async def story(hub: Hub, open_page: Open, until: Until) -> None:
        beside, first = open_page("beside.md"), open_page()
        await until(lambda: hub.lets_in(beside, first))
        hub.go_away()
        await until(lambda: not first.shown[1])
        first.close()
        again = open_page()
        hub.here = True
        await until(lambda: hub.lets_in(beside, again) and (PATH, CloseDocument()) in hub.heard)

    told = await both(client, story, besides="beside.md")
    again = told[told.index("opened", 1) + 1 :]
    assert again[0] == (PATH, Token("", "4.8.0"))
    assert again.index((PATH, CloseDocument())) < again.index((PATH, "SyncStep2", ""))


@pytest.mark.parametrize("client", HOCUSPOCUS[:1])
async def test_sessions_have_one_document_open_twice(client: str) -> None:
    async def story(hub: Hub, open_page: Open, until: Until) -> None:
        first = open_page(session=True)
        await until(lambda: hub.lets_in(first))
        second = open_page(session=True)
        await until(lambda: hub.lets_in(second))
        second.type("second")
        await until(lambda: hub.text(f"{PATH} 1") == "second")
        assert first.shown == ("", True, 0, False)

    await both(client, story)


@pytest.mark.parametrize("client", HOCUSPOCUS[:1])
async def test_a_page_knows_how_much_is_not_stored(client: str) -> None:
    async def story(hub: Hub, open_page: Open, until: Until) -> None:
        page = open_page()
        await until(lambda: hub.lets_in(page) and page.shown[2] == 0)
        hub.holds_back = True
        page.type("a")
        page.type("b")
        await until(lambda: hub.text() == "ab")
        assert page.shown == ("ab", True, 2, False)
        hub.say(SyncStatus(False))
        hub.say(SyncStatus(True))
        await until(lambda: page.shown[2] == 1)
        hub.end(1012, "later")
        await until(lambda: hub.heard.count("opened") == 2 and hub.lets_in(page))
        assert page.shown == ("ab", True, 1, False)
        hub.say(SyncStatus(True))
        hub.say(SyncStatus(True))
        await until(lambda: page.shown[2] == 0)

    await both(client, story)
