"""Which version a save was made from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text import base as bases
from crdtsync.core.text.base import (
    choose_base,
    has_all_lines_of,
    has_line_of,
    keeps_insertions,
    with_saves,
    without_unseen,
)
from crdtsync.core.text.diff import apply_edits
from crdtsync.core.text.rebase import rebase

FIRST = "title\n\none\ntwo\nthree\n"
SECOND = "title\n\none\nTWO by another\nthree\n"
THIRD = "title\n\none\nTWO by another\nthree\nfour\n"


@pytest.mark.parametrize(
    ("saved", "current", "older", "base"),
    [
        ("title\n\none\ntwo\nthree, edited\n", SECOND, [FIRST], 0),
        ("title\n\none\ntwo\nthree, edited\n", THIRD, [SECOND, FIRST], 1),
        ("title\n\none\nTWO by another\nthree, edited\n", THIRD, [SECOND, FIRST], 0),
        ("title\n\none\ntwo\nthree, edited\n", THIRD, [SECOND, SECOND, THIRD, FIRST], 3),
        ("TITLE\n\none\ntwo\nthree\n", "title\n\none\nthree\n", [FIRST], 0),
        ("mine\n", "theirs\n", [""], 0),
    ],
    ids=[
        "one change",
        "two changes",
        "the later of two",
        "versions again",
        "a deletion is back",
        "a new file",
    ],
)
def test_a_save_of_a_stale_buffer_has_the_version_that_the_editor_had_loaded(
    saved: str, current: str, older: list[str], base: int
) -> None:
    assert choose_base(saved, current, older) == base


@pytest.mark.parametrize(
    ("saved", "current", "older"),
    [
        (THIRD, THIRD, [SECOND]),
        ("title\n\none\nTWO by another\nthree, edited\n", SECOND, [FIRST]),
        ("title\n\none\nTWO by another!\nthree\n", SECOND, [FIRST]),
        ("title\n\none\nTWO by us\nthree\n", SECOND, [FIRST]),
        ("", SECOND, [FIRST]),
        ("quite another text\n", THIRD, [SECOND, FIRST]),
        ("title\n\none\ntwo\nthree, edited\nfour\n", THIRD, [SECOND, FIRST]),
        ("title\n\none\nTWO by another\nfour\nmore\n", THIRD, [SECOND, FIRST]),
        ("title\n\none\nthree, edited\n", "title\n\none\nthree\n", [FIRST]),
        (
            "title\n\none\nthree, edited\n",
            "title\n\none\nthree\na line that came since\n",
            [FIRST],
        ),
        ("anything\n", SECOND, []),
        (
            "a new line\nthe same [checked] [checked]\n",
            "the same [checked] [checked]\nfor all [checked] [checked]\n",
            ["the same [checked]\nfor all [checked]\n"],
        ),
    ],
    ids=[
        "the same",
        "an edit elsewhere",
        "an edit of the change",
        "the change replaced",
        "emptied",
        "rewritten",
        "one change of two undone",
        "a deletion beside one change",
        "a deletion that both made",
        "one deletion of two changes",
        "nothing older",
        "a line that has its words twice since",
    ],
)
def test_a_save_of_a_fresh_buffer_has_the_current_version(saved: str, current: str, older: list[str]) -> None:
    assert choose_base(saved, current, older) is None


def test_a_save_that_equals_an_older_version_is_a_deliberate_revert() -> None:
    assert choose_base(FIRST, THIRD, [SECOND, FIRST]) is None
    assert choose_base(SECOND, THIRD, [SECOND, FIRST]) is None


def test_a_change_taken_out_in_vain_goes_when_it_is_taken_out_again() -> None:
    taken_out = FIRST.replace("one", "ONE")
    assert choose_base(taken_out, SECOND, [FIRST]) == 0
    back = apply_edits(SECOND, rebase(FIRST, taken_out, SECOND))
    assert back == SECOND.replace("one", "ONE")
    assert choose_base(taken_out, back, [taken_out, SECOND, FIRST]) is None


def test_a_save_that_has_a_line_that_came_since_was_made_from_it() -> None:
    version = "one of the lines\ntwo of the lines\n"
    current = "one of the lines\ntwo of the lines with words\nthree brought wisdom\n"
    assert choose_base("one of the lines\nthree brought wisdom today\n", current, [version]) is None


def test_short_lines_that_came_since_show_together_that_they_were_seen() -> None:
    current = "bread\nof a kind\nsome other words here\nlast\n"
    saved = "bread [x]\nwords that are quite new\nof a kind [x]\nlast [x]\n"
    assert choose_base(saved, current, ["last\n"]) is None
    assert choose_base(saved.replace("of a", "one"), current, ["last\n"]) == 0, "one of them may be by chance"


def test_letters_that_came_into_a_word_show_that_they_were_seen() -> None:
    older = ["line ae18 F 9e30 of text\nxy", "line ae18 F 9e30 of text\ny"]
    current = "line ae8 18 F 9e30 of text\nxy"
    chosen = choose_base("xy\nline 0c40 E fcbd of text\n", current, older)
    assert chosen != 1


def test_a_han_character_tells_as_much_as_a_short_word() -> None:
    """Somebody added it to a line, and a line below; the save has the one, and another line for the other."""
    current = "牛奶和\n面包在桌子上还有很多别的东西\n"
    assert choose_base("去买一点东西\n牛奶和\n", current, ["牛奶\n"]) is None
    assert choose_base("去买一点东西\n牛奶\n", current, ["牛奶\n"]) == 0


def test_words_that_two_lines_share_do_not_show_that_one_was_seen() -> None:
    version = "alike\nfor all\n"
    current = "a line of text with wisdom\nalike\nfor all\n"
    saved = "alike\na line of text with folly\nfor all\n"
    assert choose_base(saved, current, [version]) == 0


@pytest.mark.parametrize(
    ("saved", "merged", "base"),
    [
        ("last\n", "", 0),
        ("last\n", "saved beside\n", None),
        ("saved beside it\n", "saved beside\n", 0),
    ],
    ids=["nothing is there", "not seen", "seen"],
)
def test_only_a_save_that_has_a_line_of_it_takes_out_what_was_merged_from_another_file(
    saved: str, merged: str, base: int | None
) -> None:
    lines = "one of the lines\ntwo of the lines\n"
    current, beside = f"zero by another\n{lines}three\n", f"{lines}saved beside\n"
    assert choose_base(lines + saved, current, [beside], merged=current + merged) == base


def test_an_older_version_with_what_programs_here_saved_since_has_nothing_of_what_we_wrote_since() -> None:
    assert with_saves(FIRST, [], FIRST) == FIRST
    assert with_saves(FIRST, [(SECOND, False), (THIRD, True)], THIRD) == FIRST + "four\n"
    assert with_saves(FIRST, [(SECOND, True), (THIRD, False)], THIRD) == SECOND
    assert with_saves(FIRST, [(SECOND, True), (THIRD, True)], THIRD) == THIRD


def test_a_line_that_a_save_here_took_out_and_others_kept_is_in_an_older_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = "a walk in the park\nan hour at the sea\n"
    merged = "a day at home\nan hour at the sea, with others\n"
    saved = "a day at home\n"
    assert with_saves(version, [(saved, True)], merged) == saved + "an hour at the sea\n"
    assert with_saves(version, [(saved, True)], saved) == saved
    monkeypatch.setattr(bases, "_SHARED_MAX_CHARS", len(version) + len(merged) - 1)
    assert with_saves(version, [(saved, True)], merged) == saved, "that would take too long"


def test_a_line_that_others_kept_beside_one_like_it_is_in_an_older_version() -> None:
    version, saved = "order nine ripe apples for today\n", "order four melons for today\n"
    assert with_saves(version, [(saved, True)], saved + version) == saved + version


@pytest.mark.parametrize(
    ("base", "saved", "current", "left"),
    [
        ("one\ntwo\nthree\n", "one\n", "one\ntwo\n", "one\ntwo\n"),
        ("one\n\nthree\n", "one\n", "one\n", "one\n\n"),
        ("one\ntwo\n", "one\nanother\n", "one\n", "one\ntwo\n"),
        ("one and more\ntwo\n", "one\ntwo\n", "two\n", "one and more\ntwo\n"),
        ("one\ntwo", "one\n", "one\n", "one\ntwo"),
    ],
    ids=["whole lines", "an empty one tells nothing", "replaced", "a part of one", "one that has no end"],
)
def test_of_a_guessed_base_nobody_took_out_what_neither_the_save_has_nor_stood_there(
    base: str, saved: str, current: str, left: str
) -> None:
    assert without_unseen(base, saved, current) == left


@given(st.data())
def test_the_edit_of_a_stale_buffer_reverts_nothing(data: st.DataObject) -> None:
    lines = [f"line {number} of the text\n" for number in range(12)]
    versions = ["".join(lines)]
    for number in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 5))
        lines[at] = f"line {at} as another wrote it {number}\n"
        versions.append("".join(lines))
    current, *older = reversed(versions)
    loaded = data.draw(st.integers(0, len(older) - 1))
    edited = data.draw(st.integers(8, 11))
    saved = older[loaded].replace(f"line {edited} of", f"line {edited} that we changed of")
    chosen = choose_base(saved, current, older)
    base = current if chosen is None else older[chosen]
    if older[loaded] != current:
        assert base == older[loaded]
    result = apply_edits(current, rebase(base, saved, current))
    assert result == current.replace(f"line {edited} of", f"line {edited} that we changed of")


@given(
    st.text("ab \n", max_size=20),
    st.text("ab \n", max_size=20),
    st.lists(st.text("ab \n", max_size=20), max_size=4),
)
def test_any_texts_have_an_answer(saved: str, current: str, older: list[str]) -> None:
    chosen = choose_base(saved, current, older)
    assert chosen is None or saved not in (current, *older)


@pytest.mark.parametrize(
    ("older", "later", "saved", "kept"),
    [
        ("one\ntwo\n", "one\nt8wo\n", "new\none\nt8wo\n", True),
        ("one\ntwo\n", "one\nt8wo\n", "new\none\ntwo\n", False),
        ("one\ntwo\n", "one\ntwo\nthree\nfour\n", "one\ntwo\nthree\n", False),
        ("one\ntwo\n", "one\ntwo seventh\n", "one\ntwo seventeenth\n", False),
        ("one\ntwo\n", "one\n", "one\nnew\n", False),  # what was only taken out shows nothing
        ("one\ntwo\n", "one\n\ntwo\n", "one\n\ntwo\nnew\n", False),  # nor does an empty line
    ],
)
def test_a_save_keeps_what_a_version_added_or_not(older: str, later: str, saved: str, kept: bool) -> None:
    assert keeps_insertions(saved, later, older) is kept


@pytest.mark.parametrize(
    ("saved", "has"),
    [
        ("one\nsome words that are new here!\n", True),
        ("one\n", False),
        ("one\nsome of that\n", False),
    ],
)
def test_a_save_that_has_a_line_of_the_latest_text_alone_was_made_from_that(saved: str, has: bool) -> None:
    assert has_line_of(saved, "one\nsome words that are new here\n", "one\n") is has


def test_a_line_like_one_that_came_since_shows_nothing_where_it_stands_elsewhere() -> None:
    """Ann and Bob each sign a paragraph of a text, which Ann's editor had loaded without what Bob did."""
    first, second = (f"paragraph {name} of the text, which goes on for a while\n" for name in ("one", "two"))
    bob, ann = (f"reviewed in June by {name}\n" for name in ("Bob", "Ann"))
    current = first + bob + second + "an end that came since\n"
    assert choose_base(first + second + ann, current, [first + second]) == 0
    assert choose_base(first + ann + second, current, [first + second]) is None


