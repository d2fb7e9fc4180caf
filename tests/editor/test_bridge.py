"""An editor behind a bridge types on while its replica ends and starts again, and nothing of it is lost."""

from __future__ import annotations

import json
from collections import deque
from random import Random

import pytest

from crdtsync.core.editor.bridge import Bridge
from crdtsync.core.editor.framing import Unframer, framed
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
