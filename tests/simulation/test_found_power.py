"""What simulated worlds with power cuts found, each as the shortest story that shows it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from crdtsync.core.values import limits
from crdtsync.testing.texts import line
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_power import Ordering
from crdtsync.testing.virtual_replica import VirtualReplica
from crdtsync.testing.yjs_page import YjsPage
from tests.replica.stories import power_cut, received, texts
from tests.simulation.scene import Scene

LINES = "one of ann\ntwo of ann\nthree of ann\n"


class Nothing(Random):
    """Of all that a power cut could take, it takes everything."""

    def randint(self, a: int, b: int) -> int:
        return a


def cut_power(replica: VirtualReplica) -> None:
    """The store keeps all: what it says of the disk may be untrue."""
    replica.kill()
    replica.machine.cut_power(Nothing())


def texts_known(replica: VirtualReplica) -> str:
    """What the store has of all texts."""
    assert replica.engine is not None
    state = replica.engine.state
    return "".join(state.documents.text(entry) for entry in state.view.placements)


def test_a_received_file_that_a_power_cut_undid_was_deleted_by_nobody() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    assert scene.within(1.0, lambda: scene.b.disk.get("note.md") is not None and not scene.writing(scene.b))
    cut_power(scene.b)
    assert scene.paths(scene.b) == []
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == scene.read(scene.b, "note.md") == LINES


@pytest.mark.parametrize("hears", [True, False])
def test_of_a_file_that_a_power_cut_took_as_it_was_saved_nothing_was_deleted_that_was_not_safe(
    hears: bool,
) -> None:
    """Only the memory of the replica has what was saved: an editor had moved the old file out of the way."""
    scene = Scene()
    scene.save(scene.b, "note.md", LINES)
    scene.rest()
    scene.wait(5.0)
    scene.save(scene.b, "note.md", LINES + "four of bob\n")
    sent = (lambda: "four of bob" in (scene.read(scene.a, "note.md") or "")) if hears else None
    assert scene.within(1.0, sent or (lambda: "four of bob" in texts_known(scene.b)))
    cut_power(scene.b)
    scene.b.disk.take("note.md")
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == scene.read(scene.b, "note.md") == LINES + "four of bob\n"


def test_a_blob_that_a_power_cut_took_as_it_was_saved_is_not_deleted_either() -> None:
    scene = Scene()
    scene.save(scene.b, "x.bin", b"\0one")
    scene.rest()
    scene.wait(5.0)
    scene.save(scene.b, "x.bin", b"\0two and more")
    assert scene.within(3.0, lambda: scene.a.disk.nodes["x.bin"].data == b"\0two and more")
    cut_power(scene.b)
    scene.b.disk.take("x.bin")
    scene.b.start()
    scene.rest()
    for replica in (scene.a, scene.b):
        assert scene.files(replica) == {"x.bin": b"\0two and more"}


def test_a_file_that_was_renamed_right_after_its_save_is_no_file_that_the_power_cut_took() -> None:
    scene = Scene()
    scene.save(scene.b, "note.md", LINES)
    scene.rest()
    scene.wait(5.0)
    scene.save(scene.b, "note.md", LINES + "four of bob\n")
    assert scene.within(1.0, lambda: "four of bob" in texts_known(scene.b))
    saved = scene.b.disk.nodes["note.md"]
    cut_power(scene.b)
    scene.b.disk.take("note.md")
    scene.b.disk.put("new.md", saved)
    scene.b.start()
    scene.rest()
    assert texts(scene) == {"new.md": LINES + "four of bob\n"}


@pytest.mark.parametrize(
    "left",
    [
        b"",
        b"one of ann\ntw",
        b"one of ann\nnew of bob\ntw",
        b"one of ann\nnew of bob\n" + bytes(20),
        "one of ann\nnew of bob\n\u00e9".encode()[:-1],
    ],
)
def test_what_a_torn_file_lacks_at_its_end_was_deleted_by_nobody(left: bytes) -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    scene.wait(5.0)
    cut_power(scene.b)
    scene.save(scene.b, "note.md", left)  # of a save that the power cut came into, this is what is there
    scene.b.start()
    scene.rest()
    text = scene.read(scene.a, "note.md") or ""
    assert [line for line in text.splitlines() if "ann" in line] == LINES.splitlines()
    assert ("new of bob" in text) == (b"new of bob" in left)


def test_what_a_save_after_a_power_cut_has_of_what_others_wrote_counts_as_theirs() -> None:
    """The cut took the note of the write, not the file; a line of it is gone on with, another is deleted."""
    scene = Scene()
    scene.save(scene.a, "note.md", "to buy\nfor all\n")
    scene.rest()
    scene.wait(5.0)
    cut_power(scene.b)
    for text in ("to buy\ncarrots and onions\nbread of ann\n", "carrots and onions, washed\nbread of ann\n"):
        scene.save(scene.a, "note.md", text)
        scene.wait(5.0)
    scene.save(scene.b, "note.md", "to buy\ncarrots and onions for bob\n")
    scene.b.start()
    scene.rest()
    assert texts(scene) == {"note.md": "carrots and onions, washed for bob\nbread of ann\n"}


@pytest.mark.parametrize("more", [b"", b"and more"])
def test_a_file_that_goes_on_as_it_was_from_within_a_character_lacks_nothing_of_that(more: bytes) -> None:
    """What is no text, and longer than before, was written so by somebody."""
    scene = Scene()
    before, after = (f"one of ann{bob}\ntwo \u00e9 of ann\nthree of ann\n" for bob in ("", " and bob"))
    scene.save(scene.a, "note.md", before)
    scene.rest()
    scene.wait(5.0)
    cut_power(scene.b)
    seam = before.encode().index("\u00e9".encode()) + 1
    scene.save(scene.b, "note.md", torn := after.encode()[:seam] + before.encode()[seam:] + more)
    scene.b.start()
    scene.rest()
    mended = "one of ann and b\ntwo \u00e9 of ann\nthree of ann\n".encode()
    assert scene.files(scene.a) == {"note.md": torn if more else mended}


@pytest.mark.parametrize("left", [b"", b"one of ann\ntw", b"one of ann\nnew of bob\n" + bytes(90), bytes(30)])
@pytest.mark.parametrize("renamed_by_others", [True, False])
def test_a_file_that_was_renamed_and_torn_is_known_by_its_inode(left: bytes, renamed_by_others: bool) -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    scene.wait(5.0)
    cut_power(scene.b)
    scene.b.disk.rename("note.md", "moved.md")
    scene.save(scene.b, "moved.md", left)
    if renamed_by_others:
        scene.a.disk.rename("note.md", "moved.md")
        scene.wait(1.0)
    scene.b.start()
    scene.rest()
    assert scene.paths(scene.a) == ["moved.md"]
    text = scene.read(scene.a, "moved.md") or ""
    assert [line for line in text.splitlines() if "ann" in line] == LINES.splitlines()


@pytest.mark.parametrize(
    ("left", "saved", "whole"),
    [
        ("", "new of bob\n", LINES + "new of bob\n"),
        ("one of ann\ntw", "one of ann\ntw\nnew of bob\n", LINES + "new of bob\n"),
        ("one of ann\ntw", "new of bob\none of ann\ntw", "new of bob\n" + LINES),
        ("", "one of ann and bob\n" + LINES[11:], "one of ann and bob\n" + LINES[11:]),
    ],
)
@pytest.mark.parametrize("renamed_by_others", [True, False])
def test_who_goes_on_in_what_a_power_cut_left_deletes_nothing_that_is_not_there(
    left: str, saved: str, whole: str, renamed_by_others: bool
) -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    scene.wait(5.0)
    cut_power(scene.b)
    scene.save(scene.b, "note.md", left)
    path = "x/y/note.md" if renamed_by_others else "note.md"
    if renamed_by_others:
        scene.a.disk.make_folder("x")
        scene.a.disk.make_folder("x/y")
        scene.a.disk.rename("note.md", path)
        scene.wait(1.0)
    scene.hub.kill()
    scene.b.start()
    scene.wait(2.0)
    scene.save(scene.b, "note.md", saved)
    scene.hub.start()
    scene.rest()
    assert scene.files(scene.a) == {path: whole.encode()}


@pytest.mark.parametrize("theirs", ["theirs\n" + LINES, "nothing of it\n" * 9])
@pytest.mark.parametrize(("kind", "mine"), [("", ""), ("", "mine\n"), ("\0", "")])
def test_what_others_saved_stays_where_a_power_cut_undid_the_write_and_the_file_of_before_was_renamed(
    kind: str, mine: str, theirs: str
) -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", kind + LINES)
    scene.rest()
    scene.wait(5.0)
    received(scene, "note.md", kind + theirs)
    cut_power(scene.b)
    assert scene.read(scene.b, "note.md") == kind + LINES
    scene.b.disk.rename("note.md", "moved.md")
    if mine:
        scene.save(scene.b, "moved.md", LINES + mine)
    scene.b.start()
    scene.rest()
    assert scene.paths(scene.a) == ["moved.md"]
    text = scene.read(scene.a, "moved.md") or ""
    assert text.replace(mine, "") == kind + theirs and mine in text


def test_whoever_empties_a_file_while_the_machine_runs_on_has_emptied_it() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    scene.b.kill()
    scene.save(scene.b, "note.md", "")
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == ""


def test_whoever_empties_a_file_that_a_power_cut_left_whole_has_emptied_it() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    scene.wait(5.0)
    cut_power(scene.b)
    scene.b.start()
    scene.rest()
    scene.save(scene.b, "note.md", "")
    scene.rest()
    assert scene.read(scene.a, "note.md") == ""


@pytest.mark.parametrize("old", [b"five of eve\n", b"\0binary"])
@pytest.mark.parametrize("new", [LINES, "a link"])
def test_what_a_power_cut_gave_a_name_back_to_replaces_nothing(old: bytes, new: str) -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", old)
    scene.rest()
    scene.wait(5.0)
    scene.b.machine.filesystem.order(Ordering.JUMPING)
    scene.a.disk.take("note.md")
    assert scene.within(5.0, lambda: scene.b.disk.get("note.md") is None)
    if new == "a link":
        scene.a.disk.put("note.md", scene.a.disk.new_inode(NodeKind.LINK, b"somewhere"))
    else:
        scene.save(scene.a, "note.md", new)
    assert scene.within(1.0, lambda: scene.b.disk.get("note.md") is not None and not scene.writing(scene.b))
    cut_power(scene.b)
    assert scene.b.disk.nodes["note.md"].data == old
    scene.b.start()
    scene.rest()
    kept = scene.a.disk.nodes["note.md"].data
    assert kept == (b"somewhere" if new == "a link" else new.encode())


@pytest.mark.parametrize("edited", ["", "p", "q", "pq"])
@pytest.mark.parametrize("who", ["a", "b"])
def test_files_whose_swap_a_power_cut_undid_are_swapped_again(who: str, edited: str) -> None:
    scene = Scene()
    for name in "pq":
        scene.save(scene.a, f"{name}.md", LINES.replace("ann", name * 5))
    scene.rest()
    scene.wait(5.0)
    doer, other = (scene.a, scene.b) if who == "a" else (scene.b, scene.a)
    doer.disk.exchange("p.md", "q.md")
    swapped = doer.disk.nodes["p.md"].data.decode()
    assert scene.within(1.0, lambda: scene.read(other, "p.md") == swapped and not scene.writing(other))
    cut_power(scene.b)
    assert scene.read(scene.b, "q.md") == swapped
    more = {name: "more\n" if name in edited else "" for name in "pq"}
    for name in edited:
        scene.save(scene.b, f"{name}.md", LINES.replace("ann", name * 5) + "more\n")
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "p.md") == LINES.replace("ann", "qqqqq") + more["q"]
    assert scene.read(scene.a, "q.md") == LINES.replace("ann", "ppppp") + more["p"]


def test_files_that_changed_names_before_a_power_cut_that_took_the_note_of_it_have_changed_names() -> None:
    scene = Scene()
    for name in "pq":
        scene.save(scene.a, f"{name}.md", LINES.replace("ann", name * 5))
    scene.rest()
    scene.wait(5.0)
    scene.save(scene.a, "p.md", LINES.replace("ann", "ppppp") + "more\n")
    assert scene.within(
        1.0, lambda: "more" in (scene.read(scene.b, "p.md") or "") and not scene.writing(scene.b)
    )
    state = scene.b.store.copy()  # what it has of that is not safe yet
    scene.a.disk.exchange("p.md", "q.md")
    assert scene.within(2.0, lambda: "more" in (scene.read(scene.b, "q.md") or ""))
    scene.b.kill()
    scene.b.machine.boots += 1
    scene.b.restore_state(state)
    scene.save(scene.b, "p.md", LINES.replace("ann", "qqqqq") + "mine\n")
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "p.md") == LINES.replace("ann", "qqqqq") + "mine\n"
    assert scene.read(scene.a, "q.md") == LINES.replace("ann", "ppppp") + "more\n"


def test_what_was_about_to_be_written_counts_as_seen_only_if_the_edit_shows_it() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", "one\ntwo\n")
    scene.rest()
    scene.b.work_s = 0.2  # b writes slowly: it is killed before it has
    scene.save(scene.a, "note.md", "one\ntwo with seventh\n")
    assert scene.within(5.0, lambda: scene.writing(scene.b))
    scene.b.kill()
    scene.save(scene.b, "note.md", "one\ntwo with seventeenth\n")
    scene.b.start()
    scene.rest()
    text = scene.read(scene.a, "note.md") or ""
    assert "seventh" in text.split()
    assert "seventeenth" in text.split()


def test_a_torn_file_that_was_taken_from_its_path_lacks_nothing_at_its_end() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    scene.wait(5.0)
    saved = scene.b.disk.nodes["note.md"]
    scene.save(scene.a, "note.md", LINES + "four of ann\n")
    assert scene.within(
        2.0, lambda: scene.b.disk.nodes["note.md"] is not saved and not scene.writing(scene.b)
    )
    scene.wait(1.0)
    scene.b.kill()
    assert scene.b.machine.holds(saved)
    scene.b.machine.boots += 1
    scene.b.disk.write_into(saved, b"")  # of a late save of an editor that had it open, nothing is left
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == LINES + "four of ann\n"


@pytest.mark.parametrize("rows", [limits.COMPACT_AFTER_UPDATES, 3])
@pytest.mark.parametrize("edited", [False, True])
def test_a_disk_that_is_ahead_of_what_its_replica_remembers_brings_nothing_twice(
    edited: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``rows``: of so many a log is made one update, maybe just as the hub has told of the last of them."""
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    assert scene.b.engine is not None
    backup = scene.b.store.copy()
    later = LINES.replace("two", "two and a half") + "added by ann\n"
    scene.save(scene.a, "note.md", later)
    scene.rest()
    scene.b.kill()
    scene.b.restore_state(backup)
    if edited:
        scene.save(scene.b, "note.md", "zero of bob\n" + later)
    last = later.replace("by ann", "byann").replace("half", "1half")
    scene.save(scene.a, "note.md", last)
    scene.wait(2.0)
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", rows)
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == ("zero of bob\n" if edited else "") + last


