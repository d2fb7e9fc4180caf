"""What simulated worlds, and coverage, told of files that change names among each other."""

from __future__ import annotations

from itertools import pairwise

import pytest

from crdtsync.core.replica import looking
from crdtsync.testing.virtual_inodes import NodeKind
from tests.replica.stories import LINES, comes_back, goes_away, power_cut, received, texts
from tests.simulation.scene import Scene

CAME_TO = dict(zip("qrp", "pqr", strict=True))
"""Of three files, where each of them is in the end."""


def text_of(name: str) -> str:
    return "".join(f"line {number} of {name * 5}\n" for number in range(5))


def with_texts(names: str) -> Scene:
    """Both have a file of each name, for good."""
    scene = Scene()
    for name in names:
        scene.save(scene.a, f"{name}.md", text_of(name))
    scene.rest()
    scene.wait(5.0)
    return scene


@pytest.mark.parametrize("doubtful", ["p", "q", "r"])
@pytest.mark.parametrize("edited", ["", "q"])
@pytest.mark.parametrize("looked_at_together", [1, 3])
def test_three_files_change_names_though_what_is_agreed_of_one_is_in_doubt(
    doubtful: str, edited: str, looked_at_together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "LOOK_BATCH_PATHS", looked_at_together)
    scene = with_texts("pqr")
    expected = {name: text_of(name) for name in "pqr"}
    expected[doubtful] += "added by ann\n"
    received(scene, f"{doubtful}.md", expected[doubtful])
    power_cut(scene)
    disk = scene.b.disk
    files = {name: disk.nodes[f"{name}.md"] for name in "pqr"}
    for name, at in CAME_TO.items():
        disk.put(f"{at}.md", files[name])
    if edited:
        expected[edited] += "added by bob\n"
        disk.write_into(files[edited], expected[edited].encode())
    scene.b.start()
    assert texts(scene) == {f"{CAME_TO[name]}.md": text for name, text in expected.items()}


@pytest.mark.parametrize(("data", "edited"), [(text_of("p"), ""), (text_of("p"), "mine\n"), ("\0binary", "")])
def test_a_file_that_a_power_cut_gave_back_what_it_held_changes_names(edited: str, data: str) -> None:
    scene = Scene()
    scene.save(scene.b, "p.md", data)
    scene.save(scene.b, "q.md", text_of("q"))
    scene.rest()
    scene.wait(5.0)
    scene.save(scene.b, "p.md", data + "second\n")
    assert scene.within(1.0, lambda: scene.read(scene.a, "p.md") == data + "second\n")
    power_cut(scene)
    scene.save(scene.b, "p.md", edited + data)  # into the same file
    scene.b.disk.exchange("p.md", "q.md")
    scene.b.start()
    found = texts(scene)
    assert found.pop("p.md") == text_of("q")
    assert found == {"q.md": edited + data + "second\n"}


@pytest.mark.parametrize("edited", ["", "mine\n"])
def test_a_file_that_a_power_cut_gave_back_what_it_held_has_a_new_name(edited: str) -> None:
    scene = with_texts("p")
    scene.save(scene.b, "p.md", text_of("p") + "second\n")
    assert scene.within(1.0, lambda: scene.read(scene.a, "p.md") == text_of("p") + "second\n")
    power_cut(scene)
    scene.save(scene.b, "p.md", edited + text_of("p"))  # into the same file
    scene.b.disk.rename("p.md", "q.md")
    scene.b.start()
    assert texts(scene) == {"q.md": edited + text_of("p") + "second\n"}


@pytest.mark.parametrize("how", ["down", "offline"])
def test_a_swapped_file_of_which_most_was_written_since_is_still_the_swapped_one(how: str) -> None:
    scene = with_texts("pq")
    goes_away(scene, how)
    scene.b.disk.exchange("p.md", "q.md")
    scene.wait(2.0)
    written = "".join(f"and bob wrote a lot, {number}\n" for number in range(20))
    scene.save(scene.b, "q.md", written + text_of("p"))
    scene.save(scene.a, "p.md", text_of("p") + "added by ann\n")
    comes_back(scene, how)
    assert texts(scene) == {"p.md": text_of("q"), "q.md": written + text_of("p") + "added by ann\n"}


