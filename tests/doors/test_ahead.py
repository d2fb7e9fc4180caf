"""What a client types on with is told to others before it is taken in: once, and only if it will be."""

from __future__ import annotations

from random import Random

import pytest

from crdtsync.core.hub import bounds
from crdtsync.core.hub.admission import HERE, Granted
from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.effects import Effect, Send
from crdtsync.core.hub.events import Ahead, BinaryFrame, Connected, Stop, YjsDoor
from crdtsync.core.values import limits
from crdtsync.core.wire.hocuspocus import Named, encode_hocuspocus
from crdtsync.core.wire.yjs import SyncUpdate, encode_yjs
from tests.doors.clients import HocuspocusClient, Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import AT_MS, Bench


class Writing:
    """Ann and Bob have a text open, into which Ann has typed."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.folder = Folder(self.bench)
        self.folder.create("a.txt", "x")
        self.ann, self.bob = YjsClient(self.bench, Page(5)), YjsClient(self.bench, Page(6))
        self.ann.type("a")

    def comes(self, text: str) -> tuple[bytes, list[Effect]]:
        """Ann's frame, and what is done when it is about to be handled."""
        frame = encode_yjs(SyncUpdate(self.ann.page.type(text)))
        return frame, self.bench.engine.handle(Ahead(self.ann.number, frame), self.bench.now)

    @property
    def told(self) -> list[bytes]:
        return [message.update for message in self.bob.all(SyncUpdate)]

    def ahead(self, text: str = "b") -> bool:
        """Whether Bob is told of what Ann types before it is taken in."""
        frame, effects = self.comes(text)
        assert effects in ([], [Send((self.bob.number,), frame)])
        return bool(effects)


def test_others_are_told_before_it_is_taken_in_and_not_again() -> None:
    writing = Writing()
    before = len(writing.told)
    frame = encode_yjs(SyncUpdate(writing.ann.page.type("b")))
    writing.bench.do(Ahead(writing.ann.number, frame))
    assert list(writing.bob.waiting) == [frame]
    writing.bench.do(BinaryFrame(writing.ann.number, frame, AT_MS))
    writing.bench.settle()
    assert len(writing.told) == before + 1
    assert writing.bob.page.text == "xab" == writing.folder.read()["a.txt"]


def test_what_comes_in_the_same_turn_is_told_at_its_end_without_what_was_told() -> None:
    writing = Writing()
    before = len(writing.told)
    for character in "bcd":
        writing.ann.say(SyncUpdate(writing.ann.page.type(character)))
    writing.bob.say(SyncUpdate(writing.bob.page.type("B")))
    rows = len(writing.folder.member.entries)
    writing.bench.settle()
    assert len(writing.told) == before + 2
    assert sorted(writing.bob.page.text) == sorted("xabcdB")
    assert writing.ann.page.text == writing.bob.page.text == writing.folder.read()["a.txt"]
    assert len(writing.folder.member.entries) == rows + 1, "the log has one row for a turn, with all of it"


def test_who_comes_in_the_middle_of_the_turn_has_it_too() -> None:
    writing = Writing()
    writing.ann.say(SyncUpdate(writing.ann.page.type("b")))
    late = YjsClient(writing.bench, Page(7))
    writing.ann.say(SyncUpdate(writing.ann.page.type("c")))
    writing.bench.settle()
    assert late.page.text == writing.bob.page.text == "xabc"


def test_what_is_not_typed_on_waits_for_its_turn() -> None:
    writing = Writing()
    for update in (writing.ann.page.type("y", 0), writing.ann.page.erase(0, 1), b"\0\0", b"\1\1"):
        event = Ahead(writing.ann.number, encode_yjs(SyncUpdate(update)))
        assert writing.bench.engine.handle(event, writing.bench.now) == []


def test_what_was_missed_before_is_not_overtaken() -> None:
    writing = Writing()
    writing.ann.page.type("never said")
    assert not writing.ahead()


def test_while_something_is_to_be_told_nothing_goes_ahead_of_it() -> None:
    writing = Writing()
    writing.bob.say(writing.bob.page.present("Bob"))
    assert not writing.ahead()
    writing = Writing()
    writing.bob.say(SyncUpdate(writing.bob.page.type("B")))
    assert not writing.ahead()


def test_one_who_does_not_keep_up_misses_nothing() -> None:
    writing = Writing()
    writing.bob.reads = False
    for character in "bcdefg":
        writing.ann.say(SyncUpdate(writing.ann.page.type(character)))
        writing.bench.settle()
    assert len(writing.bob.waiting) == 6
    assert not writing.ahead("h")
    frame = encode_yjs(SyncUpdate(writing.ann.page.type("i")))
    writing.bob.read()
    assert writing.bob.page.text == "xabcdefg"
    assert writing.bench.engine.handle(Ahead(writing.ann.number, frame), writing.bench.now) == []