@pytest.mark.parametrize(
    ("saved", "has"),
    [
        ("one\nsome words that are new here!\nmore of them that nobody had\n", True),
        ("one\nmore of them that nobody had\n", False),
        ("one\nother words, and\nmore of them that nobody had\n", False),
    ],
)
def test_a_save_that_lacks_a_new_line_of_a_text_has_not_all_of_them(saved: str, has: bool) -> None:
    later = "one\nsome words that are new here\nmore of them that nobody had\n.\n"
    assert has_all_lines_of(saved, later, "one\n") is has


def test_a_large_text_is_not_split_into_words_where_no_older_version_is_nearer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def words(_: str) -> list[str]:
        raise AssertionError

    monkeypatch.setattr(bases, "words", words)
    assert choose_base(SECOND + "five\n", SECOND, [FIRST], merged=THIRD) is None


def test_lines_that_have_no_new_word_in_common_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a formatter changed all lines, each would be compared with each."""
    compared: list[object] = []
    monkeypatch.setattr(bases, "_are_among", lambda *each: compared.append(each))
    version, saved, current = (
        "".join(f"line{at} {word}{at} it\n" for at in range(40))
        for word in ("first", "secondary", "thirdword")
    )
    assert not has_line_of(saved, current, version)
    assert not has_line_of(saved + "thirdword7\n", current, version)
    assert len(compared) == 1


def test_where_nothing_older_is_known_nothing_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def diff(*_: str) -> None:
        raise AssertionError

    monkeypatch.setattr(bases, "diff", diff)
    assert choose_base(SECOND, FIRST, []) is None


PRICES = [
    f"the price of {name} in the market\n" for name in ("ripe apples", "blue plums", "dry figs", "green tea")
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_that_is_like_one_that_came_since_at_another_place_is_not_made_of_that(end: str) -> None:
    apples, plums, figs, tea = (price.replace("\n", end) for price in PRICES)
    older, current = apples + end + tea, apples + end + plums + tea
    assert choose_base(apples + figs + end + tea, current, [older]) == 0
    assert choose_base(apples + end + figs + tea, current, [older]) is None, "in its place it may be"


def test_one_whole_line_of_several_that_came_at_one_place_shows_that_they_were_seen() -> None:
    version, current = "one\ntwo\n", "one kiwi\nand quite another line of text\ntwo\n"
    assert choose_base("one kiwi, checked\ntwo, checked\n", current, [version]) is None
    assert choose_base("one, checked\ntwo, checked\n", current, [version]) == 0


def test_a_save_that_goes_on_from_one_that_waits_was_not_made_from_an_older_version() -> None:
    version, came = "bread from the baker\nripe melons from the south\n", "oil from the south\n"
    waits = f"salt\n{version}a pound of coffee\n"
    saved = waits.replace("\n", " (got)\n")
    between = [waits]
    current = f"salt\n{came}{version}"
    assert choose_base(saved, current, [version]) == 0
    assert choose_base(saved, current, [version], between=between) is None
    saved = saved.replace("pound of coffee", "box of tea")
    assert choose_base(saved, current, [version], between=between) == 0, "it has nothing of that"
    between = [waits.replace("salt", "pepper")]
    assert choose_base(saved, current, [version], between=between) == 0, "that may be of the version itself"
