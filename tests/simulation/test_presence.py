"""Who is shown to whom in worlds at rest: whoever is gone unnoticed is not, once the hub knows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from random import Random
from unittest.mock import patch

import pytest

from crdtsync.core.hub.doors.awareness import Gathering
from crdtsync.core.hub.doors.crossing import Replicas
from crdtsync.core.hub.doors.people import People
from crdtsync.core.hub.room import Room
from crdtsync.core.wire.awareness import ClientState
from crdtsync.core.wire.control import Left, Presence
from crdtsync.testing.clock import Clock, Trace
from crdtsync.testing.hocuspocus_page import HocuspocusPage, HocuspocusSocket
from crdtsync.testing.oracles import Broken
from crdtsync.testing.plan import Plan
from crdtsync.testing.presence import (
    OUTDATED_WITHIN_S,
    RENEWED_WITHIN_S,
    TOLD_WITHIN_S,
    Amiss,
    Here,
    texts_of,
)
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.world import World
from crdtsync.testing.yjs_page import YjsPage

PLAN = Plan(
    acts=20, pause_s=0.1, groups=frozenset(), faults=frozenset({"half_open", "cut"}), typists=3, bots=2
)
_take, _announce = Replicas.take, People.announce


def _take_all_but_who_left(self: Replicas, news: Presence | Left) -> ClientState | None:
    return None if isinstance(news, Left) else _take(self, news)


def _announce_all_but_who_left(self: People, room: Room, connection: int) -> None:
    if any(self._text_of(channel) is not None for channel in self._here.get(connection, ())):
        _announce(self, room, connection)


def _recognise_whoever_is_told_of(self: Gathering, channel: int, client: int | None) -> None:
    if client in self._states:
        self._by[client] = channel


MUTANTS: dict[str, tuple[Callable[[], AbstractContextManager[object]], int, str]] = {
    "pages are not told of a page that left": (
        lambda: patch.object(Gathering, "leave", lambda *_: ()),
        3,
        "is shown",
    ),
    "pages are not told of a folder that left": (
        lambda: patch.object(Replicas, "take", _take_all_but_who_left),
        3,
        "is shown",
    ),
    "pages are not told again of folders": (
        lambda: patch.object(Replicas, "states", lambda *_: ()),
        2,
        "is not shown",
    ),
    "folders are not told of a page that left": (
        lambda: patch.object(People, "announce", _announce_all_but_who_left),
        3,
        "is shown",
    ),
    "a page with nobody in front of it is taken for whom it repeats": (
        lambda: patch.object(Gathering, "_recognise", _recognise_whoever_is_told_of),
        12,
        "is shown",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_hub_that_shows_whoever_is_gone_or_not_whoever_is_here_is_noticed(name: str) -> None:
    mutant, seed, what = MUTANTS[name]
    World(seed, PLAN).run()
    with mutant(), pytest.raises(Broken, match=f"present: .* {what} "):
        World(seed, PLAN).run()


def opened(*paths: str) -> tuple[Clock, VirtualHub, list[YjsPage]]:
    """Pages of p, q, ... in which everyone is announced and has typed."""
    clock = Clock()
    hub = VirtualHub(clock, Random(1), Trace(clock))
    hub.start()
    pages = [
        YjsPage(name, clock, Random(name), Trace(clock), hub, "room", path, 0.001)
        for name, path in zip("pq", paths, strict=True)
    ]
    for page in pages:
        page.announce({"user": {"name": page.name}})
        clock.run_until(clock.now_s + 1.0)
        page.replace(0, 0, page.name)
    clock.run_until(clock.now_s + 1.0)
    return clock, hub, pages


@pytest.mark.parametrize(("texts", "amiss"), [({"one"}, 2), ({"one", "two"}, 0), (set(), 0)])
def test_only_of_one_text_is_it_known_who_is_with_whom(texts: set[str], amiss: int) -> None:
    _, _, pages = opened("a.md", "b.md")
    found = Here({}, pages, {page.name: frozenset(texts) for page in pages}).amiss()
    assert [each.within_s for each in found] == [RENEWED_WITHIN_S] * amiss


def test_whose_connection_is_half_open_is_shown_until_the_hub_notices() -> None:
    clock, hub, pages = opened("a.md", "a.md")
    leaves = pages[1]

    def amiss() -> list[str]:
        here = [page for page in pages if page.open]
        return [each.what for each in Here({}, here, texts_of(here, hub.store)).amiss()]

    assert amiss() == []
    leaves.link.lose(0.0, 30.0)
    leaves.close()
    clock.run_until(clock.now_s + 29.0)
    (what,) = amiss()
    assert hub.half_open and what.startswith("p is shown") and what.endswith("who is not here")
    clock.run_until(clock.now_s + 2.0)
    assert amiss() == []


def test_what_a_client_says_late_of_a_page_that_is_gone_is_shown_until_it_is_old() -> None:
    clock, hub, (looks, types) = opened("a.md", "a.md")
    socket = HocuspocusSocket(clock, Random(2), hub, 0.1)
    stays, leaves = (
        HocuspocusPage(name, clock, Random(name), Trace(clock), socket, "room", "a.md", name) for name in "st"
    )
    clock.run_until(clock.now_s + 5.0)
    socket.link.unplug()
    clock.run_until(clock.now_s + 5.0, lambda: not socket._socket.connected)
    leaves.announce({"user": {"name": "t"}})
    socket.link.online = True
    clock.run_until(clock.now_s + 5.0, lambda: socket._socket.connected)
    leaves.close()
    again = HocuspocusPage("u", clock, Random("u"), Trace(clock), socket, "room", "a.md", "t")
    socket.link.cut()
    clock.run_until(clock.now_s + 5.0)

    def ghosts(within_s: float) -> list[Amiss]:
        here = [looks, types, stays, again]
        found = Here({}, here, texts_of(here, hub.store)).amiss()
        return [each for each in found if each.within_s == within_s]

    assert leaves.client_id in looks.people
    assert ghosts(OUTDATED_WITHIN_S) and not ghosts(TOLD_WITHIN_S)
    clock.run_until(clock.now_s + 33.0)
    assert not ghosts(OUTDATED_WITHIN_S)