@pytest.mark.parametrize("gap_s", [0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05])
def test_files_that_others_swap_while_one_of_them_is_looked_at_are_swapped(gap_s: float) -> None:
    """The look is for the hint of our own write, and finds just that: nothing else has them planned again."""
    scene = Scene()
    note, other, edited = text_of("n"), text_of("o"), text_of("o") + "more\n"
    scene.save(scene.a, "note.md", note)
    scene.save(scene.a, "other.md", other)
    scene.rest()
    scene.b.work_s = 0.01
    scene.save(scene.a, "other.md", edited)
    assert scene.within(20.0, lambda: scene.read(scene.b, "other.md") == edited)
    scene.wait(gap_s)
    scene.a.disk.exchange("note.md", "other.md")
    scene.rest()
    assert (scene.read(scene.b, "note.md"), scene.read(scene.b, "other.md")) == (edited, note)


@pytest.mark.parametrize("gap_s", [0.0, 0.14, 2.0])
@pytest.mark.parametrize("deleted", ["note.md", "other.md"])
@pytest.mark.parametrize(
    ("kind", "data"),
    [(NodeKind.LINK, b"target"), (NodeKind.FILE, b"\0blob"), (NodeKind.FILE, text_of("o").encode())],
)
def test_of_two_files_that_all_swap_the_one_stays_that_nobody_deletes(
    kind: NodeKind, data: bytes, deleted: str, gap_s: float
) -> None:
    """One swaps them offline, and then deletes one: the other stands where the room has it by then."""
    scene = Scene()
    scene.save(scene.a, "note.md", text_of("n"))
    scene.a.disk.put("other.md", scene.a.disk.new_inode(kind, data))
    scene.rest()
    scene.b.link.unplug()
    scene.a.disk.exchange("note.md", "other.md")
    scene.wait(2.0)
    scene.b.disk.exchange("note.md", "other.md")
    scene.wait(gap_s)
    scene.b.disk.take(deleted)
    scene.wait(2.0)
    scene.b.link.online = True
    scene.rest()
    left = {"note.md": data, "other.md": text_of("n").encode()}
    del left[deleted]
    assert scene.files(scene.a) == left


@pytest.mark.parametrize("how", ["down", "offline"])
@pytest.mark.parametrize("written", ["", "and bob wrote a lot\n" * 20])
def test_a_file_renamed_to_where_another_stood_that_was_renamed_is_no_edit_of_that(
    how: str, written: str
) -> None:
    scene = with_texts("pq")
    goes_away(scene, how)
    scene.b.disk.rename("q.md", "r.md")
    scene.b.disk.rename("p.md", "q.md")
    if written:
        scene.save(scene.b, "q.md", written + text_of("p"))
    for name in "pq":
        scene.save(scene.a, f"{name}.md", text_of(name) + "added by ann\n")
    comes_back(scene, how)
    assert texts(scene) == {
        "q.md": written + text_of("p") + "added by ann\n",
        "r.md": text_of("q") + "added by ann\n",
    }


@pytest.mark.parametrize("how", ["down", "offline"])
@pytest.mark.parametrize("looked_at_together", [1, 2])
def test_a_file_that_made_way_for_another_text_is_what_it_was_under_its_new_name(
    how: str, looked_at_together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "LOOK_BATCH_PATHS", looked_at_together)
    scene = with_texts("p")
    goes_away(scene, how)
    scene.b.disk.rename("p.md", "q.md")
    scene.save(scene.b, "p.md", "what stands here now has nothing of that\n")
    scene.save(scene.a, "p.md", text_of("p") + "added by ann\n")
    comes_back(scene, how)
    assert texts(scene) == {
        "p.md": "what stands here now has nothing of that\n",
        "q.md": text_of("p") + "added by ann\n",
    }


@pytest.mark.parametrize("how", ["down", "offline"])
def test_a_text_that_was_moved_away_for_a_backup_is_what_was_saved_in_its_place(how: str) -> None:
    scene = with_texts("p")
    goes_away(scene, how)
    scene.b.disk.rename("p.md", "q.md")
    scene.save(scene.b, "p.md", "added by bob\n" + text_of("p"))
    scene.save(scene.a, "p.md", text_of("p") + "added by ann\n")
    comes_back(scene, how)
    assert texts(scene) == {
        "p.md": "added by bob\n" + text_of("p") + "added by ann\n",
        "q.md": text_of("p"),
    }


