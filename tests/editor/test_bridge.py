"""An editor behind a bridge types on while its replica ends and starts again, and nothing of it is lost."""

from __future__ import annotations

import json
from collections import deque
from random import Random
from typing import Any

import pytest

from crdtsync.core.editor.bridge import Bridge, BridgeError
from crdtsync.core.editor.framing import Unframer, framed
from crdtsync.core.values import limits
from crdtsync.testing.plugins import Plugin
from crdtsync.testing.tokens import FIRST_TOKEN
from tests.editor.transcripts import Stage

URI = "file:///home/notes/a.md"


class Bridged:
    """A plugin, a bridge and a replica that can be killed; messages wait in queues until they are carried."""

    def __init__(self, content: str = "one\ntwo\n") -> None:
        self.stage = Stage()
        self.stage.run("! file " + json.dumps(content))
        self.up: deque[str] = deque()
        self.down: deque[str] = deque()
        self.for_editor: deque[str] = deque()
        self.from_editor: deque[str] = deque()
        self.bridge = Bridge("0123456789abcdef", self.for_editor.append, self.up.append)
        self.connect()
        self.plugin = Plugin(URI, content, lambda message: self.from_editor.append(json.dumps(message)))

    def connect(self) -> None:
        self.stage.listen(self.down.append)
        self.bridge.connected()

    def kill(self) -> None:
        """The replica ends at once; what was on its way is lost."""
        self.stage.scene.a.kill()
        self.up.clear()
        self.down.clear()
        self.bridge.disconnected()

    def start(self) -> None:
        self.stage.scene.a.start()
        self.connect()

    def carry(self, rng: Random | None = None, count: int = 10_000) -> None:
        """Let messages travel, some of them."""
        ways = [self._to_replica, self._from_replica, self._to_bridge, self._to_plugin]
        for _ in range(count):
            if rng is not None:
                rng.choice(ways)()
            elif not sum(way() for way in ways):
                return

    def settle(self) -> str:
        for _ in range(4):
            self.carry()
            self.stage.scene.wait(1.0)
        self.carry()
        self.stage.scene.rest()
        self.carry()
        text = self.stage.scene.read(self.stage.scene.b, "a.md")
        assert text is not None
        return text

    def _to_replica(self) -> bool:
        if not self.up or self.stage.scene.a.engine is None:
            return False
        self.stage.sessions[""].receive(self.up.popleft())
        return True

    def _from_replica(self) -> bool:
        if not self.down:
            return False
        self.bridge.from_replica(self.down.popleft().encode())
        return True

    def _to_bridge(self) -> bool:
        if not self.from_editor:
            return False
        self.bridge.from_editor(self.from_editor.popleft().encode())
        return True

    def _to_plugin(self) -> bool:
        if not self.for_editor:
            return False
        self.plugin.hear(json.loads(self.for_editor.popleft()))
        return True


def opened(content: str = "one\ntwo\n") -> Bridged:
    bridged = Bridged(content)
    for _ in range(3):
        bridged.carry()
        bridged.stage.scene.wait(1.0)
    bridged.carry()
    assert bridged.plugin.tracking
    return bridged


def test_what_is_typed_while_no_replica_runs_arrives_once_it_does() -> None:
    bridged = opened()
    bridged.plugin.type("before\n")
    bridged.settle()
    bridged.kill()
    bridged.plugin.type("while it is away\n")
    bridged.carry()
    kept = bridged.bridge.unconfirmed
    assert kept
    bridged.stage.scene.save(bridged.stage.scene.b, "a.md", "zero\none\ntwo\nbefore\n")
    bridged.stage.scene.wait(1.0)
    bridged.start()
    bridged.plugin.type("after\n")
    assert bridged.settle() == bridged.plugin.buffer == "zero\none\ntwo\nbefore\nwhile it is away\nafter\n"
    kept = bridged.bridge.unconfirmed
    assert not kept
    assert bridged.plugin.errors == []