def test_what_will_be_refused_is_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    writing = Writing()
    assert writing.ahead()
    (channel,) = (
        each
        for desk in writing.bench.engine._doors._desks.values()
        for each in desk.channels.values()
        if each.connection.number == writing.ann.number
    )
    assert isinstance(channel, Channel)
    channel.granted = Granted(read_only=True)
    assert not writing.ahead()

    writing = Writing()
    monkeypatch.setattr(limits, "ROOM_UPDATES_MAX_BYTES", 10)
    assert not writing.ahead()
    monkeypatch.undo()

    writing = Writing()
    monkeypatch.setattr(limits, "TEXT_REMAINS_MAX_BYTES", 10)
    assert not writing.ahead()


def test_a_long_frame_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    writing = Writing()
    frame, effects = writing.comes("b")
    assert effects
    writing = Writing()
    monkeypatch.setattr(bounds, "AHEAD_MAX_BYTES", len(frame) - 1)
    assert writing.comes("b") == (frame, [])


def test_of_a_file_that_is_not_made_yet_nothing_goes_ahead() -> None:
    bench = Bench()
    Folder(bench)
    ann, bob = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    frames = [encode_yjs(SyncUpdate(ann.page.type(character))) for character in "ab"]
    assert bench.engine.handle(Ahead(ann.number, frames[0]), bench.now) == []
    for frame in frames:
        bench.hear(ann.number, frame)
    bench.settle()
    assert bob.page.text == "ab"


def test_a_hub_that_stops_tells_nobody_what_it_will_not_take() -> None:
    writing = Writing()
    writing.bench.do(Stop())
    assert not any(isinstance(effect, Send) for effect in writing.comes("b")[1])


def test_clients_of_both_protocols_are_told_each_in_its_own() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    name = "notes/a.txt"
    yjs, both = YjsClient(bench, Page(5)), [HocuspocusClient(bench), HocuspocusClient(bench)]
    for number, each in enumerate(both):
        each.open(name, Page(6 + number))
    both[0].type(name, "b")
    yjs.type("a", 1)
    frame = encode_yjs(SyncUpdate(update := yjs.page.type("c", 2)))
    bench.do(Ahead(yjs.number, frame))
    told = encode_hocuspocus(Named(name, SyncUpdate(update)))
    assert [list(each.waiting) for each in both] == [[told], [told]]
    bench.do(BinaryFrame(yjs.number, frame, AT_MS))
    bench.settle()
    told = encode_hocuspocus(Named(name, SyncUpdate(update := both[0].pages[name].type("d"))))
    bench.do(Ahead(both[0].number, told))
    assert list(yjs.waiting) == [encode_yjs(SyncUpdate(update))]
    assert list(both[1].waiting) == [told]
    assert not both[0].waiting


@pytest.mark.parametrize("seed", range(12))
def test_the_log_and_every_page_hold_what_they_would_without(seed: int) -> None:
    assert _story(seed, ahead=True) == _story(seed, ahead=False)


def _story(seed: int, *, ahead: bool) -> tuple[list[str], list[str], list[bytes]]:
    rng, bench = Random(seed), Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    clients = [YjsClient(bench, Page(5 + number)) for number in range(4)]
    for _ in range(120):
        client = rng.choice(clients[: 1 + rng.randrange(4)])
        at = rng.choice([None, None, None, 0, len(client.page.text)])
        for character in "typed"[: rng.randrange(1, 5)]:
            frame = encode_yjs(SyncUpdate(client.page.type(character, at)))
            if ahead:
                bench.do(Ahead(client.number, frame))
            bench.do(BinaryFrame(client.number, frame, AT_MS))
            if rng.random() < 0.5:
                bench.settle()
        clients[3].reads = rng.random() < 0.7
    clients[3].read()
    bench.settle()
    text = folder.read()["a.txt"]
    assert {client.page.text for client in clients} == {text}
    return [text], [client.page.text for client in clients], [row.update for row in folder.member.entries]


def test_of_what_comes_before_a_room_is_open_nobody_is_told() -> None:
    bench = Bench()
    bench.engine.handle(Connected(9, HERE, YjsDoor("notes", "a.txt", None)), bench.now)
    frame = encode_yjs(SyncUpdate(Page(5).type("a")))
    assert bench.engine.handle(Ahead(9, frame), bench.now) == []
