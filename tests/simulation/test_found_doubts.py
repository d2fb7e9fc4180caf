"""What a replica that was killed in the middle of a write took the disk for, each as the shortest story."""

from __future__ import annotations

import pytest

from crdtsync.testing.texts import line
from crdtsync.testing.virtual_inodes import NodeKind
from tests.simulation.scene import Scene

OLD, NEW = ("".join(map(line, names)) for names in ("abc", "xyz"))


def texts(scene: Scene) -> list[str]:
    """Of all files, sorted."""
    return sorted(filter(None, (scene.read(scene.a, path) for path in scene.paths(scene.a))))


@pytest.mark.parametrize("more", ["", "and one more line\n"])
def test_a_file_moved_where_another_was_only_about_to_be_written_is_no_edit_of_that(more: str) -> None:
    scene = Scene()
    scene.save(scene.a, "old.md", OLD)
    scene.rest()
    scene.b.at_primitive(0, scene.b.kill, of_steps=True)
    scene.save(scene.a, "new.md", NEW)
    assert scene.within(20.0, lambda: not scene.b.running)
    scene.b.disk.rename("old.md", "new.md")
    scene.save(scene.b, "new.md", OLD + more)
    scene.b.start()
    scene.wait(3.0)
    scene.rest()
    assert texts(scene) == sorted([OLD + more, NEW])


@pytest.mark.parametrize("moment", [14, 22])
@pytest.mark.parametrize("deleted", ["", "one more line, which the write takes out\n"])
def test_what_came_out_tells_that_a_write_was_done_however_little_of_it_a_save_has(
    moment: int, deleted: str
) -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", f"first line\nbread and buttermilk\nlast line\n{deleted}")
    scene.rest()
    scene.b.at_primitive(moment, scene.b.kill, of_steps=True)
    written = "first line\nbread and butter\nmilk\nlast line\n"
    scene.save(scene.a, "note.md", written)
    assert scene.within(20.0, lambda: not scene.b.running)
    assert scene.read(scene.b, "note.md") == written
    scene.save(scene.b, "note.md", written.replace("milk\n", ""))
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == written.replace("milk\n", ""), "it was there, and was taken out"


@pytest.mark.parametrize("content", [b"\0a blob", b"another text\n"])
def test_what_others_put_in_the_place_of_a_file_that_was_only_about_to_be_written_comes(
    content: bytes,
) -> None:
    scene = Scene()
    scene.b.work_s = 10.0
    scene.save(scene.a, "new.md", NEW)
    scene.wait(2.0)
    scene.a.disk.take("new.md")
    scene.wait(1.0)
    scene.save(scene.a, "new.md", content)
    scene.wait(1.0)
    assert scene.paths(scene.b) == []
    scene.b.kill()
    scene.b.work_s = 0.001
    scene.b.start()
    scene.rest()
    assert [node.data for _, node in scene.b.disk.files()] == [content]


def test_a_file_made_where_another_was_only_about_to_be_written_is_no_edit_of_that() -> None:
    scene = Scene()
    scene.b.at_primitive(0, scene.b.kill, of_steps=True)
    scene.save(scene.a, "new.md", NEW)
    assert scene.within(20.0, lambda: not scene.b.running)
    scene.save(scene.b, "new.md", OLD)
    scene.b.start()
    scene.wait(3.0)
    scene.rest()
    assert texts(scene) == sorted([OLD, NEW])


def test_a_file_renamed_to_where_a_step_is_under_way_is_renamed_however_long_that_takes() -> None:
    scene = Scene()
    scene.save(scene.a, "old.md", OLD)
    scene.rest()
    scene.b.work_s = 3.0

    def rename() -> None:
        scene.b.disk.rename("old.md", "new.md")

    scene.b.at_primitive(2, rename, of_steps=True)
    scene.save(scene.a, "new.md", NEW)
    scene.wait(20.0)
    scene.b.work_s = 0.001
    scene.rest()
    assert texts(scene) == sorted([OLD, NEW])
    assert not scene.a.machine.trashed()


