"""Lines that one side broke, or both."""

from __future__ import annotations

import pytest

from crdtsync.core.text.breaking import breaks_apart, common_breaks
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
    assert apply_edits(base, common_breaks(base, [ours], [theirs])) == (broken or base)


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


@pytest.mark.parametrize(
    ("ours", "theirs", "result"),
    [
        ("some sec\nond woxrds here", "some second words here [x]", "some sec\nond woxrds here [x]"),
        ("some second wor y\nds here", "some second wordsx here [x]", "some second wor y\ndsx here [x]"),
        ("some second wor y\nds here", "some second wor z\nds here", "some second wor y\n z\nds here"),
    ],
    ids=["elsewhere", "in the same word", "at the same place"],
)
def test_a_line_that_one_broke_and_the_other_wrote_in_stands_once(
    ours: str, theirs: str, result: str
) -> None:
    line = "some second words here"
    base, ours, theirs, result = (f"first\n{each}\nlast\n" for each in (line, ours, theirs, result))
    assert apply_edits(theirs, rebase(base, ours, theirs)) == result


@pytest.mark.parametrize(
    ("line", "broken", "other"),
    [
        (
            "line ef7d alphabet ac1a of text\n",
            "line ef7d al\nphabet ac1a of text\n",
            "line 29aa alphonso b6c2 of text\n",
        ),
        ("k001q\n", "k\n001q\n", "k002q\n"),
    ],
    ids=["other words", "a part of a word"],
)
def test_where_another_line_stands_in_the_place_of_one_that_was_broken_it_stays_whole(
    line: str, broken: str, other: str
) -> None:
    assert other in apply_edits(other, rebase(line, broken, other))
    assert other in apply_edits(broken, rebase(line, other, broken))


def test_our_break_is_made_in_their_text_only_where_they_left_what_is_around_it() -> None:
    base = "alpha beta gamma, and so on\ndelta\n"
    theirs = [Edit(0, 5, "all"), Edit(11, 11, "or\n")]
    assert breaks_apart(base, [Edit(6, 6, "\n")], theirs) == ([Edit(6, 6, "\n")], [Edit(4, 4, "\n")])
    assert breaks_apart(base, [Edit(5, 5, "\n")], theirs) == ([], [])  # they changed what stands before it
    assert breaks_apart(base, [Edit(30, 30, "\n")], theirs) == ([], [])  # another line
    assert breaks_apart(base, [Edit(6, 6, "x")], theirs) == ([], [])
    assert breaks_apart(base, [Edit(6, 6, "or\n")], theirs) == ([], [])  # it may be the same
    assert breaks_apart(base, [Edit(11, 11, "\n")], theirs) == ([Edit(11, 11, "\n")], [Edit(9, 9, "\n")])
    much = [Edit(11, 27, "")]
    assert breaks_apart(base, [Edit(6, 6, "\n")], much) == ([], [])  # little of the line is left
    assert breaks_apart(base, [Edit(6, 6, "\n"), *much], theirs) == ([], [])


def test_a_line_put_beside_one_that_ends_alike_breaks_none() -> None:
    """By the letters, what two of them have in common stands where one of them was broken."""
    numbers = (2489, 2490, 2491), (2498, 2499, 2500, 2491)
    base, theirs = ("".join(f"let name{n} = old{n} of text\n" for n in each) for each in numbers)
    result = apply_edits(theirs, rebase(base, base.replace("old2490", "new2490"), theirs))
    assert result == theirs.replace("let name2491", "let name2490 = new2490 of text\nlet name2491")
