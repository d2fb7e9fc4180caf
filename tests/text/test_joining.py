"""Lines of which one side made one line, while the other went on in them."""

from __future__ import annotations

import pytest

from crdtsync.core.text.diff import apply_edits
from crdtsync.core.text.joining import Version, with_joined
from crdtsync.core.text.rebase import rebase

TWO = "alpha beta gamma\nnew delta epsilon\n"
JOINED = "alpha bedelta epsilon\n"


def both_ways(base: str, ours: str, theirs: str) -> str:
    result = apply_edits(theirs, rebase(base, ours, theirs))
    assert apply_edits(ours, rebase(base, theirs, ours)) == result
    return result


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epsilon", "epsilon zeta"),
        ("delta epsilon", "delta or epsilon"),
        ("alpha", "alpha or so"),
        ("epsilon\n", "epsilon zeta\nand a new line\n"),
    ],
)
def test_who_goes_on_in_lines_that_another_joins_finds_that_in_the_joined_line(old: str, new: str) -> None:
    base = f"first\n{TWO}last\n"
    assert both_ways(base, base.replace(old, new), f"first\n{JOINED}last\n") == (
        f"first\n{JOINED}last\n".replace(old, new)
    )


def test_it_is_found_there_though_lines_between_were_deleted_and_words_typed_where_they_are_joined() -> None:
    base = "alpha beta gamma\nnothing of this stays\nnew delta epsilon\nlast\n"
    theirs = "alpha be, or delta epsilon\nlast\n"
    assert both_ways(base, base.replace("epsilon", "epsilon zeta"), theirs) == (
        "alpha be, or delta epsilon zeta\nlast\n"
    )


def test_what_we_insert_between_lines_that_others_join_comes_after_them() -> None:
    ours = "alpha beta gamma\nquite another line\nnew delta epsilon zeta\n"
    assert (
        apply_edits(JOINED, rebase(TWO, ours, JOINED)) == "alpha bedelta epsilon zeta\nquite another line\n"
    )
    result = apply_edits(ours, rebase(TWO, JOINED, ours))
    assert result == "quite another line\nalpha bedelta epsilon zeta\n", "others' lines are not moved"


@pytest.mark.parametrize(
    ("old", "new", "result"),
    [
        ("new", "renewed", "alpha be\nrenewed delta epsilon\n"),
        ("gamma", "gamma or so", "alpha beta gamma or so\ndelta epsilon\n"),
        ("gamma\nnew", "gamma or so\nrenewed", "alpha beta gamma or so\nrenewed delta epsilon\n"),
    ],
)
def test_lines_of_which_one_was_edited_where_another_deleted_it_are_two_again(
    old: str, new: str, result: str
) -> None:
    base = f"first\n{TWO}last\n"
    assert both_ways(base, base.replace(old, new), f"first\n{JOINED}last\n") == f"first\n{result}last\n"


@pytest.mark.parametrize(
    ("old", "new", "result"),
    [
        ("new", "renewed", "alpha be, yes\nrenewed delta epsilon\n"),
        ("gamma", "gamma and so on", "alpha beta gamma and so on\n, yesdelta epsilon\n"),
    ],
)
def test_what_was_typed_where_they_were_joined_stays(old: str, new: str, result: str) -> None:
    assert both_ways(TWO, TWO.replace(old, new), JOINED.replace("be", "be, yes")) == result


def test_lines_are_known_to_be_joined_where_the_same_letter_stands_on_both_sides_of_what_went() -> None:
    base = "line 1324 wort\nline b456 08cb of text\nline fafd be9c zwei\n"
    ours = base.replace("\n", " [checked]\n")
    theirs = base.replace(" text\nline f", "")  # "ofafd": the f is of either
    assert both_ways(base, ours, theirs) == ours.replace("line fafd", "afd")


def test_lines_that_all_were_formatted_while_two_of_them_were_joined_stand_once_each() -> None:
    base = "line 1324 wort\nline bb4d bd90 eins\nline b456 08cb of text\nline 58d2 be9c zwei\n"
    ours = base.replace("\n", " [checked]\n")
    theirs = base.replace("08cb of text\n", "08c")
    assert both_ways(base, ours, theirs) == ours


