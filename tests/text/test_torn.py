"""What is left of a text that a power cut kept from being saved whole."""

from __future__ import annotations

import pytest

from crdtsync.core.text.torn import beginning, cut_short, looks_torn, mended, unspliced

BASE = "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("left", "text"),
    [
        ("", BASE),
        ("one\ntw", BASE),
        ("one\nnew\ntwo\n", "one\nnew\ntwo\nthree\n"),
        # what was being written when it was cut is not in the text before: it stands on a line of its own
        ("one\nne", "one\nne\ntwo\nthree\n"),
        ("zero\none\ntwo\nthree\nfo", "zero\none\ntwo\nthree\nfo\n"),
    ],
)
def test_the_end_that_a_save_lacks_is_that_of_the_text_before(left: str, text: str) -> None:
    assert mended(BASE, left) == text


@pytest.mark.parametrize("end", ["third lin", "third line of", "third line of text [checked"])
def test_a_torn_text_that_was_formatted_has_each_line_once(end: str) -> None:
    base = "first line of text\nsecond line of text\nthird line of text\nfourth line of text\n"
    left = "first line of text [checked]\nsecond line of text [checked]\n" + end
    whole = "first line of text [checked]\nsecond line of text [checked]\n"
    third = end if "[" in end else "third line of text"
    assert mended(base, left) == f"{whole}{third}\nfourth line of text\n"


@pytest.mark.parametrize(
    ("base", "left", "text"),
    [
        ("a\n", "a new line\na, wi", "a new line\na, wi\n"),
        ("one\na\nthree\n", "one\na, with more\nand", "one\na, with more\nand\nthree\n"),
        # it only begins with the same letters, or with what begins any line
        ("a\n", "an apple", "an apple\na\n"),
        ("one\n}\n", "one\n} else {\nthr", "one\n} else {\nthr\n}\n"),
    ],
)
def test_a_short_line_that_was_gone_on_with_when_it_was_cut_is_there_once(
    base: str, left: str, text: str
) -> None:
    assert mended(base, left) == text


@pytest.mark.parametrize(
    ("left", "torn"), [("", True), ("one\ntw", True), (BASE, False), ("one\n", False), ("other\n", False)]
)
def test_what_is_empty_or_ends_within_a_line_may_have_been_cut(left: str, torn: bool) -> None:
    assert looks_torn(BASE, left) is torn


def test_a_text_without_an_end_of_line_is_no_sign_of_a_cut() -> None:
    assert not looks_torn("one", "on")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"abc\0\0", "abc"),
        ("né".encode()[:-1], "n"),
        (b"", ""),
        (b"a\0b", None),
        (b"\xff\xfe", None),
        (b"abc\xff", None),
    ],
)
def test_the_text_before_zeros_or_half_a_character_is_known(data: bytes, text: str | None) -> None:
    assert beginning(data) == (text, 0)


@pytest.mark.parametrize(("at", "going_on"), [(0, 1), (0, 3), (1, 2), (1, 3), (2, 3), (4, 1), (4, 3)])
def test_a_text_that_goes_on_with_another_from_within_a_character_is_known_up_to_there(
    at: int, going_on: int
) -> None:
    written, stood = "new \U00020001".encode()[: 4 + at], "\U00020002 old".encode()[going_on:]
    assert beginning(written + stood) == (written.decode(errors="ignore"), len(b" old"))


def test_what_is_broken_twice_is_no_text_that_goes_on_with_another() -> None:
    assert beginning(b"new \xf0 old \xf0 old") == (None, 0)


@pytest.mark.parametrize("inserted", [" with more", "\na new line with \u00e9"])
def test_what_a_save_seems_to_delete_where_the_old_file_goes_on_was_deleted_by_nobody(inserted: str) -> None:
    base = "".join(f"line {name} of a text\n" for name in ("one", "two", "three", "four", "five"))
    saved = base.replace("line two of a text", "line two of a text" + inserted)
    left = (saved.encode()[:72] + base.encode()[72:]).decode()
    assert left not in (base, saved)
    assert unspliced(base, left) == saved


def test_what_a_save_seems_to_insert_where_the_old_file_goes_on_was_inserted_by_nobody() -> None:
    base = "".join(f"line {name} of a text\n" for name in ("one", "two", "three", "four", "five"))
    saved = base.replace("line two of a text\n", "")
    assert unspliced(base, saved[:50] + base[50:]) == saved


def test_an_edit_that_leaves_the_file_as_long_as_it_was_is_one() -> None:
    assert unspliced(BASE, "one\nsix\nthree\n") == "one\nsix\nthree\n"
    assert unspliced(BASE, BASE) == BASE
    for moved in ("two\nthree\none\n", "two\none\nthree\n"):
        assert unspliced(BASE, moved) == moved
    assert unspliced(BASE, "two\nthree\nsix\n") == "two\nthree\nsix\n"
    assert unspliced(BASE, "one\n") == "one\n"


LINES = "first alpha beta\nsecond gamma delta\nthird one\n"


@pytest.mark.parametrize(
    ("saved", "at"),
    [
        ("inserted here\n" + LINES, 20),
        ("inserted here\n" + LINES, 22),
        (LINES.replace("beta", "beta, then some\n"), 33),
    ],
)
def test_what_the_old_file_hides_of_a_save_was_taken_out_by_nobody(saved: str, at: int) -> None:
    """Within a word, or with fewer lines than before: so nobody writes over as much as they write."""
    left = saved[:at] + LINES[at:]
    assert set(LINES.splitlines()[1:]) <= set(unspliced(LINES, left).splitlines())
    assert not set(LINES.splitlines()[1:]) <= set(left.splitlines())


@pytest.mark.parametrize(
    ("old", "new"), [("gamma", "omega"), ("alpha", "alpen"), ("gamma delta", "gamma\ndelta")]
)
def test_a_word_or_a_break_of_a_line_that_is_as_long_as_what_was_there_was_written_by_someone(
    old: str, new: str
) -> None:
    assert unspliced(LINES, LINES.replace(old, new)) == LINES.replace(old, new)


def test_the_beginning_of_a_text_is_cut_short_if_it_is_as_long_as_one_before_it() -> None:
    assert cut_short("new\n" + BASE, "new\none\ntwo\nth", [BASE])
    assert cut_short("six\none\ntwo\n", "six\none\n", ["one\ntwo\n"])
    assert not cut_short("six\none\ntwo\n", "six\none\n", ["one\n"])
    assert not cut_short("one\ntwo\n", "one\n", ["one\n"])  # taken back as a whole
    assert not cut_short("six\none\ntwo\n", "one\nsix\n", ["one\ntwo\n"])


def test_a_line_that_was_edited_in_two_places_is_told_by_its_words() -> None:
    base = "alpha beta gamma delta\nsome more of it\n"
    assert mended(base, "alpha X beta gamma Y delta\nsome mo") == (
        "alpha X beta gamma Y delta\nsome more of it\n"
    )


@pytest.mark.parametrize(
    ("left", "text"),
    [
        ("1 alpha beta\nnew line\n2 de", "1 alpha beta\nnew line\n2 delta\n3 epsilon\n"),
        ("1 alpha be", "1 alpha beta gamma\n2 delta\n3 epsilon\n"),  # it was cut there
    ],
)
def test_a_line_of_which_something_was_taken_out_is_told_by_its_words(left: str, text: str) -> None:
    assert mended("1 alpha beta gamma\n2 delta\n3 epsilon\n", left) == text