def test_an_edit_that_was_on_its_way_is_made_once() -> None:
    for carried in range(4):
        bridged = opened()
        bridged.plugin.type("typed\n")
        for way in (bridged._to_bridge, bridged._to_replica, bridged._from_replica)[:carried]:
            way()
        bridged.kill()
        bridged.start()
        assert bridged.settle() == bridged.plugin.buffer == "one\ntwo\ntyped\n", carried


def test_a_file_that_is_opened_while_no_replica_runs_is_opened_later() -> None:
    bridged = opened()
    bridged.kill()
    second = Plugin(
        URI.replace("a.md", "b.md"), "", lambda message: bridged.from_editor.append(json.dumps(message))
    )
    bridged.carry()
    assert second.daemon_revision == 0 and not bridged.up
    bridged.plugin = second
    bridged.start()
    bridged.settle()
    assert second.tracking
    second.type("fresh")
    bridged.settle()
    assert bridged.stage.scene.read(bridged.stage.scene.b, "b.md") == "fresh"


def test_an_editor_that_types_before_its_file_is_open_loses_nothing() -> None:
    bridged = Bridged()
    bridged.plugin.type("early\n")
    bridged.plugin.type("bird\n")
    assert bridged.settle() == bridged.plugin.buffer == "one\ntwo\nearly\nbird\n"


@pytest.mark.parametrize("seed", range(15))
def test_kills_at_any_time_lose_and_double_nothing(seed: int) -> None:
    rng = Random(seed)
    bridged = opened()
    scene, tokens = bridged.stage.scene, []
    for number in range(40):
        token = chr(FIRST_TOKEN + number)
        match rng.randrange(10):
            case 0 if scene.a.engine is None:
                bridged.start()
            case 0:
                bridged.kill()
            case 1:
                saved = scene.read(scene.b, "a.md") or ""
                scene.save(scene.b, "a.md", saved + token + "\n")
                tokens.append(token)
                scene.wait(0.3)
            case 2:
                scene.wait(rng.choice((0.05, 1.0, 3.0)))
            case _:
                at = rng.randint(0, len(bridged.plugin.buffer))
                bridged.plugin.replace(at, at, token)
                tokens.append(token)
        bridged.carry(rng, rng.choice((0, 3, 20)))
    if scene.a.engine is None:
        bridged.start()
    text = bridged.settle()
    assert bridged.plugin.buffer == text
    assert {token: text.count(token) for token in tokens if text.count(token) != 1} == {}
    assert bridged.plugin.errors == []


def test_bad_input_is_answered_and_forwarded_and_ends_nothing() -> None:
    bridged = opened()
    edit = {"uri": URI, "revision": 0, "delta": [{"range": 7, "replacement": "x"}]}
    for body in (
        b"",
        b"{",
        b"7",
        b"[]",
        b'{"method":"open"}',
        b'{"id":1,"method":"open","params":{"uri":7}}',
    ):
        bridged.bridge.from_editor(body)
    bridged.bridge.from_editor(json.dumps({"id": 2, "method": "edit", "params": edit}).encode())
    bridged.bridge.from_editor(b'{"id":3,"method":"edit","params":{"uri":"' + URI.encode() + b'"}}')
    bridged.bridge.from_editor(b'{"id":4,"method":"what","params":{}}')
    bridged.carry()
    assert len(bridged.plugin.errors) == 9
    bridged.plugin.editor_revision += 2
    bridged.plugin.type("still here\n")
    assert bridged.settle() == "one\ntwo\nstill here\n"


def test_frames_are_read_however_they_are_cut_and_what_is_no_frame_is_skipped() -> None:
    data = framed("{}") + b"nonsense\r\n\r\ncontent-type: x\r\nCONTENT-LENGTH: 6\r\n\r\n" + '["é"]'.encode()
    data += b"Content-Length: x\r\n\r\n" + framed('"🎈"')
    unframer = Unframer()
    found = [body.decode() for index in range(len(data)) for body in unframer.feed(data[index : index + 1])]
    assert found == ["{}", '["é"]', '"🎈"']
    assert [body.decode() for body in Unframer().feed(data)] == found


