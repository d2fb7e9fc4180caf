"""What becomes of lines that two sides changed: each stands as one of them wrote it, or edited by both.

Tells which line is a version of which, so that words are compared within one line only. How the words of a
line that both edited go together is decided by whoever asks (``rebase``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import takewhile
from typing import Final, TypeAlias

from crdtsync.core.text.align import Budget, Run, align
from crdtsync.core.text.combine import Place, combine, met, moved, touching_joined
from crdtsync.core.text.diff import Edit, anchors, apply_edits, diff, only_adds, taken_out
from crdtsync.core.text.interleave import joined_insertions
from crdtsync.core.text.joining import Version, with_joined
from crdtsync.core.text.lineage import Lineage
from crdtsync.core.text.standing import stand_in
from crdtsync.core.text.words import telling_chars, words

_LIVING_CHARS: Final = 3
"""Of words that no text has twice; so many that live on as they were show that the line does."""
_PARAGRAPH_CHARS: Final = 80
"""Where more visible characters of a line are left than that, it is not put twice for two words."""
_TELLING_CHARS: Final = 8
"""Rare words of at least this many characters in all do not stand somewhere by chance."""
_ANCHOR_CHARS: Final = 3
"""A line of fewer visible characters, as a bracket, tells less of those beside it than they do themselves."""
_PAIRED_MAX_CELLS: Final = 1 << 12
"""Lines of two sides between lines that are equal; more than that many pairs are not compared."""
_TYPED_MAX_CELLS: Final = 1 << 8
"""Of so many pairs those are compared word by word and letter by letter that have some words in common."""
_UNIQUE: Final = 1 << 12
"""What a character of a word tells that one line has; of others, that divided by how many lines have it."""

Words: TypeAlias = Callable[[str, str, str], Sequence[Edit]]
"""Brings what we made of a line into what they made of it: base, ours, theirs; edits of theirs."""


def merge_lines(
    base: str, ours: str, theirs: str, merge_words: Words, known: Known, budget: Budget
) -> list[Edit] | None:
    """Our changes of some whole lines as edits of theirs: ascending, not touching.

    - A line that only one side edited or deleted is as that side has it; one that both edited has the words
      of both.
    - A line that one side edited and the other deleted stays whole, as edited, if anything was written in it.
    - Lines that both put in the place of one, or at one place, follow each other, theirs first.

    None: they are too many; or one was moved or split, so that what is missing of it is not gone.
    """
    was, mine, yours = (text.splitlines(keepends=True) for text in (base, ours, theirs))
    if not was or not all(lines[-1].endswith("\n") for lines in (was, mine, yours) if lines):
        return None
    our_versions = _versions(was, mine, known, budget)
    their_versions = _versions(was, yours, known, budget, theirs=True)
    if our_versions is None or their_versions is None:
        return None
    was, our_versions, their_versions = with_joined(was, our_versions, their_versions, known.living)
    if _moved(was, our_versions, their_versions, known):
        return None
    edits: list[Edit] = []
    at = 0
    last: list[str] = []
    for line, our_line, their_line in zip([*was, ""], our_versions, their_versions, strict=True):
        before = "".join(their_line.before)
        edited = [their_line.text] if their_line.text not in (None, line) else []
        if our_line.before and not _has([*last, *their_line.before, *edited], our_line.before):
            edits += moved(_inserted("".join(our_line.before), before), at)
        at += len(before)
        edits += moved(_edited(line, our_line.text, their_line.text, merge_words), at)
        at += len(their_line.text or "")
        last = edited
    edits = touching_joined(edits)
    told = "".join("".join((*version.before, version.text or "")) for version in their_versions)
    return edits if told == theirs else [*diff(theirs, apply_edits(told, edits))]  # some lines are two again


def _has(theirs: list[str | None], ours: Sequence[str]) -> bool:
    """Whether all of our new lines stand, one after the other, among theirs around the same place."""
    wanted, size = list(ours), len(ours)
    return any(theirs[at : at + size] == wanted for at in range(len(theirs) - size + 1))


def has_new_lines(base: str, less: str, more: str, known: Known, budget: Budget) -> bool:
    """Whether each whole line that ``less`` has and ``base`` has not stands among those of ``more``.

    True, too, where that cannot be told: some line is not ended, or they are too many.
    """
    was, fewer, others = (text.splitlines(keepends=True) for text in (base, less, more))
    if not all(lines[-1].endswith("\n") for lines in (was, fewer, others) if lines):
        return True
    new, theirs = _versions(was, fewer, known, budget), _versions(was, others, known, budget)
    if new is None or theirs is None:
        return True
    inserted = [line for version in new for line in version.before]
    there = [
        line
        for old, version in zip([*was, None], theirs, strict=True)
        for line in (*version.before, version.text)
        if line not in (None, old)
    ]
    return stand_in(inserted, there)


def _edited(line: str, ours: str | None, theirs: str | None, merge_words: Words) -> Sequence[Edit]:
    """Our version of one line, as edits of theirs."""
    if ours in (line, theirs):
        return ()
    if theirs is None:
        assert ours is not None
        return (Edit(0, 0, ours),) if _wrote(line, ours) else ()
    if ours is None:
        return () if _wrote(line, theirs) else (Edit(0, len(theirs), ""),)
    if theirs == line:
        return diff(theirs, ours)
    our_edits, their_edits = diff(line, ours), diff(line, theirs)
    places = met(line, our_edits, their_edits)
    disagree = any(place.replaced and not place.goes_on for place in places)
    if disagree and _is_little_left(line, our_edits, their_edits):
        return (Edit(len(theirs), len(theirs), ours),)
    if places and all(place.replaced and place.goes_on for place in places):
        return combine(line, our_edits, their_edits, _longer)
    return merge_words(line, ours, theirs)


def _longer(place: Place) -> Sequence[Edit]:
    return diff(place.theirs, max(place.theirs, place.ours, key=len))


def _is_little_left(line: str, our_edits: Sequence[Edit], their_edits: Sequence[Edit]) -> bool:
    """Whether there is not too much in the line that nobody changed."""
    gone = {at for edit in (*our_edits, *their_edits) for at in range(edit.start, edit.end)}
    left = sum(at not in gone and not character.isspace() for at, character in enumerate(line))
    return left <= _PARAGRAPH_CHARS


def _wrote(line: str, version: str) -> bool:
    """Whether there is a word in the version that the line has not."""
    return any(character.isalnum() for edit in diff(line, version) for character in edit.text)


def _inserted(ours: str, theirs: str) -> Sequence[Edit]:
    """Our lines at the place where they inserted theirs."""
    return [edit for edit in joined_insertions(ours, theirs, alike=True) if edit.text]


class Known:
    """The whole texts of which the lines that are merged are a part; read when first asked.

    ``lineage``: what the operations tell of theirs, if they do.
    """

    def __init__(
        self, base: str, ours: str, theirs: str, lineage: Callable[[], Lineage | None] = lambda: None
    ) -> None:
        self._base, self._ours, self._theirs = base, ours, theirs
        self._asked_lineage = lineage

    def living(self, line: str, version: str) -> Sequence[Run]:
        """Which characters of the line, by the operations, stand in a line of theirs, and where; ascending.

        None at all, if none is of a word that no text has twice: a tool that puts another line in the place
        of one leaves the words that both have.
        """
        runs = () if self._lineage is None else self._lineage.runs(line, version)
        return runs if any(self._left(line, runs)) else ()

    def lives_in(self, line: str, version: str) -> int:
        """How much those words tell that no text has twice and that live on as a whole; 0 if that is too
        little to come by chance, or less than half of a line where something was put in a place of it."""
        if self._lineage is None:
            return 0
        there = [word for word, left in self._left(line, self.living(line, version)) if left == len(word)]
        told = sum(map(self._weight, there))
        if self._lineage.is_replaced(line) and 2 * told < sum(self.weights(line).values()):
            return 0
        return told if telling_chars(there) >= _LIVING_CHARS else 0

    def _left(self, line: str, runs: Sequence[Run]) -> Iterator[tuple[str, int]]:
        """The words of the line that no text has twice, and how many characters of each are in the runs."""
        left = {at for start, _, length in runs for at in range(start, start + length)}
        at = 0
        for word in words(line) if left else ():
            end = at + len(word)
            count = len(left.intersection(range(at, end)))
            if count and word[0].isalnum() and self._most[word] == 1:
                yield word, count
            at = end

    @cached_property
    def _lineage(self) -> Lineage | None:
        return self._asked_lineage()

    @cached_property
    def words(self) -> Set[str]:
        """All words of the base."""
        return self._counts.keys()

    def weights(self, line: str) -> Mapping[str, int]:
        """How much each of its words tells: the more, the rarer it is in the text that has it most often."""
        return {word: count * self._weight(word) for word, count in Counter(_telling(line)).items()}

    def letter(self, word: str) -> int:
        """How much each character of the word tells."""
        return self._weight(word) // len(word)

    def _weight(self, word: str) -> int:
        return telling_chars([word]) * (_UNIQUE // max(1, self._most[word]))

    def begin_alike(self, line: str, version: str) -> int:
        """How much those words tell with which both begin and which no text has twice; 0 if that is too
        little to show that one is the other with another end."""
        begun = takewhile(lambda pair: pair[0] == pair[1], zip(words(line), words(version), strict=False))
        once = [word for word, _ in begun if word[0].isalnum() and self._most[word] == 1]
        return sum(map(self._weight, once)) if telling_chars(once) >= _TELLING_CHARS else 0

    def is_elsewhere(self, line: str, version: str | None, in_theirs: bool) -> bool:
        """Whether two thirds of what tells this line of the base from others stand in ours, or theirs, but
        not in its version there."""
        rare = {word for word in _telling(line) if self._counts[word] == 1} - set(words(version or ""))
        there = rare & self._there[in_theirs].keys()
        telling = telling_chars(there) >= _TELLING_CHARS
        return telling and 3 * sum(map(self._weight, there)) >= 2 * sum(map(self._weight, rare))

    @cached_property
    def _counts(self) -> Counter[str]:
        return Counter(words(self._base))

    @cached_property
    def _there(self) -> tuple[Counter[str], Counter[str]]:
        was = Counter(self._base.splitlines())
        return self._counted(was, self._ours), self._counted(was, self._theirs)

    def _counted(self, was: Counter[str], text: str) -> Counter[str]:
        """Most lines are those of the base: only the others are cut in words."""
        now = Counter(text.splitlines())
        new, gone = (Counter(words("\n".join(lines.elements()))) for lines in (now - was, was - now))
        return self._counts + new - gone

    @cached_property
    def _most(self) -> Counter[str]:
        """A word that a short base has once tells little where a side has it in every line."""
        ours, theirs = self._there
        return self._counts | ours | theirs


def _telling(line: str) -> Iterator[str]:
    return (word for word in words(line) if word[0].isalnum())


def _versions(
    was: Sequence[str], now: Sequence[str], known: Known, budget: Budget, *, theirs: bool = False
) -> list[Version] | None:
    """What became of each line, and of the end; of ``theirs`` the operations tell more than the texts."""
    pairs: list[tuple[int, int]] = []
    i = j = 0
    same = anchors(was, now, align(was, now, budget), _ANCHOR_CHARS)
    for start, now_start, length in [*same, (len(was), len(now), 0)]:
        if (start - i) * (now_start - j) > _PAIRED_MAX_CELLS:
            return None
        pairs += ((i + a, j + b) for a, b in _paired(was[i:start], now[j:now_start], known, theirs))
        pairs += ((start + k, now_start + k) for k in range(length))
        i, j = start + length, now_start + length
    versions: list[Version] = []
    done = 0
    for at, now_at in [*pairs, (len(was), len(now))]:
        while len(versions) < at:
            versions.append(Version(now[done:now_at], None))  # before what is gone
            done = now_at
        versions.append(Version(now[done:now_at], now[now_at] if now_at < len(now) else None))
        done = now_at + 1
    return versions


def _paired(was: Sequence[str], now: Sequence[str], known: Known, theirs: bool) -> list[tuple[int, int]]:
    """Which line is a version of which: ascending, as much alike in all as possible."""
    if not was or not now:
        return []
    old, new = [known.weights(line) for line in was], [known.weights(line) for line in now]
    best = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    few = len(was) * len(now) <= _TYPED_MAX_CELLS
    alike = [
        [
            _alike(one, other)
            or _goes_on(line, version)
            or (few and _shared(one, other) >= _TELLING_CHARS * _UNIQUE and known.begin_alike(line, version))
            or (few and 8 * _shared(one, other) >= sum(one.values()) > 0 and _typed_in(line, version, known))
            or (few and theirs and known.lives_in(line, version))
            or line == version
            for version, other in zip(now, new, strict=True)
        ]
        for line, one in zip(was, old, strict=True)
    ]
    for i in range(len(old) - 1, -1, -1):
        for j in range(len(new) - 1, -1, -1):
            both = best[i + 1][j + 1] + alike[i][j] if alike[i][j] else 0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], both)
    pairs = []
    i = j = 0
    while i < len(old) and j < len(new):
        if alike[i][j] and best[i][j] == best[i + 1][j + 1] + alike[i][j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _alike(one: Mapping[str, int], other: Mapping[str, int]) -> int:
    """How much two lines have in common; 0 if neither is a version of the other: if that is less than half of
    the shorter one, or less than a quarter of the longer one, unless that has all of the shorter one."""
    shared = _shared(one, other)
    shorter, longer = sorted((sum(one.values()), sum(other.values())))
    return shared if 2 * shared >= shorter and (4 * shared >= longer or shared == shorter) else 0


def _shared(one: Mapping[str, int], other: Mapping[str, int]) -> int:
    return sum(min(weight, other[word]) for word, weight in one.items() if word in other)


def _goes_on(one: str, other: str) -> bool:
    """Whether one of the lines is the other with something inserted at one place, be it in a word."""
    shorter, longer = sorted((one.strip(), other.strip()), key=len)
    return bool(shorter) and only_adds(shorter, longer)


def _typed_in(line: str, version: str, known: Known) -> bool:
    """Whether half of what tells the line is left letter by letter, and makes up three quarters of that or of
    the version: someone typed within its words, or erased a part of them."""
    whole, there = (sum(known.weights(text).values()) for text in (line, version))
    gone = {at for edit in diff(line, version) for at in taken_out(line, edit)}
    at = left = 0
    for word in words(line):
        if word[0].isalnum():
            left += known.letter(word) * sum(place not in gone for place in range(at, at + len(word)))
        at += len(word)
    return 2 * left >= whole and 4 * left >= 3 * min(whole, there)


def _moved(was: Sequence[str], ours: Sequence[Version], theirs: Sequence[Version], known: Known) -> bool:
    """Whether of a line that one side edited what is missing on the other stands elsewhere there: all of it
    was moved, or a part, as when the line was split."""
    return any(
        line not in (one.text, other.text)
        and other.text is not None
        and known.is_elsewhere(line, one.text, in_theirs)
        for line, mine, yours in zip(was, ours, theirs, strict=False)
        for one, other, in_theirs in ((mine, yours, False), (yours, mine, True))
    )
