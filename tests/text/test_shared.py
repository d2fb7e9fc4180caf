"""Lines that two sides have in common and their base lacks, at the end of a text as between its lines."""

from __future__ import annotations

import pytest

from crdtsync.core.text.align import Budget
from crdtsync.core.text.diff import apply_edits
from crdtsync.core.text.rebase import rebase
from crdtsync.core.text.shared import with_shared_lines
from crdtsync.core.text.words import words


@pytest.mark.parametrize(
    ("base", "both", "shared"),
    [
        ("one\nlast", "one\nalphabet soup\nlast", True),
        ("one\nlast\n", "one\nlast\nalphabet soup\n", True),
        ("begin end", "begin alphabetical end", False),
        ("begin", "begin\nalphabet soup", False),
    ],
)
def test_what_both_wrote_is_a_line_of_the_base_only_where_it_is_one_between_its_lines(
    base: str, both: str, shared: bool
) -> None:
    found = with_shared_lines(base, both, both, set(words(base)), Budget(1_000_000), older=True)
    assert found == (both if shared else base)


@pytest.mark.parametrize(
    ("ours", "theirs", "result"),
    [
        (
            "ours\nalpha beta gamma delta\nlast line\n",
            "theirs\nfirst line\nalpha beta gamma or\n delta so\nlast line\n",
            "theirs\nours\nalpha beta gamma or\n delta so\nlast line\n",
        ),
        # where the next line does not go on with it, they are two
        (
            "ours\nalpha beta gamma delta\nlast line\n",
            "theirs\nfirst line\nalpha beta gamma or\n so delta\nlast line\n",
            "theirs\nours\nalpha beta gamma delta\nalpha beta gamma or\n so delta\nlast line\n",
        ),
    ],
)
def test_a_line_that_the_base_lacks_and_one_side_broke_is_one(ours: str, theirs: str, result: str) -> None:
    base = "first line\nlast line\n"
    assert apply_edits(theirs, rebase(base, ours, theirs)) == result
    back = apply_edits(ours, rebase(base, theirs, ours))
    assert sorted(back.splitlines()) == sorted(result.splitlines())
