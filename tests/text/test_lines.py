"""Lines that two sides changed stand whole."""

from __future__ import annotations

from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text import lines as merging
from crdtsync.core.text.align import Budget
from crdtsync.core.text.diff import apply_edits
from crdtsync.core.text.lines import Known, merge_lines
from crdtsync.core.text.rebase import rebase


def merged(base: str, ours: str, theirs: str) -> str:
    return apply_edits(theirs, rebase(base, ours, theirs))


def test_a_han_character_that_is_gone_tells_as_much_as_a_short_word() -> None:
    base, ours = (
        "目\nthe 天 was 很好\n",
        "目 and the sky was blue\n",
    )  # no version of the line that it resembles
    assert merged(base, ours, "1. " + base) == "1. " + ours
    assert merged(base, "1. " + base, ours) == "1. " + ours


def test_a_line_of_two_signs_is_no_place_to_tell_others_by() -> None:
    """A page broke a line of such two and the next one within their words: of these the first is not new."""
    base = "one of 699f text\nxt\nline 58d2 of be9c text\n"
    theirs = "one of 699f text\nx9t\nline 58d2 of be9 8c te\nxt\n"
    ours = "one of 699f text done\nxt done\nline 58d2 of be9c text done\n"
    both = "one of 699f text done\nx9t done\nline 58d2 of be9 8c te done\nxt\n"
    assert merged(base, ours, theirs) == merged(base, theirs, ours) == both


def test_a_line_of_one_sign_stays_where_what_is_beside_it_is_another() -> None:
    base, ours = "}\nline 0ee8 of 699f text\n", "line ae18 of 9e30 text\n}\n"
    theirs = "}\nline 58d2 of be9c text\n"
    assert merged(base, ours, theirs) == "line ae18 of 9e30 text\n}\nline 58d2 of be9c text\n"


LONG = " ".join(["many words of a paragraph"] * 4)
ADD, MUL = "total = add(first, second)\n", "total = mul(first, second)\n"


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        # one edits a line, the other deletes it
        (f"a\n{ADD}c\n", f"a\n{MUL}c\n", "a\nc\n", f"a\n{MUL}c\n"),
        (f"a\n{ADD}c\n", "a\nc\n", f"a\n{MUL}c\n", f"a\n{MUL}c\n"),
        (ADD, "", MUL, MUL),
        (ADD, MUL, "", MUL),
        # ... but all that was done to it is space, commas, or a part of what the other did
        (f"a\n{ADD}c\n", f"a\n    {ADD}c\n", "a\nc\n", "a\nc\n"),
        (f"a\n{ADD}c\n", "a\nc\n", f"a\n    {ADD}c\n", "a\nc\n"),
        (f"a\n{ADD}c\n", "a\ntotal = add(first,)\nc\n", "a\nc\n", "a\nc\n"),
        # both put a line in the place of one
        ("hello\n", "alice was here\n", "bob was here\n", "bob was here\nalice was here\n"),
        ("x = 1\n", "y = 2\n", "z = 3\n", "z = 3\ny = 2\n"),
        ("x = 1\n", "x = 2\n", "x = 3\n", "x = 3\nx = 2\n"),
        # ... but what stands in one line may be a paragraph, for two words not to be put twice
        (*(f"{LONG} {word} {LONG}\n" for word in ("red", "green", "blue")), f"{LONG} bluegreen {LONG}\n"),
        ("line 1 of text\n", "line 2 of text\n", "line 3 of text\n", "line 3 of text\nline 2 of text\n"),
        # one rewrites all, the other adds lines in between
        (f"{ADD}{MUL}", "nothing left\n", f"{ADD}print(total)\n{MUL}", "nothing left\nprint(total)\n"),
        # both go on with a line, and one adds a line after it
        ("a b c\n", "a b c ours\n", "a b c theirs\nnew\n", "a b c theirs ours\nnew\n"),
        ("a b c\n", "a b c ours\nnew\n", "a b c theirs\n", "a b c theirs ours\nnew\n"),
        ("foo\n", "foo + 1\n", "foobar\n", "foobar + 1\n"),
        # ... with the word that begins the next one, too
        (
            "line 1 of it\nline 2 of it\n",
            "line 1 of it with line 5 of it\nline 3 of it\nline 2 of it, done\n",
            "line 1 of it with line 4 of it\nline 2 of it [x]\n",
            "line 1 of it with line 4 of it with line 5 of it\nline 3 of it\nline 2 of it [x], done\n",
        ),
        # one rewrites most of a line, the other goes on with it
        (ADD, "total = add(third)\n", ADD[:-1] + "  # sum\n", "total = add(third)  # sum\n"),
    ],
)
def test_a_line_stands_as_one_wrote_it_or_as_both_edited_it(
    base: str, ours: str, theirs: str, result: str
) -> None:
    assert merged(base, ours, theirs) == result


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        # one puts another line in the place of one in which the other writes
        (
            "line first one of text\n",
            "line next three of text\nline first one, then, of text\n",
            "line other two of text\n",
            "line other two of text\nline next three of text\nline first one, then, of text\n",
        ),
        # one goes on with a line of a single word, and deletes what stood before it
        (
            "line first of text\nmyself\n",
            "line next of text\nline last of text\nmyself [x]\n",
            "myself with line other of text\n",
            "line next of text\nline last of text\nmyself with line other of text [x]\n",
        ),
    ],
)
def test_words_that_a_side_has_in_many_lines_make_none_of_them_a_version_of_another(
    base: str, ours: str, theirs: str, result: str
) -> None:
    assert merged(base, ours, theirs) == result


