"""How far two texts are apart, and when that need not be found out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text import distance
from crdtsync.core.text.distance import apart

TEXTS = st.text("ab \nü😀", max_size=40)


def test_equal_texts_are_not_apart_and_texts_without_a_common_character_wholly() -> None:
    assert apart("", "") == 0
    assert apart("one\ntwo\n", "one\ntwo\n", 0) == 0
    assert apart("aaa", "bb") == 1


def test_an_edit_counts_for_the_part_that_it_changes() -> None:
    assert apart("one two", "one 2") == 4 / 12


@given(TEXTS, TEXTS, st.floats(0, 1))
def test_only_what_is_above_the_bound_is_left_out(old: str, new: str, at_most: float) -> None:
    exact = apart(old, new)
    assert exact is not None
    assert apart(old, new, at_most) in ((exact,) if exact <= at_most else (exact, None))


def test_texts_that_differ_by_far_are_not_compared() -> None:
    assert apart("a" * 100, "b" * 100, 0.5) is None
    large = distance.COUNTED_MAX
    assert apart("a" * large, "b", 0.5) == 1
