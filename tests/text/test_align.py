"""Which elements of two sequences correspond."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text import align as aligning
from crdtsync.core.text.align import (
    DIRECT_CELLS,
    Budget,
    Run,
    align,
    common_prefix,
    common_suffix,
    exact_pairs,
    skim,
)


def longest(old: Sequence[object], new: Sequence[object]) -> int:
    """The length of a longest common subsequence, by the textbook."""
    row = [0] * (len(new) + 1)
    for element in old:
        diagonal = 0
        for j, other in enumerate(new, start=1):
            diagonal, row[j] = row[j], diagonal + 1 if element == other else max(row[j], row[j - 1])
    return row[-1]


def matched(runs: Sequence[Run]) -> int:
    return sum(length for _, _, length in runs)


def check(old: Sequence[object], new: Sequence[object], runs: Sequence[Run]) -> None:
    i = j = -1
    for old_start, new_start, length in runs:
        assert length > 0
        assert old_start >= max(i, 0)
        assert new_start >= max(j, 0)
        assert (old_start, new_start) != (i, j), "two runs touch"
        assert old[old_start : old_start + length] == new[new_start : new_start + length]
        i, j = old_start + length, new_start + length
    assert i <= len(old)
    assert j <= len(new)


few = st.lists(st.integers(0, 3), max_size=30)


@given(few, few)
def test_small_sequences_are_compared_exactly(old: list[int], new: list[int]) -> None:
    runs = align(old, new, Budget())
    check(old, new, runs)
    assert matched(runs) == longest(old, new)
    assert len(exact_pairs(old, new)) == longest(old, new)


@given(st.text("ab", max_size=200), st.text("ab", max_size=200), st.integers(0, 5), st.integers(0, 5))
def test_common_ends_are_found_by_slices(old: str, new: str, i: int, j: int) -> None:
    i, j = min(i, len(old)), min(j, len(new))
    length = common_prefix(old, new, i, j)
    assert old[i : i + length] == new[j : j + length]
    assert i + length == len(old) or j + length == len(new) or old[i + length] != new[j + length]
    limit = min(len(old), len(new))
    length = common_suffix(old, new, limit)
    assert old[len(old) - length :] == new[len(new) - length :]
    assert length == limit or old[-length - 1] != new[-length - 1]


def test_long_common_ends_are_found() -> None:
    assert common_prefix("a" * 5000 + "b", "a" * 5000 + "c") == 5000
    assert common_prefix("a" * 5000, "a" * 5001) == 5000
    assert common_suffix("b" + "a" * 5000, "c" + "a" * 5000, 5001) == 5000
    assert common_suffix("a" * 5000, "a" * 5000, 4000) == 4000


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes short sequences take the ways of long ones."""
    monkeypatch.setattr(aligning, "DIRECT_CELLS", 4)
    monkeypatch.setattr(aligning, "_SKIM_ABOVE", 30)


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("cells", [0, 50, 10**6])
def test_whatever_the_way_what_corresponds_is_equal_and_in_order(cells: int) -> None:
    @given(st.lists(st.integers(0, 40), max_size=80), st.data())
    def attempt(old: list[int], data: st.DataObject) -> None:
        new = list(old)
        for _ in range(data.draw(st.integers(0, 6))):
            at = data.draw(st.integers(0, len(new)))
            end = at + data.draw(st.integers(0, 3))
            new[at:end] = data.draw(st.lists(st.integers(0, 40), max_size=3))
        check(old, new, align(old, new, Budget(cells)))

    attempt()


def test_a_few_changes_in_long_sequences_are_found_by_skimming() -> None:
    old = [f"line {number}" for number in range(5000)]
    new = list(old)
    new[10] = "changed"
    del new[2500]
    new[4000:4000] = ["inserted", "lines"]
    runs = align(old, new, Budget(0))
    check(old, new, runs)
    assert matched(runs) == 4998


def test_unique_elements_hold_long_sequences_together_where_they_changed_too_much_to_skim() -> None:
    old = [number if number % 100 == 0 else number % 7 for number in range(3000)]
    new = [number if number % 100 == 0 else number % 5 for number in range(3000)]
    runs = align(old, new, Budget())
    check(old, new, runs)
    assert all(any(i <= at < i + n for i, _, n in runs) for at in range(0, 3000, 100))


def test_of_elements_that_changed_places_the_longest_ascending_run_stays() -> None:
    first, second = list(range(2000)), list(range(2000, 3000))
    runs = align(first + second, second + first, Budget())
    assert matched(runs) == 2000


def test_unique_runs_serve_where_no_element_is_unique(monkeypatch: pytest.MonkeyPatch) -> None:
    old = random.Random(3).choices(range(20), k=1500)
    new = [*old[700:], *old[:600]]
    monkeypatch.setattr(aligning, "_SKIPS_MAX", 0)
    runs = align(old, new, Budget(0))
    check(old, new, runs)
    assert matched(runs) >= 700


def test_beyond_its_budget_only_what_stands_at_the_same_place_is_found() -> None:
    old = [number % 3 for number in range(1000)]
    new = list(old)
    for at in range(0, 1000, 10):
        new[at] = 7
    new[0] = new[-1] = 8
    assert len(old) * len(new) > DIRECT_CELLS
    assert matched(align(old, new, Budget(0))) == sum(a == b for a, b in zip(old, new, strict=True))
    assert align([1, 2, 1, 2, 1], [2, 1, 1, 1, 2], Budget(0)) == []
    assert align([1, 2, 1], [2, 2, 2, 2], Budget(0)) == []


def test_sequences_beyond_measure_are_only_skimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aligning, "_THOROUGH_MAX", 2)
    assert align([1, 2, 3, 4], [1, 3, 2, 4], Budget()) == [(0, 0, 1), (3, 3, 1)]


def test_a_budget_is_spent_once() -> None:
    budget = Budget(10)
    assert budget.spend(6)
    assert not budget.spend(5)
    assert budget.spend(4)


def test_skimming_stops_where_nothing_is_near() -> None:
    runs, i, j = skim("same text here" + "x" * 50, "same text here" + "y" * 50, 8, 16)
    assert runs == [(0, 0, 14)]
    assert (i, j) == (14, 14)


def test_skimming_takes_the_nearest_way_on() -> None:
    runs, i, j = skim("0123456789-abcdefgh", "0123456789++abcdefgh", 4, 16)
    assert runs == [(0, 0, 10), (11, 12, 8)]
    assert (i, j) == (19, 20)