def test_of_a_disk_ahead_of_what_its_replica_remembers_what_several_had_put_there_comes_in_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    first, second, last, zero, added, between = map(line, "abczxy")
    scene.save(scene.a, "note.md", first + second + last)
    scene.rest()
    backup = scene.b.store.copy()
    scene.save(scene.b, "note.md", first + second + last + added)
    scene.rest()
    scene.save(scene.a, "note.md", zero + first + second + last + added)
    scene.rest()
    scene.b.kill()
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", 1)
    scene.b.restore_state(backup)
    scene.save(scene.b, "note.md", zero + first + second + added)
    scene.save(scene.a, "note.md", zero + first + second + "more " + last + between + added)
    scene.wait(2.0)
    monkeypatch.undo()
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == zero + first + second + "more " + last + between + added


def test_a_torn_file_of_a_text_that_the_room_has_and_its_replica_forgot_brings_nothing_twice() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    backup = scene.b.store.copy()
    later = LINES.replace("two of ann\n", "two of ann\nand of bob, well as it is\n")
    scene.save(scene.b, "note.md", later)
    scene.rest()
    scene.b.kill()
    scene.b.machine.boots += 1
    scene.b.restore_state(backup)
    left = later[: later.index("ll as")].encode()
    scene.save(scene.b, "note.md", left + bytes(len(later) - len(left)))
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == later


