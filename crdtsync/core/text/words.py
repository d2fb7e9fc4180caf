"""Cuts a text in words, and tells which words of two texts correspond. Edits are made of that by others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import Final

from crdtsync.core.text.align import (
    DIRECT_CELLS,
    Budget,
    Run,
    align,
    common_prefix,
    common_suffix,
    joined,
    unique_pairs,
)
from crdtsync.core.values.late import dataclass

# Scripts written without spaces (Thai, Lao, kana, Han, Hangul) count by characters.
_HAN = r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SPACELESS = rf"\u0e00-\u0eff\u3040-\u30ff\uac00-\ud7af{_HAN}"
_WORD = rf"[{_SPACELESS}]|[^\W{_SPACELESS}]+|."
_LETTER = rf"[^\W{_SPACELESS}]"
_LETTERS = rf"[^\W{_SPACELESS}]*"
_LETTERS_BEFORE = rf"[^\W{_SPACELESS}]*\Z"

_HAN_CHARS: Final = 3
"""A Han character tells about as much as so many letters."""

WORD_MAX: Final = 64
"""Longer runs of letters are data, not words."""


_SHIFTED_MAX: Final = 16
"""So many words of a line are looked for at the start or the end of another one at most."""
_UNIQUE: Final = 1 << 20
"""What it tells that two words correspond which occur once; of others, that divided by how often they do."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Tokens of the old text, from character ``at`` on, that became tokens of the new one."""

    old: Sequence[str]
    new: Sequence[str]
    at: int


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """At its first use: together they take 7 ms, which a start can do without."""
    return re.compile(pattern, re.DOTALL)


def is_han(word: str) -> bool:
    """Whether it is a Han character: no letter, but a word by itself."""
    return len(word) == 1 and _compiled(f"[{_HAN}]").match(word) is not None


def telling_chars(words: Iterable[str]) -> int:
    """How much the words tell, in letters."""
    return sum(_HAN_CHARS if is_han(word) else len(word) for word in words)


def words(text: str) -> list[str]:
    """The text cut in words and single other characters; joined again they are the text."""
    return _compiled(_WORD).findall(text)


def inside_word(text: str, position: int) -> bool:
    """Whether the position lies between two characters of one word."""
    if not 0 < position < len(text):
        return False
    letter = _compiled(_LETTER)
    return bool(letter.match(text, position - 1) and letter.match(text, position))


def begins_with(text: str, other: str) -> bool:
    """Whether the text begins with all of the other, as whole words."""
    return text.startswith(other) and not inside_word(text, len(other))


def ends_with(text: str, other: str) -> bool:
    """Whether the text ends with all of the other, as whole words."""
    return text.endswith(other) and not inside_word(text, len(text) - len(other))


def word_start(text: str, position: int) -> int:
    """Where the letters that stand right before the position begin; the position if they are too many."""
    found = _compiled(_LETTERS_BEFORE).search(text, max(position - WORD_MAX, 0), position)
    start = found.start() if found else position
    return position if position - start == WORD_MAX else start


def word_end(text: str, position: int) -> int:
    """Where the letters that stand right after the position end; the position if they are too many."""
    found = _compiled(_LETTERS).match(text, position, position + WORD_MAX)
    end = found.end() if found else position
    return position if end - position == WORD_MAX else end


def align_words(old: Sequence[str], new: Sequence[str], budget: Budget) -> list[Run]:
    """Corresponding runs of words: as many words as possible, then what stands between them.

    Were all tokens alike, two texts would often correspond by their spaces.
    """
    old_at = [i for i, token in enumerate(old) if token[0].isalnum()]
    new_at = [j for j, token in enumerate(new) if token[0].isalnum()]
    runs: list[Run] = []
    i = j = 0
    runs_of_words = _align([old[i] for i in old_at], [new[j] for j in new_at], budget)
    pairs = [
        (old_at[start + k], new_at[new_start + k])
        for start, new_start, length in _by_lines(_Words(old, old_at), _Words(new, new_at), runs_of_words)
        for k in range(length)
    ]
    for old_word, new_word in [*pairs, (len(old), len(new))]:
        runs += [
            (i + start, j + new_start, length)
            for start, new_start, length in _between(old[i:old_word], new[j:new_word], budget)
        ]
        runs.append((old_word, new_word, 1))
        i, j = old_word + 1, new_word + 1
    runs.pop()
    return joined(runs)


