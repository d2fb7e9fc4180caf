"""Which message a hub takes in which state of a session: the table of docs/protocol.md, row by row."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crdtsync.core.hub import bounds
from crdtsync.core.hub.effects import Close, OpenRoom, ReadLog
from crdtsync.core.hub.events import BinaryFrame, Flush, TextFrame
from crdtsync.core.wire.codec import encode_from_replica
from crdtsync.core.wire.control import (
    Cursor,
    Hello,
    Left,
    Presence,
    Refused,
    Welcome,
    encode_control,
)
from crdtsync.core.wire.messages import CaughtUp, Compare, Probe, Push
from tests.hub.bench import AT_MS, Bench, Replica
from tests.hub.material import NOTES, lone_update

UNKNOWN = Cursor(epoch="somebody else's", sequence=3)


def greeting() -> Replica:
    return Bench().connect()


def opening() -> Replica:
    bench = Bench()
    bench.hold = {OpenRoom}
    replica = bench.join()
    assert bench.held
    return replica


def comparing() -> Replica:
    replica = Bench().join(cursor=UNKNOWN)
    assert not replica.welcome.resume
    return replica


def catching_up() -> Replica:
    bench = Bench()
    bench.join().push((NOTES, lone_update()))
    bench.settle()
    bench.hold = {ReadLog}
    replica = bench.join()
    assert replica.welcome.resume
    assert not replica.all(CaughtUp)
    return replica


def live() -> Replica:
    replica = Bench().join()
    assert replica.all(CaughtUp)
    return replica


def behind() -> Replica:
    bench = Bench()
    replica, author = bench.join(), bench.join()
    replica.reads = False
    while not bench.engine.counts.fell_behind:
        author.push((NOTES, lone_update("x" * (bounds.QUEUE_HIGH_BYTES // 3))))
        bench.settle()
    return replica


MESSAGES: dict[str, str | bytes] = {
    "hello": encode_control(Hello(room="notes", replica="r")),
    "presence": encode_control(Presence(name="ann")),
    "push": encode_from_replica(Push(1, ((NOTES, lone_update()),))),
    "compare": encode_from_replica(Compare(False, ((NOTES, b"\0"),))),
    "probe": encode_from_replica(Probe(1)),
    "a hub's control message": encode_control(Left(member=1)),
    "a hub's frame": b"\x14\x00",
    "an unknown frame": b"\x63",
    "an empty frame": b"",
    "a truncated frame": encode_from_replica(Push(1, ((NOTES, lone_update()),)))[:-3],
    "a frame with a tail": encode_from_replica(Probe(1)) + b"\0",
    "a text that is no message": "{}",
    "a text that is not JSON": "hello?",
    "a nested text": "[" * 50_000,
}

TABLE: list[tuple[Callable[[], Replica], set[str]]] = [
    (greeting, {"hello"}),
    (opening, set()),
    (comparing, {"presence", "compare", "probe"}),
    (catching_up, {"presence", "compare", "probe"}),
    (live, {"presence", "push", "compare", "probe"}),
    (behind, {"presence", "push", "compare", "probe"}),
]


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize(("state", "due"), TABLE, ids=[state.__name__ for state, _ in TABLE])
def test_a_message_is_taken_where_it_is_due_and_refused_elsewhere(
    state: Callable[[], Replica], due: set[str], message: str
) -> None:
    replica = state()
    frame = MESSAGES[message]
    if isinstance(frame, str):
        replica.bench.do(TextFrame(replica.number, frame))
    else:
        replica.bench.do(BinaryFrame(replica.number, frame, AT_MS))
    replica.bench.do(Flush())
    assert (replica.closed is None) is (message in due)
    if message not in due:
        replica.read()
        assert replica.refused.code == "protocol"
        assert replica.got[-1] == replica.refused
        assert replica.closed is not None
        assert replica.closed.code == 1002


def test_nothing_that_a_refused_member_still_sends_is_heard() -> None:
    bench = Bench()
    other, replica = bench.join(), bench.join()
    bench.do(BinaryFrame(replica.number, b"\x63", AT_MS))
    replica.push((NOTES, lone_update()))
    replica.text(Hello(room="notes", replica="again"))
    bench.settle()
    assert other.entries == []
    assert len(replica.all(Welcome)) == 1
    assert len(replica.all(Refused)) == 1


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_version_is_told_who_has_to_upgrade(version: int) -> None:
    replica = Bench().connect()
    replica.bench.do(
        TextFrame(replica.number, f'{{"type": "hello", "version": {version}, "new": [1], "room": 5}}')
    )
    replica.bench.settle()
    assert replica.refused.code == "version"
    assert f"version {version}" in replica.refused.message
    assert f"where the {'replica' if version < 1 else 'hub'} runs" in replica.refused.message
    assert isinstance(replica.closed, Close)


@pytest.mark.parametrize("room", ["", "two words", "a/b", "..", "x" * 129, "-rf", "\u202e", "e\u0301"])
def test_a_name_that_no_room_can_have_is_refused(room: str) -> None:
    replica = Bench().join(room=room)
    assert replica.refused.code == "room"
    assert replica.refused.message.isprintable()