def test_a_torn_file_that_was_edited_brings_no_line_of_which_it_has_the_beginning_twice() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    backup = scene.b.store.copy()
    scene.save(scene.b, "note.md", LINES + "four of bob\nand five of bob\n")
    scene.rest()
    scene.save(scene.a, "note.md", LINES + "four of bob\nand five of bob, and of ann\n")
    scene.rest()
    scene.b.kill()
    scene.b.machine.boots += 1
    scene.b.restore_state(backup)
    scene.save(scene.b, "note.md", LINES + "6 of bob\nand five o")
    scene.b.start()
    scene.rest()
    text = scene.read(scene.a, "note.md") or ""
    assert sorted(text.splitlines(keepends=True)) == sorted(
        [*LINES.splitlines(keepends=True), "four of bob\n", "6 of bob\n", "and five of bob, and of ann\n"]
    )


def test_a_file_aside_that_a_power_cut_gave_back_what_it_held_before_takes_nothing_out() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    scene.wait(5.0)
    before = scene.b.disk.nodes["note.md"]
    scene.save(scene.b, "note.md", LINES + "four of bob\n")  # into the same file
    scene.rest()
    scene.save(scene.a, "note.md", LINES + "four of bob\nfive of ann\n")
    assert scene.within(
        2.0, lambda: scene.b.disk.nodes["note.md"] is not before and not scene.writing(scene.b)
    )
    scene.wait(1.0)
    scene.b.kill()
    assert scene.b.machine.holds(before)
    scene.b.machine.boots += 1
    scene.b.disk.write_into(before, LINES.encode())
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == LINES + "four of bob\nfive of ann\n"


