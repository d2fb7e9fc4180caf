"""Edits carried over edits, put together and turned around."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.text.transform import compose, inverse, moved_offset, transform

TEXTS = st.text("abc\n\N{GRINNING FACE}", max_size=12)


@st.composite
def edits_of(draw: st.DrawFn, text: str) -> tuple[Edit, ...]:
    offsets = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pairs = zip(offsets[::2], offsets[1::2], strict=False)
    return tuple(Edit(start, end, draw(st.text("XYZ", max_size=3))) for start, end in pairs)


@given(st.data())
def test_either_way_around_two_edits_lead_to_one_text(data: st.DataObject) -> None:
    text = data.draw(TEXTS)
    a, b = data.draw(edits_of(text)), data.draw(edits_of(text))
    one = apply_edits(apply_edits(text, b), transform(a, b, first=True))
    other = apply_edits(apply_edits(text, a), transform(b, a, first=False))
    assert one == other


@given(st.data())
def test_edits_put_together_do_what_they_do_one_after_the_other(data: st.DataObject) -> None:
    text = data.draw(TEXTS)
    a = data.draw(edits_of(text))
    b = data.draw(edits_of(apply_edits(text, a)))
    assert apply_edits(text, compose(a, b)) == apply_edits(apply_edits(text, a), b)


@given(st.data())
def test_an_inverse_leads_back(data: st.DataObject) -> None:
    text = data.draw(TEXTS)
    edits = data.draw(edits_of(text))
    assert apply_edits(apply_edits(text, edits), inverse(edits, text)) == text


def test_an_insertion_of_others_inside_a_deletion_stays() -> None:
    assert transform([Edit(0, 4, "")], [Edit(2, 2, "XY")], first=True) == (Edit(0, 2, ""), Edit(4, 6, ""))


def test_an_insertion_into_what_others_delete_is_kept() -> None:
    assert transform([Edit(2, 2, "new")], [Edit(1, 4, "")], first=True) == (Edit(1, 1, "new"),)


def test_of_two_insertions_at_one_place_the_first_is_first() -> None:
    over = [Edit(1, 1, "them")]
    assert transform([Edit(1, 1, "us")], over, first=True) == (Edit(1, 1, "us"),)
    assert transform([Edit(1, 1, "us")], over, first=False) == (Edit(5, 5, "us"),)


def test_a_cursor_follows_the_text() -> None:
    edits = [Edit(0, 0, "ab"), Edit(5, 8, "x")]
    assert moved_offset(0, edits, stays=True) == 0
    assert moved_offset(0, edits, stays=False) == 2
    assert moved_offset(4, edits, stays=True) == 6
    assert moved_offset(6, edits, stays=True) == 8
    assert moved_offset(10, edits, stays=True) == 10
