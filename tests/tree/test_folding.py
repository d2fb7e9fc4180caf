"""Names that a file system takes for one."""

from __future__ import annotations

import sys
from unicodedata import normalize

import pytest

from crdtsync.core.values.folding import PLAIN, Folding


@pytest.mark.parametrize(
    ("one", "other", "case", "form"),
    [
        ("a", "A", True, False),
        ("README.md", "readme.MD", True, False),
        ("\u00e9", "e\u0301", True, True),
        ("\u00c9", "e\u0301", True, False),
        ("\u00df", "SS", True, False),
        ("\u03c3", "\u03c2", True, False),
        ("\u212a", "k", True, False),
        ("a\u200db", "ab", True, False),
        ("a", "b", False, False),
        ("\uac00", "\u1100\u1161", True, True),
    ],
)
def test_case_and_form_are_folded_apart(one: str, other: str, case: bool, form: bool) -> None:
    assert (Folding(case=True).key(one) == Folding(case=True).key(other)) is case
    assert (Folding(form=True).key(one) == Folding(form=True).key(other)) is form
    assert PLAIN.path_key(one) != PLAIN.path_key(other)


def test_every_character_is_one_with_its_other_cases_and_forms() -> None:
    both = Folding(case=True, form=True)
    for code in range(0xA0, sys.maxunicode + 1, 1):
        char = chr(code)
        others = {char.upper(), char.lower(), char.casefold(), normalize("NFD", char)} - {char}
        for other in others:
            assert both.key(other) == both.key(char), hex(code)


def test_a_path_is_folded_part_by_part() -> None:
    folding = Folding(case=True, form=True, tail=True)
    assert folding.path_key("Docs. /E\u0301") == folding.path_key("docs/\u00e9")
    assert folding.spelled_path("Docs./e\u0301") == "Docs/\u00e9"
    assert Folding(case=True).spelled_path("e\u0301") == "e\u0301"