def test_a_file_that_is_as_long_as_before_its_last_save_lacks_nothing_at_its_end() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    text = "three of bob\n" + LINES
    scene.save(scene.b, "note.md", text)
    scene.rest()
    cut_power(scene.b)
    scene.save(scene.b, "note.md", text[: len(LINES)])
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == text


def test_who_takes_out_as_much_as_they_add_after_a_power_cut_has_done_both() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    cut_power(scene.b)
    scene.save(scene.b, "note.md", "two of ann\nthree of ann\none of bob\n")
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "note.md") == "two of ann\nthree of ann\none of bob\n"


class TheLast(Random):
    """Of the names that a power cut could take, it takes the last."""

    def randint(self, a: int, b: int) -> int:
        return max(a, b - 1)


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("waited_s", [0.0, 0.002, 0.005, 0.05, 0.1, 0.2, 0.35])
def test_files_swapped_right_after_a_power_cut_took_back_a_rename_are_still_two(
    waited_s: float, edited: bool
) -> None:
    """That nothing stands under the new name is believed after a while: the file itself tells at once, and
    after some milliseconds it has that name again."""
    scene = Scene()
    text, other = LINES, "one of eve\n"
    scene.save(scene.a, "note.md", text)
    scene.save(scene.a, "other.md", other)
    scene.rest()
    scene.wait(5.0)
    if edited:
        scene.save(scene.a, "note.md", text := text + "four of ann\n")
        assert scene.within(5.0, lambda: scene.read(scene.b, "note.md") == text)
        scene.wait(0.05)
    scene.b.disk.rename("note.md", "new.md")
    assert scene.within(5.0, lambda: "new.md" in scene.paths(scene.a))
    scene.b.kill()
    scene.b.machine.cut_power(TheLast(1))
    assert scene.paths(scene.b) == ["note.md", "other.md"]
    scene.b.start()
    scene.wait(waited_s)
    for old, new in [("note.md", "aside"), ("other.md", "note.md"), ("aside", "other.md")]:
        if old in scene.paths(scene.b):
            scene.b.disk.rename(old, new)
    found = texts(scene)
    assert found.pop("note.md") == other
    assert found in ({"new.md": text}, {"other.md": text})
    assert not scene.a.machine.trashed() and not scene.b.machine.trashed()


