"""Programs that move and delete the room's files and make folders, through a running replica."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.errors import CrdtsyncError, FileError, InvalidName, NameTaken, NoSuchFile, ReadOnly
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.simulation.scene import Scene


def asked(replica: VirtualReplica, event: ev.Arrange) -> CrdtsyncError | None:
    """What it is answered at once: an error, or None for done."""
    answers: list[CrdtsyncError | None] = []

    def told(effect: ef.ForPrograms) -> None:
        if isinstance(effect, ef.Arranged):
            answers.append(effect.error)

    replica.programs.append(told)
    replica.handle(event)
    replica.programs.remove(told)
    [answer] = answers
    return answer


def furnished() -> Scene:
    scene = Scene()
    scene.save(scene.a, "a.md", "text\n")
    scene.save(scene.a, "d/b.bin", b"\0blob")
    scene.save(scene.a, "d/deep/c.md", "deep\n")
    scene.a.disk.make_folder("empty")
    scene.a.disk.put("link", scene.a.disk.new_inode(NodeKind.LINK, b"a.md"))
    scene.rest()
    return scene


def test_files_and_folders_go_where_a_program_puts_them_on_every_disk() -> None:
    scene = furnished()
    for event in (
        ev.MoveFiles(1, "d", "elsewhere/e"),
        ev.MoveFiles(1, "a.md", "a.md"),
        ev.MakeFolder(1, "empty/inner"),
        ev.DeleteFiles(1, "link"),
    ):
        assert asked(scene.a, event) is None
        scene.rest()
    assert scene.paths(scene.b) == ["a.md", "elsewhere/e/b.bin", "elsewhere/e/deep/c.md", "empty/inner"]
    for event in (
        ev.DeleteFiles(1, "empty/inner"),
        ev.DeleteFiles(1, "elsewhere/e/b.bin"),
        ev.DeleteFiles(1, "a.md"),
    ):
        assert asked(scene.b, event) is None
        scene.rest()
    assert scene.paths(scene.a) == ["elsewhere/e/deep/c.md"]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (ev.MoveFiles(1, "d", "d/inside"), InvalidName),
        (ev.MoveFiles(1, "a.md", ".git/a"), InvalidName),
        (ev.MoveFiles(1, "a.md", "../a"), InvalidName),
        (ev.MoveFiles(1, "a.md", "private.tmp"), InvalidName),
        (ev.MoveFiles(1, "a.md", "d"), NameTaken),
        (ev.MoveFiles(1, "a.md", "d/b.bin"), NameTaken),
        (ev.MoveFiles(1, "a.md", "link/below"), NameTaken),
        (ev.MoveFiles(1, "nothing", "x"), NoSuchFile),
        (ev.DeleteFiles(1, "nothing"), NoSuchFile),
        (ev.MakeFolder(1, "a.md"), NameTaken),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(event: ev.Arrange, error: type[CrdtsyncError]) -> None:
    scene = furnished()
    scene.save(scene.a, ".gitignore", "*.tmp\n")
    scene.rest()
    before = scene.paths(scene.a)
    assert isinstance(asked(scene.a, event), error)
    scene.rest()
    assert scene.paths(scene.a) == scene.paths(scene.b) == before


def test_a_folder_that_may_only_read_arranges_nothing() -> None:
    scene = furnished()
    scene.b.kill()
    scene.b.read_only = True
    scene.b.start()
    scene.rest_apart()
    assert isinstance(asked(scene.b, ev.DeleteFiles(1, "a.md")), ReadOnly)


def test_nothing_is_arranged_before_the_room_is_here() -> None:
    scene = Scene()
    scene.hub.kill()
    scene.b.kill()
    scene.b.lose_state()
    scene.b.start()
    assert isinstance(asked(scene.b, ev.MakeFolder(1, "new")), FileError)
