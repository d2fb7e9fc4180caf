"""What a person chooses: at a first join, of what is held, and what a hub's no means for the replica."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import pytest

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica import status
from crdtsync.core.replica.steps import Outcome, Raced, Step
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.wire.control import Refused, Welcome, encode_control
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica
from crdtsync.testing.virtual_transfers import VirtualTransfers
from tests.simulation.scene import Scene


def put(replica: VirtualReplica, path: str, kind: NodeKind, data: bytes) -> None:
    replica.disk.put(path, replica.disk.new_inode(kind, data))


def rejoined(
    choice: ev.Differing, *, later: bool = True, asked: Callable[[Scene], None] = lambda scene: None
) -> Scene:
    """``b`` has other files than the room, and joins as if for the first time; its are newer if ``later``.

    ``asked``: what happens between the question and the answer.
    """
    scene = Scene()
    for path, content in (("text.md", "theirs\n"), ("blob.bin", b"\0theirs"), ("kind.x", "a text\n")):
        scene.save(scene.a, path, content)
    put(scene.a, "link", NodeKind.LINK, b"text.md")
    scene.rest()
    scene.b.kill()
    scene.b.lose_state()
    if later:
        scene.wait(60.0)
    for path, content in (("text.md", b"mine\n"), ("blob.bin", b"\0mine"), ("kind.x", b"\0a blob")):
        put(scene.b, path, NodeKind.FILE, content)
    put(scene.b, "link", NodeKind.LINK, b"blob.bin")
    if not later:
        scene.wait(60.0)
        for path, content in (("text.md", "theirs, later\n"), ("blob.bin", b"\0theirs, later")):
            scene.save(scene.a, path, content)
        scene.wait(5.0)
    scene.b.differing = choice
    scene.b.asked = lambda question: asked(scene)
    scene.b.start()
    scene.rest()
    return scene


def content(scene: Scene, path: str) -> bytes:
    nodes = [replica.disk.get(path) for replica in (scene.a, scene.b)]
    [data] = {node.data for node in nodes if node is not None}
    return data


def test_who_joins_with_the_hub_s_files_has_those_and_keeps_the_others_in_the_trash() -> None:
    scene = rejoined(ev.Differing.HUB)
    assert [content(scene, path) for path in ("text.md", "blob.bin", "kind.x", "link")] == [
        b"theirs\n",
        b"\0theirs",
        b"a text\n",
        b"text.md",
    ]
    assert len(scene.paths(scene.b)) == 4


def test_who_joins_with_files_of_their_own_gives_the_room_those() -> None:
    scene = rejoined(ev.Differing.MINE)
    assert [content(scene, path) for path in ("text.md", "blob.bin", "kind.x", "link")] == [
        b"mine\n",
        b"\0mine",
        b"\0a blob",
        b"blob.bin",
    ]
    assert len(scene.paths(scene.b)) == 4


def test_who_joins_with_other_files_and_wants_both_has_both_everywhere() -> None:
    scene = rejoined(ev.Differing.BOTH)
    assert [content(scene, path) for path in ("text.md", "blob.bin", "kind.x", "link")] == [
        b"theirs\n",
        b"\0theirs",
        b"a text\n",
        b"text.md",
    ]
    copies = [path for path in scene.paths(scene.b) if "conflict of b" in path]
    assert scene.b.engine is not None
    assert sorted(each.path for each in scene.b.engine.conflicts) == copies
    assert sorted(content(scene, path) for path in copies) == [b"\0a blob", b"\0mine", b"blob.bin", b"mine\n"]


def test_what_others_wrote_since_the_question_is_not_replaced_by_what_stood_here() -> None:
    """Whoever chose had not seen it: both are kept."""
    scene = rejoined(ev.Differing.MINE, asked=lambda scene: scene.save(scene.a, "text.md", "theirs, later\n"))
    texts = {node.data for path, node in scene.a.disk.files() if path.startswith("text")}
    assert texts == {b"theirs, later\n", b"mine\n"}
    assert content(scene, "blob.bin") == b"\0mine"


def test_what_was_saved_here_since_the_question_is_kept_beside_the_room_s_file() -> None:
    scene = rejoined(ev.Differing.HUB, asked=lambda scene: scene.save(scene.b, "text.md", "mine, later\n"))
    assert content(scene, "text.md") == b"theirs\n" and content(scene, "blob.bin") == b"\0theirs"
    (copy,) = [path for path in scene.paths(scene.a) if "conflict of b" in path]
    assert content(scene, copy) == b"mine, later\n"


def test_what_others_deleted_since_the_question_comes_back_as_what_stood_here() -> None:
    def delete(scene: Scene) -> None:
        scene.a.disk.take("text.md")

    scene = rejoined(ev.Differing.MINE, asked=delete)
    assert content(scene, "text.md") == b"mine\n"


def test_a_choice_for_what_stood_here_outlives_a_kill_and_what_others_add_meanwhile_stays() -> None:
    def answered(question: ef.AskDiffering) -> None:
        scene.b.link.unplug()

    scene = Scene()
    scene.save(scene.a, "text.md", "theirs\nend\n")
    scene.save(scene.a, "blob.bin", b"\0theirs")
    scene.rest()
    scene.b.kill()
    scene.b.lose_state()
    scene.save(scene.b, "text.md", "mine\nend\n")
    scene.save(scene.b, "blob.bin", b"\0mine")
    scene.b.differing = ev.Differing.MINE
    scene.b.asked = answered
    scene.b.start()
    scene.wait(5.0)
    scene.b.kill()
    scene.save(scene.a, "text.md", "theirs\nend\nadded\n")
    scene.wait(5.0)
    scene.b.link.online = True
    scene.b.start()
    scene.rest()
    assert scene.files(scene.a) == {"text.md": b"mine\nend\nadded\n", "blob.bin": b"\0mine"}


def test_the_room_s_file_is_written_once_over_what_stood_here(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[Outcome] = []
    take = VirtualReplica._performed

    def performed(self: VirtualReplica, done: Sequence[tuple[Step, Outcome]]) -> None:
        outcomes.extend(outcome for _, outcome in done)
        take(self, done)

    monkeypatch.setattr(VirtualReplica, "_performed", performed)
    rejoined(ev.Differing.HUB)
    assert outcomes and not any(isinstance(outcome, Raced) for outcome in outcomes)


def test_a_text_is_kept_beside_a_blob_of_the_room() -> None:
    scene = Scene()
    scene.save(scene.a, "kind.x", b"\0a blob")
    scene.rest()
    scene.b.kill()
    scene.b.lose_state()
    scene.save(scene.b, "kind.x", "a text\n")
    scene.b.start()
    scene.rest()
    assert content(scene, "kind.x") == b"\0a blob"
    [copy] = [path for path in scene.paths(scene.b) if path != "kind.x"]
    assert content(scene, copy) == b"a text\n"


@pytest.mark.parametrize("later", [True, False])
def test_who_joins_with_the_newest_files_has_those(later: bool) -> None:
    scene = rejoined(ev.Differing.NEWEST, later=later)
    wanted = (b"mine\n", b"\0mine") if later else (b"theirs, later\n", b"\0theirs, later")
    assert (content(scene, "text.md"), content(scene, "blob.bin")) == wanted


def test_an_answer_to_a_question_that_was_not_asked_changes_nothing() -> None:
    scene = Scene()
    scene.save(scene.a, "a.md", "text\n")
    scene.rest()
    scene.a.handle(ev.Decided(ev.Differing.HUB))
    scene.rest()
    assert scene.read(scene.b, "a.md") == "text\n"


def emptied(besides: Sequence[str] = ()) -> Scene:
    """``a`` has deleted all of twelve files, which is held, but none of those ``besides``."""
    scene = Scene()
    for path in besides:
        scene.save(scene.a, path, f"text {path}\n")
    for number in range(12):
        scene.save(scene.a, f"{number}.md", f"text {number}\n")
    scene.rest()
    for number in range(12):
        scene.a.disk.take(f"{number}.md")
    scene.wait(3.0)
    assert scene.a.engine is not None and scene.a.engine.status.attention
    assert len(scene.paths(scene.b)) == 12 + len(besides)
    return scene


def test_files_whose_deletion_is_held_come_back_when_a_person_wants_them() -> None:
    scene = emptied()
    scene.a.handle(ev.RestoreRequested())
    scene.rest()
    assert len(scene.paths(scene.a)) == 12
    assert scene.a.engine is not None and not scene.a.engine.status.attention


def test_files_whose_deletion_is_confirmed_go_everywhere() -> None:
    scene = emptied()
    scene.a.handle(ev.ConfirmRequested())
    scene.rest()
    assert scene.paths(scene.b) == []


@pytest.mark.parametrize("code", ["denied", "room", "version"])
def test_a_hub_that_says_no_for_good_ends_the_replica(code: Literal["denied", "room", "version"]) -> None:
    scene = Scene()
    scene.b.handle(ev.TextFrame(encode_control(Refused(code=code, message="no"))))
    assert scene.b.halted == "no"
    assert scene.b.engine is not None and scene.b.engine.status.state == "halted"
    performed = scene.b.performed
    scene.save(scene.a, "a.md", "text\n")
    scene.wait(5.0)
    assert scene.b.performed == performed and scene.paths(scene.b) == []


@pytest.mark.parametrize(("code", "at_least_s"), [("limit", limits.RECONNECT_MAX_S / 2), ("shutdown", 0.0)])
def test_a_hub_that_says_not_now_is_tried_again_later(
    code: Literal["limit", "shutdown"], at_least_s: float
) -> None:
    scene = Scene()
    since = scene.clock.now_s
    scene.b.handle(ev.TextFrame(encode_control(Refused(code=code, message="not now"))))
    engine = scene.b.engine
    assert engine is not None
    assert scene.clock.run_until(since + 1.0, lambda: not engine.status.connected)
    assert scene.clock.run_until(since + 300.0, lambda: engine.status.connected)
    assert scene.clock.now_s - since >= at_least_s
    scene.rest()


def test_a_hub_of_another_version_is_told_to_the_person() -> None:
    scene = Scene()
    scene.hub.kill()
    scene.wait(1.0)
    scene.b.handle(ev.Connected())
    other = Welcome(version=99, member=1, epoch="e", sequence=0, resume=False)
    scene.b.handle(ev.TextFrame(encode_control(other)))
    assert scene.b.halted is not None and "install the same release on both" in scene.b.halted


def test_of_very_many_changes_that_are_held_the_first_are_shown_and_how_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(status, "HELD_SHOWN_MAX", 3)
    scene = Scene()
    scene.b.kill()
    scene.b.read_only = True
    scene.b.start()
    scene.rest_apart()
    for number in range(5):
        scene.save(scene.b, f"{number}.md", f"mine {number}\n")
    scene.wait(10.0)
    assert scene.b.engine is not None
    told = {each.path: each.message for each in scene.b.engine.status.attention}
    assert "5 changes are held here" in told[""]
    assert sorted(told) == ["", "0.md", "1.md", "2.md"]


def test_what_was_held_by_a_reader_is_sent_once_it_may_write() -> None:
    scene = Scene()
    scene.save(scene.a, "a.md", "one\n")
    scene.save(scene.a, "gone.md", "gone\n")
    scene.rest()
    scene.b.kill()
    scene.b.read_only = True
    scene.b.start()
    scene.rest_apart()
    scene.save(scene.b, "a.md", "one\ntwo\n")
    scene.b.disk.take("gone.md")
    scene.wait(5.0)
    assert scene.read(scene.a, "a.md") == "one\n"
    scene.b.kill()
    scene.b.read_only = False
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "a.md") == "one\ntwo\n"
    assert scene.paths(scene.a) == ["a.md"]


def troubled(scene: Scene, replica: VirtualReplica) -> str:
    """What the replica tells of ``a.bin``, once it does."""
    engine = replica.engine
    assert engine is not None
    assert scene.within(60.0, lambda: bool(engine.status.attention))
    [told] = engine.status.attention
    assert told.path == "a.bin"
    return told.message


def test_a_transfer_that_fails_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: VirtualTransfers, effect: ef.Upload, _: int) -> None:
        self._emit(ev.UploadFailed(effect.manifest.digest, "the hub's disk is full", False))

    def lost(self: VirtualTransfers, digest: Digest, _: int) -> None:
        self._emit(ev.FetchFailed(digest, "the connection was lost", False))

    scene = Scene()
    assert scene.a.engine is not None and scene.b.engine is not None
    for replica, method, fails, reason in (
        (scene.a, "_send", full, "the hub's disk is full"),
        (scene.b, "_receive", lost, "the connection was lost"),
    ):
        with monkeypatch.context() as broken:
            broken.setattr(VirtualTransfers, method, fails)
            if replica is scene.a:
                scene.save(scene.a, "a.bin", b"\0blob")
            assert troubled(scene, replica) == reason
    scene.wait(60.0)
    scene.rest()
    assert scene.paths(scene.b) == ["a.bin"]
    assert scene.a.engine.status.attention == scene.b.engine.status.attention == ()


def test_the_end_of_a_transfer_that_nobody_waits_for_changes_nothing() -> None:
    scene = Scene()
    scene.save(scene.a, "a.bin", b"\0blob")
    scene.rest()
    digest = digest_of(b"\0other")
    for event in (ev.UploadFailed(digest, "no", False), ev.FetchFailed(digest, "no", True)):
        scene.b.handle(event)
    scene.rest()
    assert scene.b.engine is not None and scene.b.engine.status.attention == ()
