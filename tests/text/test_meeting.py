"""Insertions told alike, deltas told as edits, and what stands twice."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text.deltas import edits_of, inserted_ranges
from crdtsync.core.text.diff import Edit, apply_edits, diff, shifted, slack
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.doubling import doublings
from crdtsync.core.text.meeting import told_alike

TEXTS = st.text(alphabet="ab \né𠀁", max_size=24)


@given(TEXTS, TEXTS, TEXTS)
def test_edits_that_are_told_alike_make_the_same_texts(base: str, ours: str, theirs: str) -> None:
    mine, yours = told_alike(base, diff(base, ours), diff(base, theirs))
    assert apply_edits(base, mine) == ours
    assert apply_edits(base, yours) == theirs


def test_insertions_that_may_stand_at_one_place_are_told_to_stand_there() -> None:
    base = "of text\n"
    ours, theirs = [Edit(7, 7, " checked\nmore of text")], [Edit(3, 3, "text checked and of ")]
    mine, yours = told_alike(base, ours, theirs)
    assert (mine[0].start, yours[0]) == (7, Edit(7, 7, " checked and of text"))


@given(TEXTS, TEXTS)
def test_an_edit_within_its_slack_makes_the_same_text(old: str, new: str) -> None:
    for edit in diff(old, new):
        if edit.start == edit.end or not edit.text:
            left, right = slack(old, edit, 0, len(old))
            for by in range(-left, right + 1):
                assert apply_edits(old, [shifted(old, edit, by)]) == apply_edits(old, [edit])


@given(TEXTS, TEXTS)
def test_a_document_tells_what_an_update_changed(before: str, after: str) -> None:
    author = TextDocument(1)
    first = author.edit([Edit(0, 0, before)]) if before else b""
    reader = TextDocument(2, [first] if first else [])
    update = author.edit(diff(before, after))
    told = reader.apply_telling(update) if update else ()
    assert told is not None
    assert apply_edits(before, told) == after == reader.text
    if update:
        assert reader.apply_telling(update) == ()


def test_an_update_that_waits_for_another_tells_nothing() -> None:
    author = TextDocument(1)
    author.edit([Edit(0, 0, "a")])
    later = author.edit([Edit(1, 1, "b")])
    assert TextDocument(2).apply_telling(later) is None


def test_an_update_that_others_waited_for_tells_of_them_too() -> None:
    author = TextDocument(1)
    first, second, third = (author.edit([Edit(at, at, char)]) for at, char in ((0, "b"), (1, "c"), (0, "a")))
    reader = TextDocument(2)
    assert not reader.apply_update(third).changed
    assert reader.apply_update_telling(second) == (reader.apply_update(second).__class__(False, True), ())
    change, edits = reader.apply_update_telling(first)
    assert change.changed
    assert edits == (Edit(0, 0, "abc"),)
    assert reader.text == "abc"


@pytest.mark.parametrize(
    "delta",
    [
        [{"insert": {"an": "object"}}],
        [{"retain": 9}, {"insert": "beyond"}],
        [{"retain": 1}, {"insert": "inside a character"}],
    ],
)
def test_what_is_no_change_of_plain_text_is_not_told(delta: list[dict[str, object]]) -> None:
    assert edits_of(delta, "é") is None


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3))
def test_the_ranges_of_what_was_inserted_follow_later_edits(before: str, texts: list[str]) -> None:
    ranges: list[tuple[int, int]] = []
    marked = [False] * len(before)
    for after in texts:
        edits = diff(before, after)
        ranges = inserted_ranges(ranges, edits)
        for edit in reversed(edits):
            marked[edit.start : edit.end] = [True] * len(edit.text)
        before = after
    assert all(start < end for start, end in ranges)
    assert [any(start <= at < end for start, end in ranges) for at in range(len(before))] == marked
    assert all(first[1] <= second[0] for first, second in pairwise(ranges))


@pytest.mark.parametrize(
    ("merged", "wanted", "ours", "left"),
    [
        ("a [c] [c]\n", "a [c]\n", [(1, 5)], "a [c]\n"),
        ("a [c] x [c]\n", "a [c] x\n", [(7, 11)], "a [c] x\n"),
        # where the merges differ otherwise, the operations' stays
        ("x [c] [c]\nlast\n", "x [c]\nlast words\n", [(1, 5)], "x [c]\nlast\n"),
        # ... be it that the other one brings something back next to it
        ("a [checked] [checked]\n [new]\n", "a [checked]\nb [new]\n", [(11, 21)], "a [checked]\n [new]\n"),
        # ... or in its place
        (
            "one [checked] x [checked]\n [new]\n",
            "one [checked] x\nfor all [new]\n",
            [(3, 15), (26, 32)],
            "one [checked] x\n [new]\n",
        ),
        ("b [checked] x [checked]\n", "a [checked]\nb [checked]\n", [(13, 23)], "b [checked] x [checked]\n"),
        ("[c] [c]\nlast\n", "first [c]\nlast\n", [], "[c] [c]\nlast\n"),
        ("one and two\n", "one two and\n", [], "one and two\n"),
        ("one and two\n", "one more\n", [], "one and two\n"),
        # half of a word that both wrote alike
        ("all partarts\nlast\n", "all parts\nlast\n", [(5, 8)], "all parts\nlast\n"),
        ("all partarts\nlast\n", "all parts\nlast words\n", [(5, 8)], "all parts\nlast\n"),
        # one line in the place of another by both: what the two make where they meet is no word
        ("6\nthe samethe same\n8\n", "6\nthe same\n8\n", [(2, 10)], "6\nthe same\n8\n"),
        ("6\nthe samethe same\n8\n", "6\nthe same\n8\n", [(10, 18)], "6\nthe same\n8\n"),
        ("the samethe same\nb\n", "the same\nb c\n", [(8, 16)], "the same\nb\n"),
        # a line that both inserted, and we went on with; or they
        (
            "only line [checked]\nnew\nonly line\nlast\n",
            "new\nonly line [checked]\nlast words\n",
            [(0, 20)],
            "only line [checked]\nnew\nlast\n",
        ),
        (
            "only line\nnew\nonly line [checked]\nlast\n",
            "new\nonly line [checked]\nlast words\n",
            [(0, 10)],
            "new\nonly line [checked]\nlast\n",
        ),
        # ... not one of which the same side inserted both
        (
            "only line\nnew\nonly line [checked]\nlast\n",
            "new\nonly line [checked]\nlast words\n",
            [(0, 34)],
            "only line\nnew\nonly line [checked]\nlast\n",
        ),
        ("one\n\n\ntwo\nlast\n", "one\n\ntwo\nlast words\n", [(5, 6)], "one\n\n\ntwo\nlast\n"),
        # what goes once does not go again, however the first of the two is told
        (
            "one [checked] and x [checked]\nlast\n",
            "one [checked] and x \nlast words\n",
            [(3, 13)],
            "one [checked] and x \nlast\n",
        ),
        (
            "only line\nnew\nonly line\nonly line [checked]\nlast\n",
            "new\nonly line\nonly line [checked]\nlast words\n",
            [(24, 44)],
            "new\nonly line\nonly line [checked]\nlast\n",
        ),
    ],
)
def test_what_stands_twice_goes_and_nothing_else(
    merged: str, wanted: str, ours: list[tuple[int, int]], left: str
) -> None:
    assert apply_edits(merged, doublings(merged, wanted, ours)) == left


def test_of_two_copies_ours_goes_and_what_others_wrote_next_to_theirs_stays_there() -> None:
    merged = "all [checked] and more [checked]\n"
    edits = doublings(merged, "all [checked] and more\n", [(22, 32)])
    assert edits == (Edit(22, 32, ""),)


@given(TEXTS, TEXTS, st.lists(st.tuples(st.integers(0, 24), st.integers(0, 8)), max_size=3))
def test_edits_against_doubling_can_always_be_made(
    merged: str, wanted: str, spans: list[tuple[int, int]]
) -> None:
    ours = [(start, start + length) for start, length in spans if start + length <= len(merged)]
    apply_edits(merged, doublings(merged, wanted, sorted(ours)))


def test_a_line_that_follows_is_nothing_that_the_line_before_goes_on_with() -> None:
    base = "a\nb\n"
    ours, theirs = diff(base, "a x\nb\n"), diff(base, "a\nc\nb\n")
    assert told_alike(base, ours, theirs) == (ours, theirs)


def test_what_stands_twice_is_told_also_where_the_wanted_text_is_longer() -> None:
    merged = "apples are red [checked] [checked]\nplums are blue\n"
    wanted = "apples are red [checked]\na line that others took out of the merge\nplums are blue\n"
    left = apply_edits(merged, doublings(merged, wanted, [(14, 24)]))
    assert left == "apples are red [checked]\nplums are blue\n"
    assert doublings(wanted, wanted, []) == ()