def test_an_empty_file_that_others_swapped_before_a_power_cut_is_known_where_it_stands() -> None:
    """That it is empty is believed after a while: which file it is, it tells at once."""
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.save(scene.a, "other.md", "one of eve\n")
    scene.rest()
    scene.wait(5.0)
    scene.save(scene.b, "note.md", "")
    swap(scene.a)
    assert scene.within(5.0, lambda: scene.read(scene.b, "other.md") == "" and not scene.writing(scene.b))
    scene.b.kill()
    scene.b.boot = "after a power cut that took nothing"
    scene.b.start()
    scene.wait(1.0)
    swap(scene.b)
    assert texts(scene) == {"note.md": LINES, "other.md": "one of eve\n"}


@pytest.mark.parametrize("power", [False, True])
def test_files_are_swapped_whose_replica_was_killed_before_it_knew_that_one_was_written(power: bool) -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.save(scene.a, "other.md", "one of eve\ntwo of eve\n")
    scene.rest()
    written = "one of eve\nthree of mallory\n"
    scene.save(scene.a, "other.md", written)
    assert scene.within(5.0, lambda: scene.read(scene.b, "other.md") == written)
    assert scene.writing(scene.b), "it has not been told that this is done"
    scene.b.kill()
    if power:
        scene.b.boot = "after a power cut that took nothing"
    swap(scene.b)
    scene.b.start()
    scene.rest()
    assert texts(scene) == {"note.md": written, "other.md": LINES}


