"""What simulated worlds with files that change names found, each as the shortest story that shows it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.replica.stories import comes_back, goes_away, state_of
from tests.simulation.scene import Scene
from tests.simulation.test_found_power import Nothing


def text_of(name: str) -> str:
    return f"{name} begins here\n{name} goes on\n{name} goes on and on\n{name} ends\n"


@pytest.mark.parametrize("work_s", [0.0001, 0.0003, 0.0005, 0.0008, 0.0012, 0.002])
def test_three_files_that_change_names_are_told_whatever_is_looked_at_first(work_s: float) -> None:
    scene = Scene()
    for name in "pqr":
        scene.save(scene.a, f"{name}.md", text_of(name))
    scene.rest()
    scene.b.work_s = work_s
    disk = scene.b.disk
    disk.rename("r.md", "r.md~")
    disk.rename("q.md", "r.md")
    disk.rename("p.md", "q.md")
    disk.rename("r.md~", "p.md")
    scene.save(scene.a, "p.md", text_of("p") + "added to p\n")
    scene.rest()
    for path, name, more in (("q.md", "p", "added to p\n"), ("r.md", "q", ""), ("p.md", "r", "")):
        assert scene.read(scene.a, path) == text_of(name) + more


def test_files_saved_as_new_ones_are_themselves_though_each_has_the_inode_of_the_one_before() -> None:
    """Others moved them on meanwhile: one seemed to stand at its new name already."""
    scene = Scene()
    for name in "pq":
        scene.save(scene.a, f"{name}.md", text_of(name))
    scene.rest()
    scene.a.link.unplug()
    scene.b.disk.rename("q.md", "r.md")
    scene.b.disk.rename("p.md", "q.md")
    before = scene.a.disk.get("p.md")
    for name in "pq":
        saved = scene.a.disk.new_inode(NodeKind.FILE, f"{text_of(name)}more of {name}\n".encode())
        if name == "q":
            assert before is not None
            saved.number = before.number
        scene.a.disk.put(f"{name}.md", saved)
    scene.wait(2.0)
    scene.a.link.online = True
    scene.rest()
    wanted = {path: f"{text_of(name)}more of {name}\n" for path, name in (("q.md", "p"), ("r.md", "q"))}
    assert {path: scene.read(scene.a, path) for path in scene.paths(scene.a)} == wanted


def test_files_that_are_swapped_and_edited_at_once_are_swapped_and_edited() -> None:
    scene = Scene()
    for name in "pq":
        scene.save(scene.a, f"{name}.md", text_of(name))
    scene.rest()
    scene.b.disk.exchange("p.md", "q.md")
    scene.save(scene.b, "q.md", text_of("p") + "added by b\n")
    scene.save(scene.a, "p.md", "added by a\n" + text_of("p"))
    scene.rest()
    assert scene.read(scene.a, "q.md") == "added by a\n" + text_of("p") + "added by b\n"
    assert scene.read(scene.a, "p.md") == text_of("q")


def test_a_swapped_file_that_was_saved_anew_is_told_by_what_it_holds() -> None:
    scene = Scene()
    for name in ("apple", "bread"):
        scene.save(scene.a, f"{name}.md", text_of(name))
    scene.rest()
    scene.a.link.unplug()
    scene.save(scene.a, "bread.md", "first\n" + text_of("bread"))
    disk = scene.b.disk
    disk.exchange("apple.md", "bread.md")
    scene.wait(0.0015)  # one of them is looked at by then
    disk.put("apple.md", disk.new_inode(NodeKind.FILE, (text_of("bread") + "more\n").encode()))
    scene.wait(2.0)
    scene.a.link.online = True
    scene.rest()
    assert scene.read(scene.a, "apple.md") == "first\n" + text_of("bread") + "more\n"
    assert scene.read(scene.a, "bread.md") == text_of("apple")


def test_a_link_that_was_made_anew_while_others_moved_it_is_in_the_room() -> None:
    scene = Scene()

    def link(replica: VirtualReplica, path: str, target: bytes) -> None:
        replica.disk.put(path, replica.disk.new_inode(NodeKind.LINK, target))

    link(scene.a, "one", b"first")
    scene.rest()
    scene.b.kill()
    scene.a.disk.rename("one", "two")
    scene.wait(2.0)
    link(scene.a, "two", b"second")
    scene.wait(2.0)
    link(scene.b, "one", b"third")
    scene.b.start()
    scene.rest()
    assert {node.data for _, node in scene.a.disk.files()} == {b"second", b"third"}


def test_a_blob_that_others_wait_for_is_offered_though_it_has_changed_names_while_away() -> None:
    scene = Scene()
    scene.save(scene.b, "other.md", "a text\n")
    scene.rest()
    scene.a.link.unplug()
    scene.save(scene.b, "picture.bin", b"\0binary")
    scene.wait(2.0)
    scene.b.link.unplug()
    scene.hub.blobs.clear()
    scene.a.link.online = True
    scene.wait(10.0)
    scene.b.disk.exchange("picture.bin", "other.md")
    scene.wait(1.0)
    scene.b.link.online = True

    def arrived() -> bool:
        node = scene.a.disk.get("other.md")
        return node is not None and node.data == b"\0binary"

    assert scene.within(60.0, arrived)
    scene.rest()


@pytest.mark.parametrize("others", ["saved", "removed"])
def test_a_stale_buffer_saved_into_the_inode_of_another_file_takes_back_nothing(others: str) -> None:
    """As an editor does that saves all of its files, each as a new one."""
    scene = Scene()
    scene.a.machine.filesystem.reuses_numbers = True
    for name in ("apple", "bread"):
        scene.save(scene.b, f"{name}.md", text_of(name))
    scene.rest()
    scene.save(scene.b, "bread.md", text_of("bread") + "by b\n")
    scene.rest()
    disk = scene.a.disk
    if others == "saved":
        node = disk.new_inode(NodeKind.FILE, ("first\n" + text_of("apple")).encode())
        freed = disk.put("apple.md", node)
    else:
        freed = disk.take("apple.md")
    stale = disk.new_inode(NodeKind.FILE, ("first\n" + text_of("bread")).encode())
    assert freed is not None and stale.number == freed.number
    disk.put("bread.md", stale)
    scene.wait(3.0)
    scene.rest()
    assert scene.read(scene.b, "bread.md") == "first\n" + text_of("bread") + "by b\n"


def test_files_that_changed_names_since_the_state_was_copied_are_not_swapped_back() -> None:
    scene = Scene()
    for name in "pq":
        scene.save(scene.a, f"{name}.md", text_of(name))
    scene.rest()
    state = scene.b.store.copy()
    scene.b.disk.exchange("p.md", "q.md")
    scene.rest()
    scene.save(scene.a, "q.md", text_of("p") + "added by a\n")  # which makes it another file at b
    scene.rest()
    scene.b.kill()
    scene.b.restore_state(state)
    scene.b.link.latency_s = 0.3  # all is looked at before the hub is heard
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "p.md") == text_of("q")
    assert scene.read(scene.a, "q.md") == text_of("p") + "added by a\n"


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("latency_s", [0.001, 0.3])
@pytest.mark.parametrize("names", ["pq", "pqr"])
def test_files_that_changed_names_and_were_edited_since_the_state_was_copied_are_who_the_room_says(
    names: str, latency_s: float, later: bool
) -> None:
    """Of each the disk holds what the room has, or had before what others did ``later``."""
    scene = Scene()
    for name in names:
        scene.save(scene.a, f"{name}.md", text_of(name))
    scene.rest()
    state = scene.b.store.copy()
    for one, other in pairwise(names):
        scene.b.disk.exchange(f"{one}.md", f"{other}.md")
    scene.rest()
    for path in scene.paths(scene.a):  # which makes it another file at b
        scene.save(scene.a, path, (scene.read(scene.a, path) or "") + "added by a\n")
    scene.rest()
    scene.b.kill()
    for path in scene.paths(scene.a) if later else ():
        scene.save(scene.a, path, "later\n" + (scene.read(scene.a, path) or ""))
    scene.wait(2.0)
    scene.b.restore_state(state)
    scene.b.link.latency_s = latency_s  # with the longer one all is looked at before the hub is heard
    scene.b.start()
    scene.rest()
    for path, name in zip(scene.paths(scene.a), names[1:] + names[0], strict=True):
        assert scene.read(scene.a, path) == "later\n" * later + text_of(name) + "added by a\n"


@pytest.mark.parametrize("saved", ["in place", "anew"])
@pytest.mark.parametrize("other", [b"\0binary", b"another text\nof two lines\n"])
def test_a_file_renamed_since_the_state_was_copied_is_no_second_one(other: bytes, saved: str) -> None:
    scene = Scene()
    scene.save(scene.a, "old.md", text_of("old"))
    scene.rest()
    state = scene.b.store.copy()
    scene.b.disk.rename("old.md", "new.md")
    scene.wait(2.0)
    scene.save(scene.b, "old.md", other)
    scene.rest()
    text = text_of("old") + "more\n"
    if saved == "in place":
        scene.save(scene.b, "new.md", text)
    else:
        scene.b.disk.put("new.md", scene.b.disk.new_inode(NodeKind.FILE, text.encode()))
        scene.rest()
    scene.b.kill()
    scene.b.restore_state(state)
    scene.b.link.latency_s = 0.001
    scene.b.start()
    scene.rest()
    assert scene.paths(scene.a) == ["new.md", "old.md"]
    assert scene.read(scene.a, "new.md") == text


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("latency_s", [0.001, 0.3])
def test_files_that_moved_on_by_one_name_are_not_merged_into_others(latency_s: float, power: bool) -> None:
    """A new file takes the place of one that takes the place of another; others have swapped those two."""
    scene = Scene()
    texts = {"p.md": "apple\nbread\ncheese\ndates\n", "q.md": "walnut\nxylitol\nyam\nzest\n"}
    for path, text in texts.items():
        scene.save(scene.a, path, text)
    scene.rest()
    scene.wait(5.0)
    scene.b.machine.filesystem.sync()
    disk = scene.b.disk
    old = disk.nodes["q.md"]
    if power:
        disk.put("q.md", disk.new_inode(NodeKind.FILE, (texts["q.md"] + "saved anew\n").encode()))
        scene.wait(0.1)
    scene.b.kill()
    if power:
        scene.b.machine.cut_power(Nothing())
        assert disk.nodes["q.md"].number == old.number
    scene.wait(1.0)
    scene.a.disk.exchange("p.md", "q.md")
    scene.wait(2.0)
    for path in texts:
        scene.save(scene.a, path, f"added to {path}\n" + (scene.read(scene.a, path) or ""))
    scene.wait(2.0)
    disk.rename("q.md", "r.md")
    disk.rename("p.md", "q.md")
    scene.save(scene.b, "p.md", "something new\n")
    scene.save(scene.b, "q.md", "apple\nmore\ndates\n")
    scene.b.link.latency_s = latency_s
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "q.md") == "added to q.md\napple\nmore\ndates\n"
    assert scene.read(scene.a, "p.md") == "something new\n"
    others = "".join(scene.read(scene.a, path) or "" for path in scene.paths(scene.a) if path[0] != "q")
    assert {*texts["q.md"].splitlines(), "added to p.md"} <= set(others.splitlines())
    assert ("saved anew" in others) == power


@pytest.mark.parametrize("kept", ["all", "all but the last", "all but the last, and a new one"])
@pytest.mark.parametrize("here", ["running", "offline", "down"])
@pytest.mark.parametrize("work_s", [0.0001, 0.002, 0.005])
def test_files_that_moved_on_one_after_the_other_stay_who_they_are(
    here: str, work_s: float, kept: str
) -> None:
    """As logs are rotated, in a fixed number also over the oldest; others edit all of them meanwhile."""
    scene = Scene()
    folder = "logs/" if here == "down" else ""
    for name in "pqr":
        scene.save(scene.a, f"{folder}{name}.md", text_of(name))
    scene.rest()
    scene.b.work_s = work_s
    goes_away(scene, here)
    onward = [("r", "s"), ("q", "r"), ("p", "q")][kept != "all" :]
    for name, after in onward:
        scene.b.disk.rename(f"{folder}{name}.md", f"{folder}{after}.md")
    if kept.endswith("new one"):
        scene.save(scene.b, f"{folder}p.md", "something new\n")
    for name, _ in onward:
        scene.save(scene.a, f"{folder}{name}.md", text_of(name) + f"added to {name}\n")
    comes_back(scene, here)
    scene.rest()
    wanted = {f"{folder}{after}.md": text_of(name) + f"added to {name}\n" for name, after in onward}
    if kept.endswith("new one"):
        wanted[f"{folder}p.md"] = "something new\n"
    found = scene.files(scene.a)
    assert {path: data.decode() for path, data in found.items() if path.endswith(".md")} == wanted


@pytest.mark.parametrize("rest", [bytes(range(256)), b"some lines\nthat stay\n"], ids=["blob", "text"])
def test_a_file_saved_by_a_program_that_keeps_two_backups_is_saved(rest: bytes) -> None:
    scene = Scene()
    for name in "pqr":
        scene.save(scene.a, name, name.encode() + rest)
    scene.rest()
    entry = state_of(scene.a).view.at("p")
    for name, after in ("qr", "pq"):
        scene.b.disk.rename(name, after)
    scene.save(scene.b, "p", b"new" + rest)
    scene.rest()
    assert {path: data[:1] for path, data in scene.files(scene.a).items()} == {
        "p": b"n",
        "q": b"p",
        "r": b"q",
    }
    assert state_of(scene.a).view.at("p") == entry


def test_what_others_add_to_a_file_that_others_went_over_stays() -> None:
    scene = Scene()
    for name in "pqr":
        scene.save(scene.a, f"{name}.md", text_of(name))
    scene.rest()
    goes_away(scene, "offline")
    for name, after in ("qr", "pq"):
        scene.b.disk.rename(f"{name}.md", f"{after}.md")
    scene.save(scene.a, "r.md", text_of("r") + "added to r\n")
    comes_back(scene, "offline")
    scene.rest()
    assert sum("added to r\n" in (scene.read(scene.a, path) or "") for path in scene.paths(scene.a)) == 1


def test_a_file_moved_over_another_beside_a_new_one_is_an_edit_of_that() -> None:
    """What stood there is nowhere: no row of renames, however many new names there are."""
    scene = Scene()
    for name in "pq":
        scene.save(scene.a, f"{name}.md", text_of(name))
    scene.rest()
    disk = scene.b.disk
    scene.save(scene.b, "new.md", "something new\n")
    disk.rename("p.md", "q.md")
    scene.save(scene.a, "q.md", text_of("q") + "added to q\n")
    scene.rest()
    assert scene.paths(scene.a) == ["new.md", "q.md"]
    assert scene.read(scene.a, "q.md") == text_of("p") + "added to q\n"


@pytest.mark.parametrize("how", ["at work", "offline", "down"])
def test_a_stale_buffer_put_over_another_file_takes_out_nothing_of_what_it_had_not_seen(how: str) -> None:
    scene = Scene()
    scene.save(scene.a, "apple.md", text_of("apple"))
    scene.save(scene.a, "bread.md", text_of("bread"))
    scene.rest()
    scene.save(scene.a, "apple.md", theirs := "unseen by bob\n" + text_of("apple"))
    scene.rest()
    goes_away(scene, how)
    scene.wait(1.0)
    scene.save(scene.b, "apple.md", mine := text_of("apple") + "added by bob\n")
    scene.b.disk.rename("apple.md", "bread.md")
    comes_back(scene, how)
    scene.rest()
    assert scene.files(scene.a) == {"apple.md": theirs.encode(), "bread.md": mine.encode()}