def test_a_frame_too_large_is_left_out_and_told_as_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EDITOR_LINE_MAX_BYTES", 10)
    data = framed('"fits"') + framed('"does not fit"') + framed('"fits"')
    for size in (1, 7, len(data)):
        unframer = Unframer()
        pieces = (data[at : at + size] for at in range(0, len(data), size))
        assert [body.decode() for piece in pieces for body in unframer.feed(piece)] == [
            '"fits"',
            "",
            '"fits"',
        ]


def test_a_header_without_an_end_is_forgotten() -> None:
    unframer = Unframer()
    assert unframer.feed(b"x" * 5000) == []
    assert unframer.feed(framed("{}")) == [b"{}"]


class Alone:
    """A bridge by its messages alone."""

    def __init__(self) -> None:
        self.up: list[dict[str, Any]] = []
        self.down: list[dict[str, Any]] = []
        self.bridge = Bridge(
            "0123456789abcdef",
            lambda line: self.down.append(json.loads(line)),
            lambda line: self.up.append(json.loads(line)),
        )

    def connect(self) -> None:
        self.bridge.connected()
        self.answer({"taken": 0})

    def answer(self, result: object = "success", **also: object) -> None:
        """What the replica was asked last."""
        self.replica_says(id=self.up[-1]["id"], **(also if also else {"result": result}))

    def replica_says(self, **message: object) -> None:
        self.bridge.from_replica(json.dumps(message).encode())

    def say(self, method: str, number: int | None = None, **params: object) -> None:
        message: dict[str, object] = {"method": method, "params": {"uri": URI, **params}}
        self.bridge.from_editor(json.dumps(message if number is None else {**message, "id": number}).encode())

    def open(self, content: str = "one\n") -> None:
        self.say("open", 1, content=content)
        self.answer()
        assert self.down.pop() == {"jsonrpc": "2.0", "id": 1, "result": "success"}


def change(start: int, end: int, text: object) -> dict[str, object]:
    """In the first line."""
    ends = ({"line": 0, "character": at} for at in (start, end))
    return {"range": dict(zip(("start", "end"), ends, strict=True)), "replacement": text}


@pytest.fixture
def alone() -> Alone:
    made = Alone()
    made.connect()
    return made


@pytest.mark.parametrize(
    ("revision", "delta"), [("1", []), (0, [change(0, 0, 7)]), (0, [change(0, 9, "")]), (3, []), (0, 5)]
)
def test_an_edit_that_cannot_be_is_refused_and_counts(alone: Alone, revision: object, delta: object) -> None:
    alone.open()
    alone.say("edit", 2, revision=revision, delta=delta)
    alone.say("edit", revision=revision, delta=delta)  # nobody waits for an answer
    [refused] = alone.down
    assert refused["id"] == 2 and "cannot be" in refused["error"]["message"]
    alone.down.clear()
    alone.replica_says(method="edit", params={"uri": URI, "revision": 0, "delta": [change(0, 0, "x")]})
    assert alone.down[0]["params"]["revision"] == 2


def test_an_edit_of_nothing_is_answered_and_goes_nowhere(alone: Alone) -> None:
    alone.open()
    sent = len(alone.up)
    alone.say("edit", 2, revision=0, delta=[change(1, 1, "")])
    assert [each["id"] for each in alone.down] == [2]
    assert len(alone.up) == sent
    assert not alone.bridge.unconfirmed


def test_a_closed_file_is_closed_at_the_replica_and_nothing_is_told_of_it(alone: Alone) -> None:
    alone.open()
    alone.say("close", 2)
    assert alone.up[-1]["method"] == "close"
    alone.answer()
    assert [each["id"] for each in alone.down] == [2]
    alone.replica_says(method="edit", params={"uri": URI, "revision": 0, "delta": [change(0, 0, "x")]})
    assert len(alone.down) == 1


