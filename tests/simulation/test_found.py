"""What the simulator found, each as the shortest story that shows it."""

from __future__ import annotations

import pytest

from crdtsync.core.hub.store import StoreFailed
from crdtsync.core.replica.events import ConfirmRequested
from crdtsync.core.text.diff import apply_edits
from crdtsync.core.text.rebase import rebase
from crdtsync.core.values.digests import digest_of
from crdtsync.testing.virtual_inodes import NodeKind
from tests.simulation.scene import Scene


def test_a_folder_that_becomes_a_file_becomes_one_everywhere() -> None:
    scene = Scene()
    scene.save(scene.a, "notes/in.md", "inside\n")
    scene.rest()
    scene.a.disk.take("notes/in.md")
    scene.a.disk.take("notes")
    scene.save(scene.a, "notes", "now a file\n")
    scene.rest()
    assert scene.read(scene.b, "notes") == "now a file\n"
    assert scene.paths(scene.b) == ["notes"]


def test_a_save_that_races_a_write_undoes_nothing_that_came_meanwhile() -> None:
    scene = Scene()
    scene.save(scene.a, "list.md", "one\n")
    scene.rest()
    scene.b.work_s = 0.2  # b writes slowly: the next edit comes before the outcome of the write
    scene.save(scene.a, "list.md", "one\ntwo is here\n")
    scene.wait(0.1)
    scene.save(scene.a, "list.md", "one\ntwo is here\nthree is here\n")
    assert scene.within(5.0, lambda: scene.read(scene.b, "list.md") == "one\ntwo is here\n")
    scene.save(scene.b, "list.md", "zero is here\none\ntwo is here\n")
    scene.rest()
    assert scene.read(scene.a, "list.md") == "zero is here\none\ntwo is here\nthree is here\n"


def test_an_edit_made_while_it_was_dead_is_still_one_after_two_starts_without_the_hub() -> None:
    scene = Scene()
    scene.save(scene.a, "a.txt", "one\ntwo\nthree\n")
    scene.rest()
    scene.b.work_s = 0.2  # b writes slowly: it is killed before it has
    scene.save(scene.a, "a.txt", "one\ntwo\nthree\nfour\n")
    assert scene.within(5.0, lambda: scene.writing(scene.b))
    scene.b.kill()
    scene.hub.kill()
    scene.save(scene.b, "a.txt", "zero\none\ntwo\nthree\n")
    saved = scene.b.disk.get("a.txt")
    for _ in range(2):
        scene.b.start()
        scene.wait(5.0)
        assert scene.b.disk.get("a.txt") is saved  # nothing is written over what was not taken in
        scene.b.kill()
    scene.hub.start()
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "a.txt") == "zero\none\ntwo\nthree\nfour\n"


def test_what_was_meant_for_the_disk_and_never_stood_there_is_no_base_of_a_save() -> None:
    scene = Scene()
    scene.save(scene.a, "log.md", "ann wrote line 0\n")
    scene.rest()
    scene.b.work_s = 0.2  # b writes slowly: there is time for all of this
    scene.save(scene.a, "log.md", "ann wrote line 0\nbob wrote line 5\n")
    assert scene.within(5.0, lambda: scene.writing(scene.b))
    # While the step is under way, its text is replaced in the room, and a save here makes it come to nothing.
    scene.save(scene.a, "log.md", "ann wrote line 0\nbob wrote line 5\nann wrote line 1\n")
    scene.wait(0.1)
    scene.save(scene.b, "log.md", "ann wrote line 0\nbob wrote line 6\nbob wrote line 15\n")
    scene.rest()
    lines = (scene.read(scene.b, "log.md") or "").splitlines()
    assert sorted(lines) == [
        "ann wrote line 0",
        "ann wrote line 1",
        "bob wrote line 15",
        "bob wrote line 5",
        "bob wrote line 6",
    ]