@pytest.mark.parametrize("names", range(4))
@pytest.mark.parametrize(("kind", "data"), [(NodeKind.LINK, b"a target"), (NodeKind.FILE, b"\0a blob")])
def test_what_others_moved_over_a_file_that_a_person_just_renamed_stays_after_a_kill(
    kind: NodeKind, data: bytes, names: int
) -> None:
    """Until it is found out that the file is gone, two are agreed on at its path."""
    scene = Scene()
    for number in range(names):  # the identities of the two come in another order
        scene.save(scene.a, f"{number}.md", f"{number}\n")
    scene.save(scene.a, "note.md", OLD)
    scene.a.disk.put("over", scene.a.disk.new_inode(kind, data))
    scene.rest()

    def rename(path: str) -> None:
        if path == "note.md" and scene.read(scene.b, "note.md") == OLD:
            scene.b.disk.rename("note.md", "other.md")

    scene.b.race = rename
    scene.a.disk.rename("over", "note.md")
    assert scene.within(20.0, lambda: scene.read(scene.b, "note.md") == data.decode())
    scene.wait(0.05)
    scene.b.kill()
    scene.b.start()
    scene.wait(3.0)
    scene.rest()
    for replica in (scene.a, scene.b):
        assert (scene.read(replica, "note.md"), scene.read(replica, "other.md")) == (data.decode(), OLD)
    assert len(scene.paths(scene.a)) == names + 2


@pytest.mark.parametrize(("kind", "blob"), [(NodeKind.LINK, b""), (NodeKind.FILE, b"\0")])
def test_a_file_that_left_its_path_before_a_save_there_that_a_power_cut_took_from_memory_keeps_its_content(
    kind: NodeKind, blob: bytes
) -> None:
    """It is not taken for a renamed one that others have edited meanwhile."""
    scene, (first, second, third) = Scene(), (blob + each for each in (b"first", b"second", b"third"))
    disk = scene.b.disk

    def saves(content: bytes) -> None:
        disk.put("note", disk.new_inode(kind, content))
        assert scene.within(5.0, lambda: scene.files(scene.a) == {"note": content})

    saves(first)
    scene.rest()
    saves(second)
    remembered = scene.b.store.copy()
    disk.rename("note", "note~")  # a backup, which is not shared
    saves(third)
    scene.b.kill()
    scene.b.machine.boots += 1
    scene.b.restore_state(remembered)
    disk.rename("note", "new")
    disk.rename("note~", "old")
    scene.b.start()
    scene.rest()
    assert scene.files(scene.a) == {"note": third, "new": third, "old": second}


@pytest.mark.parametrize("away", [True, False])
@pytest.mark.parametrize("kind", ["", "\0"])
@pytest.mark.parametrize("edited", ["mine\n" + OLD, "nothing of it\n" * 9])
def test_a_save_that_a_power_cut_took_from_a_renamed_file_was_taken_out_by_nobody(
    edited: str, kind: str, away: bool
) -> None:
    scene = Scene()
    scene.save(scene.b, "note.md", kind + OLD)
    scene.rest()
    scene.wait(5.0)
    scene.save(scene.b, "note.md", kind + edited)
    assert scene.within(0.4, lambda: scene.read(scene.a, "note.md") == kind + edited)
    scene.b.kill()
    scene.b.machine.boots += 1
    scene.b.disk.rename("note.md", "moved.md")
    scene.save(scene.b, "moved.md", kind + OLD)
    scene.b.link.online = not away
    scene.b.start()
    scene.wait(2.0)
    scene.b.link.online = True
    scene.rest()
    assert scene.files(scene.a) == {"moved.md": (kind + edited).encode()}


def test_a_blob_that_was_renamed_after_a_kill_has_what_others_saved_twice_meanwhile() -> None:
    scene = Scene()
    scene.save(scene.a, "note", b"\0first")
    scene.rest()
    scene.b.at_primitive(0, scene.b.kill, of_steps=True)
    scene.save(scene.a, "note", b"\0second")
    assert scene.within(20.0, lambda: not scene.b.running)
    scene.save(scene.a, "note", b"\0third")
    scene.wait(1.0)
    scene.b.disk.rename("note", "new")
    scene.b.start()
    scene.rest()
    assert scene.files(scene.a) == {"new": b"\0third"}


def test_a_former_text_of_the_room_is_no_edit_of_one_that_was_only_about_to_be_written_over_it() -> None:
    scene = Scene()
    scene.b.kill()
    remembered = scene.b.store.copy()
    scene.b.start()
    scene.save(scene.a, "note.md", OLD)
    scene.rest()
    scene.b.kill()
    scene.save(scene.a, "note.md", OLD + "and more\n")
    scene.wait(5.0)
    scene.b.restore_state(remembered)
    scene.b.work_s = 0.2
    scene.b.start()
    assert scene.within(5.0, lambda: scene.writing(scene.b)), "before it has looked there"
    scene.b.kill()
    scene.b.start()
    scene.rest()
    assert scene.files(scene.a) == {"note.md": f"{OLD}and more\n".encode()}