def swap(replica: VirtualReplica) -> None:
    for old, new in [("note.md", "aside"), ("other.md", "note.md"), ("aside", "other.md")]:
        replica.disk.rename(old, new)


@pytest.mark.parametrize("more", ["", "and more of all\n"])
@pytest.mark.parametrize("names", range(4))
def test_a_file_that_a_power_cut_brought_back_is_no_edit_of_what_was_to_come_to_its_path(
    names: int, more: str
) -> None:
    """It had stepped aside at a first join, and holds what it did before its save, be that a former text of
    the room or not."""
    scene = Scene()
    for number in range(names):  # the identities of the two come in another order
        scene.save(scene.a, f"{number}.md", f"{number}\n")
    first, mine = "one of all\ntwo of all\n", "one of all, by bob\ntwo of all, also by bob\n"
    theirs = "one of all\nand this is of ann\ntwo of all\n"
    scene.save(scene.a, "note.md", first)
    scene.rest()
    scene.b.kill()
    scene.b.lose_state()
    scene.save(scene.b, "note.md", mine)
    scene.save(scene.a, "note.md", theirs)
    scene.wait(1.0)
    scene.b.start()
    assert scene.within(5.0, lambda: scene.writing(scene.b))
    assert scene.within(5.0, lambda: not scene.writing(scene.b))
    assert scene.read(scene.b, "note.md") == theirs
    cut_power(scene.b)
    scene.save(scene.b, "note.md", first + more)
    scene.b.start()
    scene.rest()
    assert theirs in [scene.read(scene.a, path) for path in scene.paths(scene.a)]