def test_a_file_that_is_closed_before_it_was_open_stays_closed(alone: Alone) -> None:
    alone.say("open", 1, content="")
    opening = alone.up[-1]["id"]
    alone.say("close")
    alone.replica_says(id=opening, result="success")
    assert alone.down == []


def test_a_file_that_cannot_be_opened_is_refused_and_forgotten(alone: Alone) -> None:
    error = {"code": -32000, "message": "it is a folder"}
    alone.say("open", 1, content="")
    alone.answer(error=error)
    alone.say("open", content="")
    alone.answer(error=error)
    assert alone.down == [{"id": 1, "error": error}]
    alone.say("edit", 2, revision=0, delta=[])
    assert alone.up[-1]["method"] == "edit", "the replica is to say that it is not open"


def test_a_file_that_cannot_be_opened_again_is_tried_with_the_next_connection(alone: Alone) -> None:
    alone.open("one\n")
    alone.bridge.disconnected()
    alone.say("edit", 2, revision=0, delta=[change(0, 0, "typed ")])
    alone.connect()
    alone.answer(error={"code": -32000, "message": "not now"})
    assert [each["id"] for each in alone.down] == [2]
    assert alone.bridge.unconfirmed
    alone.bridge.disconnected()
    alone.connect()
    alone.answer()
    assert alone.up[-1]["params"]["delta"] == [change(0, 0, "typed ")]


def test_the_cursor_is_told_again_to_a_replica_that_was_away(alone: Alone) -> None:
    alone.open()
    alone.say("cursor", 2, ranges=[])
    alone.answer()
    assert [each["id"] for each in alone.down] == [2]
    alone.bridge.disconnected()
    alone.say("cursor", 3, ranges=[])
    alone.say("cursor", ranges=[change(1, 1, "")["range"]])
    assert [each["id"] for each in alone.down] == [2, 3], "nobody else is there to answer"
    alone.connect()
    alone.answer()
    assert alone.up[-1]["method"] == "cursor"
    assert alone.up[-1]["params"]["ranges"] == [change(1, 1, "")["range"]]


def test_a_cursor_without_a_file_is_the_replica_s_to_refuse(alone: Alone) -> None:
    for params in ({}, 7, {"uri": 7}):
        alone.bridge.from_editor(json.dumps({"method": "cursor", "params": params, "id": 1}).encode())
        assert alone.up[-1]["params"] == params
    alone.bridge.from_editor(b'{"method": "cursor"}')
    alone.open()


def test_what_others_do_there_is_passed_on_and_answers_to_nothing_are_not(alone: Alone) -> None:
    alone.open()
    alone.replica_says(method="cursor", params={"uri": URI, "name": "Bob"})
    alone.replica_says(id=999, result="success")
    assert [each["method"] for each in alone.down] == ["cursor"]


def test_a_request_that_is_almost_too_deep_to_be_read_ends_nothing(alone: Alone) -> None:
    for depth in range(500, 1001):  # how deep that is depends on who called
        body = b'{"id":5,"method":"what","params":' + b"[" * depth + b"]" * depth + b"}"
        alone.bridge.from_editor(body)
    assert alone.down and all(each["id"] is None for each in alone.down)
    alone.open()


def test_an_editor_that_does_not_answer_is_not_kept_up_with_for_ever(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EDITS_UNTAKEN_MAX", 2)
    alone.open()
    with pytest.raises(BridgeError, match="has not answered"):
        for _ in range(3):
            alone.replica_says(
                method="edit", params={"uri": URI, "revision": 0, "delta": [change(0, 0, "x")]}
            )


def test_a_file_that_is_closed_while_no_replica_runs_is_not_opened_again(alone: Alone) -> None:
    alone.open()
    alone.bridge.disconnected()
    alone.say("close", 2)
    assert [each["id"] for each in alone.down] == [2]
    alone.connect()
    assert alone.up[-1]["method"] == "resume"
