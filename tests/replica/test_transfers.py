"""Blobs whose files change, go or come back while they travel, and hubs that lost them."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import events as ev
from crdtsync.core.values.digests import digest_of
from crdtsync.core.wire.control import Presence, encode_control
from crdtsync.testing.virtual_transfers import VirtualTransfers
from tests.simulation.scene import Scene


def slow() -> Scene:
    """``a`` sends its blobs byte by byte."""
    scene = Scene()
    scene.a.work_s = 0.05
    scene.a.transfers.piece_bytes = 1
    return scene


def sending(scene: Scene) -> None:
    engine = scene.a.engine
    assert engine is not None
    assert scene.within(30.0, lambda: bool(engine.state.uploading))


def contents(scene: Scene) -> dict[str, bytes]:
    assert scene.files(scene.a) == {path: node.data for path, node in scene.b.disk.files()}
    return scene.files(scene.b)


def test_a_blob_that_is_saved_anew_while_it_is_sent_is_sent_as_it_is_then() -> None:
    scene = slow()
    scene.save(scene.a, "a.bin", b"\0" + bytes(range(99)))
    sending(scene)
    scene.save(scene.a, "a.bin", b"\0other")
    scene.rest()
    assert contents(scene) == {"a.bin": b"\0other"}


def test_a_flush_while_a_blob_is_sent_waits_for_it_and_reads_it_no_second_time() -> None:
    scene = slow()
    data = b"\0" + bytes(range(99))
    scene.save(scene.a, "a.bin", data)
    sending(scene)
    scene.rest()
    assert contents(scene) == {"a.bin": data}


def test_a_blob_that_cannot_be_had_of_a_file_that_is_gone_is_told_to_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    engine = scene.b.engine
    assert engine is not None
    with monkeypatch.context() as away:
        away.setattr(VirtualTransfers, "_receive", lambda self, digest, ticket: None)
        scene.save(scene.a, "a.bin", b"\0blob")
        assert scene.within(9.0, lambda: bool(engine.state.fetching))
        scene.a.disk.take("a.bin")
        assert scene.within(9.0, lambda: not engine.state.view.placements)
        scene.b.handle(ev.FetchFailed(digest_of(b"\0blob"), "the hub does not have it", True))
    scene.rest()
    assert engine.status.attention == ()
    assert contents(scene) == {}


def test_a_hub_that_lost_everything_gets_texts_and_blobs_again() -> None:
    scene = Scene()
    empty = scene.hub.backup()
    scene.save(scene.a, "a.md", "text\n")
    scene.save(scene.a, "a.bin", b"\0blob")
    scene.rest()
    scene.hub.kill()
    scene.hub.restore(empty)
    scene.hub.start()
    scene.wait(60.0)
    scene.rest()
    assert set(scene.hub.blobs.values()) == {b"\0blob"}
    assert contents(scene) == {"a.md": b"text\n", "a.bin": b"\0blob"}


def test_a_blob_that_others_want_is_offered_once_and_one_that_is_not_here_never() -> None:
    scene = Scene()
    scene.save(scene.a, "a.bin", b"\0blob")
    scene.rest()
    scene.hub.blobs.clear()
    wanted = tuple(str(digest_of(data)) for data in (b"\0blob", b"\0nobody has it"))
    for _ in range(2):
        scene.a.handle(ev.TextFrame(encode_control(Presence(member=9, name="c", wanted=wanted))))
    scene.rest()
    assert set(scene.hub.blobs.values()) == {b"\0blob"}


def test_a_late_write_of_what_the_room_has_by_now_makes_no_copy() -> None:
    scene = Scene()
    scene.save(scene.a, "a.bin", b"\0one")
    scene.rest()
    old = scene.b.disk.get("a.bin")
    assert old is not None
    scene.save(scene.a, "a.bin", b"\0two")
    assert scene.within(9.0, lambda: scene.b.disk.get("a.bin") is not old)
    scene.b.disk.write_into(old, b"\0two")
    scene.rest()
    assert contents(scene) == {"a.bin": b"\0two"}
