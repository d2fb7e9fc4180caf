"""Who may use the doors, and how much: invites that end, floods of presence, what strangers find out."""

from __future__ import annotations

from random import Random

import pytest

from crdtsync.core.hub.admission import REVOKED, Asking, Denied, Granted
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.hub.events import Expelled
from crdtsync.core.values import limits
from crdtsync.core.wire.yjs import Awareness
from tests.doors.clients import HocuspocusClient, Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import Bench


def test_a_client_whose_invite_has_ended_is_let_go_and_told_nothing_more() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    stays, leaves = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    socket = HocuspocusClient(bench)
    assert {admitted.member for admitted in bench.admitted} >= {stays.number, leaves.number}
    for number in (leaves.number, socket.number):
        bench.do(Expelled(number, REVOKED))
    bench.settle()
    assert leaves.closed is not None and leaves.closed.code == 4403
    assert socket.closed is not None and socket.closed.code == 4403
    heard = len(leaves.got)
    stays.type("secret")
    assert len(leaves.got) == heard and not stays.is_closed()
    assert folder.read()["a.txt"] == "xsecret"


def test_a_flood_of_presence_is_left_out_and_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AWARENESS_BURST", 5)
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    flooding, other = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    before = len(other.all(Awareness))
    for number in range(50):
        flooding.say(flooding.page.present(f"Ann {number}"))
    bench.settle()
    assert len(other.all(Awareness)) - before <= 5
    assert bench.engine.counts.refusals == {"awareness": 45}
    other.say(other.page.present("Bob"))
    flooding.type("y")
    assert other.page.text == "xy" and not flooding.is_closed()


def test_a_stranger_cannot_tell_which_rooms_and_files_there_are() -> None:
    bench = Bench()
    Folder(bench).create("a.txt", "x")

    def admit(asking: Asking) -> Granted | Denied:
        return Denied("This invite is not valid here.")

    bench.engine = HubEngine("e1", Random(1), admit=admit)
    seen = []
    for room, path in (("notes", "a.txt"), ("notes", "none.txt"), ("nothing", "a.txt")):
        bench.answered.clear()
        stranger = YjsClient(bench, Page(7), path, room, "guess")
        bench.tick()
        assert bench.answered == []
        seen.append((stranger.got, stranger.closed and (stranger.closed.code, stranger.closed.reason)))
    assert seen[0] == seen[1] == seen[2]