def _align(old: Sequence[str], new: Sequence[str], budget: Budget) -> list[Run]:
    """As many words as possible; or fewer, if those are rarer: what all lines have tells them apart least."""
    runs = align(old, new, budget)
    if len(old) * len(new) > DIRECT_CELLS:
        return runs  # by the words that are unique already
    anchors = unique_pairs(old, new)
    matched = {(i + k, j + k) for i, j, length in runs for k in range(length)}
    if matched.issuperset(anchors):
        return runs
    among: list[Run] = []
    i = j = 0
    for old_word, new_word in [*anchors, (len(old), len(new))]:
        among += [
            (i + start, j + new_start, length)
            for start, new_start, length in align(old[i:old_word], new[j:new_word], budget)
        ]
        among.append((old_word, new_word, 1))
        i, j = old_word + 1, new_word + 1
    among.pop()
    counts, new_counts = Counter(old), Counter(new)
    rarity = {word: _UNIQUE // max(count, new_counts[word]) for word, count in counts.items()}
    return max(joined(runs), joined(among), key=lambda found: _rarity(old, found, rarity))


class _Words:
    """Those of the tokens that are words, and which of them begin lines."""

    def __init__(self, tokens: Sequence[str], at: Sequence[int]) -> None:
        self.words = [tokens[i] for i in at]
        ends = [*accumulate((token == "\n" for token in tokens), initial=0)]
        self.begins = [before < line for before, line in pairwise([0, *(ends[i] for i in at), ends[-1]])]
        """By word, and of the end; of the first one, whether the end of a line is known to come before it."""


def _by_lines(old: _Words, new: _Words, runs: Sequence[Run]) -> list[Run]:
    """The same words, but those at the start or the end of a line correspond to ones that stand there, too,
    where it is as well: the first word of the next line is not one with which this one goes on."""
    found: list[Run] = []
    ends = [*runs, (len(old.words), len(new.words), 0)]
    for (i, j, length), (next_i, next_j, _) in pairwise(ends):
        last_i, last_j = (found[-1][0] + found[-1][2], found[-1][1] + found[-1][2]) if found else (0, 0)
        head = _shifted(old, new, i, j, last_j, length) if i == last_i and j > last_j else 0
        found += [(i, last_j, head)] if head else []
        i, j, length = i + head, j + head, length - head
        tail = 0
        if length and i + length == next_i and j + length < next_j:
            tail = _shifted_tail(old, new, i, j, next_j, length)
        found += [(i, j, length - tail)] if length > tail else []
        found += [(next_i - tail, next_j - tail, tail)] if tail else []
    return found


def _shifted(old: _Words, new: _Words, i: int, j: int, earlier: int, length: int) -> int:
    """How many of the first words of a run end a line, and do so in the new text from ``earlier`` on only."""
    for size in range(min(length, _SHIFTED_MAX), 0, -1):
        if (
            old.begins[i + size]
            and not new.begins[j + size]
            and new.begins[earlier + size]
            and old.words[i : i + size] == new.words[earlier : earlier + size]
        ):
            return size
    return 0


def _shifted_tail(old: _Words, new: _Words, i: int, j: int, end: int, length: int) -> int:
    """How many of the last words of a run begin a line, and do so in the new text right before ``end``
    only."""
    for size in range(min(length, _SHIFTED_MAX), 0, -1):
        if (
            old.begins[i + length - size]
            and not new.begins[j + length - size]
            and new.begins[end - size]
            and old.words[i + length - size : i + length] == new.words[end - size : end]
        ):
            return size
    return 0


def _between(old: Sequence[str], new: Sequence[str], budget: Budget) -> list[Run]:
    """What else corresponds between words that do. Where lines came or went, no space is the same space."""
    if old.count("\n") == new.count("\n"):
        return align(old, new, budget)
    start = common_prefix(old, new)
    end = common_suffix(old, new, min(len(old), len(new)) - start)
    return [(0, 0, start), (len(old) - end, len(new) - end, end)]


def _rarity(old: Sequence[str], runs: Iterable[Run], rarity: Mapping[str, int]) -> int:
    return sum(rarity[old[at]] for start, _, length in runs for at in range(start, start + length))


def gaps(old: Sequence[str], new: Sequence[str], runs: Iterable[Run]) -> list[Hunk]:
    """What lies between the runs that correspond."""
    at = list(accumulate(map(len, old), initial=0))
    hunks = []
    i = j = 0
    for old_start, new_start, length in [*runs, (len(old), len(new), 0)]:
        if i < old_start or j < new_start:
            hunks.append(Hunk(old[i:old_start], new[j:new_start], at[i]))
        i, j = old_start + length, new_start + length
    return hunks
