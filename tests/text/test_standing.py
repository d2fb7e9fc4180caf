"""Whole lines that two people wrote in one place: both stand, however little there is in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product

import pytest

from crdtsync.core.text.align import Budget
from crdtsync.core.text.diff import apply_edits
from crdtsync.core.text.interleave import joined_insertions
from crdtsync.core.text.lines import Known, has_new_lines
from crdtsync.core.text.rebase import includes, rebase
from crdtsync.core.text.standing import stand_in

LINES = (
    "1\n",
    "= 1\n",
    "x = 1\n",
    "max = 1\n",
    "x = 1 1\n",
    "end\n",
    "the end\n",
    "}\n",
    " }\n",
    "return\n",
    "return x\n",
)
BASES = ("", "a\n", "}\n", "a\nb\n", "a one two\nb three four\n")


def insertions(base: str, line: str) -> Iterator[str]:
    lines = base.splitlines(keepends=True)
    for at in range(len(lines) + 1):
        yield "".join([*lines[:at], line, *lines[at:]])


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("also", ["", "z"])
def test_a_line_stays_though_another_that_was_inserted_has_all_of_it(base: str, also: str) -> None:
    for one, other in product(LINES, LINES):
        if one == other:
            continue
        for ours, inserted in product(insertions(base, one), insertions(base, other)):
            theirs = inserted.replace("a", "a" + also).replace("b", "b" + also)
            result = apply_edits(theirs, rebase(base, ours, theirs))
            stands = Counter(result.splitlines())
            assert one.strip("\n") in stands, (base, ours, theirs, result)
            assert not Counter(theirs.splitlines()) - stands, (base, ours, theirs, result)


@pytest.mark.parametrize(
    ("lines", "others", "stand"),
    [
        (["milk\n"], ["oat milk\n"], False),
        (["milk\n"], ["eggs\n", "milk\n"], True),
        (["milk\n", "eggs\n"], ["eggs\n", "milk\n"], False),
        (["milk\n"], ["  milk\n"], True),
        (["}\n"], ["  }\n"], False),
        (["return value\n"], ["return value or 0\n"], True),
        (["return value\n"], ["return values\n"], False),
        ([], ["x\n"], True),
    ],
)
def test_a_line_stands_as_it_is_or_indented_or_gone_on_with(
    lines: list[str], others: list[str], stand: bool
) -> None:
    assert stand_in(lines, others) is stand


def test_a_text_has_what_another_changed_only_if_it_has_its_new_lines() -> None:
    assert includes("a\n", "a\nx = 1\n", "a\nx = 1\ny\n")
    assert not includes("a\n", "a\nx = 1\n", "a\nmax = 1\n")
    assert not includes("total 1\n", "total 1 a\n2\n", "total 1 a 2\n")
    assert includes("", "this has no end", "this has no end yet")
    assert not includes("", "no end", "no end yet")


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("end", "the end"),
        ("".join(f"{n} one\n" for n in range(70)), "".join(f"{n} other\n" for n in range(70))),
    ],
    ids=["not ended", "too many"],
)
def test_where_lines_cannot_be_told_all_may_stand(less: str, more: str) -> None:
    base = "".join(f"{n}\n" for n in range(100, 170))
    assert has_new_lines(base, less, more, Known(base, less, more), Budget())


@pytest.mark.parametrize(
    ("ours", "theirs", "result"),
    [
        (" and on", "\nnext", " and on\nnext"),
        (" more\nours", " more and more\ntheirs", " more and more\ntheirs\nours"),
    ],
)
def test_what_both_inserted_within_a_line_goes_on_in_it(ours: str, theirs: str, result: str) -> None:
    assert apply_edits(theirs, joined_insertions(ours, theirs, alike=True, mid_line=True)) == result
