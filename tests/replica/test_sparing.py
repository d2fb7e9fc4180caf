"""The last file of a blob that the hub lost and that the room has elsewhere by now."""

from __future__ import annotations

import pytest

from crdtsync.testing.virtual_transfers import VirtualTransfers
from tests.simulation.scene import Scene


def lost(monkeypatch: pytest.MonkeyPatch, *, reader: bool = False, both: bool = False) -> Scene:
    """``a`` makes ``other.bin`` of the same content as ``a.bin``, which it deletes; the hub loses that.

    ``both``: that other file is deleted, too.
    """
    scene = Scene()
    scene.save(scene.a, "a.bin", b"\0blob")
    scene.rest()
    if reader:
        scene.b.kill()
        scene.b.read_only = True
        scene.b.start()
        scene.rest_apart()
    monkeypatch.setattr(VirtualTransfers, "_receive", lambda self, digest, ticket: None)
    scene.save(scene.a, "other.bin", b"\0blob")
    engine = scene.b.engine
    assert engine is not None
    assert scene.within(5.0, lambda: bool(engine.state.fetching))
    scene.hub.blobs.clear()
    if both:
        scene.a.disk.take("other.bin")
        scene.wait(2.0)
    scene.a.disk.take("a.bin")
    scene.wait(5.0)
    return scene


def test_a_file_that_alone_holds_what_another_waits_for_stays_until_that_has_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as stalled:
        scene = lost(stalled)
        assert scene.paths(scene.b) == ["a.bin"]
        assert list(scene.hub.blobs.values()) == [b"\0blob"], "it is offered meanwhile"
    scene.b.link.cut()
    scene.b.kill()
    scene.b.start()
    scene.wait(30.0)
    scene.rest()
    assert [(path, node.data) for path, node in scene.b.disk.files()] == [("other.bin", b"\0blob")]


def test_who_may_only_read_has_nothing_to_offer_and_keeps_nothing_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = lost(monkeypatch, reader=True)
    assert scene.paths(scene.b) == []
    assert b"\0blob" in scene.b.machine.trashed()


def test_a_file_that_nobody_waits_for_any_more_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = lost(monkeypatch, both=True)
    assert scene.paths(scene.b) == []
    assert b"\0blob" in scene.b.machine.trashed()
