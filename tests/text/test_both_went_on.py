"""Two who went on with one line, or put the same words in: what both say is there once, the rest stays."""

from __future__ import annotations

import pytest

from crdtsync.core.text.diff import apply_edits
from crdtsync.core.text.doubling import doublings
from crdtsync.core.text.rebase import rebase


def merged(base: str, ours: str, theirs: str) -> str:
    return apply_edits(theirs, rebase(base, ours, theirs))


def test_the_same_words_at_the_end_of_a_last_line_are_there_once_though_one_went_on_with_them() -> None:
    base = "one line\nlast of text"
    result = merged(base, f"{base} and more of it\nours below\n", f"{base} and more\ntheirs below\n")
    lines = [line for line in result.splitlines() if line]
    assert lines == ["one line", "last of text and more of it", "theirs below", "ours below"]


def test_a_line_that_one_goes_on_with_and_the_other_splits_has_the_words_of_both() -> None:
    line = "fine betabeta of delta (ok) alphagamma delta delta delta"
    split = f"fine betabetabeta gamma\ngamma beta{line.removeprefix('fine betabeta')}\n"
    gone_on = f"{line} gamma delta (ok) alpha beta"
    lines = merged(f"{line}\n", f"text text\n{gone_on}\ntext beta text\n", split).splitlines()
    assert {"text text", "text beta text", "fine betabetabeta gamma"} <= set(lines)
    assert [each.endswith(" gamma delta (ok) alpha beta") for each in lines].count(True) == 1


@pytest.mark.parametrize("swapped", [False, True])
def test_the_same_in_the_place_of_the_end_of_a_line_is_there_once_though_one_went_on_with_it(
    swapped: bool,
) -> None:
    gone_on = "keep some [done] and more of text"
    sides = f"one\n{gone_on}\ntwo\n", "ONE\nkeep some [done]\nnew\ntwo\n"
    ours, theirs = reversed(sides) if swapped else sides
    assert merged("one\nkeep some words of text\ntwo\n", ours, theirs) == f"ONE\n{gone_on}\nnew\ntwo\n"


def test_what_we_put_in_a_second_time_goes_also_where_the_merge_of_the_texts_differs_beside_it() -> None:
    words = "the same phrase typed"
    operations, texts = f"{words} aaa {words} bbb", f"{words} aaa ccccc bbb"
    start = len(words) + 5
    ours = [(start, start + len(words))]
    assert apply_edits(operations, doublings(operations, texts, ours)) == f"{words} aaa  bbb"
    assert doublings(operations, texts, [(start, start + 3)]) == ()


def test_a_word_that_one_replaced_is_replaced_in_the_line_that_the_other_has_it_in_now() -> None:
    assert merged("fine alpha\n", "alpha alpha\n", "fine\nfine alpha alpha\n") == "fine\nalpha alpha\n"
