"""Our changes on top of what others made of the text."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text import rebase as rebasing
from crdtsync.core.text.combine import Place, combine
from crdtsync.core.text.diff import Edit, apply_edits, diff
from crdtsync.core.text.interleave import interleave, joined_insertions
from crdtsync.core.text.lines import Known
from crdtsync.core.text.rebase import rebase


def merged(base: str, ours: str, theirs: str) -> str:
    edits = rebase(base, ours, theirs)
    end = -1
    for edit in edits:
        assert edit.start > end, "edits touch"
        assert edit.text or edit.end > edit.start, "an edit does nothing"
        end = edit.end
    return apply_edits(theirs, edits)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        # other places
        ("one\ntwo\nthree\n", "ONE\ntwo\nthree\n", "one\ntwo\nTHREE\n", "ONE\ntwo\nTHREE\n"),
        ("one two three", "ONE two three", "one two THREE", "ONE two THREE"),
        ("colour", "color", "colours", "colors"),
        ("a\nb\n", "a\nx\nb\n", "a\nb\ny\n", "a\nx\nb\ny\n"),
        # the same place
        ("ab", "aXb", "aYb", "aYXb"),
        ("", "hello", "world", "world\nhello"),
        ("word", "words", "wordy", "wordys"),
        ("a\n", "a\nours\n", "a\ntheirs\n", "a\ntheirs\nours\n"),
        # the end of a line, and a line after it
        ("a\nb\n", "a x\nb\n", "a\nc\nb\n", "a x\nc\nb\n"),
        ("a\nb\n", "a\nc\nb\n", "a x\nb\n", "a x\nc\nb\n"),
        ("a\nb", "a\nb x", "a\nb\nc", "a\nb x\nc"),
        ("a\nb", "a\nb\nc", "a\nb x", "a\nb x\nc"),
        ("the cat sat", "the dog sat", "the cow sat", "the cow sat\nthe dog sat"),
        ("the cat sat", "the cog sat", "the cow sat", "the cow sat\nthe cog sat"),
        ("color = red", "color = green", "color = blue", "color = blue\ncolor = green"),
        ("a", "1", "2", "2\n1"),
        ("abc", "aX", "aY", "aY\naX"),
        ("value: 1", "value: 10", "value: 20", "value: 200"),
        ("hello\n", "alice was here\n", "bob was here\n", "bob was here\nalice was here\n"),
        # who spaces a word otherwise as another does, has it spaced by the other
        ("xx", "x\t ", "x\t\t", "x\t\t"),
        # deletions
        ("aXb", "ab", "aXYb", "aYb"),
        ("one two three", "one three", "one three", "one three"),
        ("foo bar", "bar", "foo baz", "baz"),
        ("abcdefgh", "ab<1>fgh", "abc<2>efgh", "abc<2>efgh\nab<1>fgh"),
        ("a\nb\nc\n", "a\nc\n", "a\nb\nb2\nc\n", "a\nb2\nc\n"),
        ("a\nb\nc\n", "a\nb\nb2\nc\n", "a\nc\n", "a\nb2\nc\n"),
        ("one two three four", "one three four", "one two NEW three four", "one NEW three four"),
        ("one two three", "one", "one two three four", "one four"),
        ("a\nthe long line\nc\n", "a\nc\n", "a\nthe NEW line\nc\n", "a\nthe NEW line\nc\n"),
        ("a\nb\nc\n", "a\nc\n", "a\nX\nc\n", "a\nX\nc\n"),
        ("a\nb\nc\n", "a\nX\nc\n", "a\nc\n", "a\nX\nc\n"),
        ("one two three", "one", "one TWO three", "one TWO"),
        ("one two three", "one TWO three", "one", "one TWO"),
        ("one two three four", "four", "ONE two three four", "ONE four"),
        ("one two three four", "ONE two three four", "four", "ONE four"),
    ],
)
def test_both_changes_are_kept(base: str, ours: str, theirs: str, result: str) -> None:
    assert merged(base, ours, theirs) == result


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        ("a b c\n", "a B C\n", "a B c\n", "a B C\n"),
        ("a b c\n", "a B c\n", "a B C\n", "a B C\n"),
        ("a b c\n", "a B x c\n", "a B c\n", "a B x c\n"),
        ("a b c\n", "a B c\n", "a B x c\n", "a B x c\n"),
        ("a b c", "x y z", "x q z", "x q z\nx y z"),
        ("cat sat on", "dog ran on", "dog sat on", "dog ran on"),
        ("", "foo\n", "foo\nbar\n", "foo\nbar\n"),
        ("", "foo\nbar\n", "foo\n", "foo\nbar\n"),
        ("", "foo\nbar\nbaz\n", "foo\nbaz\n", "foo\nbar\nbaz\n"),
        ("foo bar", "foo baz qux bar", "foo baz bar", "foo baz qux bar"),
        ("foo bar", "foo baz bar", "foo baz qux bar", "foo baz qux bar"),
        ("the quick brown fox", "fast fox", "the quick fast fox", "fast fox"),
        ("a\na\n", "a\na\na\n", "a\na\na\nb\n", "a\na\na\nb\n"),
        ("x=1;y=2", "x = 1; y = 2", "x = 1; y = 2; z = 3", "x = 1; y = 2; z = 3"),
        ("a\n", "a\nshared line\nours\n", "a\nshared line\ntheirs\n", "a\nshared line\ntheirs\nours\n"),
        ("a\nb\n", "a\nours\nshared line\n", "a\ntheirs\nshared line\n", "a\ntheirs\nours\nshared line\n"),
        ("a\nb\n", "a, too\nours\nb\n", "a, too\ntheirs\nb\n", "a, too\ntheirs\nours\nb\n"),
        ("if x:\n  y\n", "if x:\n    z\n", "if x:\n  z\n", "if x:\n    z\n"),
        ("p q", "P  Q", "P Q", "P  Q"),
    ],
)
def test_a_change_that_both_made_is_there_once(base: str, ours: str, theirs: str, result: str) -> None:
    assert merged(base, ours, theirs) == result


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        ("list:\n", "list:\n1", "list:\n10", "list:\n10\n1"),
        ("list:\n", "list:\nab", "list:\nxab!", "list:\nxab!\nab"),
        (
            "def a():\n    pass\n",
            "def a():\n    pass\n\ndef foo():\n    return 1\n",
            "def a():\n    pass\n\ndef bar():\n    return 1\n",
            "def a():\n    pass\n\ndef bar():\n    return 1\n\ndef foo():\n    return 1\n",
        ),
    ],
)
def test_changes_that_are_alike_by_chance_are_both_kept(
    base: str, ours: str, theirs: str, result: str
) -> None:
    assert merged(base, ours, theirs) == result


def test_what_a_formatter_added_is_there_once_also_after_a_line_that_another_deleted() -> None:
    lines = ("line 72d5 E f8d8 of text", "line ae18 F 9e30 of text", "line 1324 G 87f2 of text", "b456 H")
    base = "".join(f"{line}\n" for line in lines)
    ours = "".join(f"{line} [checked {mark}]\n" for line, mark in zip(lines, "efgh", strict=True))
    theirs = "line b70e P 6658 of text [checked p]\n" + ours.replace(lines[2], "")
    assert rebase(base, ours, theirs) == ()


def test_a_formatter_run_on_both_sides_is_taken_once_beside_further_changes() -> None:
    base = "".join(f"def f{number}( a,b ):\n  return a+b\n\n" for number in range(100))
    formatted = base.replace("( a,b )", "(a, b)").replace("  return a+b", "    return a + b")
    ours = formatted.replace("f7(", "seven(")
    theirs = "# theirs\n" + formatted
    assert merged(base, ours, theirs) == "# theirs\n" + ours
    partly = base.replace("( a,b )", "(a, b)")
    assert merged(base, ours, partly) == ours


texts = st.text("ab \n", max_size=30)


@given(texts, texts)
def test_what_is_already_there_or_not_changed_brings_no_edits(base: str, other: str) -> None:
    assert rebase(base, other, other) == ()
    assert rebase(base, base, other) == ()
    assert merged(base, other, base) == other


@given(texts, texts, texts)
def test_any_three_texts_can_be_rebased(base: str, ours: str, theirs: str) -> None:
    merged(base, ours, theirs)


@dataclass(frozen=True, slots=True)
class Sides:
    base: list[str]
    ours: str
    theirs: str
    inserted: list[str]
    kept: list[str]


@st.composite
def sides(draw: st.DrawFn, separator: str, *, delete: bool) -> Sides:
    """Two sides that insert tokens of their own, delete parts of the base, and replace them."""
    base = [f"base{number}{separator}" for number in range(draw(st.integers(0, 8)))]
    inserted: list[str] = []
    kept = set(base)
    changed = []
    for side in ("ours", "theirs"):
        parts = [(part, True) for part in base]
        for number in range(draw(st.integers(1, 3))):
            at = draw(st.integers(0, len(parts)))
            kind = draw(st.sampled_from(["insert", "delete", "replace"] if delete else ["insert"]))
            if kind != "insert":
                end = min(len(parts), at + draw(st.integers(1, 3)))
                parts[at:end] = [part for part in parts[at:end] if not part[1]]
            if kind != "delete":
                inserted.append(f"<{side}{number}>")
                parts.insert(at, (inserted[-1] + separator, False))
        kept &= {part for part, is_base in parts if is_base}
        changed.append("".join(part for part, _ in parts))
    return Sides(base, changed[0], changed[1], inserted, sorted(kept))


@pytest.mark.parametrize("separator", ["\n", " line\n"])
def test_what_either_side_inserted_and_what_both_left_is_there_exactly_once(separator: str) -> None:
    @given(sides(separator, delete=True))
    def attempt(case: Sides) -> None:
        result = merged("".join(case.base), case.ours, case.theirs)
        for token in case.inserted:
            assert result.count(token) == 1
        for part in case.kept:
            assert result.split().count(part.split()[0]) == 1

    attempt()


@given(sides(" ", delete=True))
def test_what_both_left_of_one_line_is_there_and_what_either_inserted_once(case: Sides) -> None:
    result = merged("".join(case.base), case.ours, case.theirs)
    assert all(result.count(token) == 1 for token in case.inserted)
    assert all(result.split().count(part.strip()) in (1, 2) for part in case.kept)  # it may stand twice


@pytest.mark.parametrize("separator", ["\n", " "])
def test_rebasing_again_on_the_result_changes_nothing(separator: str) -> None:
    @given(sides(separator, delete=False))
    def attempt(case: Sides) -> None:
        base = "".join(case.base)
        result = merged(base, case.ours, case.theirs)
        assert merged(base, case.ours, result) == result

    attempt()


@given(
    st.lists(st.integers(0, 12), min_size=2, max_size=2), st.lists(st.integers(0, 12), min_size=2, max_size=2)
)
def test_characters_of_the_base_are_kept_unless_someone_deleted_them(
    ours: list[int], theirs: list[int]
) -> None:
    base, rest = "abcdefghijkl", "".join(f" {number}mnop" for number in range(20))  # it never stands twice
    kept = set(base)
    changed = []
    for (start, end), token in ((sorted(ours), "<1>"), (sorted(theirs), "<2>")):
        changed.append(base[:start] + token + base[end:] + rest)
        kept -= set(base[start:end])
    result = merged(base + rest, *changed).removesuffix(rest)
    assert {character for character in result if character in base} >= kept
    for token in ("<1>", "<2>"):
        assert result.count(token) == 1
    assert sorted(result.replace("<1>", "").replace("<2>", "")) == sorted(set(result) & set(base))


def test_beyond_its_budget_the_edits_are_combined_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebasing, "_CHARACTERS_MAX", 0)
    assert merged("the cat sat\n", "the dog sat\n", "the cow sat\n") == "the dogow sat\n"
    assert merged("a b\n", "a x b\n", "a y b\n") == "a y x b\n"
    assert merged("one\n", "ONE\n", "one\ntwo\n") == "ONE\ntwo\n"
    monkeypatch.setattr(rebasing, "_CHARACTERS_MAX", 12)
    assert merged("cat\n", "dog\n", "cow\n") == "cow\ndog\n"


def test_the_same_place_made_by_other_edits_is_the_same() -> None:
    place = Place("a", "b", "b", [Edit(0, 1, "b")], [Edit(0, 1, ""), Edit(1, 1, "b")], "", "")
    assert rebasing._Places(Known("", "", "")).in_lines(place) == ()
    assert rebasing._Places(Known("", "", "")).in_words(place) == ()


def test_who_spaces_words_otherwise_than_another_has_them_spaced_by_the_other() -> None:
    place = Place("bbc da", "bb c da", "bb\nc da", (), (), "", "")
    assert rebasing._Places(Known("", "", "")).in_words(place) == ()


def test_of_words_of_which_others_deleted_more_nothing_is_deleted_again() -> None:
    place = Place("one two three", "one three", "one", (), (), "", "")
    assert rebasing._Places(Known("", "", "")).in_words(place) == ()


def test_the_last_line_is_ended_as_whoever_wrote_it_has_it() -> None:
    assert merged("b\n", "a", "a\n") == "a"
    assert merged("b", "a\n", "a") == "a\n"
    assert merged("b\n", "a\n", "b") == "a\n"


def test_edits_are_carried_over_between_those_of_others() -> None:
    def refuse(*_: object) -> list[Edit]:
        raise AssertionError("nothing meets")

    base = "0123456789"
    ours = [Edit(0, 1, ""), Edit(3, 3, "a"), Edit(9, 10, "bc")]
    theirs = [Edit(1, 2, "X"), Edit(4, 6, ""), Edit(8, 9, "")]
    edits = combine(base, ours, theirs, refuse)
    assert apply_edits(apply_edits(base, theirs), edits) == "X2a367bc"
    assert combine(base, (), theirs, refuse) == []
    assert combine(base, (), (), refuse) == []


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        ("abcdef", [Edit(1, 5, "")], [Edit(2, 4, "X")], "aXf"),
        ("abcdef", [Edit(0, 2, "1"), Edit(3, 5, "2")], [Edit(1, 4, "X")], "1X2f"),
        ("abcdef", [Edit(1, 2, "1"), Edit(3, 4, "2")], [Edit(0, 6, "X")], "X12"),
        ("abcdef", [Edit(0, 6, "foo")], [Edit(2, 4, "foo")], "foo"),
        ("abcdef", [Edit(0, 6, "foo")], [Edit(2, 2, "X"), Edit(4, 4, "Y")], "fooXY"),
        ("ab cd", [Edit(0, 5, "")], [Edit(0, 2, "X"), Edit(3, 5, "Y")], "X Y"),
        ("ab\nc", [Edit(0, 3, "")], [Edit(0, 1, "X")], "X\nc"),
        ("ab\nc", [Edit(0, 3, "")], [Edit(0, 1, "X\n")], "X\nc"),
        ("ab\n", [Edit(0, 3, "")], [Edit(0, 1, "X")], "X"),
        ("a bcd e", [Edit(1, 6, "")], [Edit(2, 5, "X")], "a X e"),
        ("a bcd e", [Edit(2, 5, "X")], [Edit(1, 6, "")], "a X e"),
        ("abcde", [Edit(2, 3, "X")], [Edit(1, 4, "")], "aXe"),
        ("abcde", [Edit(1, 4, "")], [Edit(2, 3, "X")], "aXe"),
        ("abcde", [Edit(2, 2, "a x b")], [Edit(2, 2, "a b")], "aba x bcde"),
        ("a b c", [Edit(0, 1, "X"), Edit(4, 5, "Y")], [Edit(0, 5, "")], "X Y"),
    ],
)
def test_edits_that_meet_are_combined_character_by_character(
    base: str, ours: list[Edit], theirs: list[Edit], result: str
) -> None:
    place = Place(base, apply_edits(base, ours), apply_edits(base, theirs), ours, theirs, "", "")
    assert apply_edits(place.theirs, interleave(place)) == result


@pytest.mark.parametrize(
    ("ours", "theirs", "alike", "result"),
    [
        ("x", "x", False, "x"),
        ("x", "yx", True, "yx"),
        ("x", "yx", False, "yxx"),
        ("end", "the end", False, "the end"),
        ("a b", "a x b", False, "a x b"),
        ("a x b", "a b", False, "a x b"),
        ("a  b", "a b", False, "a b"),
        ("a  b", "a b", True, "a  b"),
        ("same line\nx\n", "same line\ny\n", True, "same line\ny\nx\n"),
        ("x\nsame line\n", "y\nsame line\n", True, "y\nsame line\nx\nsame line\n"),
        ("mysame line\n", "same line\n!", True, "same line\n!mysame line\n"),
        ("xsame line\n", "ysame line\n", True, "ysame line\nxsame line\n"),
        ("long text here\nz\n", "other words\nz\n", True, "other words\nz\nlong text here\nz\n"),
    ],
)
def test_two_insertions_at_one_place_are_joined(ours: str, theirs: str, alike: bool, result: str) -> None:
    assert apply_edits(theirs, joined_insertions(ours, theirs, alike=alike)) == result


def test_of_two_functions_added_at_one_place_each_stays_whole_however_alike_they_end() -> None:
    base = "import os\n"
    first = "\n\ndef first():\n    prepare()\n    return None\n"
    second = "\n\ndef second():\n    prepare()\n    return None\n"
    assert apply_edits(base + second, rebase(base, base + first, base + second)) == base + second + first


FORMATTED = "scarlet fox 1 runs [checked]\n", "grey cat 2 sits [checked]\n", "blue jay 3 sings [checked]\n"
PLAIN = "scarlet fox 1 runs\n", "grey cat 2 sits\n", "blue jay 3 sings\n"


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        # both have the fox, each went on around it, and one of them ran a formatter
        ((), (PLAIN[1], PLAIN[0]), (PLAIN[0], PLAIN[2]), (PLAIN[1], PLAIN[0], PLAIN[2])),
        ((), (PLAIN[1], FORMATTED[0]), (PLAIN[0], PLAIN[2]), (PLAIN[1], FORMATTED[0], PLAIN[2])),
        (
            ("end\n",),
            (PLAIN[1], PLAIN[0], "end\n"),
            (PLAIN[2], PLAIN[0], "end\n"),
            (*PLAIN[2:0:-1], PLAIN[0], "end\n"),
        ),
    ],
)
def test_a_line_that_both_have_and_the_base_has_not_is_there_once(
    base: tuple[str, ...], ours: tuple[str, ...], theirs: tuple[str, ...], result: tuple[str, ...]
) -> None:
    assert merged("".join(base), "".join(ours), "".join(theirs)) == "".join(result)


def test_one_line_that_both_have_is_enough_where_the_base_may_be_older_than_it() -> None:
    ours = "first of ours\nscarlet fox 1 runs\nsecond of ours\nthird of ours\n"
    theirs = "one of theirs\nscarlet fox 1 runs\nanother of theirs\nyet another\n"
    assert apply_edits(theirs, rebase("", ours, theirs, older=True)).count("scarlet fox") == 1


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [
        ("a line 1 of text\n", "a line 2 of text\n", "a line 3 of text\n"),
        ("", "assert response.status == 200\n", "assert response.body == None\n"),
        ("", "import alpha.particles\n", "import alpha.particular\n"),
    ],
)
def test_two_lines_that_have_words_in_common_stay_two(base: str, ours: str, theirs: str, older: bool) -> None:
    edits = rebase(base, ours + base, theirs + base, older=older)
    assert apply_edits(theirs + base, edits) == theirs + ours + base


def test_of_two_functions_with_one_line_in_common_each_stays_whole() -> None:
    first = "def load_users(path):\n    with open(path) as users:\n        return parse(users)\n"
    second = "def count_groups(path):\n    with open(path) as groups:\n        return len(groups)\n"
    assert merged("", first, second) == second + first


def test_a_line_that_one_deleted_is_not_taken_for_the_next_one_that_the_other_changed() -> None:
    line_1, line_2 = "line c283 one b1b1 of text\n", "line 1324 two 87f2 of text\n"
    ours = line_1.replace("text", "text [checked 1]")
    theirs = line_1.replace("text", "text with more of text") + line_2
    assert merged(line_1 + line_2, ours, theirs) == line_1.replace(
        "text", "text with more of text [checked 1]"
    )


def test_the_edits_are_the_same_as_a_diff_where_nobody_else_changed_anything() -> None:
    assert rebase("a b c", "a x c", "a b c") == diff("a b c", "a x c")


@pytest.mark.parametrize("base", ["", "foo\n", "ann wrote line 1\n"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("ann wrote line 2051\n", "bob wrote line 2051\n"),
        ("ann wrote line 2051\n", "bob wrote line 2050\n"),
        ("- [ ] Ann: buy milk at the store\n", "- [ ] Bob: buy milk at the store\n"),
        ("I like green apples a lot\n", "I like green pears a lot\n"),
        ("alpha beta gamma delta one\n", "alpha beta gamma delta two\n"),
    ],
)
def test_two_lines_that_differ_by_a_word_each_are_never_one(base: str, ours: str, theirs: str) -> None:
    """Half of each would be in neither."""
    assert merged(base, base + ours, base + theirs) == base + theirs + ours
    assert merged(base, ours + base, theirs + base) == theirs + ours + base


_LINES = "{} wrote line {}", "- [ ] {}: task {}", "def f_{}(x): return {}", "    return {}({})", "{} {}"


@given(st.randoms(use_true_random=False))
def test_lines_that_people_add_stay_whole_wherever_they_add_them(rng: Random) -> None:
    """Of lines of a few kinds, the same kind often at one place; no two are equal."""
    numbers = count(rng.randint(1, 3000))

    def line(kind: str, name: str = "") -> str:
        return kind.format(name or rng.choice(("ann", "bob", "carl")), next(numbers)) + "\n"

    def with_lines(lines: list[str]) -> list[str]:
        at = [rng.randint(0, len(base)) for _ in lines]
        both = [(place, 0, line) for place, line in zip(at, lines, strict=True)]
        both += [(place, 1, line) for place, line in enumerate(base)]
        return [line for _, _, line in sorted(both, key=lambda each: each[:2])]

    base = [line(rng.choice(_LINES)) for _ in range(rng.randint(0, 6))]
    kind = rng.choice(_LINES)
    ours, theirs = ([line(kind, name) for _ in range(rng.randint(1, 3))] for name in ("ann", "bob"))
    result = merged("".join(base), "".join(with_lines(ours)), "".join(with_lines(theirs)))
    assert sorted(result.splitlines(keepends=True)) == sorted([*base, *ours, *theirs])
