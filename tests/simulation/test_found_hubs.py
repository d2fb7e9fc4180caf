"""What simulated worlds with restored hubs found, each as the shortest story that shows it."""

from __future__ import annotations

import pytest

from crdtsync.testing.virtual_replica import VirtualReplica
from tests.simulation.scene import Scene

LINES = "one of ann\ntwo of ann\nthree of ann\n"


def lose_all(replica: VirtualReplica) -> None:
    """The state, and every file."""
    replica.lose_state()
    for path, _ in replica.disk.files():
        replica.disk.take(path)


@pytest.mark.parametrize("known_before", [False, True])
def test_what_was_just_read_from_a_hub_that_then_lost_it_is_brought_back(known_before: bool) -> None:
    scene = Scene()
    scene.rest()
    backup = scene.hub.backup()
    scene.b.kill()
    if not known_before:
        scene.b.lose_state()
    scene.save(scene.a, "note.md", LINES)
    scene.wait(2.0)
    scene.b.start()
    assert scene.clock.run_until(scene.clock.now_s + 5.0, lambda: scene.b.disk.get("note.md") is not None)
    for each in (scene.hub, scene.b, scene.a):
        each.kill()  # before it is written down how far the log was read
    scene.hub.restore(backup)
    lose_all(scene.a)
    for each in (scene.hub, scene.b, scene.a):
        each.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == scene.read(scene.b, "note.md") == LINES
