"""A text with line ends of two characters, for an editor that shows one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.editor.endings import Endings, hides_endings
from crdtsync.core.text.diff import Edit, apply_edits, diff

TEXTS = st.text(alphabet="a\r\n", max_size=16)


@pytest.mark.parametrize(
    ("text", "shown", "hidden"),
    [("a\r\n", "a\n", True), ("a\r\n", "a\r\n", False), ("a\n", "a\n", False), ("a\r\nb\n", "", True)],
)
def test_an_editor_that_shows_none_of_them_hides_line_ends(text: str, shown: str, hidden: bool) -> None:
    assert hides_endings(text, shown) is hidden


@pytest.mark.parametrize(
    "edit",
    [Edit(2, 2, "x"), Edit(1, 2, ""), Edit(2, 3, ""), Edit(1, 1, "\r\n"), Edit(0, 1, ""), Edit(2, 3, "\n")],
)
def test_an_edit_inside_of_a_line_end_is_told_by_what_is_shown_after_it(edit: Edit) -> None:
    endings = Endings("a\r\nb", hidden=True)
    shown = apply_edits("a\nb", endings.to_shown([edit]))
    assert shown == endings.shown == apply_edits("a\r\nb", [edit]).replace("\r\n", "\n")


@given(TEXTS, TEXTS)
def test_what_others_did_is_shown(before: str, after: str) -> None:
    endings = Endings(before, hidden=True)
    shown = endings.shown
    assert apply_edits(shown, endings.to_shown(diff(before, after))) == endings.shown
    assert endings.text == after
