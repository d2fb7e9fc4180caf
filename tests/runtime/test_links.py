"""A link to a hub, the real one over a websocket and the simulated one: both are asked the same."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Protocol

import pytest

from crdtsync.adapters.hub_link import HubLink
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.codec import decode_from_hub, encode_from_replica
from crdtsync.core.wire.control import Hello, Left, Refused, Welcome, decode_control, encode_control
from crdtsync.core.wire.messages import Push, Relay
from crdtsync.runtime.hub import HubServer
from crdtsync.testing.clock import Clock, Trace
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_network import VirtualLink
from tests.hub.material import Author
from tests.waiting import DEADLINE_S, until

NOTES = DocumentId("0" * 24)


class Link(Protocol):
    def open(self) -> None: ...
    def send(self, frame: str | bytes) -> None: ...
    def drop(self, reason: str) -> None: ...


class End:
    """One end of a link: what it was told, in order; ``news`` is called each time."""

    def __init__(self, news: Callable[[], None] = lambda: None) -> None:
        self.told: list[object] = []
        self.link: Link
        self._news = news

    def _tell(self, what: object) -> None:
        self.told.append(what)
        self._news()

    def opened(self) -> None:
        self._tell("opened")

    def received(self, frame: str | bytes) -> None:
        self._tell(decode_control(frame) if isinstance(frame, str) else decode_from_hub(frame))

    def ended(self, reason: object) -> None:
        self._tell(f"ended: {reason}")

    def count(self, word: str) -> int:
        return sum(isinstance(each, str) and each.startswith(word) for each in self.told)

    def all(self, kind: type[object]) -> list[object]:
        return [each for each in self.told if isinstance(each, kind)]

    def hello(self, name: str) -> None:
        self.link.send(encode_control(Hello(room="notes", replica=name, name=name)))


class Way(ABC):
    """How links are made, and how time passes."""

    @abstractmethod
    def end(self, reachable: bool = True) -> End: ...

    @abstractmethod
    async def until(self, holds: Callable[[], bool]) -> None: ...

    async def joined(self, name: str) -> End:
        end = self.end()
        end.link.open()
        await self.until(lambda: bool(end.count("opened")))
        end.hello(name)
        await self.until(lambda: bool(end.all(Welcome)))
        return end


class VirtualWay(Way):
    def __init__(self) -> None:
        self._clock = Clock()
        trace = Trace(self._clock)
        self._hub = VirtualHub(self._clock, Random(1), trace)
        self._hub.start()
        self._none = VirtualHub(self._clock, Random(2), trace)

    def end(self, reachable: bool = True) -> End:
        end = End()
        hub = self._hub if reachable else self._none
        end.link = VirtualLink(self._clock, Random(3), hub, end.opened, end.received, end.ended)
        return end

    async def until(self, holds: Callable[[], bool]) -> None:
        assert self._clock.run_until(self._clock.now_s + DEADLINE_S, holds)


class RealWay(Way):
    def __init__(self, hub: HubServer) -> None:
        self._hub = hub
        self.links: list[HubLink] = []
        self._news = asyncio.Event()

    def end(self, reachable: bool = True) -> End:
        end = End(self._news.set)
        url = self._hub.url if reachable else "ws://127.0.0.1:9"
        link = HubLink(url, end.opened, end.received, end.ended)
        self.links.append(link)
        end.link = link
        return end

    async def until(self, holds: Callable[[], bool]) -> None:
        await until(holds, self._news)


@pytest.fixture(params=["virtual", "real"])
async def way(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Way]:
    if request.param == "virtual":
        yield VirtualWay()
        return
    async with HubServer("127.0.0.1", 0, tmp_path / "data") as hub:
        real = RealWay(hub)
        yield real
        for link in real.links:
            await link.close()


def pushes(count: int) -> list[bytes]:
    author = Author()
    return [encode_from_replica(Push(number, ((NOTES, author.type("x")),))) for number in range(count)]


async def test_what_one_sends_reaches_the_other_whole_and_in_order(way: Way) -> None:
    ann, bob = await way.joined("ann"), await way.joined("bob")
    sent = pushes(30)
    for frame in sent:
        ann.link.send(frame)

    def came() -> list[bytes]:
        relays = [each for each in bob.told if isinstance(each, Relay)]
        return [entry.update for relay in relays for entry in relay.entries]

    await way.until(lambda: len(came()) == len(sent))
    author = Author()
    assert came() == [author.type("x") for _ in sent]
    assert ann.count("opened") == bob.count("opened") == 1
    assert ann.count("ended") == bob.count("ended") == 0


async def test_a_drop_is_told_once_here_and_to_the_others_by_the_hub(way: Way) -> None:
    ann, bob = await way.joined("ann"), await way.joined("bob")
    bob.link.drop("enough")
    await way.until(lambda: bool(ann.all(Left)))
    await way.until(lambda: bool(bob.count("ended")))
    assert bob.told[-1] == "ended: enough"
    before = len(bob.told)
    for frame in pushes(3):
        ann.link.send(frame)
    other = await way.joined("other")
    await way.until(lambda: len(other.all(Relay)) > 0)
    assert len(bob.told) == before


async def test_a_link_opens_again_and_has_nothing_of_before(way: Way) -> None:
    ann = await way.joined("ann")
    ann.link.drop("again")
    await way.until(lambda: bool(ann.count("ended")))
    ann.link.open()
    await way.until(lambda: ann.count("opened") == 2)
    assert ann.told[-1] == "opened"
    ann.hello("ann")
    await way.until(lambda: len(ann.all(Welcome)) == 2)


async def test_the_end_comes_after_all_that_the_hub_has_said(way: Way) -> None:
    end = way.end()
    end.link.open()
    await way.until(lambda: bool(end.count("opened")))
    end.link.send(pushes(1)[0])  # before any hello
    await way.until(lambda: bool(end.count("ended")))
    assert [type(each) for each in end.told] == [str, Refused, str]


async def test_where_nobody_listens_the_end_is_told_and_no_opening(way: Way) -> None:
    end = way.end(reachable=False)
    end.link.open()
    await way.until(lambda: bool(end.count("ended")))
    assert end.count("opened") == 0
    assert end.count("ended") == 1


async def test_a_link_that_is_dropped_while_it_opens_never_opens(way: Way) -> None:
    end = way.end()
    end.link.open()
    end.link.drop("no more")
    await way.until(lambda: bool(end.count("ended")))
    await way.joined("other")
    assert end.told == ["ended: no more"]


async def test_opening_an_open_link_replaces_it_and_tells_no_end(way: Way) -> None:
    ann, bob = await way.joined("ann"), await way.joined("bob")
    bob.link.open()
    await way.until(lambda: bob.count("opened") == 2)
    await way.until(lambda: bool(ann.all(Left)))
    assert bob.count("ended") == 0