def test_a_save_that_raced_a_write_is_taken_in_again_where_a_power_cut_took_what_had_come_of_it() -> None:
    """Its file is still there; the store has lost that it was read, and the hub has not heard of it."""
    scene = Scene()
    scene.save(scene.a, "note.md", "one\n")
    scene.rest()
    scene.wait(5.0)
    scene.b.link.latency_s = 0.6

    def race(path: str) -> None:
        if path == "note.md" and scene.read(scene.b, path) == "one\n":
            scene.save(scene.b, path, "one\nof bob\n")

    scene.b.race = race
    scene.save(scene.a, "note.md", "of ann\none\n")
    assert scene.within(5.0, lambda: "of ann\none\nof bob\n" in scene.b.store.texts())
    scene.wait(0.01)
    power_cut(scene)
    scene.b._keep_store(scene.b._stored.after_cut(Nothing()))
    assert scene.read(scene.b, "note.md") == "of ann\none\n"
    scene.b.start()
    scene.rest()
    assert texts(scene) == {"note.md": "of ann\none\nof bob\n"}


def kept_by_a_file_alone(
    scene: Scene, text: str, change: Callable[[], object], away: Callable[[], object]
) -> None:
    """``b`` has received that text by the change; a power cut takes it from its store, and an older copy from
    the hub, where whoever made it is ``away`` by then."""
    backup, older = scene.hub.backup(), scene.b.store.copy()
    change()
    assert scene.within(5.0, lambda: scene.read(scene.b, "x.md") == text)
    scene.wait(0.02)
    power_cut(scene)
    scene.b._keep_store(older)
    scene.hub.kill()
    scene.hub.restore(backup)
    away()
    scene.hub.start()
    scene.b.start()
    scene.wait(5.0)


@pytest.mark.parametrize("typed", [None, "a ", "a line th", "a line "])
def test_what_only_a_file_had_left_of_what_a_page_had_typed_is_there_once_as_the_page_brings_it(
    typed: str | None,
) -> None:
    """A power cut takes it from the store, and the hub is restored to before it. ``typed``: after so much
    of the line, a sign, with the hub away."""
    line, first = "a line that a page has\n", "first line of text\n"
    scene = Scene()
    scene.save(scene.b, "x.md", first)
    scene.rest()
    scene.wait(5.0)
    page = YjsPage("p", scene.clock, Random(1), scene.trace, scene.hub, "room", "x.md", 0.01)
    page.go_online()
    scene.wait(3.0)
    scene.a.kill()
    kept_by_a_file_alone(scene, line + first, partial(page.replace, 0, 0, line), page.go_offline)
    if typed is not None:
        page.replace(len(typed), len(typed), "+")
        line = line.replace(typed, f"{typed}+", 1)
    page.go_online()
    scene.wait(10.0)
    page.replace(0, 0, "something else that is typed later\n")  # not judged: it was typed into what is there
    scene.wait(5.0)
    assert page.text == scene.read(scene.b, "x.md") == f"something else that is typed later\n{line}{first}"
    page.close()


def test_what_only_a_file_had_left_of_others_is_not_gone_where_they_take_theirs_back() -> None:
    """As above, by a folder that finds it there by another; both are heard at once."""
    line, first = "a line of another\n", "first line of text\n"
    scene = Scene()
    scene.save(scene.b, "x.md", first)
    scene.rest()
    scene.wait(5.0)
    save = partial(scene.save, scene.a, "x.md", line + first)
    kept_by_a_file_alone(scene, line + first, save, scene.a.link.unplug)
    scene.b.link.latency_s = 1.0
    scene.a.link.online = True
    scene.wait(20.0)
    assert scene.read(scene.a, "x.md") == scene.read(scene.b, "x.md") == line + first