@pytest.mark.parametrize("how", ["down", "offline"])
@pytest.mark.parametrize("left", ["", "\0binary"])
def test_of_files_renamed_in_a_row_one_may_be_saved_anew_and_another_take_the_first_name(
    how: str, left: str
) -> None:
    scene = with_texts("pqr")
    goes_away(scene, how)
    for old, new in ("rs", "qr", "pq"):
        scene.b.disk.rename(f"{old}.md", f"{new}.md")
    if left:
        scene.save(scene.b, "p.md", left)
    scene.wait(2.0)
    disk = scene.b.disk
    disk.put("q.md", disk.new_inode(NodeKind.FILE, (text_of("p") + "added by bob\n").encode()))
    scene.save(scene.a, "p.md", "added by ann\n" + text_of("p"))
    scene.save(scene.a, "r.md", "added by ann\n" + text_of("r"))
    comes_back(scene, how)
    found = texts(scene)
    assert found.pop("p.md", "") == left
    assert found == {
        "q.md": "added by ann\n" + text_of("p") + "added by bob\n",
        "r.md": text_of("q"),
        "s.md": "added by ann\n" + text_of("r"),
    }


def test_what_came_to_a_path_by_a_swap_was_no_save_of_the_text_that_had_stood_there() -> None:
    """It looked like one that was made from an older version; the next save is not made from that."""
    scene = Scene()
    old, new = text_of("old"), text_of("new")
    scene.save(scene.a, "p.md", old)
    scene.save(scene.a, "q.md", old + "more\n")
    scene.rest()
    scene.save(scene.a, "p.md", new)
    scene.rest()
    scene.save(scene.a, "p.md", "added by a\n" + new)
    assert scene.clock.run_until(scene.clock.now_s + 5.0, lambda: scene.writing(scene.b))
    scene.b.disk.exchange("p.md", "q.md")
    less = "".join(new.splitlines(keepends=True)[:-2])
    scene.save(scene.b, "q.md", less + "added by b\n")
    scene.rest()
    assert scene.read(scene.a, "p.md") == old + "more\n"
    assert scene.read(scene.a, "q.md") == "added by a\n" + less + "added by b\n"


@pytest.mark.parametrize("wait_s", [0.2, 0.3])
def test_a_file_put_over_another_is_no_older_text_of_that_though_its_own_deletion_was_told_before(
    wait_s: float,
) -> None:
    scene = Scene()
    old = text_of("old")
    scene.save(scene.a, "p.md", old)
    scene.save(scene.a, "q.md", old + "more\n")
    scene.rest()
    scene.save(scene.a, "p.md", text_of("new"))
    scene.rest()
    scene.b.work_s = 0.1
    scene.b.disk.make_folder("empty")
    scene.wait(wait_s)
    scene.b.disk.rename("q.md", "p.md")
    assert texts(scene)["p.md"] == old + "more\n"


def test_a_file_that_came_after_a_kill_to_where_its_text_had_once_stood_is_no_older_text_of_that() -> None:
    scene = Scene()
    scene.save(scene.a, "p.md", text_of("q"))
    scene.rest()
    scene.save(scene.a, "p.md", text_of("p"))
    scene.save(scene.a, "q.md", text_of("q"))
    scene.rest()
    scene.wait(5.0)
    scene.b.at_primitive(0, scene.b.kill, of_steps=True)
    scene.save(scene.a, "p.md", text_of("p") + "added by ann\n")
    assert scene.within(20.0, lambda: not scene.b.running)
    disk, saved = scene.b.disk, "added by bob\n" + text_of("p")
    disk.exchange("p.md", "q.md")
    disk.put("q.md", disk.new_inode(NodeKind.FILE, saved.encode()))
    scene.b.start()
    found = texts(scene)
    assert {path: text.replace("added by ann\n", "") for path, text in found.items()} == {
        "p.md": text_of("q"),
        "q.md": saved,
    }


