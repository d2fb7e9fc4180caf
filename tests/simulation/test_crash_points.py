"""Every kind of disk step, with the process killed, or the power cut, before each of its system calls."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crdtsync.testing.oracles import picture
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.replica.stories import LINES
from tests.simulation.scene import Scene

DEEDS: dict[str, Callable[[Scene], None]] = {
    "create": lambda scene: scene.save(scene.a, "x/new.md", "new\n"),
    "replace": lambda scene: scene.save(scene.a, "note.md", LINES + "more\n"),
    "shorten": lambda scene: scene.save(scene.a, "note.md", "short\n"),
    "delete": lambda scene: take(scene.a, "note.md"),
    "move": lambda scene: rename(scene.a, "note.md", "y/moved.md"),
    "swap": lambda scene: scene.a.disk.exchange("note.md", "other.md"),
    "executable": lambda scene: scene.a.disk.set_executable("note.md", True),
    "make a folder": lambda scene: scene.a.disk.make_folder("y/z"),
    "remove a folder": lambda scene: take(scene.a, "empty"),
    "create a link": lambda scene: put(scene.a, "link", NodeKind.LINK, b"note.md"),
    "replace by a link": lambda scene: put(scene.a, "note.md", NodeKind.LINK, b"other.md"),
    "create a blob": lambda scene: scene.save(scene.a, "new.bin", b"\0new"),
    "replace a blob": lambda scene: scene.save(scene.a, "old.bin", b"\0newer"),
    "replace by a folder": lambda scene: retype(scene.a),
    "create many": lambda scene: many(scene),
}


def many(scene: Scene) -> None:
    for number in range(9):
        scene.save(scene.a, f"{number}.md", "text\n")


def take(replica: VirtualReplica, path: str) -> None:
    replica.disk.take(path)


def rename(replica: VirtualReplica, path: str, target: str) -> None:
    replica.disk.make_folder(target.rpartition("/")[0])
    replica.disk.rename(path, target)


def put(replica: VirtualReplica, path: str, kind: NodeKind, data: bytes) -> None:
    replica.disk.put(path, replica.disk.new_inode(kind, data))


def retype(replica: VirtualReplica) -> None:
    replica.disk.take("note.md")
    replica.disk.make_folder("note.md")
    put(replica, "note.md/in.md", NodeKind.FILE, b"inside\n")


def left(scene: Scene) -> list[str]:
    return [name for name in scene.b.machine.staged() if not name.startswith("blob-")]


def told(deed: str, at: int | None, end: Callable[[VirtualReplica], None]) -> int:
    """The story of one deed at ``a``; at ``b`` the end comes before that primitive of its steps.

    Returns how many there were.
    """
    scene = Scene()
    for path, content in (("note.md", LINES), ("other.md", "other\n"), ("old.bin", b"\0old")):
        scene.save(scene.a, path, content)
    scene.a.disk.make_folder("empty")
    scene.rest()
    count = 0

    def counted() -> None:
        nonlocal count
        count += 1
        scene.b.at_primitive(0, counted, of_steps=True)

    def ends() -> None:
        nonlocal count
        count = 1
        end(scene.b)
        scene.clock.after(0.1, scene.b.start)

    scene.b.at_primitive(at or 0, counted if at is None else ends, of_steps=True)
    DEEDS[deed](scene)
    assert scene.within(20.0, lambda: count > 0), "it never came to that"
    scene.wait(1.0)
    scene.rest()
    wanted = picture(scene.a)
    assert scene.within(15.0, lambda: left(scene) == []), left(scene)
    assert picture(scene.b) == picture(scene.a) == wanted
    return count


@pytest.mark.parametrize("end", [VirtualReplica.kill, VirtualReplica.cut_power])
@pytest.mark.parametrize("deed", DEEDS)
def test_wherever_a_step_ends_it_is_done_in_the_end(deed: str, end: Callable[[VirtualReplica], None]) -> None:
    count = told(deed, None, end)
    assert count > 5
    for at in range(0, count, 1 + count // 60):
        told(deed, at, end)