def test_a_file_arrives_at_a_path_that_was_just_deleted_here() -> None:
    scene = Scene()
    scene.save(scene.a, "x.md", "text\n")
    scene.rest()
    scene.b.disk.take("x.md")
    scene.wait(0.1)  # b waits out the settle time of its deletion
    scene.save(scene.a, "x.md", b"\0binary")
    scene.rest()
    node = scene.b.disk.get("x.md")
    assert node is not None and node.data == b"\0binary"


def test_deletions_that_are_ready_while_offline_ask_for_no_tick() -> None:
    scene = Scene()
    scene.save(scene.a, "x.md", "text\n")
    scene.rest()
    scene.a.link.unplug()
    scene.a.disk.take("x.md")
    handled = scene.clock.handled
    scene.wait(60.0)
    assert scene.clock.handled - handled < 1000
    scene.a.link.online = True
    scene.rest()
    assert scene.paths(scene.b) == []


def test_a_flush_ends_while_the_deletion_of_a_whole_folder_is_held() -> None:
    scene = Scene()
    names = [f"folder/{number}.md" for number in range(12)]
    for name in names:
        scene.save(scene.a, name, f"text of {name}\n")
    scene.rest()
    for name in names:
        scene.a.disk.take(name)
    scene.a.disk.take("folder")
    number = scene.a.flush()
    assert scene.within(60.0, lambda: number in scene.a.flushed)
    assert scene.paths(scene.b) == sorted(names)
    scene.a.handle(ConfirmRequested())
    scene.rest()
    assert scene.paths(scene.b) == []


def test_a_kill_before_a_write_takes_nothing_back() -> None:
    scene = Scene()
    scene.save(scene.a, "list.md", "one\n")
    scene.rest()
    scene.save(scene.a, "list.md", "one\ntwo is here\n")
    scene.b.work_s = 0.5
    steps = scene.b.performed
    assert scene.within(5.0, lambda: scene.writing(scene.b))
    scene.b.kill()
    assert scene.b.performed == steps  # it was intended, and never done
    scene.b.work_s = 0.001
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "list.md") == "one\ntwo is here\n"


def test_a_kill_between_a_move_and_its_outcome_loses_neither_file() -> None:
    scene = Scene()
    scene.save(scene.a, "x.md", "text\n")
    scene.rest()
    scene.b.work_s = 0.5
    scene.a.disk.rename("x.md", "y.md")
    scene.save(scene.a, "x.md", b"\0binary")
    assert scene.within(10.0, lambda: scene.b.disk.get("y.md") is not None)
    scene.b.kill()
    scene.b.work_s = 0.001
    scene.b.start()
    scene.rest()
    assert scene.read(scene.b, "y.md") == "text\n"
    assert scene.paths(scene.a) == ["x.md", "y.md"]


def test_files_that_change_names_among_each_other_keep_what_they_hold() -> None:
    scene = Scene()
    first = "".join(f"line {number} of the first\n" for number in range(8))
    second = "".join(f"line {number} of the second\n" for number in range(8))
    scene.save(scene.a, "x.md", first)
    scene.save(scene.a, "y.md", second)
    scene.rest()
    for _ in range(3):
        scene.a.disk.exchange("x.md", "y.md")
        scene.rest()
    assert (scene.read(scene.b, "x.md"), scene.read(scene.b, "y.md")) == (second, first)


def test_a_file_moved_away_in_the_instant_of_its_removal_survives_with_its_heir() -> None:
    scene = Scene()
    scene.a.disk.put("x", scene.a.disk.new_inode(NodeKind.LINK, b"somewhere"))
    scene.rest()

    def move_away(path: str) -> None:
        if scene.b.disk.get("z") is None:
            scene.b.disk.rename("x", "z")

    scene.b.race = move_away
    scene.a.disk.take("x")
    scene.save(scene.a, "x", b"\0binary")
    scene.wait(3.0)
    scene.b.race = lambda path: None
    scene.rest()
    assert scene.paths(scene.a) == ["x", "z"]
    node = scene.a.disk.get("x")
    assert node is not None and node.data == b"\0binary"