def test_of_two_files_that_are_alike_and_that_others_swap_one_is_not_known_by_its_text() -> None:
    scene = Scene()
    for path in ("p.md", "q.md"):
        scene.save(scene.a, path, text_of("p"))
    scene.rest()
    goes_away(scene, "offline")
    scene.a.disk.exchange("p.md", "q.md")
    disk = scene.b.disk
    disk.put("p.md", disk.new_inode(NodeKind.FILE, (text_of("p") + "added by bob\n").encode()))
    comes_back(scene, "offline")
    assert texts(scene) == {"p.md": text_of("p"), "q.md": text_of("p") + "added by bob\n"}


@pytest.mark.parametrize("others", ["swap them", "rename them in a row"])
def test_a_file_put_over_one_of_another_kind_that_others_rename_to_there_is_nowhere_deleted(
    others: str,
) -> None:
    """The new entry that it was taken for is one too many for the room, and it was missed at its old path."""
    scene = Scene()
    scene.save(scene.a, "p", LINES)
    scene.save(scene.a, "q", "\0one")
    scene.rest()
    scene.wait(5.0)
    if others == "swap them":
        scene.a.disk.exchange("p", "q")
    else:
        scene.a.disk.rename("q", "r")
        scene.a.disk.rename("p", "q")
    scene.wait(0.002)
    scene.b.disk.rename("p", "q")
    scene.rest()
    assert scene.files(scene.a)["q"] == LINES.encode()


@pytest.mark.parametrize("new", [True, False])
def test_a_stale_buffer_of_a_file_that_then_changed_names_with_another_takes_nothing_out(new: bool) -> None:
    """Others had added most of the file: the buffer looks like neither, but like what the file was before."""
    scene = with_texts("pq")
    more = "".join(f"line {number} of ann\n" for number in range(9))
    scene.save(scene.a, "p.md", text_of("p") + more)
    scene.rest()
    disk = scene.b.disk
    mine = "another text altogether\n" if new else text_of("p") + "added by bob\n"
    disk.put("p.md", disk.new_inode(NodeKind.FILE, mine.encode()))
    disk.exchange("p.md", "q.md")
    scene.rest()
    found = texts(scene)
    if new:
        assert found["q.md"] == mine  # whose it is nothing tells
    else:
        assert found["p.md"] == text_of("q")
        assert set(found["q.md"].splitlines()) == set((more + mine).splitlines())


@pytest.mark.parametrize("kind", [NodeKind.LINK, NodeKind.FILE])
def test_a_file_that_came_with_others_to_where_all_have_it_is_found_there_though_its_old_place_is_taken(
    kind: NodeKind,
) -> None:
    """A restored state knows each of them where it was before, and looks before it hears of that."""
    scene = Scene()
    disk, short = scene.a.disk, b"short"
    scene.save(scene.a, "p.md", text_of("p"))
    disk.put("q.md", disk.new_inode(kind, short))
    scene.save(scene.a, "r.md", LINES)
    scene.rest()
    before = scene.b.store.copy()
    for name, at in ("ps", "qp", "rq"):
        disk.rename(f"{name}.md", f"{at}.md")
    scene.save(scene.a, "r.md", "new\n")
    scene.rest()
    scene.b.kill()
    scene.b.restore_state(before)
    disk.rename("s.md", "t.md")
    scene.b.link.latency_s = 0.5
    scene.b.start()
    scene.rest()
    moved = {"p.md": short, "q.md": LINES.encode(), "r.md": b"new\n", "t.md": text_of("p").encode()}
    assert scene.files(scene.a) == moved


@pytest.mark.parametrize("names", ["p", "pq"])
def test_files_change_names_in_a_circle_that_leads_through_a_folder(names: str) -> None:
    """The last of them is to stand where the first has its folder."""
    scene = with_texts(names)
    scene.save(scene.a, "x/in.md", text_of("x"))
    scene.rest()
    goes_away(scene, "down")
    disk = scene.b.disk
    disk.rename("x/in.md", "aside")
    disk.take("x")
    places = ["x", *(f"{name}.md" for name in names)]
    for at, source in pairwise(places):
        disk.rename(source, at)
    disk.rename("aside", places[-1])
    comes_back(scene, "down")
    came = dict(zip(places, [*names, "x"], strict=True))
    assert texts(scene) == {at: text_of(name) for at, name in came.items()}
