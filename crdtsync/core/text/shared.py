"""Lines that two sides have in common, although the text that both are taken to go back to lacks them.

Both pulled the same commit and went on in it, or the base is older than what they share. Such lines are told
by words that occur once on either side and never in the base. What follows for a merge is left to ``rebase``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set
from itertools import accumulate
from typing import Final

from crdtsync.core.text.align import Budget, ascending, unique_pairs
from crdtsync.core.text.words import align_words, words
from crdtsync.core.values.late import dataclass

_TELLING_CHARS: Final = 8
"""Rare words of at least this many characters in all do not stand in a line of either side by chance."""


def with_shared_lines(
    base: str, ours: str, theirs: str, known: Set[str], budget: Budget, *, older: bool = False
) -> str:
    """The base and in it, in their places, the lines that both sides inserted; where these differ a little,
    the words of them that both have. ``known`` are the words of the whole text of which base is a part.

    Different blocks may well have a line in common, in code above all: unless half of what one side
    inserted is shared, the base is returned as it is. ``older``: the base may well be older than what they
    share, so that each such line is one.
    """
    base_words = words(base)
    mine, yours = _Side(base_words, ours, known), _Side(base_words, theirs, known)
    once = {word for word, count in (mine.counts | yours.counts).items() if count == 1}
    our_chars, their_chars = mine.chars(once), yours.chars(once)
    pairs = [*_pairs(mine, yours, our_chars, their_chars, once & mine.counts.keys() & yours.counts.keys())]
    shared_chars = sum(pair.chars for pair in pairs)
    if not shared_chars or (not older and 2 * shared_chars < min(sum(our_chars), sum(their_chars))):
        return base
    starts = [0, *(at + 1 for at, word in enumerate(base_words) if word == "\n")]
    if base and not base.endswith("\n"):
        starts.append(len(base_words) + 1)  # no line begins at its end
    parts: list[str] = []
    done = 0
    for pair in pairs:
        i, j = pair.ours, pair.theirs
        low, high = max(mine.after(i), yours.after(j)), min(mine.before(i), yours.before(j))
        at = starts[bisect_left(starts, low)]
        text = _common(mine.text(i, pair.our_lines), yours.text(j, pair.their_lines), budget)
        if at <= high and (text.endswith("\n") or at == len(base_words)):
            parts += [*base_words[done:at], text]
            done = at
    return "".join([*parts, *base_words[done:]])


class _Side:
    """What one side made of the base: lines, and which words of it are where."""

    def __init__(self, base_words: Sequence[str], text: str, known: Set[str]) -> None:
        self.lines = text.splitlines(keepends=True)
        self.line_words = [words(line) for line in self.lines]
        self._ends = [*accumulate(map(len, self.line_words))]
        own_words = [word for line in self.line_words for word in line]
        self.counts = Counter(word for word in own_words if word[0].isalnum() and word not in known)
        """How often it has each word that the base has not."""
        base_at = [at for at, word in enumerate(base_words) if word[0].isalnum()]
        own_at = [at for at, word in enumerate(own_words) if word[0].isalnum()]
        anchors = unique_pairs([base_words[at] for at in base_at], [own_words[at] for at in own_at])
        self._base_at = [-1, *(base_at[at] for at, _ in anchors), len(base_words)]
        self._own_at = [own_at[at] for _, at in anchors]

    def text(self, line: int, count: int) -> str:
        """So many lines from that one on."""
        return "".join(self.lines[line : line + count])

    def chars(self, counted: Set[str]) -> list[int]:
        """How many characters of these words each line has that is not one of the base, edited."""
        return [
            0 if self._is_of_base(at) else sum(len(word) for word in line if word in counted)
            for at, line in enumerate(self.line_words)
        ]

    def _is_of_base(self, line: int) -> bool:
        start = self._ends[line] - len(self.line_words[line])
        there = self._own_at[bisect_left(self._own_at, start) : bisect_left(self._own_at, self._ends[line])]
        return sum(len(self.line_words[line][at - start]) for at in there) >= _TELLING_CHARS

    def after(self, line: int) -> int:
        """The first word of the base that may stand behind the line."""
        start = self._ends[line] - len(self.line_words[line])
        return self._base_at[bisect_left(self._own_at, start)] + 1

    def before(self, line: int) -> int:
        """The first word of the base that must stand behind the line, or the end."""
        return self._base_at[bisect_left(self._own_at, self._ends[line]) + 1]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Our line and theirs, which are one; or so many from there on, where one side broke it."""

    ours: int
    theirs: int
    chars: int
    """How much shows it."""
    our_lines: int = 1
    their_lines: int = 1


def _pairs(
    mine: _Side, yours: _Side, our_chars: Sequence[int], their_chars: Sequence[int], rare: Set[str]
) -> Iterator[_Pair]:
    """The lines that are one; ascending on both sides."""
    where = {word: j for j, line in enumerate(yours.line_words) for word in line if word in rare}
    found: dict[int, _Pair] = {}
    for i, line in enumerate(mine.line_words):
        chars: dict[int, int] = defaultdict(int)
        for word in line:
            if word in rare:
                chars[where[word]] += len(word)
        if not chars:
            continue
        j = max(chars, key=lambda j: chars[j])
        new = our_chars[i], their_chars[j]
        # a line that both have is not one of the base, edited, where one of them has it beside that
        is_new = any(new) if mine.lines[i] == yours.lines[j] else all(new)
        if not is_new or chars[j] < _TELLING_CHARS:
            continue
        if _is_one(line, yours.line_words[j]):
            found[i] = _Pair(i, j, chars[j])
        elif _is_broken(line, yours.line_words[j : j + 2]):
            found[i] = _Pair(i, j, chars[j], their_lines=2)
        elif _is_broken(yours.line_words[j], mine.line_words[i : i + 2]):
            found[i] = _Pair(i, j, chars[j], our_lines=2)
    for i, _ in ascending([(i, pair.theirs) for i, pair in found.items()]):
        yield found[i]


def _is_one(line: Sequence[str], other: Sequence[str]) -> bool:
    """Whether one of the lines has all words of the other: it is that one, gone on with or formatted.

    Where each has a word of its own they are two lines, however much they have in common.
    """
    mine, yours = ({word for word in each if word[0].isalnum()} for each in (line, other))
    return mine <= yours or yours <= mine


def _is_broken(line: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Whether the first of the others is its beginning, with something more, and the next one goes on with
    the rest of it."""
    whole, begun, *rest = ([word for word in each if word[0].isalnum()] for each in (line, *others))
    gone = [word for word in whole if word not in begun]
    return bool(rest) and whole[-len(gone) :] == gone == rest[0][: len(gone)]


def _common(one: str, other: str, budget: Budget) -> str:
    if one == other:
        return one
    tokens, other_tokens = words(one), words(other)
    runs = align_words(tokens, other_tokens, budget)
    return "".join(token for start, _, length in runs for token in tokens[start : start + length])
