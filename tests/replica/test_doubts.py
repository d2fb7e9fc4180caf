"""After a kill or a power cut: which agreement holds, by what the disk has; nothing else is sent."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import events as ev
from crdtsync.core.replica.records import DropVersions, PutSynced, Synced
from crdtsync.core.text.base import shows
from crdtsync.core.values.digests import digest_of_text
from crdtsync.testing.virtual_inodes import NodeKind
from tests.replica.stories import (
    LINES,
    power_cut,
    received,
    save_many_folders,
    shared,
    taken_aside_as_another_comes,
    texts,
)
from tests.simulation.scene import Scene


def row(scene: Scene, path: str) -> Synced:
    """What ``b`` remembers to be agreed there, or to have been on the way."""
    [found] = [each for each in scene.b.store.remembered().synced if each.path == path]
    return found


@pytest.mark.parametrize("edited", [False, True])
def test_a_text_between_two_that_were_agreed_on_is_no_edit(edited: bool) -> None:
    """A power cut brings back any of those that had stood there."""
    scene = shared(LINES)
    scene.wait(5.0)
    second = LINES.replace("line 0", "line null")
    received(scene, "a.md", LINES + "first\n", LINES + "first\nsecond\n", second + "first\nsecond\n")
    power_cut(scene)
    scene.save(scene.b, "a.md", LINES + "first\n" + ("mine\n" if edited else ""))
    scene.b.start()
    text = texts(scene)["a.md"]
    assert ("mine" in text) == edited
    assert text.replace("mine\n", "") == second + "first\nsecond\n"


def test_what_a_power_cut_put_back_in_a_file_that_nobody_wrote_to_since_is_no_edit() -> None:
    """It was saved twice while its replica was down, which has read the second text alone."""
    scene = shared(LINES)
    scene.b.kill()
    scene.save(scene.b, "b.md", "line 1\nold\n")
    scene.save(scene.b, "b.md", "line 0\nline 1\nline 2\n")
    scene.b.start()
    assert scene.within(5.0, lambda: scene.read(scene.a, "b.md") == "line 0\nline 1\nline 2\n")
    power_cut(scene)
    node = scene.b.disk.get("b.md")
    assert node is not None
    node.data = b"line 1\nold\n"
    scene.b.start()
    assert texts(scene)["b.md"] == "line 0\nline 1\nline 2\n"


def test_an_edited_text_that_was_seen_before_the_scan_ended_is_read_again_to_decide() -> None:
    scene = shared(LINES)
    save_many_folders(scene)
    scene.wait(5.0)
    received(scene, "a.md", LINES + "first\n")
    power_cut(scene)
    scene.save(scene.b, "a.md", "mine\n" + LINES + "first\n")
    scene.b.work_s = 0.2
    scene.b.start()
    engine = scene.b.engine
    assert engine is not None
    scene.b.handle(ev.Hint("a.md", ev.HintKind.CLOSED))
    assert scene.within(5.0, lambda: engine.state.disk.get("a.md") is not None and not engine.state.running)
    assert texts(scene)["a.md"] == "mine\n" + LINES + "first\n"


def test_an_edit_of_texts_that_are_all_forgotten_is_kept_beside_what_the_room_has() -> None:
    scene = shared(LINES)
    received(scene, "a.md", LINES + "first\n")
    power_cut(scene)
    known, lost = row(scene, "a.md"), digest_of_text("long ago\n")
    later = known._replace(digest=digest_of_text("later\n"), provisional=None)
    scene.b.store.persist([PutSynced(known._replace(digest=lost, provisional=later))])
    scene.save(scene.b, "a.md", "mine\n")
    scene.b.start()
    found = texts(scene)
    assert found.pop("a.md") == LINES + "first\n"
    assert list(found.values()) == ["mine\n"]


def test_an_edit_is_told_from_the_agreement_whose_text_is_still_known() -> None:
    scene = shared(LINES)
    scene.wait(5.0)
    received(scene, "a.md", LINES + "first\n")
    power_cut(scene)
    known = row(scene, "a.md")
    assert known.digest is not None and known.provisional is not None
    scene.b.store.persist([DropVersions(known.entry, (known.digest,))])
    scene.save(scene.b, "a.md", "mine\n" + LINES + "first\n")
    scene.b.start()
    assert texts(scene) == {"a.md": "mine\n" + LINES + "first\n"}


@pytest.mark.parametrize("in_place", [True, False])
def test_a_blob_was_replaced_after_a_power_cut_where_its_file_shows_that_it_was_there(in_place: bool) -> None:
    """Else that may have been gone from the disk: it is kept."""
    scene = Scene()
    scene.save(scene.a, "a.bin", b"\0one")
    scene.rest()
    scene.wait(5.0)
    [node] = received(scene, "a.bin", b"\0two")
    power_cut(scene)
    if in_place:
        scene.b.disk.write_into(node, b"\0three")
    else:
        scene.b.disk.put("a.bin", scene.b.disk.new_inode(NodeKind.FILE, b"\0three"))
    scene.b.start()
    scene.rest()
    found = scene.files(scene.a)
    assert sorted(found.values()) == [b"\0three"] + [b"\0two"] * (not in_place)


@pytest.mark.parametrize("edit", ["", "mine\n"])
@pytest.mark.parametrize("binary", ["", "\0"])
@pytest.mark.parametrize("gap_s", [0.3, 0.45])
def test_a_file_that_a_power_cut_brought_back_to_where_another_was_put_is_that_file(
    gap_s: float, binary: str, edit: str
) -> None:
    """Others renamed it, and made another at its old name; neither was safe on this disk."""
    scene = shared(binary + LINES)
    scene.wait(5.0)
    scene.a.disk.rename("a.md", "moved.md")
    scene.wait(gap_s)
    received(scene, "a.md", binary + "another\n")
    assert scene.paths(scene.b) == ["a.md", "moved.md"]
    power_cut(scene)
    scene.b.disk.rename("moved.md", "a.md")
    if edit:
        scene.save(scene.b, "a.md", binary + edit + LINES)
    scene.b.start()
    assert texts(scene) == {"a.md": binary + "another\n", "moved.md": binary + edit + LINES}


@pytest.mark.parametrize("gap_s", [0.3, 0.45])
def test_a_file_that_a_power_cut_brought_back_and_a_program_saved_anew_is_known_by_what_it_holds(
    gap_s: float,
) -> None:
    scene = shared(LINES)
    scene.wait(5.0)
    scene.a.disk.rename("a.md", "moved.md")
    scene.wait(gap_s)
    received(scene, "a.md", "another\n")
    power_cut(scene)
    scene.b.disk.take("moved.md")
    scene.b.disk.take("a.md")
    scene.save(scene.b, "a.md", "mine\n" + LINES)
    scene.b.start()
    assert texts(scene) == {"a.md": "another\n", "moved.md": "mine\n" + LINES}


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("folders", [3, 4, 5, 6])
def test_a_file_that_a_power_cut_brought_back_from_aside_stands_where_it_stood(
    folders: int, linked: bool
) -> None:
    """A person took it aside, and others' file was put there; whichever of the two is planned first, and
    also where it has a second name that is another entry."""
    scene = Scene()
    for number in range(folders):  # the identities of the two come in another order
        scene.save(scene.a, f"{number}/x.md", f"{number}\n")
    scene.save(scene.a, "a.md", LINES)
    scene.rest()
    if linked:
        file = scene.b.disk.get("a.md")
        assert file is not None
        scene.b.disk.put("linked.md", file)
        scene.rest()
    scene.wait(5.0)
    taken_aside_as_another_comes(scene)
    assert scene.within(60.0, lambda: scene.read(scene.b, "a.md") == "another\n")
    scene.wait(0.1)
    power_cut(scene)
    scene.b.disk.rename("a.md~", "a.md")
    scene.b.work_s = 0.2
    scene.b.start()
    scene.b.handle(ev.Hint("a.md", ev.HintKind.CLOSED))  # it is looked at before the scan has ended
    found = texts(scene)
    assert (found["a.md"], found["moved.md"]) == ("another\n", LINES)
    assert len(found) == folders + 2 + linked


@pytest.mark.parametrize(
    ("saved", "shown"),
    [
        ("what was meant to come, all of it\nand mine\n", True),
        ("what was meant to come, all of it\n" + "and many more lines that are mine\n" * 4, True),
        ("quite another thing stands here now\n", False),
        ("one\ntwo\nand mine\n", False),
    ],
)
def test_what_was_only_about_to_be_written_counts_where_the_edit_shows_it(saved: str, shown: bool) -> None:
    meant = "what was meant to come, all of it\n"
    scene = shared("one\ntwo\n")
    scene.wait(5.0)
    scene.b.work_s = 0.2
    scene.save(scene.a, "a.md", meant)
    assert scene.within(5.0, lambda: scene.writing(scene.b))
    scene.b.kill()
    scene.save(scene.b, "a.md", saved)
    scene.b.start()
    text = texts(scene)["a.md"]
    assert "mine" in text or "quite another thing" in text
    assert text.count("what was meant to come, all of it") == 1
    assert shown or saved.splitlines()[-1] in text


def test_a_new_file_that_a_power_cut_tore_is_mended_though_it_was_seen_before_the_scan_ended() -> None:
    scene = Scene()
    save_many_folders(scene)
    scene.wait(5.0)
    received(scene, "a.md", LINES)
    power_cut(scene)
    scene.save(scene.b, "a.md", LINES[:40].encode() + bytes(20))
    scene.b.work_s = 0.2
    scene.b.start()
    engine = scene.b.engine
    assert engine is not None
    scene.b.handle(ev.Hint("a.md", ev.HintKind.CLOSED))
    assert scene.within(5.0, lambda: engine.state.disk.get("a.md") is not None and not engine.state.running)
    assert texts(scene)["a.md"] == LINES


def test_a_save_with_a_line_that_only_the_older_text_has_was_made_from_that() -> None:
    older, later = "the first heading\nbody\n", "another title\nbody and more\n"
    assert not shows("the first heading\nbody and mine\n", later, older, seen=True)
    assert shows("another title\nbody and mine\n", later, older, seen=True)


@pytest.mark.parametrize("work_s", [0.001, 0.05, 0.2])
def test_a_file_waits_for_a_name_until_it_is_known_what_stands_there(work_s: float) -> None:
    scene = shared(LINES)
    scene.save(scene.a, "p.md", "another\n")
    scene.rest()
    scene.wait(5.0)
    received(scene, "a.md", LINES + "first\n")
    power_cut(scene)
    scene.a.disk.rename("a.md", "moved.md")
    scene.wait(1.0)
    scene.a.disk.rename("p.md", "a.md")
    scene.wait(1.0)
    scene.save(scene.b, "a.md", "mine\n" + LINES)
    scene.b.work_s = work_s
    scene.b.start()
    assert texts(scene) == {"moved.md": "mine\n" + LINES + "first\n", "a.md": "another\n"}


def test_of_two_names_of_one_file_each_stays_itself_after_a_kill() -> None:
    """Killed before others' text was written in the place of one; it is edited then, under both names."""
    scene = shared(LINES)
    file = scene.b.disk.get("a.md")
    assert file is not None
    scene.b.disk.put("o.md", file)  # a hard link
    scene.rest()
    scene.b.at_primitive(0, scene.b.kill, of_steps=True)
    scene.save(scene.a, "a.md", "theirs\n" + LINES)
    assert scene.within(20.0, lambda: not scene.b.running)
    scene.b.disk.write_into(file, (LINES + "mine\n").encode())
    scene.b.start()
    assert texts(scene) == {"a.md": "theirs\n" + LINES + "mine\n", "o.md": LINES + "mine\n"}


def test_the_file_of_another_that_holds_nothing_of_it_is_an_edit_of_what_stood_there() -> None:
    """A person moves it there after a kill, and rewrites it as what had stood there, with a line more."""
    scene = shared(LINES)
    scene.save(scene.a, "o.md", "quite another text\nof two lines\n")
    scene.rest()
    scene.b.at_primitive(0, scene.b.kill, of_steps=True)
    scene.save(scene.a, "a.md", "theirs\n" + LINES)
    assert scene.within(20.0, lambda: not scene.b.running)
    scene.b.disk.rename("o.md", "a.md")
    scene.save(scene.b, "a.md", LINES + "mine\n")
    scene.b.start()
    assert texts(scene) == {"a.md": "theirs\n" + LINES + "mine\n"}
