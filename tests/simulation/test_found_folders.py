"""Stories of folders that simulated worlds told, each once a fault."""

from __future__ import annotations

from crdtsync.testing.virtual_inodes import NodeKind
from tests.simulation.scene import Scene


def test_a_folder_that_others_removed_stays_removed_although_something_unshared_is_left_in_it_here() -> None:
    scene = Scene()
    scene.save(scene.a, "x/text.md", "a line\n")
    scene.save(scene.a, "x/text.md~", "a backup that an editor left\n")
    scene.rest()
    scene.b.disk.take("x/text.md")
    scene.b.disk.take("x")
    scene.rest()
    scene.a.kill()
    scene.a.start()
    scene.wait(5.0)
    scene.rest()
    assert not scene.b.disk.nodes
    assert scene.a.disk.inside("x") == ["x/text.md~"]


def test_an_empty_folder_that_is_shared_stays_so_when_something_unshared_comes_into_it() -> None:
    scene = Scene()
    scene.a.disk.make_folder("x")
    scene.rest()
    scene.save(scene.a, "x/text.md~", "a backup\n")
    scene.rest()
    scene.a.kill()
    scene.a.lose_state()
    scene.a.start()
    scene.rest()
    for replica in (scene.a, scene.b):
        assert replica.disk.nodes["x"].kind is NodeKind.FOLDER