@pytest.mark.parametrize(
    ("typed", "result"),
    [
        ("c-all fir-st(second)\n", "new\nc-all fir-st(second)  # done\n"),
        # ... and erased a part of them
        ("ca-l fi-t(second)\n", "new\nca-l fi-t(second)  # done\n"),
        # too little is left of it, in too much else; or of all its words
        ("c-l f-t(second, th-ird)\n", "c-l f-t(second, th-ird)\nnew\ncall first(second)  # done\n"),
        ("c-all fir-st(se-cond)\n", "c-all fir-st(se-cond)\nnew\ncall first(second)  # done\n"),
    ],
)
def test_a_line_within_words_of_which_someone_typed_is_the_same_line(typed: str, result: str) -> None:
    assert merged("call first(second)\n", "new\ncall first(second)  # done\n", typed) == result


@pytest.mark.parametrize(
    ("begun", "result"),
    [
        ("compute 12ab34cd", "compute 12ab34cd{tail} [x]\n"),
        # ... but a short beginning, or one with which other lines begin, tells nothing
        ("a 12ab", "a 12ab{tail}\na 12ab{rest} [x]\n"),
        ("do the same", "do the same{tail}\ndo the same{rest} [x]\n"),
    ],
)
def test_a_line_of_which_only_a_telling_beginning_is_left_is_the_same_line(begun: str, result: str) -> None:
    rest, tail = " with 5e6f with 7a8b9c0d with 1e2f3a4b", " 9d8c7b6a5f4e3d2c of 1b0a9f8e7d6c"
    before, other = "do the same again\n", "do the same once\n"
    ours, theirs = f"{before}{begun}{rest} [x]\n{other}", f"{before}{begun}{tail}\n{other}"
    both = f"{before}{result.format(tail=tail, rest=rest)}{other}"
    assert merged(f"{before}{begun}{rest}\n{other}", ours, theirs) == both


def test_of_many_lines_those_are_not_compared_by_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "_TYPED_MAX_CELLS", 0)
    base, typed, new = "call first(second)\n", "c-all fir-st(second)\n", "new\n"
    result = merged(base, f"{new}{base[:-1]}  # done\n", typed)
    assert result == f"{typed}{new}{base[:-1]}  # done\n"


def test_a_short_line_is_not_a_longer_one_with_a_few_letters_of_which_it_has_been_written() -> None:
    base, short = "add one item(second, third)\n", "a-dd one sec\n"
    assert merged(base, f"{base[:-1]}  # done\n", short) == f"{short}{base[:-1]}  # done\n"


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        ("total 1\nend one\n", "total 1\n2\nend one\n", "total 12\nend two\n", "total 12\n2\nend two\n"),
        (
            "set max = 1\nkeep it\n",
            "set max = 1\nx = 1\nkeep it\n",
            "put max = 1\nkeep us\n",
            "put max = 1\nx = 1\nkeep us\n",
        ),
        (
            "call alpha(beta)\n}\nend it\n",
            "call alpha(beta)\n}\n}\nend it now\n",
            "call alpha(delta)\n}\nend us\n",
            "call alpha(delta)\n}\n}\nend us now\n",
        ),
    ],
)
def test_a_new_line_stays_though_it_is_the_end_of_another_or_one_like_it_was_there(
    base: str, ours: str, theirs: str, result: str
) -> None:
    assert merged(base, ours, theirs) == result


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        (" }\n1\n", "return\n } q\np 1\n", "milk\nz }\n1\n", "milk\nreturn\nz } q\np 1\n"),
        (
            "foo bar\nthe end\n\nx = 1\n",
            "foo bar\nreturn\nif x:\nx = 1\n",
            "foo bar\np the end x\n\nfoo\nx = 1\n",
            "foo bar\nreturn\nif x:\np the end x\nfoo\nx = 1\n",
        ),
    ],
)
def test_lines_stay_whole_where_an_edit_reaches_into_the_start_of_the_next(
    base: str, ours: str, theirs: str, result: str
) -> None:
    assert merged(base, ours, theirs) == result


