"""Carries what we changed in a text over to what others made of it meanwhile.

Knows what becomes of lines and words that both sides changed, and when both made the same change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from crdtsync.core.text.align import Budget, Run, align
from crdtsync.core.text.breaking import breaks_apart, common_breaks
from crdtsync.core.text.combine import Place, combine, moved, touching_joined
from crdtsync.core.text.diff import Edit, apply_edits, by_lines, diff, slid
from crdtsync.core.text.endings import end_undone, ended, is_ended
from crdtsync.core.text.interleave import interleave, joined_insertions
from crdtsync.core.text.lineage import Lineage
from crdtsync.core.text.lines import Known, has_new_lines, merge_lines
from crdtsync.core.text.meeting import common_steps, told_alike
from crdtsync.core.text.shared import with_shared_lines
from crdtsync.core.text.words import WORD_MAX, align_words, gaps, words

_CHARACTERS_MAX: Final = 1 << 20
"""Of all places that both sides changed; what is beyond is combined by the edits as they are. Costs 2 s."""
_TELLING_CHARS: Final = 8
"""Text of at least this many visible characters does not turn up on both sides by chance, ..."""
_TELLING_LINE_CHARS: Final = 3
"""... nor do whole lines of at least this many."""

_Asked: TypeAlias = Callable[[], Lineage | None]
_Cut: TypeAlias = Callable[[str], list[str]]


def rebase(
    base: str,
    ours: str,
    theirs: str,
    *,
    older: bool = False,
    lineage: _Asked = lambda: None,
) -> tuple[Edit, ...]:
    """The edits of ``theirs`` that bring in what we changed from ``base`` to ``ours``: ascending, apart.

    - Changes of different places are both kept, character by character.
    - What theirs already has is not done again: a change made on both sides is there once, also where one
      side changed more at the same place.
    - We delete only characters of the base that theirs still has; what they inserted meanwhile stays.
    - Of different insertions at one place both are kept, theirs first. Where both replaced the same words,
      both texts are kept, theirs first.

    ``older``: the base may be older than the text that both really go back to, since that is not known.
    ``lineage``: what the operations made of the base; asked where the texts do not tell.
    """
    if ours in (base, theirs):
        return ()
    if theirs == base:
        return diff(base, ours)
    if all(map(is_ended, (base, ours, theirs))):
        return _of_whole_lines(base, ours, theirs, older, lineage)
    was, mine, yours = ended(base, ours, theirs)

    def of_ended() -> Lineage | None:
        found = lineage()
        return None if found is None else found.with_ends(was, yours)

    return end_undone(base, ours, theirs, _of_whole_lines(was, mine, yours, older, of_ended))


def _of_whole_lines(base: str, ours: str, theirs: str, older: bool, lineage: _Asked) -> tuple[Edit, ...]:
    """The same, where each text is empty or ends with the end of a line."""
    if ours in (base, theirs):
        return ()
    our_edits = diff(base, ours)
    if theirs == base:
        return our_edits
    their_edits = diff(base, theirs)
    apart = _thinned(base, ours, theirs, lineage)
    if apart:
        thinner = apply_edits(base, apart)
        mine = apply_edits(ours, _of_whole_lines(base, thinner, ours, older, lambda: None))
        return _of_whole_lines(thinner, mine, theirs, older, _edited(lineage, apart))
    steps = common_steps(base, our_edits, their_edits, lineage)
    if steps:
        return _of_whole_lines(apply_edits(base, steps), ours, theirs, older, _edited(lineage, steps))
    breaks = common_breaks(base, our_edits, their_edits)
    if breaks:
        base, lineage = apply_edits(base, breaks), _edited(lineage, breaks)
        our_edits, their_edits = diff(base, ours), diff(base, theirs)
    apart, made = breaks_apart(base, our_edits, their_edits)
    if apart:
        more = apply_edits(theirs, made)
        rest = _of_whole_lines(apply_edits(base, apart), ours, more, older, _edited(lineage, apart, made))
        return diff(theirs, apply_edits(more, rest))
    apart, made = breaks_apart(base, their_edits, our_edits)
    if apart:
        broken = _edited(lineage, apart)
        return _of_whole_lines(apply_edits(base, apart), apply_edits(ours, made), theirs, older, broken)
    by_them = set(their_edits)
    common = [edit for edit in our_edits if edit in by_them]
    if common:
        # What both made is past for what else they did.
        our_edits = _after(common, our_edits)
        their_edits = _after(common, their_edits)
        base, lineage = apply_edits(base, common), _edited(lineage, common)

    def lines(edit: Edit) -> tuple[int, int]:
        start = base.rfind("\n", 0, edit.start) + 1
        if edit.end == start and edit.text.endswith("\n"):
            return start, start  # whole lines, inserted between lines
        whole = edit.text.endswith("\n") or (not edit.text and edit.start == start)
        if whole and edit.end > start and base[edit.end - 1] == "\n":
            return start, edit.end
        return start, base.find("\n", edit.end) + 1 or len(base)

    places = _Places(Known(base, ours, theirs, lineage), older)
    return tuple(combine(base, our_edits, their_edits, places.in_lines, lines))


def _thinned(base: str, ours: str, theirs: str, lineage: _Asked) -> list[Edit]:
    """What others took out of lines that we edited before they put something else in the place of these.

    A line that comes back since we went on with it comes back without that.
    """
    there = {*_lines(ours), *_lines(theirs)}
    if there.issuperset(lines := _lines(base)) or (found := lineage()) is None:
        return []
    apart: list[Edit] = []
    at = 0
    for line in lines:
        stood = line.removesuffix("\n")
        left = found.thinned.get(stood)
        if left is not None and there.isdisjoint((line, f"{left}\n")):
            apart += moved(diff(stood, left), at)
        at += len(line)
    return apart


def _edited(lineage: _Asked, base: Sequence[Edit], theirs: Sequence[Edit] = ()) -> _Asked:
    """The lineage of texts in which these edits were made."""

    def asked() -> Lineage | None:
        found = lineage()
        return None if found is None else found.edited(base, theirs)

    return asked


def includes(base: str, less: str, more: str) -> bool:
    """Whether ``more`` has all that was changed from ``base`` to ``less``, and it can be told."""
    base, less, more = ended(base, less, more)
    return _Places(Known(base, less, more)).includes(base, less, more)


class _Places:
    """Decides on places that both sides changed, within what a rebase may cost in all."""

    __slots__ = ("_budget", "_characters", "_known", "_older")

    def __init__(self, known: Known, older: bool = False) -> None:
        self._known = known
        self._older = older
        self._budget = Budget()
        self._characters = Budget(_CHARACTERS_MAX)

    def in_lines(self, place: Place) -> Sequence[Edit]:
        """Both changed something in these lines, or next to each other: see which words."""
        base, ours, theirs = place.base, place.ours, place.theirs
        if ours in (base, theirs):
            return ()
        if not self._characters.spend(len(base) + len(ours) + len(theirs)):
            return self._by_edits(place, place.our_edits, place.their_edits)
        decided = self._decide_lines(base, ours, theirs)
        if decided is None:
            shared = with_shared_lines(base, ours, theirs, self._known.words, self._budget, older=self._older)
            if shared != base:
                base = shared
                place = replace(place, base=base)
                decided = self._decide_lines(base, ours, theirs)
        if decided is None:
            decided = merge_lines(base, ours, theirs, self._in_one_line, self._known, self._budget)
        return self._by_words(place) if decided is None else decided

    def _by_words(self, place: Place) -> Sequence[Edit]:
        ours, theirs = self._word_edits(place.base, place.ours), self._word_edits(place.base, place.theirs)
        return _refined(place.theirs, self._by_edits(place, ours, theirs))

    def _in_one_line(self, base: str, ours: str, theirs: str) -> Sequence[Edit]:
        decided = self._decide(base, ours, theirs, words, _TELLING_CHARS)
        if decided is not None:
            return decided
        return self._by_words(Place(base, ours, theirs, (), (), "\n", ""))

    def _decide_lines(self, base: str, ours: str, theirs: str) -> Sequence[Edit] | None:
        decided = self._decide(base, ours, theirs, _lines, _TELLING_LINE_CHARS)
        return self._decide(base, ours, theirs, words, _TELLING_CHARS) if decided is None else decided

    def _by_edits(self, place: Place, ours: Sequence[Edit], theirs: Sequence[Edit]) -> list[Edit]:
        ours, theirs = told_alike(place.base, ours, theirs)
        return combine(place.base, ours, theirs, self.in_words, before=place.before, after=place.after)

    def in_words(self, place: Place) -> Sequence[Edit]:
        """Both changed the same words, or inserted some at the same place."""
        base, ours, theirs = place.base, place.ours, place.theirs
        if ours in (base, theirs):
            return ()
        if not self._characters.spend(len(base) + len(ours) + len(theirs)):
            return interleave(place)
        decided = self._decide(base, ours, theirs, words, _TELLING_CHARS)
        if decided is not None:
            return decided
        if base.strip() and ours.split() == theirs.split():
            return ()  # but for white space, the same
        our_edits, their_edits = diff(base, ours), diff(base, theirs)
        if len(base) <= WORD_MAX and all(len(words(text)) == 1 for text in (base, ours, theirs)):
            our_kept, their_kept = _kept(base, our_edits), _kept(base, their_edits)
            if min(our_kept, their_kept) == 0 and 2 * max(our_kept, their_kept) < len(base):
                # both put another word here, although one has some letters in common with the old one
                return joined_insertions(ours, theirs, alike=True)
        return interleave(replace(place, our_edits=our_edits, their_edits=their_edits))

    def _decide(self, base: str, ours: str, theirs: str, cut: _Cut, telling: int) -> Sequence[Edit] | None:
        """The plain cases: only one side changed something, or one did all that the other did."""
        if self._includes(base, ours, theirs, cut, telling):
            return ()
        if theirs == base or self._includes(base, theirs, ours, cut, telling):
            return diff(theirs, ours)
        return None

    def includes(self, base: str, less: str, more: str) -> bool:
        return self._includes(base, less, more, words, _TELLING_CHARS)

    def _includes(self, base: str, less: str, more: str, cut: _Cut, telling: int) -> bool:
        """Whether ``more`` has all that ``less`` changed, and each line of it."""
        return self._is_on_the_way(base, less, more, cut, telling) and has_new_lines(
            base, less, more, self._known, self._budget
        )

    def _is_on_the_way(self, base: str, less: str, more: str, cut: _Cut, telling: int) -> bool:
        """Whether ``more`` has all that ``less`` changed: whether ``less`` lies on a shortest way to it,
        and all that it deleted is deleted.

        A little text inserted, nothing else, may by chance be a part of much, so that does not tell.
        """
        base_parts, less_parts, more_parts = cut(base), cut(less), cut(more)
        to_less = align_words(base_parts, less_parts, self._budget)
        all_the_way = align_words(base_parts, more_parts, self._budget)
        kept = _matched(to_less)
        to_more = align_words(less_parts, more_parts, self._budget)
        there = {at for start, _, length in to_more for at in range(start, start + length)}
        there |= {at for _, start, length in to_less for at in range(start, start + length)}
        missing = [part for at, part in enumerate(less_parts) if at not in there]
        if any(map(_is_seen, missing)):
            return False  # it inserted something else, whatever the numbers
        if kept + _matched(to_more) != len(less_parts) + _matched(all_the_way):
            # a way through spaces that are alike by chance may be shorter
            seen = _seen(base_parts, to_less) + _seen(less_parts, to_more)
            if missing or seen != sum(map(_is_seen, less_parts)) + _seen(base_parts, all_the_way):
                return False
        if kept == len(base_parts):
            inserted = _inserted_chars(base_parts, less_parts, to_less)
            return inserted >= telling or 2 * inserted >= _inserted_chars(base_parts, more_parts, all_the_way)
        deleted = {at for edit in diff(base, more) for at in range(edit.start, edit.end)}
        return all(
            at in deleted or base[at].isspace()
            for edit in diff(base, less)
            for at in range(edit.start, edit.end)
        )

    def _word_edits(self, old: str, new: str) -> Sequence[Edit]:
        """By whole words, within lines that are not equal as a whole."""
        edits: list[Edit] = []
        old_lines, new_lines = _lines(old), _lines(new)
        for lines in gaps(old_lines, new_lines, align(old_lines, new_lines, self._budget)):
            old_words, new_words = words("".join(lines.old)), words("".join(lines.new))
            for hunk in gaps(old_words, new_words, align_words(old_words, new_words, self._budget)):
                start = lines.at + hunk.at
                edits.append(Edit(start, start + sum(map(len, hunk.old)), "".join(hunk.new)))
        return slid(old, touching_joined(by_lines(old, edits)))


def _refined(text: str, edits: Sequence[Edit]) -> list[Edit]:
    """The same edits of the text, without the letters that they replace by themselves."""
    return touching_joined(
        part for edit in edits for part in moved(diff(text[edit.start : edit.end], edit.text), edit.start)
    )


def _after(made: Sequence[Edit], edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """The edits that are left once some of them have been made."""
    left: list[Edit] = []
    done = set(made)
    shift = 0
    for edit in edits:
        if edit in done:
            shift += len(edit.text) - (edit.end - edit.start)
        else:
            left += moved([edit], shift)
    return tuple(left)


def _kept(base: str, edits: Sequence[Edit]) -> int:
    return len(base) - sum(edit.end - edit.start for edit in edits)


def _is_seen(part: str) -> bool:
    return not part.isspace()


def _seen(old: Sequence[str], runs: Sequence[Run]) -> int:
    """How many parts are matched, white space aside."""
    return sum(_is_seen(old[at]) for start, _, length in runs for at in range(start, start + length))


def _matched(runs: Sequence[Run]) -> int:
    return sum(length for _, _, length in runs)


def _inserted_chars(old: Sequence[str], new: Sequence[str], runs: Sequence[Run]) -> int:
    return sum(len("".join("".join(hunk.new).split())) for hunk in gaps(old, new, runs))


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
