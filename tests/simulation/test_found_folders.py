"""Stories of folders that simulated worlds told, each once a fault."""

from __future__ import annotations

import errno

import pytest

from crdtsync.core.values.paths import conflict_path
from crdtsync.testing.trouble import Trouble
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


def test_what_changed_while_the_whole_folder_could_not_be_read_is_sent_once_it_can() -> None:
    scene = Scene()
    scene.save(scene.a, "tool.sh", "run\n")
    scene.rest()
    scene.a.trouble = Trouble(errno.EACCES, 1.0)
    scene.a.flush()
    scene.wait(1.0)
    scene.a.trouble = None
    scene.a.disk.set_executable("tool.sh", True)
    scene.wait(1.0)  # it is seen before it is known that all else is there, too
    scene.rest()
    assert scene.b.disk.nodes["tool.sh"].executable


def test_what_others_changed_while_a_file_could_not_be_read_is_done_once_it_can() -> None:
    scene = Scene()
    scene.save(scene.a, "tool.sh", "run\n")
    scene.rest()
    steps = scene.b.performed
    scene.a.disk.set_executable("tool.sh", True)
    assert scene.within(5.0, lambda: scene.b.performed > steps)
    scene.b.trouble = Trouble(errno.EACCES, 1.0)  # it is looked at after that step
    scene.wait(0.5)
    assert scene.b.engine is not None
    assert scene.b.engine.status.attention
    scene.a.disk.set_executable("tool.sh", False)
    scene.wait(0.5)
    scene.b.trouble = None
    scene.rest()
    assert not scene.b.disk.nodes["tool.sh"].executable


def test_a_folder_that_holds_only_one_of_unshared_things_is_empty_for_others() -> None:
    scene = Scene()
    scene.save(scene.a, "x/z/text.md", "a line\n")
    scene.save(scene.a, "x/z/text.md~", "a backup that an editor left\n")
    scene.rest()
    scene.b.disk.take("x/z/text.md")
    scene.b.disk.take("x/z")
    scene.rest()  # x stays, as an empty folder
    assert scene.paths(scene.b) == ["x"]
    assert scene.a.disk.inside("x") == ["x/z", "x/z/text.md~"]


def test_a_second_save_in_the_tick_of_the_first_is_found_after_a_kill() -> None:
    scene = Scene()
    scene.a.machine.filesystem.tick_ns = 2_000_000_000
    scene.wait(2.0 - scene.clock.now_s % 2.0)
    scene.save(scene.a, "text.md", "one\n")
    scene.wait(1.0)
    scene.a.kill()
    scene.save(scene.a, "text.md", "two\n")
    scene.a.start()
    scene.rest()
    assert scene.read(scene.b, "text.md") == "two\n"


def test_an_empty_folder_that_could_not_be_shared_at_once_is_shared_later() -> None:
    scene = Scene()
    scene.a.disk.make_folder("y/z")
    scene.a.trouble = Trouble(errno.EACCES, 1.0)
    scene.wait(5.0)
    scene.a.flush()
    scene.wait(1.0)
    scene.a.trouble = None
    scene.rest()
    assert scene.b.disk.nodes["y/z"].kind is NodeKind.FOLDER


@pytest.mark.parametrize("heard", ["of nothing", "that it is written to"])
def test_a_save_in_the_second_of_another_is_found_though_the_watcher_lost_its_end(heard: str) -> None:
    scene = Scene()
    scene.a.machine.filesystem.tick_ns = 2_000_000_000
    scene.wait(2.0 - scene.clock.now_s % 2.0)
    scene.save(scene.a, "note.md", "one line\n")
    scene.wait(0.5)
    assert scene.read(scene.b, "note.md") == "one line\n"
    writer = scene.a.disk.open("note.md")
    scene.a.pace.overflows = 1.0 if heard == "of nothing" else 0.0
    writer.write(b"two line\n")
    scene.a.pace.overflows = 1.0
    writer.close()
    scene.wait(0.5)
    assert scene.read(scene.b, "note.md") == "two line\n"


def test_a_deletion_of_which_the_watcher_lost_the_event_is_found_by_a_scan() -> None:
    scene = Scene()
    for path in ("x.md", "y.md"):
        scene.save(scene.a, path, f"this is {path}\n")
    scene.rest()
    scene.b.pace.overflows = 1.0
    scene.b.disk.take("x.md")
    scene.b.pace.overflows = 0.0
    scene.rest()
    assert scene.paths(scene.a) == ["y.md"]


def test_an_empty_folder_that_takes_the_place_of_a_file_is_shared_without_a_scan() -> None:
    scene = Scene()
    scene.save(scene.a, "x/note", "a note\n")
    scene.save(scene.a, "x/other", "another\n")
    scene.rest()
    scene.b.disk.take("x/note")
    scene.b.disk.make_folder("x/note")
    scene.wait(5.0)
    assert scene.paths(scene.a) == ["x/note", "x/other"] and scene.read(scene.a, "x/note") == ""


@pytest.mark.parametrize("instead", [None, "text", "folder"])
def test_files_in_a_folder_arrive_once_what_stood_in_its_way_is_gone(instead: str | None) -> None:
    scene = Scene()
    disk = scene.b.disk
    disk.put("d", disk.new_inode(NodeKind.LINK, b"/somewhere/else"))  # leads out, so it is never shared
    scene.rest_apart()
    scene.save(scene.a, "d/text.md", "a line\n")
    scene.save(scene.a, "d/e/data.bin", b"\0data")
    scene.wait(5.0)
    assert scene.paths(scene.b) == ["d"]
    disk.take("d")
    match instead:
        case "text":
            disk.put("d", disk.new_inode(NodeKind.FILE, b"a note\n"))
        case "folder":
            disk.make_folder("d")
    scene.wait(5.0)  # nobody looks at everything meanwhile
    assert {"d/text.md", "d/e/data.bin"} <= set(scene.paths(scene.b))
    scene.rest()
    assert sum(path.startswith("d (") for path in scene.paths(scene.a)) == (instead == "text")


def test_a_file_that_moves_below_its_own_name_steps_aside_to_a_name_that_nobody_has() -> None:
    """A folder has to be where it stands. Its conflict copy's name may be that of another file by then."""
    scene = Scene()
    scene.save(scene.a, "note", "one of ann\n")
    scene.save(scene.a, "other", "two of ann\n")
    scene.rest()
    assert scene.b.engine is not None
    entry = scene.b.engine.state.synced.at("note")
    assert entry is not None
    taken = conflict_path("note", "b", entry)
    scene.a.disk.rename("other", taken)
    scene.rest()
    scene.b.kill()
    scene.a.disk.rename("note", "aside")
    scene.wait(1.0)
    scene.a.disk.make_folder("note")
    scene.a.disk.rename("aside", "note/inner")
    scene.wait(1.0)
    scene.b.start()
    scene.rest()
    assert scene.read(scene.b, taken) == "two of ann\n"
    assert scene.read(scene.b, "note/inner") == "one of ann\n"
    assert scene.paths(scene.b) == [taken, "note/inner"]


@pytest.mark.parametrize("effects", range(6))
def test_a_folder_that_others_removed_does_not_come_back_from_who_was_killed_before_it_was_removed_there(
    effects: int,
) -> None:
    scene = Scene()
    scene.a.disk.make_folder("x")
    scene.rest()
    scene.a.disk.take("x")
    scene.b.kill_within_effects(effects)
    scene.wait(5.0)
    scene.b.kill_within_effects(1 << 60)
    if not scene.b.running:
        scene.b.start()
    scene.rest()
    assert not scene.a.disk.nodes and not scene.b.disk.nodes
