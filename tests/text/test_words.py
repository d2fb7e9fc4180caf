"""Words, where they begin and end, and which of them correspond."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text.align import Budget
from crdtsync.core.text.words import WORD_MAX, align_words, gaps, inside_word, word_end, word_start, words


@given(st.text(st.sampled_from("ab_1 \n.,é你好가😀\u0301")))
def test_words_joined_again_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text
    starts = {0, len(text)}
    for word in words(text):
        starts.add(max(starts - {len(text)}) + len(word) if len(starts) > 1 or word else 0)
    for position in range(len(text) + 1):
        assert word_start(text, position) <= position <= word_end(text, position)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("the cat_2 sat", ["the", " ", "cat_2", " ", "sat"]),
        ("f(x)=y", ["f", "(", "x", ")", "=", "y"]),
        ("你好 ok", ["你", "好", " ", "ok"]),
        ("naïve\r\n", ["naïve", "\r", "\n"]),
    ],
)
def test_scripts_without_spaces_count_by_characters(text: str, cut: list[str]) -> None:
    assert words(text) == cut


def test_positions_inside_words_are_told_from_those_between() -> None:
    text = "ab cd 你好"
    assert [position for position in range(len(text) + 1) if inside_word(text, position)] == [1, 4]
    assert (word_start(text, 4), word_end(text, 4)) == (3, 5)
    assert (word_start(text, 3), word_end(text, 5)) == (3, 5)
    assert (word_start(text, 7), word_end(text, 7)) == (7, 7)


def test_longer_runs_of_letters_than_words_are_left_alone() -> None:
    text = "x" * (WORD_MAX + 2)
    assert word_start(text, WORD_MAX - 1) == 0
    assert word_start(text, WORD_MAX) == WORD_MAX
    assert word_end(text, 2) == 2
    assert word_end(text, 3) == len(text)


def test_texts_correspond_by_their_words_before_their_spaces() -> None:
    old, new = words("gone kept "), words(" kept added")
    runs = align_words(old, new, Budget())
    assert [old[i : i + n] for i, _, n in runs] == [[" ", "kept", " "]]
    assert [(hunk.at, "".join(hunk.old), "".join(hunk.new)) for hunk in gaps(old, new, runs)] == [
        (0, "gone", ""),
        (10, "", "added"),
    ]


@given(st.text("ab ,", max_size=20), st.text("ab ,", max_size=20))
def test_what_corresponds_is_equal_and_in_order(old_text: str, new_text: str) -> None:
    old, new = words(old_text), words(new_text)
    i = j = 0
    for old_start, new_start, length in align_words(old, new, Budget()):
        assert length > 0
        assert old_start >= i
        assert new_start >= j
        assert old[old_start : old_start + length] == new[new_start : new_start + length]
        i, j = old_start + length, new_start + length


def test_words_that_few_lines_have_tell_more_than_words_that_all_have() -> None:
    old, new = words("line 1 of text\nline 2 of text\n"), words("line 2 of long text with more of it\n")
    pairs = {old[i + k] for i, _, length in align_words(old, new, Budget()) for k in range(length)}
    assert "2" in pairs


def test_a_space_is_no_other_space_where_a_line_went() -> None:
    old, new = words("the same\nfor all"), words("the same [checked]")
    assert align_words(old, new, Budget()) == [(0, 0, 3)]