def test_a_line_that_one_moved_and_the_other_edited_stands_once() -> None:
    base = "first one here\nsecond 2 line\nthird 3 line\n"
    ours = base.replace("here", "there")
    theirs = "second 2 line\nthird 3 line\nfirst one here\n"
    for result in (merged(base, ours, theirs), merged(base, theirs, ours)):
        assert result.count("first") == 1


PANGRAM = "The quick brown fox jumps over\nthe lazy dog today while others\nlook at both of them\n"
FLOWED = "The quick brown fox\njumps over the lazy dog\ntoday while others look\nat both of them\n"
CALL = "    return compute_total(first_item, second_item, third_item)\n"
SPLIT = "    return compute_total(\n        first_item,\n        second_item,\n        third_item,\n    )\n"


@pytest.mark.parametrize(
    ("base", "split", "edits"),
    [
        (PANGRAM.replace("over\n", "over "), PANGRAM, [("lazy dog", "lazy old dog")]),
        (PANGRAM.replace("over\n", "over "), PANGRAM, [("lazy", "sleepy"), ("brown", "red")]),
        (
            PANGRAM.replace("over\n", "over "),
            PANGRAM,
            [("while others\n", "while others and us\nnew line\n")],
        ),
        (PANGRAM, FLOWED, [("lazy dog", "lazy old dog")]),
        (PANGRAM, FLOWED, [("lazy", "sleepy"), ("brown", "red")]),
        (PANGRAM, FLOWED, [("both of them\n", "both of them smiling\nnew line\n")]),
        (CALL, SPLIT, [("third_item", "the_last_item")]),
        (CALL, SPLIT, [("compute_total", "compute_sum"), ("second_item", "item")]),
        (CALL, SPLIT, [("return", "total =")]),
    ],
)
def test_who_edits_a_line_that_another_splits_finds_the_edit_in_its_words(
    base: str, split: str, edits: list[tuple[str, str]]
) -> None:
    edited, result = base, split
    for old, new in edits:
        edited, result = edited.replace(old, new), result.replace(old, new)
    assert edited != base
    assert merged(f"first\n{base}last\n", f"first\n{edited}last\n", f"first\n{split}last\n") == (
        f"first\n{result}last\n"
    )
    assert merged(f"first\n{base}last\n", f"first\n{split}last\n", f"first\n{edited}last\n") == (
        f"first\n{result}last\n"
    )


def test_a_line_that_both_added_at_two_places_stands_once_where_one_replaced_what_stood_between() -> None:
    shared = "import particular.module\n"
    base = "alpha 1\nbeta 2\n"
    assert merged(base, f"{shared}gamma 3\n", f"alpha 1\n{shared}beta 22\n").count(shared) == 1


