"""Lines that both sides broke."""

from __future__ import annotations

import pytest

from crdtsync.core.text.breaking import breaks_apart, with_breaks
from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.text.rebase import rebase


@pytest.mark.parametrize("wrote", ["", ", see below"])
@pytest.mark.parametrize("above", ["", "a line above\n"])
@pytest.mark.parametrize("rest", ["the third and more", "another end"])
def test_a_line_that_both_broke_at_one_place_stands_once_also_where_one_rewrote_its_end(
    wrote: str, above: str, rest: str
) -> None:
    base = "first words\nsecond words and the third part of it\nlast words\n"
    broken = base.replace("words and the", f"words{wrote}\n and the")
    ours = broken.replace("second", above + "second")
    theirs = broken.replace(" and the third part of it", f" and {rest}")
    result = ours.replace(" and the third part of it", f" and {rest}")
    assert apply_edits(theirs, rebase(base, ours, theirs)) == result
    assert apply_edits(ours, rebase(base, theirs, ours)) == result


@pytest.mark.parametrize(
    ("ours", "theirs", "broken"),
    [
        (Edit(5, 5, " or\n"), Edit(5, 10, " or\n"), "alpha or\n beta gamma\n"),
        (Edit(5, 5, " or not\n"), Edit(5, 10, " or\nx\n"), "alpha or\n beta gamma\n"),
        (Edit(5, 5, "\n"), Edit(5, 10, "\nx"), "alpha\n beta gamma\n"),
        # in another way, at another place, or not within a line
        (Edit(5, 5, " or\n"), Edit(5, 10, " so\n"), None),
        (Edit(5, 5, " or\n"), Edit(5, 10, " order\n"), None),
        (Edit(5, 5, " or\n"), Edit(5, 10, " or"), None),
        (Edit(5, 5, "\n"), Edit(4, 10, "\nx"), None),
        (Edit(0, 0, "\n"), Edit(0, 5, "\nx"), None),
        (Edit(16, 16, "\n"), Edit(16, 17, "\nx\n"), None),
    ],
)
def test_breaks_of_both_within_a_line_are_told(ours: Edit, theirs: Edit, broken: str | None) -> None:
    base = "alpha beta gamma\n"
    assert with_breaks(base, [ours], [theirs]) == (broken or base)


def test_a_line_that_both_broke_stands_once_also_where_one_formatted_both_parts() -> None:
    base = "first words\nsecond words and the third part of it\n"
    theirs = base.replace("words and", "words; and then\nall and")
    ours = theirs.replace("\n", " [checked]\n") + "a new line\n"
    for older in (False, True):
        assert apply_edits(theirs, rebase(base, ours, theirs, older=older)) == ours
        more = apply_edits(theirs + "their line\n", rebase(base, ours, theirs + "their line\n", older=older))
        assert sorted(more.splitlines()) == sorted([*ours.splitlines(), "their line"])


@pytest.mark.parametrize(("our_word", "their_word"), [("", ""), (" and", " so"), ("", ", which\nis")])
def test_a_line_that_both_broke_at_different_places_is_broken_at_both(our_word: str, their_word: str) -> None:
    base = "first words\nsecond words and the third of it\nlast words\n"
    ours = base.replace("words and", f"words{our_word}\nand")
    theirs = base.replace("third of", f"third{their_word}\nof").replace("last", "the last")
    result = theirs.replace("words and", f"words{our_word}\nand")
    assert apply_edits(theirs, rebase(base, ours, theirs)) == result
    assert apply_edits(ours, rebase(base, theirs, ours)) == result


def test_our_break_is_made_in_their_text_only_where_they_left_what_is_around_it() -> None:
    base = "alpha beta gamma\ndelta\n"
    theirs = [Edit(0, 5, "all"), Edit(11, 11, "or\n")]
    assert breaks_apart(base, [Edit(6, 6, "\n")], theirs) == ([Edit(6, 6, "\n")], [Edit(4, 4, "\n")])
    assert breaks_apart(base, [Edit(5, 5, "\n")], theirs) == ([], [])  # they changed what stands before it
    assert breaks_apart(base, [Edit(19, 19, "\n")], theirs) == ([], [])  # another line
    assert breaks_apart(base, [Edit(6, 6, "x")], theirs) == ([], [])
    assert breaks_apart(base, [Edit(6, 6, "or\n")], theirs) == ([], [])  # it may be the same
