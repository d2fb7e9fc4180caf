"""Texts that programs have open in a running replica, in a scripted world."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.values.ids import EntryId
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.replica.stories import LINES, received, shared
from tests.simulation.scene import Scene


class Program:
    """One program at a replica: what it has open, and what it was told."""

    def __init__(self, replica: VirtualReplica, holder: int = 1) -> None:
        self.replica = replica
        self.holder = holder
        self.texts: dict[str, EntryId] = {}
        self.contents: dict[EntryId, str] = {}
        self.refused: list[str] = []
        self.origins: list[str] = []
        self.cursors: dict[tuple[str, EntryId], tuple[tuple[int, int], ...]] = {}
        self.names: set[str] = set()
        replica.programs.append(self._told)

    def _told(self, effect: ef.ForPrograms) -> None:
        match effect:
            case ef.TextOpened(self.holder, text, path, content):
                self.texts[path], self.contents[text] = text, content
            case ef.TextRefused(self.holder, _, reason) | ef.EditRefused(self.holder, _, reason):
                self.refused.append(reason)
            case ef.TextChanged(holders, text, edits, origin) if self.holder in holders:
                self.contents[text] = apply_edits(self.contents[text], edits)
                self.origins.append(origin)
            case ef.TextMoved(holders, text, path) if self.holder in holders:
                self.texts = {**{p: t for p, t in self.texts.items() if t != text}, path: text}
            case ef.CursorsMoved(holders, text, person, name, ranges) if self.holder in holders:
                self.cursors[person, text] = ranges
                self.names.add(name)

    def open(self, path: str, *, create: bool = True, writes: bool = False) -> None:
        self.replica.handle(ev.OpenText(self.holder, path, create, writes))

    def read(self, path: str) -> str:
        return self.contents[self.texts[path]]

    def edit(self, path: str, *edits: Edit) -> None:
        text = self.texts[path]
        self.contents[text] = apply_edits(self.contents[text], edits)
        self.replica.handle(ev.EditText(self.holder, text, edits))

    def type(self, path: str, text: str) -> None:
        end = len(self.read(path))
        self.edit(path, Edit(end, end, text))

    def close(self) -> None:
        """All that the program has open."""
        self.replica.handle(ev.HolderGone(self.holder))


def opened(
    scene: Scene, replica: VirtualReplica, path: str, *, holder: int = 1, writes: bool = False
) -> Program:
    program = Program(replica, holder)
    program.open(path, writes=writes)
    assert scene.within(5.0, lambda: path in program.texts), program.refused
    return program


def test_what_is_typed_reaches_the_other_disk_and_every_other_program() -> None:
    scene = shared()
    mine, beside, far = (
        opened(scene, scene.a, "a.md"),
        opened(scene, scene.a, "a.md", holder=2),
        opened(scene, scene.b, "a.md"),
    )
    mine.edit("a.md", Edit(0, 3, "1"), Edit(8, 8, "drei 🎈\n"))
    assert beside.read("a.md") == "1\ntwo\ndrei 🎈\n" and beside.origins == ["program"]
    scene.rest()
    assert far.read("a.md") == scene.read(scene.b, "a.md") == "1\ntwo\ndrei 🎈\n"
    assert far.origins == ["room"] and mine.origins == []


def test_a_file_that_was_renamed_under_a_step_is_opened_once_the_room_has_the_new_name() -> None:
    """Until the step on the old name has ended, nobody knows that it is not a second file."""
    scene = shared()
    assert scene.b.engine is not None
    state, program = scene.b.engine.state, Program(scene.b)
    scene.b.work_s = 3.0

    def rename() -> None:
        scene.b.disk.rename("a.md", "new.md")

    scene.b.at_primitive(2, rename, of_steps=True)
    scene.save(scene.a, "a.md", "zero\none\ntwo\n")
    renamed = scene.within(20.0, lambda: scene.paths(scene.b) == ["new.md"])
    assert renamed and "a.md" in state.stepping
    program.open("new.md", create=False)
    assert scene.within(20.0, lambda: "a.md" in state.moving)
    assert not program.texts and not program.refused
    scene.b.work_s = 0.001
    scene.rest()
    assert program.read("new.md") == scene.read(scene.a, "new.md") == "zero\none\ntwo\n"


def test_what_a_tool_saves_becomes_an_edit_in_the_program() -> None:
    scene = shared()
    program = opened(scene, scene.a, "a.md")
    program.type("a.md", "typed\n")
    scene.save(scene.a, "a.md", "zero\none\ntwo\n")
    scene.rest()
    assert program.read("a.md") == scene.read(scene.b, "a.md") == "zero\none\ntwo\ntyped\n"
    assert program.origins == ["disk"]


def test_a_tool_that_replaces_all_of_an_open_text_replaces_what_was_typed_since_it_was_opened_too() -> None:
    scene = shared()
    program = opened(scene, scene.a, "a.md")
    program.type("a.md", "typed, and much more than there was when the text was opened\n")
    scene.rest()
    scene.save(scene.a, "a.md", "new\n")
    scene.rest()
    assert program.read("a.md") == scene.read(scene.b, "a.md") == "new\n"


def test_a_save_without_what_was_typed_takes_none_of_it_out_however_near_its_lines_are() -> None:
    scene = shared()
    scene.a.link.unplug()
    program = opened(scene, scene.a, "a.md")
    program.type("a.md", "this line of some length was typed by a program\n")
    scene.save(scene.a, "a.md", "one\ntwo\nthis line of some length was saved by a tool\n")
    scene.a.link.online = True
    scene.rest()
    text = scene.read(scene.b, "a.md")
    assert program.read("a.md") == text
    assert "this line of some length was typed by a program\n" in text
    assert "this line of some length was saved by a tool\n" in text


def test_a_save_in_which_nothing_tells_that_what_was_typed_since_had_been_seen_takes_none_of_it_out() -> None:
    """However much nearer the text is with it: here it has taken the place of more."""
    scene = shared("one line\nanother line\n")
    program = opened(scene, scene.a, "a.md")
    scene.a.link.unplug()
    scene.save(scene.a, "a.md", "one line\n")
    scene.wait(1.0)
    program.edit("a.md", Edit(9, 16, "ω"))
    scene.a.link.online = True
    scene.rest()
    text = scene.read(scene.b, "a.md")
    assert program.read("a.md") == text
    assert text is not None and text.startswith("one line\n") and "ω" in text


def test_a_save_that_has_a_line_of_the_disk_is_none_of_a_text_without_it_however_near_that_is() -> None:
    scene = shared()
    program = opened(scene, scene.a, "a.md")
    scene.save(scene.b, "a.md", "one, with a tail that is as long as it takes\ntwo\n")
    scene.rest()
    program.type("a.md", "a line between\n")
    scene.rest()
    scene.save(scene.a, "a.md", "once\ntwo\na line between\n")
    scene.rest()
    assert program.read("a.md") == scene.read(scene.b, "a.md") == "once\ntwo\na line between\n"


def test_a_save_that_has_what_the_disk_has_more_is_none_of_a_text_without_it_however_near_that_is() -> None:
    """By chance it ends like that one."""
    scene = shared("line 6c35 of text\nline 58d2 of text\n")
    program = opened(scene, scene.a, "a.md")
    program.edit("a.md", Edit(11, 15, "ω"))
    scene.rest()
    saved = "line 6c35 oωxt with line 6d3b of text\nline 58d2 of text\n"
    scene.save(scene.a, "a.md", saved)
    scene.rest()
    assert program.read("a.md") == scene.read(scene.b, "a.md") == saved


def test_an_editor_may_write_its_file_for_a_moment_and_then_it_is_written_for_it() -> None:
    scene = shared()
    editor = opened(scene, scene.a, "a.md", writes=True)
    editor.type("a.md", "three\n")
    scene.save(scene.b, "a.md", "zero\none\ntwo\n")
    scene.wait(0.8)
    assert editor.read("a.md") == scene.read(scene.b, "a.md") == "zero\none\ntwo\nthree\n"
    assert scene.read(scene.a, "a.md") == "one\ntwo\n"
    scene.wait(0.5)
    assert scene.read(scene.a, "a.md") == "zero\none\ntwo\nthree\n"
    editor.type("a.md", "four\n")
    scene.save(scene.a, "a.md", editor.read("a.md"))
    scene.rest()
    assert editor.origins == ["room"]


def test_a_flush_waits_for_no_editor() -> None:
    scene = shared()
    editor = opened(scene, scene.a, "a.md", writes=True)
    editor.type("a.md", "three\n")
    number = scene.a.flush()
    scene.wait(0.5)
    assert number in scene.a.flushed
    assert scene.read(scene.a, "a.md") == "one\ntwo\nthree\n"


def test_a_checkout_of_an_older_text_is_an_edit_like_others() -> None:
    scene = shared()
    editor = opened(scene, scene.a, "a.md", writes=True)
    editor.type("a.md", "three\n")
    scene.wait(3.0)
    scene.save(scene.a, "a.md", "one\ntwo\n")
    scene.rest()
    assert editor.read("a.md") == scene.read(scene.b, "a.md") == "one\ntwo\n"


def test_a_save_that_the_hub_has_not_seen_yet_is_opened_as_it_is_shown() -> None:
    scene = shared()
    scene.hub.kill()
    scene.wait(1.0)
    scene.save(scene.a, "a.md", "one\ntwo\nsaved\n")
    scene.wait(1.0)
    editor = Program(scene.a)
    scene.a.handle(ev.OpenText(1, "a.md", writes=True, content="one\ntwo\nsaved\n"))
    scene.wait(1.0)
    assert editor.read("a.md") == "one\ntwo\nsaved\n"
    scene.hub.start()
    scene.rest()
    assert scene.read(scene.b, "a.md") == "one\ntwo\nsaved\n" == editor.read("a.md")


def test_a_save_of_what_the_editor_showed_a_moment_ago_takes_nothing_back() -> None:
    scene = shared()
    editor = opened(scene, scene.a, "a.md", writes=True)
    for word in ("three\n", "four\n", "five\n"):
        editor.type("a.md", word)
    earlier = editor.read("a.md")
    scene.save(scene.b, "a.md", "zero\none\ntwo\n")
    scene.wait(1.0)
    editor.type("a.md", "six\n")
    scene.save(scene.a, "a.md", earlier)
    scene.rest_apart()
    assert editor.read("a.md") == scene.read(scene.b, "a.md") == "zero\none\ntwo\nthree\nfour\nfive\nsix\n"


def test_a_formatter_that_runs_when_the_editor_saves_doubles_nothing() -> None:
    scene = shared()
    editor = opened(scene, scene.a, "a.md", writes=True)
    editor.type("a.md", "three\nfour\n")
    scene.save(scene.a, "a.md", "ONE\nTWO\nthree\nfour\n")  # both writes are seen as one
    scene.rest()
    assert editor.read("a.md") == scene.read(scene.b, "a.md") == "ONE\nTWO\nthree\nfour\n"


def test_a_file_that_is_not_there_is_made_by_opening_it() -> None:
    scene = shared()
    program = opened(scene, scene.a, "new/b.md")
    program.type("new/b.md", "hello")
    scene.rest()
    assert scene.read(scene.b, "new/b.md") == "hello"


def test_what_cannot_be_opened_is_refused_with_the_reason() -> None:
    scene = shared()
    scene.save(scene.a, "b.bin", b"\0\1")
    scene.save(scene.a, "d/e.md", "x")
    scene.rest()
    program = Program(scene.a)
    for path in ("b.bin", "d", ".git/config", "../x", "missing.md"):
        program.open(path, create=False)
    scene.wait(2.0)
    for reason, expected in zip(
        sorted(program.refused),
        [
            "'../x' is no path",
            ".git/config is ignored",
            "b.bin is not a text",
            "d is a folder",
            "there is no file missing.md",
        ],
        strict=True,
    ):
        assert expected in reason


def test_an_edit_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    scene = shared()
    program = opened(scene, scene.a, "a.md")
    text = program.texts["a.md"]
    for edits in (
        (Edit(0, 99, ""),),
        (Edit(3, 2, ""),),
        (Edit(4, 5, ""), Edit(0, 1, "")),
        (Edit(0, 0, "\ud800"),),
    ):
        scene.a.handle(ev.EditText(1, text, edits))
    scene.a.handle(ev.EditText(7, text, (Edit(0, 0, "x"),)))
    scene.rest()
    assert len(program.refused) == 4
    assert scene.read(scene.b, "a.md") == program.read("a.md") == "one\ntwo\n"


def test_a_renamed_text_stays_open_and_a_deleted_one_comes_back_by_typing() -> None:
    scene = shared()
    program = opened(scene, scene.a, "a.md")
    scene.b.disk.rename("a.md", "b.md")
    scene.rest()
    program.type("b.md", "three\n")
    scene.rest()
    assert scene.read(scene.b, "b.md") == "one\ntwo\nthree\n"
    scene.b.disk.take("b.md")
    scene.rest()
    assert scene.paths(scene.a) == []
    program.type("b.md", "four\n")
    scene.rest()
    assert scene.read(scene.a, "b.md") == scene.read(scene.b, "b.md") == "one\ntwo\nthree\nfour\n"


def test_two_who_type_the_same_at_once_both_keep_it() -> None:
    scene = shared()
    programs = [opened(scene, replica, "a.md") for replica in (scene.a, scene.b)]
    for program in programs:
        program.edit("a.md", Edit(0, 0, "x"))
    scene.rest()
    assert [program.read("a.md") for program in programs] == ["xxone\ntwo\n"] * 2


def test_what_is_typed_while_the_hub_is_away_arrives_later() -> None:
    scene = shared()
    program = opened(scene, scene.a, "a.md")
    scene.hub.kill()
    program.type("a.md", "offline\n")
    scene.wait(1.0)
    assert scene.read(scene.a, "a.md") == "one\ntwo\noffline\n"
    scene.hub.start()
    scene.rest()
    assert scene.read(scene.b, "a.md") == "one\ntwo\noffline\n"


def test_what_an_editor_typed_is_there_after_a_kill_and_its_save_doubles_nothing() -> None:
    scene = shared()
    editor = opened(scene, scene.a, "a.md", writes=True)
    editor.type("a.md", "three\n")
    scene.wait(3.0)
    scene.a.kill()
    scene.save(scene.a, "a.md", "one\ntwo\nthree\nand more\n")
    scene.a.start()
    scene.rest()
    assert scene.read(scene.b, "a.md") == "one\ntwo\nthree\nand more\n"


def test_cursors_are_seen_by_others_and_move_with_the_text() -> None:
    scene = shared()
    here, far = opened(scene, scene.a, "a.md"), opened(scene, scene.b, "a.md")
    text = here.texts["a.md"]
    scene.a.handle(ev.PlaceCursors(1, text, ((4, 7),)))
    scene.wait(1.0)
    assert list(far.cursors.values()) == [((4, 7),)] and far.names == {"a"}
    here.edit("a.md", Edit(0, 0, "12"))
    scene.wait(1.0)
    late = opened(scene, scene.b, "a.md", holder=2)
    assert list(late.cursors.values()) == [((6, 9),)]
    scene.a.handle(ev.HolderGone(1))
    scene.wait(1.0)
    assert list(far.cursors.values()) == [()]


def test_an_editor_goes_on_with_the_file_that_has_come_to_stand_where_it_edits() -> None:
    scene = shared()
    editor = opened(scene, scene.a, "a.md", writes=True)
    follower = opened(scene, scene.a, "a.md", holder=2)
    before = editor.texts["a.md"]
    scene.b.disk.take("a.md")
    scene.rest()
    assert editor.texts["a.md"] == before  # nothing else is there: typing brings it back
    scene.save(scene.b, "a.md", "three\n")
    scene.rest()
    assert editor.texts["a.md"] != before and editor.read("a.md") == "three\n"
    assert follower.texts["a.md"] == before  # a program follows the text that it opened
    editor.type("a.md", "four\n")
    scene.rest()
    assert scene.read(scene.b, "a.md") == "three\nfour\n"


@pytest.mark.parametrize("first", ["a", "b"])
def test_an_editor_whose_text_loses_its_name_goes_on_with_what_got_it(first: str) -> None:
    """What is typed or saved next would else replace the other's text by its own."""
    scene = Scene()
    scene.hub.kill()
    editors = {}
    for each in (scene.a, scene.b) if first == "a" else (scene.b, scene.a):
        editors[each.name] = editor = opened(scene, each, "n.md", writes=True)
        editor.type("n.md", f"{each.name} one\n{each.name} two\n")
        scene.wait(2.0)
    scene.hub.start()
    scene.rest()
    standing = scene.read(scene.a, "n.md")
    copy = next(path for path in scene.paths(scene.a) if path != "n.md")
    assert {standing, scene.read(scene.a, copy)} == {"a one\na two\n", "b one\nb two\n"}
    assert [editor.read("n.md") for editor in editors.values()] == [standing, standing]
    for editor in editors.values():
        editor.type("n.md", f"{editor.replica.name} three\n")
        scene.rest()
    typed = "".join(f"{name} three\n" for name in editors)
    assert scene.read(scene.b, "n.md") == f"{standing}{typed}"
    assert scene.read(scene.b, copy) in ("a one\na two\n", "b one\nb two\n")


@pytest.mark.parametrize("saved", ["begin", "end"])
def test_a_stale_buffer_of_another_tool_takes_nothing_out_that_a_program_has_typed(saved: str) -> None:
    scene = shared(LINES)
    program = opened(scene, scene.b, "a.md")
    loaded = LINES.replace("line 1", "a line of the other folder\nline 1")
    received(scene, "a.md", loaded.replace(" other", ""), loaded)
    typed = "typed by a program\n"
    program.edit("a.md", Edit(loaded.index("line 3"), loaded.index("line 3"), typed))
    assert scene.within(5.0, lambda: typed in (scene.read(scene.b, "a.md") or ""))
    buffer = "saved by a tool\n" + loaded if saved == "begin" else loaded + "saved by a tool\n"
    scene.save(scene.b, "a.md", buffer)
    scene.rest()
    wanted = buffer.replace("line 3", typed + "line 3")
    assert scene.read(scene.a, "a.md") == scene.read(scene.b, "a.md") == program.read("a.md") == wanted
