"""Which elements of two sequences correspond: a longest common subsequence, or less where it costs too much.

Works alike on characters, words and lines; what the elements mean is left to ``diff``. All bounds are on
sizes, never on time, so that every machine finds the same answer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from operator import lt
from typing import Final, TypeAlias, TypeVar

from crdtsync.core.values.late import dataclass

T = TypeVar("T", bound=Hashable)

DIRECT_CELLS: Final = 1 << 18
"""Sequences with a product of lengths of at most this are compared exactly, without a look for anchors."""
TOTAL_CELLS: Final = 1 << 27
"""What all exact comparisons that belong together may cost, as those within one text; about 60 ms."""

_GRAMS: Final = (1, 4, 16)
"""Lengths of runs that may serve as anchors where no shorter run is unique."""
_GRAMS_MAX: Final = 1 << 17
"""Sequences above this are not cut in runs; it would take much memory."""
_SKIM_ABOVE: Final = 2048
_SKIM_WIDTH: Final = 8
_SKIM_REACH: Final = 64
_SKIPS_MAX: Final = 1000
_THOROUGH_MAX: Final = 1 << 20
"""Sequences above this in all are only skimmed."""
_MAX_DEPTH: Final = 6
"""How often anchors are looked for between anchors; each time costs about 1 µs for each element."""


Run: TypeAlias = tuple[int, int, int]
"""(i, j, n): ``old[i : i + n]`` corresponds to ``new[j : j + n]``. A tuple, as there may be many."""


class Budget:
    """What comparisons that belong together may still cost, in products of lengths."""

    __slots__ = ("_cells",)

    def __init__(self, cells: int = TOTAL_CELLS) -> None:
        self._cells = cells

    def spend(self, cells: int) -> bool:
        """Whether that much was left; if so it is spent."""
        if cells > self._cells:
            return False
        self._cells -= cells
        return True


def common_prefix(old: Sequence[T], new: Sequence[T], old_start: int = 0, new_start: int = 0) -> int:
    """How many elements are the same from there on; compares slices, not elements."""
    shift = new_start - old_start
    limit = old_start + min(len(old) - old_start, len(new) - new_start)
    low, step = old_start, 32
    while low < limit:
        high = min(low + step, limit)
        if old[low:high] != new[low + shift : high + shift]:
            break
        low, step = high, step * 4
    else:
        return limit - old_start
    while high - low > 1:
        middle = (low + high) >> 1
        if old[low:middle] == new[low + shift : middle + shift]:
            low = middle
        else:
            high = middle
    return low - old_start


def common_suffix(old: Sequence[T], new: Sequence[T], limit: int) -> int:
    """How many elements are the same at the end, at most ``limit`` (which is at most both lengths)."""
    old_end, new_end = len(old), len(new)
    low, step = 0, 32
    while low < limit:
        high = min(low + step, limit)
        if old[old_end - high : old_end - low] != new[new_end - high : new_end - low]:
            break
        low, step = high, step * 4
    else:
        return limit
    while high - low > 1:
        middle = (low + high) >> 1
        if old[old_end - middle : old_end - low] == new[new_end - middle : new_end - low]:
            low = middle
        else:
            high = middle
    return low


def skim(old: Sequence[T], new: Sequence[T], width: int, reach: int) -> tuple[list[Run], int, int]:
    """Runs found by going along both: after each difference, on from where, not more than ``reach``
    further, ``width`` elements are the same again. Finds a few changes in long sequences without a look at
    each element.

    Returns the runs, and how far it came: to the ends, or to where nothing is near.
    """
    runs = []
    i = j = 0
    for _ in range(_SKIPS_MAX):
        length = common_prefix(old, new, i, j)
        if length:
            runs.append((i, j, length))
            i, j = i + length, j + length
        near = _near(old, new, i, j, width, reach)
        if near is None:
            break
        i, j = near
    return runs, i, j


def _near(
    old: Sequence[T], new: Sequence[T], i: int, j: int, width: int, reach: int
) -> tuple[int, int] | None:
    ahead = {_key(new[at : at + width]): at for at in range(min(j + reach, len(new) - width), j - 1, -1)}
    best = None
    for at in range(i, min(i + reach, len(old) - width) + 1):
        if best is not None and at >= sum(best) - j:
            break
        other = ahead.get(_key(old[at : at + width]))
        if other is not None and (best is None or at + other < sum(best)):
            best = at, other
    return best


def _key(elements: Sequence[Hashable]) -> Hashable:
    return elements if isinstance(elements, str) else tuple(elements)


def align(old: Sequence[T], new: Sequence[T], budget: Budget) -> list[Run]:
    """Corresponding runs, ascending in both, not touching."""
    runs: list[Run] = []
    regions = [_Region(0, len(old), 0, len(new), 0)]
    while regions:
        region = regions.pop()
        _align(
            old[region.old_start : region.old_end],
            new[region.new_start : region.new_end],
            region,
            budget,
            runs,
            regions,
        )
    runs.sort()
    return joined(runs)


def exact_pairs(old: Sequence[T], new: Sequence[T]) -> list[tuple[int, int]]:
    """The pairs of a longest common subsequence. Its cost is the product of the lengths.

    Bit-parallel, after Crochemore, Iliopoulos, Pinzon and Reid, "A fast and practical bit-vector algorithm
    for the longest common subsequence problem" (2001): bit i of a row is 0 where one more element of
    old[:i+1] than of old[:i] can be matched by the elements of new up to that row.
    """
    where: dict[T, int] = {}
    bit = 1
    for element in old:
        where[element] = where.get(element, 0) | bit
        bit <<= 1
    full = bit - 1
    masks = {element: (mask, full ^ mask) for element, mask in where.items()}
    row = full
    rows = [row]
    for element in new:
        mask = masks.get(element)
        if mask is not None:
            # carries leave the lowest len(old) bits and stay above; nothing reads them there
            row = (row + (row & mask[0])) | (row & mask[1])
        rows.append(row)
    pairs = []
    i, j = len(old), len(new)
    while i and j:
        if row >> (i - 1) & 1:
            i -= 1
        else:
            j -= 1
            row = rows[j]
            if row >> (i - 1) & 1:
                i -= 1
                pairs.append((i, j))
    pairs.reverse()
    return pairs


def runs_of(pairs: Iterable[tuple[int, int]]) -> list[Run]:
    """Corresponding runs, not touching, of single pairs."""
    return joined((i, j, 1) for i, j in pairs)


def unique_pairs(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Elements that occur just once on either side, as many as keep their order."""
    return ascending(_unique_pairs(old, new))