@pytest.mark.parametrize(
    ("base", "ours", "theirs"), [("a", "b", "c"), ("a", "b\nd", "c\n"), ("", "b\n", "c\n"), ("", "b", "c\n")]
)
def test_text_that_had_no_whole_line_is_left_to_others(base: str, ours: str, theirs: str) -> None:
    assert merge_lines(base, ours, theirs, lambda *_: (), Known(base, ours, theirs), Budget()) is None


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        ("a\nb", f"{ADD}a [x]\nmore", "1a\nnew", f"{ADD}1a [x]\nnew\nmore"),
        # the last line ends where one side had it so
        ("a b\nc d", "a b ours\nc d", "a b theirs\nc d\n", "a b theirs ours\nc d\n"),
        ("a b\nc d", "a b ours\nc d\n", "a b theirs\nc d", "a b theirs ours\nc d\n"),
        ("a b\nc d\n", "a b ours\nc d", "a b theirs\nc d\n", "a b theirs ours\nc d"),
        ("a b\nc d\n", "a b ours\nc d\n", "a b theirs\nc d", "a b theirs ours\nc d"),
        # the last line goes, or others come after it
        ("a b\nc d", "a b ours", "a b theirs\nc d", "a b theirs ours"),
        ("a b\nc d", "a b ours\nc d", "a b theirs", "a b theirs ours"),
        ("a b\nc d", "a b ours\nc d\nnew", "a b theirs\nc d", "a b theirs ours\nc d\nnew"),
        ("a b\nc d", "a b ours\nc d ours", "a b theirs\nc d theirs", "a b theirs ours\nc d theirs ours"),
        ("a b\nc d", "", "a b theirs\nc d", "a b theirs"),
        ("a b\nc d", "a b ours\nc d", "", "a b ours"),
    ],
)
def test_lines_stay_whole_though_the_last_one_is_not_ended(
    base: str, ours: str, theirs: str, result: str
) -> None:
    assert merged(base, ours, theirs) == result


@pytest.mark.parametrize("ours_many", [False, True])
def test_too_many_lines_to_compare_are_left_to_others(
    monkeypatch: pytest.MonkeyPatch, ours_many: bool
) -> None:
    monkeypatch.setattr(merging, "_PAIRED_MAX_CELLS", 3)
    few, many = "a\nx\n", "p\nq\n"
    ours, theirs = (many, few) if ours_many else (few, many)
    assert merge_lines("a\nb\n", ours, theirs, lambda *_: (), Known("", "", ""), Budget()) is None


def test_words_are_compared_in_a_line_that_both_edited_only() -> None:
    asked = []

    def words(*line: str) -> tuple[()]:
        asked.append(line)
        return ()

    base = "one fine day\ntwo\nthree\n"
    merge_lines(
        base, "one fine night\nTWO\nthree\n", "one sunny day\nthree\n", words, Known("", "", ""), Budget()
    )
    assert asked == [("one fine day\n", "one fine night\n", "one sunny day\n")]


@given(st.randoms(use_true_random=False))
def test_each_line_is_one_of_theirs_or_of_ours_or_a_line_that_both_edited(rng: Random) -> None:
    numbers = count(rng.randint(10, 3000))  # between two single digits a name is changed, not another

    def line() -> str:
        """With words of its own, and words that all lines have."""
        number = next(numbers)
        return f"{rng.choice(('', '    '))}let name{number} = old{number} of text\n"

    def version(lines: list[str]) -> tuple[str, dict[int, str]]:
        """The text, and what became of the lines of the base that were edited."""
        text, edited = "", {}
        for at, each in enumerate(lines):
            deed = rng.choice(("keep", "keep", "keep", "insert", "delete", "replace", "go on", "reword"))
            text += line() if deed in ("insert", "replace") else ""
            if deed == "go on":
                each = edited[at] = f"{each[:-1]}  # seen{next(numbers)}\n"
            elif deed == "reword":
                each = edited[at] = each.replace("old", "new")
            text += "" if deed in ("delete", "replace") else each
        return text, edited

    base = [line() for _ in range(rng.randint(1, 6))]
    (ours, our_edited), (theirs, their_edited) = version(base), version(base)
    texts = ["".join(base), ours, theirs]
    if len(base) > 1:  # some end with a line that is not ended
        texts = [text.removesuffix("\n") if rng.random() < 0.2 else text for text in texts]
    result = merged(*texts)
    whole = {*ours.splitlines(), *theirs.splitlines()}
    both = [
        {*our_edited[at].split(), *their_edited[at].split()} for at in our_edited.keys() & their_edited.keys()
    ]
    for each in result.splitlines():
        assert each in whole or any(set(each.split()) <= words for words in both)


def test_a_line_is_found_on_the_other_side_of_an_empty_one() -> None:
    base = "milk and honey\n\neggs of the hen\n"
    ours = "milk and honey\nbread\n\neggs of the hen, six\n"
    theirs = "milk and honey, too\neggs of the hen [x]\n\nrice and beans\n"
    assert merged(base, ours, theirs) == (
        "milk and honey, too\nbread\neggs of the hen [x], six\n\nrice and beans\n"
    )
    assert merged(base, theirs, ours) == (
        "milk and honey, too\nbread\neggs of the hen, six [x]\n\nrice and beans\n"
    )