def test_an_emptying_that_settles_while_offline_is_sent_once_connected() -> None:
    scene = Scene()
    scene.save(scene.a, "x.md", "text\n")
    scene.rest()
    scene.a.link.unplug()
    scene.save(scene.a, "x.md", "")
    scene.wait(8.0)
    scene.a.link.online = True
    scene.rest()
    assert scene.read(scene.b, "x.md") == ""


def test_a_buffer_older_than_the_last_save_here_takes_nothing_of_others_back() -> None:
    scene = Scene()
    loaded = "one is here\ntwo is here\nthree is here\n"
    scene.save(scene.a, "list.md", loaded)
    scene.rest()
    formatted = loaded.replace("is here", "is here (checked)")
    scene.save(scene.b, "list.md", formatted)
    scene.rest()
    scene.save(scene.a, "list.md", "zero was added\n" + formatted)
    scene.rest()
    scene.save(scene.b, "list.md", loaded + "four comes from an old buffer\n")
    scene.rest()
    assert scene.read(scene.a, "list.md") == "zero was added\n" + loaded + "four comes from an old buffer\n"


def test_who_saves_in_the_instant_of_each_of_two_writes_takes_out_only_what_was_seen() -> None:
    scene = Scene()
    scene.save(scene.a, "x.md", "line 72d5 one f8d8 of text\n")
    scene.rest()
    saves = ["line b456 two 08cb of text\n", "line 5636 three 2c1f of text\n"]
    scene.b.race = lambda path: scene.save(scene.b, path, saves.pop(0)) if saves else None
    scene.save(scene.a, "x.md", "line 72d5 one f8d8 of text [checked]\n")
    scene.rest()
    assert not saves
    merged = scene.read(scene.a, "x.md")
    assert merged is not None
    assert "b456 two 08cb" in merged
    assert "5636 three 2c1f" in merged


def test_an_old_buffer_is_recognised_among_lines_that_are_much_alike() -> None:
    scene = Scene()
    first, second = "line one of text\n", "line two of text\n"
    scene.save(scene.a, "list.md", first + second)
    scene.rest()
    scene.save(scene.b, "list.md", "line nine of text\n" + first + second)
    scene.rest()
    scene.save(scene.a, "list.md", first + "line four of text\n" + second)
    scene.rest()
    assert scene.read(scene.b, "list.md") == "line nine of text\n" + first + "line four of text\n" + second


def test_a_buffer_outlives_the_deletion_that_the_file_came_back_from() -> None:
    scene = Scene()
    loaded = "".join(f"line {number} of a longer text\n" for number in range(5))
    scene.save(scene.a, "list.md", loaded)
    scene.rest()
    scene.a.link.unplug()
    scene.save(scene.a, "list.md", loaded + "added by the first\n")
    scene.b.disk.take("list.md")
    scene.wait(3.0)
    scene.a.link.online = True
    scene.rest()  # the edit survived the deletion, which an editor at b did not notice
    scene.save(scene.b, "list.md", "added by the other\n" + loaded)
    scene.rest()
    assert scene.read(scene.a, "list.md") == "added by the other\n" + loaded + "added by the first\n"


def test_a_blob_that_the_hub_got_again_is_fetched_at_the_next_flush() -> None:
    scene = Scene()
    data = b"\0binary"
    scene.hub.blobs.clear()
    scene.save(scene.a, "x.bin", data)
    assert scene.within(5.0, lambda: bool(scene.hub.blobs))
    kept = dict(scene.hub.blobs)
    scene.hub.blobs.clear()
    assert scene.within(5.0, lambda: scene.b.engine is not None and bool(scene.b.engine.status.attention))
    scene.hub.blobs.update(kept)
    number = scene.b.flush()
    assert scene.within(2.0, lambda: number in scene.b.flushed)
    node = scene.b.disk.get("x.bin")
    assert node is not None and node.data == data