@dataclass(frozen=True, slots=True)
class _Region:
    old_start: int
    old_end: int
    new_start: int
    new_end: int
    depth: int


def _align(
    old: Sequence[T],
    new: Sequence[T],
    region: _Region,
    budget: Budget,
    runs: list[Run],
    regions: list[_Region],
) -> None:
    """Find runs in one region, and regions between them that are worth another look."""
    depth = region.depth + 1
    old_at, new_at = region.old_start, region.new_start
    suffix = common_suffix(old, new, min(len(old), len(new)) - common_prefix(old, new))
    if suffix:
        old, new = old[: len(old) - suffix], new[: len(new) - suffix]
        runs.append((old_at + len(old), new_at + len(new), suffix))
    i = j = 0
    if len(old) + len(new) > _SKIM_ABOVE:
        skimmed, old_end, new_end = skim(old, new, _SKIM_WIDTH, _SKIM_REACH)
        for old_start, new_start, length in [*skimmed, (old_end, new_end, 0)]:
            if i < old_start and j < new_start:
                regions.append(_Region(old_at + i, old_at + old_start, new_at + j, new_at + new_start, depth))
            runs.append((old_at + old_start, new_at + new_start, length))
            i, j = old_start + length, new_start + length
    else:
        i = j = common_prefix(old, new)
        runs.append((old_at, new_at, i))
    old, new = old[i:], new[j:]
    old_at, new_at = old_at + i, new_at + j
    if len(old) + len(new) > _THOROUGH_MAX:
        return
    common = set(old).intersection(new)
    if not common:
        return
    # elements of one side only are never matched
    old_kept = [i for i, element in enumerate(old) if element in common]
    new_kept = [j for j, element in enumerate(new) if element in common]
    cells = len(old_kept) * len(new_kept)
    anchors = _anchors(old, new) if cells > DIRECT_CELLS and depth <= _MAX_DEPTH else []
    if anchors:
        i = j = 0
        for old_start, new_start, length in [*anchors, (len(old), len(new), 0)]:
            if i < old_start and j < new_start:
                regions.append(_Region(old_at + i, old_at + old_start, new_at + j, new_at + new_start, depth))
            if length:
                runs.append((old_at + old_start, new_at + new_start, length))
            i, j = old_start + length, new_start + length
    elif budget.spend(cells):
        pairs = exact_pairs([old[i] for i in old_kept], [new[j] for j in new_kept])
        runs += [(old_at + old_kept[i], new_at + new_kept[j], 1) for i, j in pairs]
    elif len(old) == len(new):
        same = [index for index, (a, b) in enumerate(zip(old, new, strict=True)) if a == b]
        if 4 * len(same) >= 3 * len(old):
            runs += [(old_at + index, new_at + index, 1) for index in same]


