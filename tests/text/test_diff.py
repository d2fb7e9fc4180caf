"""The edits from one text to another."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text import diff as diffing
from crdtsync.core.text.diff import Edit, apply_edits, diff, size_of

LINES = [f"line {number} of the text, with some words\n" for number in range(3000)]

alphabets = st.sampled_from(["ab", "ab \n", "abc é😀\r\n", "你好 a"])
pairs = alphabets.flatmap(
    lambda alphabet: st.tuples(st.text(alphabet, max_size=40), st.text(alphabet, max_size=40))
)


def check(old: str, new: str) -> tuple[Edit, ...]:
    edits = diff(old, new)
    assert apply_edits(old, edits) == new
    end = -1
    for edit in edits:
        assert edit.start > end, "edits touch"
        assert edit.text or edit.end > edit.start, "an edit does nothing"
        end = edit.end
    return edits


@given(pairs)
def test_the_edits_make_the_new_text_of_the_old(texts: tuple[str, str]) -> None:
    check(*texts)


@given(st.lists(st.sampled_from(["one two\n", "three\n", "\n", "}\n"]), max_size=30), st.data())
def test_texts_of_few_different_lines_are_no_trouble(lines: list[str], data: st.DataObject) -> None:
    changed = data.draw(st.permutations(lines))
    check("".join(lines), "".join(changed))


def test_equal_texts_need_no_edits() -> None:
    assert diff("", "") == diff("a\n", "a\n") == ()


@pytest.mark.parametrize(
    ("old", "new", "edits"),
    [
        ("", "a", [Edit(0, 0, "a")]),
        ("a", "", [Edit(0, 1, "")]),
        ("h", "hello", [Edit(1, 1, "ello")]),
        ("the cat sat", "the dog sat", [Edit(4, 7, "dog")]),
        ("the quick brown fox", "the slow red fox", [Edit(4, 15, "slow red")]),
        ("foo(a, b)", "foo(x, y)", [Edit(4, 5, "x"), Edit(7, 8, "y")]),
        ("x", "(x)", [Edit(0, 0, "("), Edit(1, 1, ")")]),
        ("foo bar", "foobar", [Edit(3, 4, "")]),
        ("colour colours", "color colors", [Edit(4, 5, ""), Edit(11, 12, "")]),
        ("color = red", "color = green", [Edit(8, 11, "green")]),
        ("one f8d8 of it and\nmore a8 of", "one 6658 of", [Edit(4, 26, "6658")]),
        ("getName()", "getFullNameOf()", [Edit(3, 3, "Full"), Edit(7, 7, "Of")]),
        ("你好世界今天", "你好美丽世界明天", [Edit(2, 2, "美丽"), Edit(4, 5, "明")]),
        ("ab\r\ncd\r\n", "ab\ncd\n", [Edit(2, 3, ""), Edit(6, 7, "")]),
    ],
)
def test_edits_are_small_and_mean_something(old: str, new: str, edits: list[Edit]) -> None:
    assert list(check(old, new)) == edits


@pytest.mark.parametrize(
    ("old", "new", "edits"),
    [
        ("a\nb\n", "a\nx\nb\n", [Edit(2, 2, "x\n")]),
        ("a\na\n", "a\na\na\n", [Edit(4, 4, "a\n")]),
        ("a\na\na\n", "a\na\n", [Edit(4, 6, "")]),
        ("return x", "return y\nreturn x", [Edit(0, 0, "return y\n")]),
        ("f {\n}\n\ng {\n}\n", "f {\n}\n\nh {\n}\n\ng {\n}\n", [Edit(7, 7, "h {\n}\n\n")]),
        ("one two three", "one three", [Edit(4, 8, "")]),
        ("one three", "one two three", [Edit(4, 4, "two ")]),
        ("b aaaa", "b aaaaaa", [Edit(2, 2, "aa")]),
        ("x.y.z", "x.y.y.z", [Edit(4, 4, "y.")]),
        ("a b of it\n", "a b of it now\na c of it\n", [Edit(9, 9, " now\na c of it")]),
        ("a b of it", "a b of it\na c of it", [Edit(9, 9, "\na c of it")]),
    ],
)
def test_an_insertion_or_deletion_that_could_stand_elsewhere_stands_at_its_best_place(
    old: str, new: str, edits: list[Edit]
) -> None:
    assert list(check(old, new)) == edits


@pytest.mark.parametrize(
    ("old", "new", "edits"),
    [
        (
            "line 1 of it\nline 2 of it\n",
            "line 1 of it with line 3 of it\nline 2 of it, too\n",
            [Edit(12, 12, " with line 3 of it"), Edit(25, 25, ", too")],
        ),
        ("one of\ntwo\n", "with one of\nof two\n", [Edit(0, 0, "with "), Edit(7, 7, "of ")]),
    ],
)
def test_a_line_ends_where_it_did_though_it_goes_on_with_words_of_the_next(
    old: str, new: str, edits: list[Edit]
) -> None:
    assert list(check(old, new)) == edits


def test_of_two_lines_that_begin_alike_the_one_that_stays_is_not_written_anew() -> None:
    todo = "- [ ] buy milk today\n- [ ] buy eggs today\n"
    gone_on = "- [ ] buy eggs today, and bread today\n"
    assert check(todo, gone_on) == (Edit(0, 21, ""), Edit(41, 41, ", and bread today"))
    start = "x" * 1100  # too much to compare again
    assert size_of(check(f"{start} one\n{start} two\n", f"{start} two, too\n")) < 1200


def test_a_slide_stops_short_of_the_edits_beside_it() -> None:
    check("ababab\nab", "abXabab\nabab")
    check("b aa aa c", "bb aa aa aa cc")


def test_a_rewritten_phrase_is_one_edit_but_never_across_lines() -> None:
    assert len(check("we saw the red house there", "they met a blue horse here")) <= 3
    edits = check("alpha\nbeta\n", "one\ntwo\n")
    assert [edit.text for edit in edits] == ["one", "two"]


def test_few_words_that_remain_in_a_long_rewrite_are_not_kept_apart() -> None:
    old = "Notwithstanding everything of importance, proceed"
    new = "I would say of whatever there may be, wait"
    assert size_of(check(old, new)) >= len(new)


def test_changed_lines_far_apart_are_separate_edits() -> None:
    changed = list(LINES)
    changed[5] = "changed\n"
    changed[2900] = changed[2900].replace("some", "few")
    assert len(check("".join(LINES), "".join(changed))) == 2


def test_scattered_edits_in_one_line_or_one_word_stay_small() -> None:
    rng = random.Random(7)
    for text in ("".join(LINES)[:10_000].replace("\n", " "), "".join(rng.choices("abcdefgh", k=5000))):
        characters = list(text)
        for _ in range(250):
            characters[rng.randrange(len(characters))] = rng.choice("XYZ")
        assert size_of(check(text, "".join(characters))) < 2000


def test_a_few_edits_in_a_huge_line_are_found() -> None:
    text = "".join(f'{{"id": {number}, "name": "n{number}"}}, ' for number in range(6000))
    changed = text[:50] + "X" + text[51:90_000] + "inserted" + text[90_000:-50] + text[-49:]
    edits = check(text, changed)
    assert len(edits) == 3
    assert size_of(edits) == 11


def test_line_endings_and_indentation_change_line_by_line() -> None:
    text = "".join(LINES)
    assert size_of(check(text, text.replace("\n", "\r\n"))) == len(LINES)
    assert size_of(check(text, "".join("\t" + line for line in LINES))) == len(LINES)
    changed = "".join("    " + line for line in [*LINES[:1500], "one more\n", "and more\n", *LINES[1500:]])
    assert size_of(check(text, changed)) == 4 * len(LINES) + len("    one more\n    and more\n")


def test_a_word_that_changed_in_every_line_changes_there() -> None:
    text = "".join(LINES)
    assert size_of(check(text, text.replace("some", "many"))) <= 8 * len(LINES)


def test_what_is_too_large_to_compare_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffing, "_WORDS_MAX_CHARS", 10)
    assert check("some old text", "quite another thing") == (Edit(0, 13, "quite another thing"),)
    monkeypatch.setattr(diffing, "_PAIRED_ABOVE_CHARS", 0)
    monkeypatch.setattr(diffing, "_PAIRED_MAX_LINES", 0)
    assert size_of(check("a b\nc d\ne f\n", "g h i\nj k l\nm n o\n")) >= 20


def test_long_runs_of_letters_are_compared_by_characters() -> None:
    old = "".join(chr(97 + number * number % 23) for number in range(400))
    new = old[:100] + "X" + old[100:300] + old[301:]
    assert size_of(check(old, new)) == 2


def test_equal_parts_of_a_changed_text_make_no_edits() -> None:
    comparison = diffing._Comparison()
    comparison.words("the same", "the same", 0)
    assert comparison.edits == []


def test_edits_that_do_not_fit_are_refused() -> None:
    for edits in ([Edit(2, 1, "")], [Edit(0, 4, "")], [Edit(1, 2, ""), Edit(0, 1, "")], [Edit(-1, 0, "")]):
        with pytest.raises(ValueError, match="does not fit"):
            apply_edits("abc", edits)
    assert apply_edits("abc", [Edit(1, 1, "x"), Edit(1, 2, "y")]) == "axyc"
