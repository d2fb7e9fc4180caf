"""A disk that is mounted inside the folder, and goes with its files: nobody has deleted them."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import events as ev
from crdtsync.core.replica.observing import Observing
from crdtsync.core.replica.rechecking import RECHECK_S
from crdtsync.testing.virtual_inodes import DEVICE, Inode
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.replica.stories import status_of
from tests.simulation.scene import Scene

ON_IT = ["disk/a.md", "disk/b.md", "disk/below/c.md"]
OTHERS = [f"{number}.md" for number in range(8)]


def mounted() -> Scene:
    """``a`` has another disk at ``disk``, with some of its files."""
    scene = Scene()
    for path in [*OTHERS, *ON_IT]:
        scene.save(scene.a, path, f"text {path}\n")
    for path in ["disk", "disk/below", *ON_IT]:
        node = scene.a.disk.get(path)
        assert node is not None
        node.device = DEVICE + 1
    scene.rest()
    return scene


def unmount(replica: VirtualReplica) -> dict[str, Inode]:
    """The folder of the main disk shows, which is empty; returns what was on the other."""
    taken = {path: replica.disk.take(path) for path in [*ON_IT, "disk/below"]}
    folder = replica.disk.get("disk")
    assert folder is not None
    folder.device = DEVICE
    return taken


def mount(replica: VirtualReplica, files: dict[str, Inode]) -> None:
    for path, node in reversed(files.items()):
        replica.disk.put(path, node)
        node.device = DEVICE + 1
    folder = replica.disk.get("disk")
    assert folder is not None
    folder.device = DEVICE + 1


@pytest.mark.parametrize("running", [True, False])
def test_what_is_gone_with_its_disk_is_deleted_for_nobody_and_goes_on_once_it_is_back(running: bool) -> None:
    scene = mounted()
    if not running:
        scene.a.kill()
    files = unmount(scene.a)
    if not running:
        scene.a.start()
    scene.wait(5.0)
    [told] = status_of(scene.a).attention
    assert told.kind == "held" and told.message.startswith("3 files are gone with a disk that is not mounted")
    assert scene.paths(scene.b) == sorted([*OTHERS, *ON_IT])
    scene.save(scene.b, "disk/a.md", "text disk/a.md\nmore\n")
    scene.wait(5.0)
    assert scene.paths(scene.a) == sorted([*OTHERS, "disk"]), (
        "nothing is written where the other disk belongs"
    )
    mount(scene.a, files)
    scene.rest()
    assert not status_of(scene.a).attention
    assert scene.read(scene.a, "disk/a.md") == "text disk/a.md\nmore\n"
    assert scene.paths(scene.a) == sorted([*OTHERS, *ON_IT])


def test_a_disk_that_is_back_is_found_though_nobody_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = mounted()
    files = unmount(scene.a)
    scene.wait(5.0)
    assert status_of(scene.a).attention
    monkeypatch.setattr(Observing, "hint", lambda *_: None)
    mount(scene.a, files)
    scene.wait(2 * RECHECK_S)
    assert not status_of(scene.a).attention
    assert scene.paths(scene.a) == sorted([*OTHERS, *ON_IT])


@pytest.mark.parametrize("asked", [ev.ConfirmRequested(), ev.RestoreRequested()])
def test_a_person_says_what_becomes_of_the_files_of_a_disk_that_is_gone(
    asked: ev.ConfirmRequested | ev.RestoreRequested,
) -> None:
    scene = mounted()
    unmount(scene.a)
    scene.a.disk.take("0.md")
    scene.wait(5.0)
    assert "0.md" not in scene.paths(scene.b), "what else was deleted is deleted"
    scene.a.handle(asked)
    scene.rest()
    wanted = ON_IT if isinstance(asked, ev.RestoreRequested) else ["disk"]  # which is an empty folder now
    assert scene.paths(scene.b) == sorted([*OTHERS[1:], *wanted])
    assert not status_of(scene.a).attention


def test_what_is_deleted_on_another_disk_is_deleted() -> None:
    scene = mounted()
    for path in ("disk/b.md", "disk/below/c.md", "disk/below"):
        scene.a.disk.take(path)
    scene.rest()
    assert scene.paths(scene.b) == sorted([*OTHERS, "disk/a.md"])


def test_of_what_others_deleted_too_nobody_is_asked_when_its_disk_is_gone() -> None:
    scene = mounted()
    scene.b.link.unplug()
    for path in (*ON_IT, "disk/below", "disk"):
        scene.b.disk.take(path)
    unmount(scene.a)
    scene.wait(5.0)
    assert status_of(scene.a).attention
    scene.b.link.online = True
    scene.rest()
    assert not status_of(scene.a).attention
    assert scene.paths(scene.a) == sorted([*OTHERS, "disk"]), "which is an empty folder now"
