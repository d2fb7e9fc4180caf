"""Undo and redo of one's own edits only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.text.undo import UndoHistory
from crdtsync.core.values import limits


class Typist:
    def __init__(self, text: str) -> None:
        self.text = text
        self.history = UndoHistory()

    def types(self, *edits: Edit) -> None:
        self.history.did(edits, self.text)
        self.text = apply_edits(self.text, edits)

    def hears(self, *edits: Edit) -> None:
        self.text = apply_edits(self.text, edits)
        self.history.changed(edits)

    def undoes(self) -> bool:
        return self._turns(self.history.undo(self.text))

    def redoes(self) -> bool:
        return self._turns(self.history.redo(self.text))

    def _turns(self, edits: tuple[Edit, ...]) -> bool:
        self.text = apply_edits(self.text, edits)
        return bool(edits)


def test_steps_are_undone_and_redone_in_order() -> None:
    ann = Typist("")
    ann.types(Edit(0, 0, "abc"))
    ann.types(Edit(1, 2, ""))
    ann.types(Edit(2, 2, "d"))
    seen = [ann.text]
    for _ in range(3):
        ann.undoes()
        seen.append(ann.text)
    assert seen == ["acd", "ac", "abc", ""]
    for _ in range(3):
        ann.redoes()
    assert ann.text == "acd"


def test_what_others_typed_inside_stays() -> None:
    ann = Typist("")
    ann.types(Edit(0, 0, "one two"))
    ann.hears(Edit(3, 3, "THEIRS"))
    ann.undoes()
    assert ann.text == "THEIRS"
    ann.redoes()
    assert ann.text == "oneTHEIRS two"


def test_what_others_removed_does_not_come_back() -> None:
    ann = Typist("")
    ann.types(Edit(0, 0, "abc"))
    ann.hears(Edit(0, 3, ""))
    assert not ann.undoes()
    assert ann.text == ""


def test_a_new_edit_ends_what_could_be_redone() -> None:
    ann = Typist("")
    ann.types(Edit(0, 0, "a"))
    ann.undoes()
    ann.types(Edit(0, 0, "b"))
    ann.redoes()
    assert ann.text == "b"


def test_the_history_is_bounded() -> None:
    ann = Typist("")
    for _ in range(limits.UNDO_STEPS_MAX + 5):
        ann.types(Edit(0, 0, "x"))
    for _ in range(limits.UNDO_STEPS_MAX + 5):
        ann.undoes()
    assert ann.text == "x" * 5


@given(st.data())
def test_without_others_everything_can_be_undone_and_done_again(data: st.DataObject) -> None:
    ann = Typist("start")
    for _ in range(data.draw(st.integers(1, 6))):
        ann.types(_edit(data, ann.text, "abc"))
    after = ann.text
    while ann.undoes():
        pass
    assert ann.text == "start"
    while ann.redoes():
        pass
    assert ann.text == after


@given(st.data())
def test_what_others_typed_survives_every_undo_and_redo(data: st.DataObject) -> None:
    ann = Typist("start")
    theirs = 0
    for _ in range(data.draw(st.integers(1, 12))):
        match data.draw(st.sampled_from(["type", "hear", "undo", "redo"])):
            case "type":
                at = data.draw(st.integers(0, len(ann.text)))
                ann.types(Edit(at, at, "abc"))
            case "hear":
                at = data.draw(st.integers(0, len(ann.text)))
                ann.hears(Edit(at, at, "X"))
                theirs += 1
            case "undo":
                ann.undoes()
            case _:
                ann.redoes()
        assert ann.text.count("X") == theirs
        assert "".join(char for char in ann.text if char not in "Xabc") == "strt"


def _edit(data: st.DataObject, text: str, alphabet: str) -> Edit:
    start = data.draw(st.integers(0, len(text)))
    return Edit(start, data.draw(st.integers(start, len(text))), data.draw(st.text(alphabet, max_size=4)))