def test_two_who_ran_the_formatter_have_its_changes_once_though_one_also_went_on() -> None:
    scene = Scene()
    lines = ["line 1324 a 87f2 of text", "line 7ef8 b 25c2 of text"]
    scene.save(scene.a, "list.md", "".join(f"{line}\n" for line in lines))
    scene.rest()
    formatted = "".join(f"{line} [checked {number}]\n" for number, line in enumerate(lines))
    more = formatted + "line 0c40 c fcbd of text\n"
    for replica, text in ((scene.a, formatted), (scene.b, more)):
        replica.link.unplug()
        scene.save(replica, "list.md", text)
    scene.wait(1.0)
    for replica in (scene.a, scene.b):
        replica.link.online = True
        scene.wait(10.0)
    scene.rest()
    assert scene.read(scene.b, "list.md") == more


@pytest.mark.parametrize("boot", ["1", "2"])
def test_a_revert_while_the_replica_is_down_is_one_unless_power_may_have_been_lost(boot: str) -> None:
    scene = Scene()
    scene.save(scene.a, "list.md", "one\n")
    scene.rest()
    scene.save(scene.a, "list.md", "one\ntwo is here\n")
    assert scene.within(5.0, lambda: scene.read(scene.b, "list.md") != "one\n")
    scene.a.kill()  # before the second text was made durable
    scene.save(scene.a, "list.md", "one\n")
    scene.a.boot = boot
    scene.a.start()
    scene.rest()
    assert scene.read(scene.b, "list.md") == ("one\n" if boot == "1" else "one\ntwo is here\n")


def test_what_a_formatter_added_here_stays_where_others_replaced_the_line() -> None:
    base = "the same\nline 71c5 \U00020004 aba4 of text\nfor all with line 58d2 \U00020003 be9c of text\n"
    marks = "\U000381a4\U0003d194\U0003a052"
    ours = "".join(f"{line} [checked {mark}]\n" for mark, line in zip(marks, base.splitlines(), strict=True))
    theirs = (
        "line dc76 \U00020018 6648 of text with line 0dc2 \U0002000c c684 of text [checked \U00036880]\n"
        "line 697a \U00020012 cce6 of text [checked \U00034e77]\n"
        "line e11f \U0002000d 800c of text [checked \U0003eef4]\n"
        "line 611a \U00020011 1ad7 of text [checked \U00030682]\n"
        "line 71c5 \U00020004 aba4 of text [checked \U0003d194]\n"
        "line 8939 \U00020014 fdbd of text [checked \U0003dd88]\n"
        "for all with line 58d2 \U00020003 be9c of text [checked \U0003a052]\n"
    )
    assert marks[0] in apply_edits(theirs, rebase(base, ours, theirs))


@pytest.mark.parametrize("content", [b"text\n", b"\0binary"])
def test_a_file_that_moves_into_a_folder_of_its_own_name_does_so_everywhere(content: bytes) -> None:
    scene = Scene()
    scene.save(scene.a, "y", content)
    scene.rest()
    scene.a.disk.rename("y", "y~")
    scene.a.disk.make_folder("y")
    scene.a.disk.rename("y~", "y/in.md")
    scene.rest()
    assert scene.paths(scene.b) == ["y/in.md"]
    node = scene.b.disk.get("y/in.md")
    assert node is not None and node.data == content


@pytest.mark.parametrize("killed", ["a", "b", "both"])
def test_the_same_change_by_two_is_there_once_also_if_they_are_killed_before_they_know(killed: str) -> None:
    scene = Scene()
    scene.save(scene.a, "code.py", "first line\nsecond line\n")
    scene.rest()
    replicas = [scene.a, scene.b]
    for replica in replicas:
        replica.link.latency_s = 0.3
        scene.save(replica, "code.py", "first line, formatted\nsecond line, formatted\n")
    assert scene.within(
        5.0, lambda: all(each.engine is not None and len(each.engine.state.unaccepted) for each in replicas)
    )
    for replica in replicas:
        if killed in (replica.name, "both"):
            replica.kill()
            replica.start()
    scene.rest()
    assert scene.read(scene.a, "code.py") == "first line, formatted\nsecond line, formatted\n"


