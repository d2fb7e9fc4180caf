"""Answers that nobody waits for, programs at the edges of what they may, flushes over a lost connection."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import events as ev
from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.steps import Done
from crdtsync.core.text.diff import Edit
from crdtsync.core.values import limits
from crdtsync.core.values.files import Absent
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.core.wire.codec import encode_from_hub
from crdtsync.core.wire.messages import Committed, LogEntry, Relay
from tests.replica.stories import shared
from tests.replica.test_live import Program, opened
from tests.simulation.scene import Scene


@pytest.mark.parametrize(
    "event",
    [
        ev.Scanned(999, ev.Scan()),
        ev.StepsDone(((999, Done()),)),
        ev.MadeDurable(999),
        ev.Looked((("a.md", Absent()),)),
    ],
)
def test_an_answer_that_nobody_waits_for_deletes_nothing(event: ev.Event) -> None:
    scene = shared()
    scene.a.handle(event)
    scene.rest()
    assert scene.read(scene.a, "a.md") == scene.read(scene.b, "a.md") == "one\ntwo\n"


def test_a_flush_that_a_lost_connection_interrupts_ends_on_the_next_one() -> None:
    scene = shared()
    scene.save(scene.a, "a.md", "one\ntwo\nthree\n")
    engine = scene.a.engine
    assert engine is not None
    number = scene.a.flush()
    for _ in range(40):  # at every moment of it
        scene.wait(0.01)
        if number in scene.a.flushed:
            break
        scene.a.link.cut()
        scene.wait(30.0)
    assert scene.within(60.0, lambda: number in scene.a.flushed)
    scene.rest()
    assert scene.read(scene.b, "a.md") == "one\ntwo\nthree\n"


def test_a_program_sees_the_first_words_of_a_file_that_was_empty() -> None:
    scene = Scene()
    scene.save(scene.a, "new.md", "")
    scene.rest()
    program = opened(scene, scene.b, "new.md")
    scene.save(scene.a, "new.md", "first words\n")
    scene.rest()
    assert program.read("new.md") == "first words\n" == scene.read(scene.b, "new.md")


def test_what_a_program_has_closed_it_can_edit_no_more_while_others_can() -> None:
    scene = shared()
    mine, beside = opened(scene, scene.a, "a.md"), opened(scene, scene.a, "a.md", holder=2)
    mine.close()
    scene.a.handle(ev.EditText(1, mine.texts["a.md"], (Edit(0, 0, "x"),)))
    beside.type("a.md", "three\n")
    beside.close()
    scene.rest()
    assert len(mine.refused) == 1 and "not open" in mine.refused[0]
    assert scene.read(scene.b, "a.md") == "one\ntwo\nthree\n"


def test_a_program_makes_no_text_larger_than_texts_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = shared("")
    program = opened(scene, scene.a, "a.md")
    monkeypatch.setattr(limits, "TEXT_REMAINS_MAX_BYTES", 100)
    text = program.texts["a.md"]
    for edit, refused in ((Edit(0, 0, "a" * 60), 0), (Edit(0, 0, "é" * 30), 1), (Edit(0, 0, "é" * 20), 1)):
        scene.a.handle(ev.EditText(1, text, (edit,)))
        assert len(program.refused) == refused
    assert "above 100 bytes" in program.refused[0]


def test_who_may_only_read_opens_what_is_there_and_makes_nothing() -> None:
    scene = shared()
    scene.b.kill()
    scene.b.read_only = True
    scene.b.start()
    scene.rest_apart()
    program = opened(scene, scene.b, "a.md")
    program.open("new.md")
    scene.b.handle(ev.EditText(1, program.texts["a.md"], (Edit(0, 0, "x"),)))
    scene.wait(1.0)
    assert len(program.refused) == 2 and all("only read the room" in reason for reason in program.refused)
    assert scene.paths(scene.b) == ["a.md"]


def test_a_file_that_was_made_while_the_hub_was_away_is_opened_once_it_is_back() -> None:
    scene = shared()
    scene.hub.kill()
    scene.wait(1.0)
    scene.save(scene.a, "new.md", "made offline\n")
    scene.wait(1.0)
    program = Program(scene.a)
    program.open("new.md")
    scene.wait(1.0)
    assert len(program.refused) == 1 and "has not been reached" in program.refused[0]
    scene.hub.start()
    scene.rest()
    program.open("new.md")
    scene.wait(1.0)
    assert program.read("new.md") == "made offline\n"


def test_a_cursor_of_someone_who_leaves_is_taken_from_the_texts_that_are_open() -> None:
    scene = shared()
    scene.save(scene.a, "b.md", "other\n")
    scene.rest()
    mine = opened(scene, scene.a, "a.md")
    theirs = Program(scene.b)
    for path in ("a.md", "b.md"):
        theirs.open(path)
        scene.wait(1.0)
        scene.b.handle(ev.PlaceCursors(1, theirs.texts[path], ((1, 1),)))
        scene.wait(1.0)
    assert [ranges for (_, text), ranges in mine.cursors.items() if text == mine.texts["a.md"]] == [((1, 1),)]
    scene.b.kill()
    scene.wait(2.0)
    assert all(ranges == () for ranges in mine.cursors.values())


def test_ignore_files_of_others_are_heeded_as_soon_as_they_are_here() -> None:
    scene = shared()
    scene.save(scene.a, ".gitignore", "*.log\n")
    scene.rest()
    scene.save(scene.b, "private.log", "mine\n")
    scene.save(scene.b, "shared.md", "ours\n")
    scene.rest_apart()
    assert scene.paths(scene.a) == [".gitignore", "a.md", "shared.md"]
    scene.save(scene.b, ".gitignore", "")
    scene.rest()
    assert "private.log" in scene.paths(scene.a)


def test_a_blob_that_two_files_want_is_fetched_although_one_of_them_wants_another_meanwhile() -> None:
    scene = Scene()
    scene.b.work_s = 0.5
    scene.save(scene.a, "one.bin", b"\0same")
    scene.save(scene.a, "two.bin", b"\0same")
    engine = scene.b.engine
    assert engine is not None
    assert scene.within(9.0, lambda: bool(engine.status.pending.receive))
    scene.save(scene.a, "one.bin", b"\0other")
    scene.rest()
    assert scene.files(scene.b) == {
        "one.bin": b"\0other",
        "two.bin": b"\0same",
    }


def test_a_blob_is_fetched_again_for_a_file_that_comes_while_another_is_made_of_it() -> None:
    scene = Scene()
    scene.b.work_s = 0.5
    scene.save(scene.a, "one.bin", b"\0same")
    assert scene.within(9.0, lambda: scene.writing(scene.b))
    scene.save(scene.a, "two.bin", b"\0same")
    scene.rest()
    assert [node.data for _, node in scene.b.disk.files()] == [b"\0same"] * 2


def test_a_file_that_others_move_to_where_a_private_folder_stands_waits_and_is_told() -> None:
    scene = shared()
    scene.save(scene.a, ".gitignore", "*.log\n")
    scene.rest()
    scene.save(scene.b, "t/private.log", "mine\n")
    scene.rest_apart()
    scene.a.disk.rename("a.md", "t")
    scene.wait(30.0)
    engine = scene.b.engine
    assert engine is not None
    assert scene.read(scene.b, "t/private.log") == "mine\n"
    assert scene.read(scene.b, "a.md") == "one\ntwo\n"
    [told] = engine.status.attention
    assert told.path == "a.md" and "what stands at t is in the way" in told.message
    scene.rest_apart()
    scene.b.disk.take("t/private.log")
    scene.b.disk.take("t")
    scene.wait(90.0)
    scene.rest()
    assert scene.read(scene.b, "t") == "one\ntwo\n"
    assert engine.status.attention == ()


def test_nothing_can_be_opened_below_a_file_or_where_a_name_is_no_text() -> None:
    scene = shared()
    program = Program(scene.a)
    for path in ("a.md/below", "caf\udce9.md"):
        program.open(path)
    scene.wait(2.0)
    assert any("a.md is no folder" in reason for reason in program.refused)
    assert len(program.refused) == 2
    scene.rest()
    assert scene.paths(scene.b) == ["a.md"]


def everywhere(entry: EntryId) -> bool:
    return True


def test_a_deletion_that_is_held_is_judged_no_more() -> None:
    deletions = Deletions()
    entries = [EntryId(f"{number:024x}") for number in range(12)]
    for entry in entries:
        deletions.add(entry, 100.0)
    assert deletions.judge(12, everywhere, False, 200.0) == ([], True)
    deletions.add(entries[0], 201.0)
    assert not deletions.waiting and deletions.held == set(entries)
    deletions.discard(entries[0])
    deletions.add(entries[0], 202.0)
    assert deletions.judge(12, everywhere, False, 300.0) == ([], True), "it joins those that are held"
    assert deletions.held == set(entries)


def test_of_very_many_files_that_left_their_paths_the_latest_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "VERSIONS_MAX_PATHS", 2)
    scene = Scene()
    for name in "abcd":
        scene.save(scene.a, f"{name}.md", f"text of {name}\n")
    scene.rest()
    for name in "abcd":
        scene.b.disk.rename(f"{name}.md", f"{name}{name}.md")
        scene.rest()
    engine = scene.a.engine
    assert engine is not None
    assert list(engine.state.documents._stood) == ["c.md", "d.md"]
    assert scene.paths(scene.a) == ["aa.md", "bb.md", "cc.md", "dd.md"]


def test_what_was_typed_before_a_folder_might_only_read_is_told_and_sent_once_it_may_write() -> None:
    scene = shared()
    program = opened(scene, scene.b, "a.md")
    scene.hub.kill()
    scene.wait(1.0)
    program.type("a.md", "typed\n")
    scene.wait(3.0)
    scene.b.kill()
    scene.b.read_only = True
    scene.b.start()
    scene.hub.start()
    scene.rest_apart()
    assert scene.b.engine is not None
    assert {each.path for each in scene.b.engine.status.attention} == {"a.md"}
    assert scene.read(scene.a, "a.md") == "one\ntwo\n"
    scene.b.kill()
    scene.b.read_only = False
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "a.md") == "one\ntwo\ntyped\n"
    assert scene.b.engine.status.attention == ()


def test_an_empty_file_that_a_program_opens_on_two_disks_is_one() -> None:
    scene = Scene()
    mine, theirs = Program(scene.a), Program(scene.b)
    mine.open("new.md")
    scene.rest()
    theirs.open("new.md")
    scene.wait(1.0)
    mine.type("new.md", "first\n")
    scene.rest()
    assert theirs.read("new.md") == "first\n" == scene.read(scene.b, "new.md")


@pytest.mark.parametrize("frame", [ev.BinaryFrame(b"\x63"), ev.TextFrame("{}"), ev.BinaryFrame(b"")])
def test_a_hub_that_breaks_the_protocol_is_left_for_a_while_and_nothing_is_lost(frame: ev.Event) -> None:
    scene = shared()
    engine = scene.b.engine
    assert engine is not None
    scene.b.handle(frame)
    assert scene.within(1.0, lambda: not engine.status.connected)
    scene.save(scene.b, "a.md", "one\ntwo\nthree\n")
    scene.rest()
    assert scene.read(scene.a, "a.md") == "one\ntwo\nthree\n"


@pytest.mark.parametrize("of_tree", [True, False])
def test_an_update_that_cannot_be_applied_is_left_out_and_the_rest_goes_on(of_tree: bool) -> None:
    scene = shared()
    engine = scene.b.engine
    assert engine is not None
    [entry] = engine.state.view.placements
    document = TREE if of_tree else DocumentId(entry)
    row = LogEntry(10_000, 0, document, b"\xff\xff")
    for message in (Relay((row,)), Committed(10_000)):
        scene.b.handle(ev.BinaryFrame(encode_from_hub(message)))
    scene.save(scene.a, "a.md", "one\ntwo\nthree\n")
    scene.save(scene.b, "b.md", "other\n")
    scene.rest()
    assert scene.read(scene.b, "a.md") == "one\ntwo\nthree\n"
    assert scene.paths(scene.a) == ["a.md", "b.md"]
