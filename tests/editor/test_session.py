"""One editor's connection, by the messages alone; a replica is what answers to it here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crdtsync.core.editor.file import Sink
from crdtsync.core.editor.revisions import Revisions
from crdtsync.core.editor.session import EditorSession
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.values import limits
from crdtsync.core.values.ids import EntryId

ROOT = "/home/notes"
TEXT = EntryId("00" * 12)


class Editor:
    """Says and hears messages; ``said`` is what the replica heard, ``tell`` makes it tell something."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.dropped: list[str] = []
        self.said: list[ev.Said] = []
        self.detached: list[int] = []
        self.sinks: dict[int, Sink] = {}
        self.session = EditorSession(
            ROOT,
            self._real_path,
            self._attach,
            self.detached.append,
            self.said.append,
            lambda message: self.heard.append(json.loads(message)),
            self.dropped.append,
        )

    def _real_path(self, path: str) -> str:
        if "loop" in path:
            raise OSError(40, "Too many levels of symbolic links")
        return path

    def _attach(self, sink: Sink) -> int:
        self.sinks[len(self.sinks) + 1] = sink
        return len(self.sinks)

    def say(self, method: str, name: str = "a.md", number: int | None = None, **params: object) -> None:
        message: dict[str, object] = {"method": method, "params": {"uri": f"file://{ROOT}/{name}", **params}}
        self.session.receive(json.dumps(message if number is None else {**message, "id": number}))

    def open(self, name: str = "a.md", content: str = "one\n") -> int:
        """Returns the holder; the file is open."""
        self.say("open", name, content=content)
        holder = len(self.sinks)
        self.sinks[holder](ef.TextOpened(holder, TEXT, name, content))
        return holder

    @property
    def told(self) -> list[tuple[int | None, str]]:
        """The answers: to which request, and what it says."""
        answers = [each for each in self.heard if "method" not in each]
        return [(each["id"], each.get("error", {}).get("message", "success")) for each in answers]


def test_a_request_that_is_overtaken_by_a_close_is_refused() -> None:
    editor = Editor()
    editor.say("open", number=1, content="")
    editor.say("close", number=2)
    assert editor.detached == [1]
    [(first, reason), (second, done)] = editor.told
    assert (first, second, done) == (1, 2, "success")
    assert "closed, or opened once more" in reason


def test_what_is_told_of_a_file_after_its_end_reaches_no_editor() -> None:
    editor = Editor()
    holder = editor.open()
    editor.say("close")
    editor.sinks[holder](ef.TextChanged((holder,), TEXT, (Edit(0, 0, "x"),), "room"))
    assert editor.heard == []


def test_an_editor_may_not_open_more_files_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EDITOR_FILES_MAX", 2)
    editor = Editor()
    editor.open("a.md")
    editor.open("b.md")
    editor.say("open", "c.md", 7, content="")
    assert editor.told == [(7, f"file://{ROOT}/c.md: 2 files are open already; close some")]
    editor.say("close", "a.md")
    editor.say("open", "c.md", 8, content="")
    assert [each.path for each in editor.said if isinstance(each, ev.OpenText)] == ["a.md", "b.md", "c.md"]


def test_a_uri_of_no_file_is_refused_where_an_answer_is_asked_for() -> None:
    editor = Editor()
    editor.say("open", "loop", content="")
    assert editor.heard == []
    editor.say("open", "loop", 3, content="")
    [(number, reason)] = editor.told
    assert number == 3 and "Too many levels of symbolic links" in reason
    assert editor.said == []


def test_an_editor_that_never_answers_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EDITS_UNTAKEN_MAX", 3)
    editor = Editor()
    holder = editor.open()
    for _ in range(3):
        editor.sinks[holder](ef.TextChanged((holder,), TEXT, (Edit(0, 0, "x"),), "room"))
    assert not editor.dropped
    editor.sinks[holder](ef.TextChanged((holder,), TEXT, (Edit(0, 0, "x"),), "room"))
    assert editor.dropped == [f"the editor has not answered to 3 edits of file://{ROOT}/a.md"]


def test_a_person_is_in_one_file_at_a_time() -> None:
    editor = Editor()
    first, second = editor.open("a.md"), editor.open("b.md")
    place = {"start": {"line": 0, "character": 1}, "end": {"line": 0, "character": 2}}
    editor.say("cursor", "a.md", ranges=[place])
    editor.say("cursor", "b.md", ranges=[place])
    editor.say("cursor", "b.md", ranges=[])
    placed = [(each.holder, each.ranges) for each in editor.said if isinstance(each, ev.PlaceCursors)]
    assert placed == [(first, ((1, 2),)), (first, ()), (second, ((1, 2),)), (second, ())]


def test_a_file_that_others_move_keeps_the_uri_under_which_it_was_opened() -> None:
    editor = Editor()
    holder = editor.open()
    editor.sinks[holder](ef.TextMoved((holder,), TEXT, "elsewhere.md"))
    assert editor.heard == []
    editor.sinks[holder](ef.TextChanged((holder,), TEXT, (Edit(0, 0, "x"),), "room"))
    assert [each["params"]["uri"] for each in editor.heard] == [f"file://{ROOT}/a.md"]


def test_another_text_at_its_path_is_told_as_what_makes_it_of_the_one_that_is_shown() -> None:
    editor = Editor()
    holder = editor.open(content="one\n")
    editor.sinks[holder](ef.TextOpened(holder, EntryId("11" * 12), "a.md", "one and more\n"))
    [told] = editor.heard
    assert [each["replacement"] for each in told["params"]["delta"]] == [" and more"]
    editor.say("edit", revision=1, delta=[])
    editor.sinks[holder](ef.TextChanged((holder,), TEXT, (Edit(0, 0, "x"),), "room"))
    assert len(editor.heard) == 2


def test_an_edit_that_a_save_brought_already_is_made_once_and_the_rest_is_told_again() -> None:
    revisions = Revisions("one\n")
    [told] = revisions.told([Edit(4, 4, "saved\n")], from_disk=True)
    assert told.revision == 0
    revisions.count()
    made = revisions.edited(0, [Edit(0, 0, "zero\n")])
    assert made == (Edit(0, 0, "zero\n"),)
    assert revisions.text == "zero\none\nsaved\n"
    assert [(each.revision, each.edit) for each in revisions.again()] == [(1, Edit(9, 9, "saved\n"))]


def test_only_what_the_disk_had_is_compared_with_what_an_editor_typed_meanwhile() -> None:
    revisions = Revisions("one\ntwo\n")
    revisions.told([Edit(4, 4, "x"), Edit(5, 5, "y")])
    revisions.told([Edit(0, 0, "saved\n")], from_disk=True)
    made = revisions.edited(0, [Edit(5, 5, "z")])
    assert revisions.text == "saved\none\nxtyzwo\n"
    assert apply_edits("saved\none\nxtywo\n", made) == revisions.text
