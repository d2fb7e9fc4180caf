"""Programs at a replica: those that watch its files, come late, leave early, or ask for what is not."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.shown import ShownContents
from crdtsync.core.text.diff import Edit
from crdtsync.core.values.digests import digest_of_text
from crdtsync.core.values.ids import EntryId
from crdtsync.testing.virtual_inodes import NodeKind
from tests.replica.stories import shared
from tests.replica.test_live import Program, opened


def test_a_program_that_watches_is_told_which_entries_may_be_another_than_before() -> None:
    scene = shared()
    engine = scene.b.engine
    assert engine is not None
    [entry] = engine.state.view.placements
    told: list[tuple[tuple[int, ...], frozenset[EntryId]]] = []

    def listen(effect: ef.ForPrograms) -> None:
        if isinstance(effect, ef.EntriesChanged):
            told.append((effect.holders, effect.entries))

    scene.b.programs.append(listen)
    scene.b.handle(ev.WatchFiles(7))
    scene.save(scene.a, "a.md", "one\ntwo\nthree\n")
    scene.rest()
    assert told and all(holders == (7,) for holders, _ in told)
    assert {each for _, entries in told for each in entries} == {entry}
    told.clear()
    scene.save(scene.a, "b.md", "new\n")
    scene.rest()
    assert set(engine.state.view.placements) - {entry} <= {each for _, entries in told for each in entries}
    told.clear()
    scene.b.handle(ev.HolderGone(7))
    scene.save(scene.a, "a.md", "one\n")
    scene.rest()
    assert told == []


def test_an_edit_that_changes_nothing_is_no_news() -> None:
    scene = shared()
    mine, beside = opened(scene, scene.a, "a.md"), opened(scene, scene.a, "a.md", holder=2)
    sent = scene.a.frames_sent
    mine.edit("a.md", Edit(3, 3, ""))
    assert scene.a.frames_sent == sent and beside.origins == [] and mine.refused == []


def test_who_opens_a_text_sees_who_is_in_it_and_nobody_who_is_elsewhere() -> None:
    scene = shared()
    scene.save(scene.a, "b.md", "other\n")
    scene.rest()
    for holder, path in ((2, "a.md"), (3, "b.md")):
        beside = opened(scene, scene.a, path, holder=holder)
        scene.a.handle(ev.PlaceCursors(holder, beside.texts[path], ((1, 1),)))
    far = opened(scene, scene.b, "b.md")
    scene.b.handle(ev.PlaceCursors(1, far.texts["b.md"], ((2, 2),)))
    scene.wait(1.0)
    late = opened(scene, scene.a, "a.md", holder=4)
    assert late.cursors == {("here:2", late.texts["a.md"]): ((1, 1),)}


def test_what_is_never_shared_is_not_opened() -> None:
    scene = shared()
    scene.a.disk.put("out", scene.a.disk.new_inode(NodeKind.LINK, b"/etc/hosts"))
    scene.rest_apart()
    program = Program(scene.a)
    program.open("out")
    scene.wait(1.0)
    assert len(program.refused) == 1 and "out is not shared" in program.refused[0]


def test_a_file_that_is_on_its_way_into_the_room_is_answered_for_once_it_is_there() -> None:
    scene = shared()
    scene.a.work_s = 0.1
    scene.a.transfers.piece_bytes = 1
    scene.save(scene.a, "b.bin", b"\0" + bytes(range(99)))
    engine = scene.a.engine
    assert engine is not None
    assert scene.within(30.0, lambda: bool(engine.state.uploading))
    program = Program(scene.a)
    program.open("b.bin")
    scene.rest()
    assert len(program.refused) == 1 and "b.bin is not a text" in program.refused[0]


def test_of_two_editors_at_two_paths_the_one_that_leaves_takes_nothing_from_the_other() -> None:
    scene = shared()
    scene.save(scene.a, "b.md", "other\n")
    scene.rest()
    mine = opened(scene, scene.a, "a.md", writes=True)
    beside = opened(scene, scene.a, "b.md", holder=2, writes=True)
    mine.close()
    scene.b.disk.take("b.md")
    scene.rest()
    scene.save(scene.b, "b.md", "another\n")
    scene.rest()
    assert beside.read("b.md") == "another\n"


def test_a_text_that_has_gone_again_before_its_editor_could_go_on_with_it_is_not_shown() -> None:
    scene = shared()
    editor = opened(scene, scene.a, "a.md", writes=True)
    before = editor.texts["a.md"]
    scene.b.disk.take("a.md")
    scene.rest()
    engine = scene.a.engine
    assert engine is not None
    scene.a.work_s = 5.0
    scene.a.handle(ev.Hint("a.md", ev.HintKind.CLOSED))  # so long its editor has to wait
    scene.save(scene.b, "a.md", "three\n")
    assert scene.within(2.0, lambda: engine.state.view.at("a.md") is not None)
    scene.b.disk.take("a.md")
    assert scene.within(2.0, lambda: engine.state.view.at("a.md") is None)
    assert engine.state.looking.is_asked("a.md")
    scene.wait(30.0)
    scene.rest()
    assert scene.paths(scene.a) == []
    editor.type("a.md", "four\n")
    scene.rest()
    assert editor.texts["a.md"] == before == engine.state.view.at("a.md")
    assert scene.read(scene.b, "a.md") == "one\ntwo\nfour\n"


@pytest.mark.parametrize("shown", ["now\n", "before\n"])
def test_a_program_that_showed_what_the_text_is_may_save_it(shown: str) -> None:
    contents = ShownContents()
    contents.becomes(digest_of_text("now\n"), 0.0)
    contents.showed(digest_of_text(shown), 1.0)
    assert contents.knows(digest_of_text(shown), 1.5)
    assert contents.knows(digest_of_text("now\n"), 1e9)
    assert contents.knows(digest_of_text("before\n"), 1e9) is False