@pytest.mark.parametrize("first_back", ["a", "b"])
@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("killed", [False, True])
def test_the_same_change_by_two_is_there_once_also_if_the_hub_loses_which_came_first(
    killed: bool, heard: bool, first_back: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``heard``: the first to be placed was told of the other's change, the other of nothing."""
    scene = Scene()
    scene.save(scene.a, "code.py", "first line\nsecond line\n")
    scene.rest()
    assert scene.a.engine is not None
    engine, state = scene.a.engine, scene.a.engine.state
    (entry,) = state.view.room.placements
    scene.hub.commit_s = 0.2
    scene.b.link.latency_s = 0.05 if heard else 0.6
    with monkeypatch.context() as full:
        full.setattr(scene.hub.store, "append", _full)
        for replica in (scene.a, scene.b):
            scene.save(replica, "code.py", "first line, formatted\nsecond line, formatted\n")
        for enough in (
            lambda: len(state.unaccepted) == 1,
            lambda: len(state.unaccepted) == 0,
            lambda: not heard or state.documents.text(entry).count("formatted") == 4,
        ):
            assert scene.within(5.0, enough)
        scene.b.link.cut()
        if killed:
            scene.hub.kill()
        assert scene.within(5.0, lambda: engine.status.state == "offline")
    later = scene.a if first_back == "b" else scene.b
    later.link.unplug()
    if killed:
        scene.hub.start()
    scene.b.link.latency_s = 0.001
    scene.wait(5.0)  # whoever comes back first is placed first
    later.link.online = True
    scene.wait(5.0)
    scene.rest()
    assert scene.read(scene.a, "code.py") == "first line, formatted\nsecond line, formatted\n"


def _full(rows: object) -> None:
    raise StoreFailed("the disk is full")


def test_files_that_changed_names_take_along_what_others_write_in_them() -> None:
    scene = Scene()
    first, second = "of the first\n" * 3, "of the second\n" * 3
    scene.save(scene.a, "x.md", first)
    scene.save(scene.a, "y.md", second)
    scene.rest()
    scene.b.link.latency_s = 0.5
    scene.save(scene.b, "x.md", first + "more by b\n")
    scene.a.disk.exchange("x.md", "y.md")
    scene.rest()
    assert scene.read(scene.a, "y.md") == first + "more by b\n"
    assert scene.read(scene.b, "x.md") == second


def test_a_buffer_of_a_file_that_others_replaced_is_merged_into_what_stands_there_now() -> None:
    scene = Scene()
    scene.save(scene.a, "x.md", "first line\nsecond line\n")
    scene.rest()
    scene.a.disk.take("x.md")
    scene.rest()
    scene.save(scene.a, "x.md", "other file\nof the same name\n")
    scene.rest()
    scene.save(scene.b, "x.md", "first line\nadded in an old buffer\nsecond line\n")
    scene.rest()
    merged = scene.read(scene.a, "x.md") or ""
    assert "added in an old buffer" in merged
    assert {"other", "file", "of", "the", "same", "name"} <= set(merged.replace("added", " ").split())


def test_a_blob_that_the_hub_lost_before_its_entry_came_is_asked_for_and_offered_again() -> None:
    scene = Scene()
    backup = scene.hub.backup()
    scene.save(scene.b, "picture.bin", b"\0binary")
    assert scene.within(5.0, lambda: scene.b.engine is not None and bool(scene.b.engine.state.uploaded))
    scene.hub.kill()  # it has the blob, and not yet the entry
    scene.hub.restore(backup)
    scene.hub.start()
    assert scene.within(60.0, lambda: scene.a.disk.get("picture.bin") is not None)
    scene.rest()
    node = scene.a.disk.get("picture.bin")
    assert node is not None and node.data == b"\0binary"


def test_a_file_that_is_renamed_while_it_is_being_written_is_no_copy() -> None:
    scene = Scene()
    names = [f"{number:02}.md" for number in range(20)]
    for name in names:
        scene.save(scene.a, f"old/{name}", "one\n")
    scene.rest()
    scene.b.work_s = 0.05  # b takes a second to write all of them
    for name in names:
        scene.save(scene.a, f"old/{name}", "one\ntwo is here\n")
    assert scene.within(5.0, lambda: scene.writing(scene.b))
    scene.b.disk.rename("old", "new")
    scene.rest()
    assert scene.paths(scene.a) == scene.paths(scene.b) == [f"new/{name}" for name in names]
    assert {scene.read(scene.b, f"new/{name}") for name in names} == {"one\ntwo is here\n"}


def test_a_file_takes_the_name_of_the_folder_that_it_was_in() -> None:
    scene = Scene()
    scene.save(scene.a, "x/z/b.md", "text\n")
    scene.rest()
    scene.a.disk.rename("x/z/b.md", "b.md~")
    scene.a.disk.take("x/z")
    scene.a.disk.take("x")
    scene.a.disk.rename("b.md~", "x")
    scene.rest()
    assert scene.paths(scene.a) == scene.paths(scene.b) == ["x"]
    assert scene.read(scene.b, "x") == "text\n"


@pytest.mark.parametrize("effects", range(1, 16))
def test_an_edit_of_a_file_that_was_renamed_too_is_sent_after_a_kill_between_the_two(effects: int) -> None:
    scene = Scene()
    scene.save(scene.a, "old.md", "one\ntwo\nthree\n")
    scene.rest()
    scene.b.kill_within_effects(effects)
    scene.save(scene.b, "old.md", "one\ntwo\nthree\nmine\n")
    scene.b.disk.rename("old.md", "new.md")
    scene.wait(2.0)
    scene.b.kill()
    scene.b.start()
    scene.rest()
    assert scene.paths(scene.a) == ["new.md"]
    assert scene.read(scene.a, "new.md") == scene.read(scene.b, "new.md") == "one\ntwo\nthree\nmine\n"


def test_after_a_kill_a_formatter_on_an_old_file_takes_out_nothing_that_was_about_to_be_written() -> None:
    scene = Scene()
    scene.save(scene.a, "x.md", "for everybody\nan apple is red\na pear is green\n")
    scene.rest()
    scene.b.work_s = 0.5
    scene.save(
        scene.a,
        "x.md",
        "added by a\nfor everybody [ok]\nan apple is red [ok]\na pear is green [ok]\nalso added by a\n",
    )
    assert scene.within(5.0, lambda: scene.writing(scene.b))
    scene.b.kill()
    scene.save(scene.b, "x.md", "an apple is red [ok]\na pear is green [ok]\na plum came from b\n")
    scene.b.work_s = 0.0
    scene.b.start()
    scene.rest()
    text = scene.read(scene.a, "x.md") or ""
    for line in ("added by a", "also added by a", "a plum came from b", "an apple is red [ok]"):
        assert text.count(line + "\n") >= 1, text


def test_the_last_file_of_a_blob_that_the_hub_lost_is_not_replaced() -> None:
    scene = Scene()
    first, second = sorted([b"\0binary of a", b"\0binary of b"], key=digest_of)
    scene.save(scene.a, "x.bin", b"\0binary")
    scene.rest()
    scene.a.link.unplug()
    scene.save(scene.a, "x.bin", first)
    scene.save(scene.b, "x.bin", second)
    assert scene.within(5.0, lambda: ("room", digest_of(second)) in scene.hub.blobs)
    scene.wait(1.0)
    scene.hub.blobs.pop(("room", digest_of(second)))
    scene.a.link.online = True
    scene.rest()
    found = [scene.b.disk.nodes[path].data for path in scene.paths(scene.b)]
    assert sorted(found) == sorted([first, second])