def _anchors(old: Sequence[T], new: Sequence[T]) -> list[Run]:
    """Runs that occur just once on either side, as many as keep their order (patience diff, Bram Cohen)."""
    for length in _GRAMS if len(old) + len(new) <= _GRAMS_MAX else _GRAMS[:1]:
        pairs = _unique_pairs(_grams(old, length), _grams(new, length))
        if pairs:
            runs = [(i, j, length) for i, j in ascending(pairs)]
            return joined(runs if length == 1 else _without_overlap(runs))
    return []


def _grams(elements: Sequence[T], length: int) -> Sequence[Hashable]:
    if length == 1:
        return elements
    return list(zip(*(elements[i:] for i in range(length)), strict=False))


def _unique_pairs(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    old_counts, new_counts = Counter(old), Counter(new)
    unique = {gram for gram, count in old_counts.items() if count == 1 and new_counts.get(gram) == 1}
    if not unique:
        return []
    new_at = {gram: j for j, gram in enumerate(new) if gram in unique}
    return [(i, new_at[gram]) for i, gram in enumerate(old) if gram in unique]


def ascending(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs whose second parts ascend as the first do."""
    seconds = [j for _, j in pairs]
    if all(map(lt, seconds, seconds[1:])):
        return pairs
    tails: list[int] = []  # for each length the smallest last second part
    ends: list[int] = []  # and which pair has it
    previous = []
    for index, j in enumerate(seconds):
        length = bisect_left(tails, j)
        previous.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(j)
            ends.append(index)
        else:
            tails[length] = j
            ends[length] = index
    kept = []
    index = ends[-1]
    while index >= 0:
        kept.append(pairs[index])
        index = previous[index]
    kept.reverse()
    return kept


def _without_overlap(runs: list[Run]) -> list[Run]:
    """Runs of one length may overlap; where they do so differently on both sides, the later one is cut."""
    kept: list[Run] = []
    old_end = new_end = 0
    for i, j, length in runs:
        cut = max(old_end - i, new_end - j, 0)
        kept.append((i + cut, j + cut, length - cut))
        old_end, new_end = i + length, j + length
    return kept


def joined(runs: Iterable[Run]) -> list[Run]:
    """Ascending runs, those that touch on both sides made one, empty ones left out."""
    result: list[Run] = []
    start, new_start, length = 0, 0, 0
    for i, j, n in runs:
        if i == start + length and j == new_start + length:
            length += n
        else:
            if length:
                result.append((start, new_start, length))
            start, new_start, length = i, j, n
    if length:
        result.append((start, new_start, length))
    return result
