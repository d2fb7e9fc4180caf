"""Names and bytes that may stand on a disk, and how names of copies are made."""

from __future__ import annotations

import pytest

from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of, digest_of_text, encode_text
from crdtsync.core.values.ids import check_token
from crdtsync.core.values.paths import conflict_path, path_problem, spelling_name
from crdtsync.errors import AccessDenied

IDENTITY = "3f9a2c1d00112233"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("a/b.md", None),
        ("d/" * 20 + "name", None),
        ("a\ud800", "not UTF-8"),
        ("", "empty"),
        ("a\0b", "NUL"),
        (
            "/".join(["n" * limits.NAME_MAX_BYTES] * (limits.PATH_MAX_BYTES // limits.NAME_MAX_BYTES + 1)),
            "long",
        ),
        ("/".join("d" * (limits.PATH_MAX_DEPTH + 1)), "folders deep"),
        ("n" * (limits.NAME_MAX_BYTES + 1), "long"),
        ("a//b", "a part ''"),
        ("a/../b", "'..'"),
    ],
)
def test_a_path_that_cannot_be_in_a_room_is_told_why(path: str, problem: str | None) -> None:
    told = path_problem(path)
    assert (told is None) if problem is None else (told is not None and problem in told), told


@pytest.mark.parametrize(
    "token", ["", "with space", "\udcff", "ä", "a\n", "x" * (limits.TOKEN_MAX_CHARS + 1)]
)
def test_what_cannot_be_a_token_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(AccessDenied) as told:
        check_token(token)
    assert not token or token not in str(told.value)


def test_a_token_of_the_greatest_length_and_none_at_all_are_taken() -> None:
    longest = "x" * limits.TOKEN_MAX_CHARS
    assert check_token(longest) == longest
    assert check_token(None) is None


@pytest.mark.parametrize(
    ("name", "copy"),
    [
        ("d/notes.md", "d/notes (conflict of Ann, 3f9a2c1d).md"),
        (".bashrc", ".bashrc (conflict of Ann, 3f9a2c1d)"),
        # what follows the dot is no ending, but most of a name: it may be shortened like one
        ("see." + "x" * 33, "see." + "x" * 33 + " (conflict of Ann, 3f9a2c1d)"),
        ("a." + "x" * 253, "a." + "x" * 225 + " (conflict of Ann, 3f9a2c1d)"),
    ],
)
def test_the_name_of_a_copy_keeps_the_ending_of_the_file_and_fits_a_disk(name: str, copy: str) -> None:
    assert conflict_path(name, "Ann", IDENTITY) == copy
    assert len(copy.rpartition("/")[2].encode()) <= limits.NAME_MAX_BYTES


def test_a_name_is_shortened_between_characters() -> None:
    made = spelling_name("é" * 127 + ".md", IDENTITY)
    assert made.endswith(" (other spelling, 3f9a2c1d).md")
    assert made.startswith("é" * 100)
    assert len(made.encode()) <= limits.NAME_MAX_BYTES


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a\r\n\ufeffé😀", "a\r\n\ufeffé😀".encode()),
        ("\ud83d\ude00", "😀".encode()),
        ("a\ud83d b", "a\ufffd b".encode()),
    ],
)
def test_halves_of_a_character_are_written_as_the_character_or_as_one_that_is_missing(
    text: str, data: bytes
) -> None:
    assert encode_text(text) == data
    assert digest_of_text(text) == digest_of(data)