GONE_ON = "alpha beta with gamma zeta\nnew delta epsilon\n"
TORN = " with gamma zetanew delta epsilon\n"
"""What the operations leave where one deletes the first line while another goes on in it."""


@pytest.mark.parametrize(
    ("old", "new", "result"),
    [
        ("\n", " [checked]\n", "alpha beta with gamma zeta [checked]\nnew delta epsilon [checked]\n"),
        ("beta", "beta or so", "alpha beta or so with gamma zeta\nnew delta epsilon\n"),
        ("zeta\nnew", "zeta eta\nrenewed", "alpha beta with gamma zeta eta\nrenewed delta epsilon\n"),
        # nothing was written in the line that another deleted
        ("epsilon", "epsilon [checked]", TORN.replace("epsilon", "epsilon [checked]")),
    ],
)
def test_a_line_that_is_gone_on_with_does_not_stand_at_the_start_of_the_next_one_too(
    old: str, new: str, result: str
) -> None:
    ours = f"first\n{GONE_ON.replace(old, new)}last\n"
    assert both_ways(f"first\n{GONE_ON}last\n", ours, f"first\n{TORN}last\n") == f"first\n{result}last\n"


def test_lines_that_end_and_begin_alike_here_and_there_are_told_by_the_whole_of_it() -> None:
    base = "alpha - - - - - - - - gamma - - - - - - -\nnew delta epsilon zeta\n"
    theirs = "- - - - - - - - new delta epsilon zeta\n"
    ours = base.replace("alpha", "alpha beta")
    result = both_ways(base, ours, theirs)
    assert result.count("new delta epsilon zeta") == 1
    assert "alpha beta" in result


@pytest.mark.parametrize(
    ("versions", "joined"),
    [
        # the line that is left counts as a version of the first one, of the last one, or as a new one
        ([Version([], JOINED), Version([], None), Version([], None)], True),
        ([Version([], None), Version([], JOINED), Version([], None)], True),
        ([Version(["new\n", JOINED], None), Version([], None), Version([], None)], True),
        ([Version([], None), Version([JOINED], None), Version([], None)], True),
        # something else stands between
        ([Version([], JOINED), Version(["new\n"], None), Version([], None)], False),
        ([Version([], None), Version(["new\n"], JOINED), Version([], None)], False),
        # not of one line alone, and not of what has hardly anything of one of them
        ([Version([], "alpha beta gamma and more\n"), Version([], None), Version([], None)], False),
        ([Version([], "alpha beta gamma n\n"), Version([], None), Version([], None)], False),
        (
            [
                Version([], "alpha be and quite something else delta epsilon\n"),
                Version([], None),
                Version([], None),
            ],
            False,
        ),
    ],
)
def test_lines_that_became_one_are_one(versions: list[Version], joined: bool) -> None:
    was = TWO.splitlines(keepends=True)
    edited = [Version([], was[0]), Version([], "new delta epsilon zeta\n"), Version([], None)]
    lines, ours, theirs = with_joined(was, edited, versions)
    assert len(lines) == len(ours) - 1 == len(theirs) - 1
    assert "".join(lines) == TWO
    assert (len(lines) == 1) == joined
    if joined:
        assert theirs[0].text == JOINED
        assert ours[0].text == was[0] + "new delta epsilon zeta\n"
        assert JOINED not in theirs[0].before


FOUR = """line f643 \u4e00 35b8 of text
line 6028 \u4e8c 1393 of text
line 847c \u4e09 05e9 of text
line 0318 \u56db 0e09 of text
"""


@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [
        (
            FOUR,
            FOUR.replace(" of text\n", "", 1),
            FOUR.replace("1393 of text\n", "1393 of text\u4e94").replace("05e9", "05e"),
        ),
        (
            FOUR,
            FOUR.replace("text\nline 60", "tne 60")
            .replace("line 84", "li\u516d ne 84")
            .replace("ext\nline 03", "line 03"),
            FOUR.replace("text\nline 84", "textne 84"),
        ),
    ],
)
def test_lines_of_which_either_side_joined_others_are_merged(base: str, ours: str, theirs: str) -> None:
    for one, other in ((ours, theirs), (theirs, ours)):
        left = set(base.split()) & set(one.split()) & set(other.split())
        assert left <= set(apply_edits(other, rebase(base, one, other)).split())
