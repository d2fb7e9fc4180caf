"""Finds the version that a save was made from, when an editor kept an older one in its buffer.

Pure judgement on texts; which versions are kept, and what follows, is left to others.

A save is taken for that of a stale buffer when it is nearer to an older version than to the current one, and
undoes what came since. Both must hold:

- Nearer alone is not enough: whoever empties a file is nearer to its shorter version. A line that is gone,
  with nothing in its place, counts as a whole, however like it a line elsewhere may be.
- Undone means that what was deleted since is back, and that what was inserted since is missing although what
  stands around its place is there. What the save rewrote itself tells nothing. One change since that the save
  does have is proof of a fresh buffer.

A save that equals an older version exactly is a deliberate revert (undo, ``git checkout``). So if somebody
removes another's change and edits elsewhere in the same save, the change comes back once, and goes when
removed again.

Only what *we* wrote to the disk can have gone unseen by an editor. What programs saved here since an older
version (``with_saves``) a later local save took out where it lacks that, by typing over it or by a tool: the
last save on one disk wins there with or without us. That keeps a person who undoes their own work by hand
from getting it back.

A version need not be one that ``current`` came from: what was saved in the instant of a write stood in a file
that was replaced. What the text has of it alone is taken out only by a save that shows it had been seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Final, TypeAlias

from crdtsync.core.text.align import Budget
from crdtsync.core.text.diff import Edit, apply_edits, diff, size_of
from crdtsync.core.text.rebase import rebase
from crdtsync.core.text.shared import with_shared_lines
from crdtsync.core.text.words import begins_with, inside_word, telling_chars, word_end, word_start, words

_TELLING_CHARS: Final = 8
"""New words of at least this many characters in all do not stand in a line of the save by chance."""
_TELLING_LINE_CHARS: Final = 3
"""Of a line that is equal as a whole, this many will do."""
_SHARED_MAX_CHARS: Final = 1 << 20
"""Of an older version, and of what has become of it, to look for lines that both have; costs 0.3 s."""
_AROUND: Final = 32
"""Half of the characters around an insertion must be there for its absence to mean something."""

_Place: TypeAlias = tuple[int, str | None]
"""Above or below a line, which line stands next there that all have; None: the text begins or ends."""


def choose_base(
    saved: str, current: str, older: Sequence[str], *, merged: str | None = None, between: Sequence[str] = ()
) -> int | None:
    """The index in ``older`` of the version that the save was made from; None if that is ``current``.

    ``current`` is what stood on disk before the save, ``older`` what stood there earlier, newest first.
    ``merged``: what has become of all of them. ``between``: saves of ``current`` that stood there before this
    one, and are in none of them.
    """
    if not older or saved == current or saved in older:
        return None
    from_current, nearest = size_of(diff(current, saved)), len(current) + len(saved)
    lacking = set(current.splitlines()).difference(saved.splitlines())
    chosen = None
    known = {current}
    for index, version in enumerate(older):
        if version in known:
            continue
        known.add(version)
        limit = min(nearest, from_current)
        if gone := _gone(lacking, current, saved, version):
            # what they have in common with lines at other places was not made of them
            left = _without(current, gone)
            limit = min(nearest, len(current) - len(left) + size_of(diff(left, saved)))
        # lengths alone often tell that it is not nearer, or that more came since than the save undoes
        if abs(len(version) - len(saved)) >= limit:
            continue
        own = diff(version, saved)
        distance = size_of(own)
        if (
            distance < limit
            and not has_line_of(saved, current, version)
            and not _goes_on(saved, current, version, between)
            and _undone(version, diff(version, current), own)
            and (_is_seen(version, current, merged) or has_line_of(saved, version, current))
        ):
            nearest, chosen = distance, index
    return chosen


def _goes_on(saved: str, current: str, version: str, between: Iterable[str]) -> bool:
    """Whether it has lines of a save whose lines tell that it was made from ``current``.

    Those lines may be too short to tell it again once a formatter has been at them.
    """
    return any(has_line_of(each, current, version) and has_line_of(saved, each, version) for each in between)


def _gone(lacking: Iterable[str], current: str, saved: str, version: str) -> set[str]:
    """Those of the lines of ``current`` that came since the version, of which the save has nothing that tells
    them from those, and no other line in their place."""
    gone = {line for line in lacking if _is_nowhere(line, saved, version)}
    if not gone:
        return gone
    known = {*version.splitlines()}
    anchors = known & {*saved.splitlines()} & {*current.splitlines()}
    taken = set().union(*_places(saved, known, anchors).values())
    places = _places(current, known, anchors)
    return {line for line in gone if places[line].isdisjoint(taken)}


def _without(text: str, lines: Set[str]) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if line.rstrip("\r\n") not in lines)


def _is_nowhere(line: str, saved: str, version: str) -> bool:
    """Whether the save has nothing of what tells the line from those of the version."""
    if line in version:
        return False
    own = {word for word in words(line) if word not in version}
    return telling_chars(own) >= _TELLING_CHARS and not any(word in saved for word in own)


def _is_seen(version: str, current: str, merged: str | None) -> bool:
    """Whether all of the version that is in what became of it stands in ``current`` as well."""
    if merged is None or merged == current:
        return True
    return (_seen(merged).keys() - _seen(current).keys()).isdisjoint(words(version))


def with_saves(version: str, since: Iterable[tuple[str, bool]], merged: str) -> str:
    """An older version with what programs here saved ``since``, and without what we wrote in between: each
    text that stood on disk, the oldest first, and whether a local program had written it.

    Lines of the version that were taken out here, but stand in what was ``merged``, since others had edited
    them, are in it: a save that has them does not bring them back.
    """
    base = before = version
    for text, saved_here in since:
        if saved_here:
            base = apply_edits(base, rebase(before, text, base))
        before = text
    if len(version) + len(merged) > _SHARED_MAX_CHARS:
        return base
    known, lines = {*words(base)}, {*base.splitlines()}
    if _other_words(version, lines) & _other_words(merged, lines) <= known:
        return base  # as nearly always, and soon told
    return with_shared_lines(base, version, merged, known, Budget(), older=True)


def without_unseen(base: str, saved: str, current: str) -> str:
    """A base that was only guessed, without the whole lines that neither the save has nor the text that stood
    there last: nobody here can be said to have taken them out."""
    known = {*current.splitlines(keepends=True)}
    unseen: list[Edit] = []
    for edit in diff(base, saved):
        at = edit.start
        for line in base[at : edit.end].splitlines(keepends=True):
            begins = at == 0 or base[at - 1] == "\n"
            if not edit.text and begins and line.endswith("\n") and line.strip() and line not in known:
                unseen.append(Edit(at, at + len(line), ""))
            at += len(line)
    return apply_edits(base, unseen)


def _other_words(text: str, lines: Set[str]) -> set[str]:
    """The words of its lines but these."""
    return {word for line in text.splitlines() if line not in lines for word in words(line)}


def has_line_of(saved: str, current: str, version: str) -> bool:
    """Whether the save has a line of ``current`` that is not in ``version``, by the words of it that are new.

    Of a line that is equal as a whole, those are new as well that it has more often than any line of the
    version. Then the save was not made from that version; unless two wrote the same at once. Short lines,
    none of which tells by itself, tell together if the save has most of them.
    """
    short = found = 0
    for chars, there in _new_lines(saved, current, version):
        if chars >= _TELLING_CHARS:
            if there:
                return True
        else:
            short += chars
            found += chars * there
    return found >= _TELLING_CHARS and 2 * found >= short


def has_all_lines_of(saved: str, current: str, version: str) -> bool:
    """Whether it has each of those lines that tells something. Else it was not made from ``current``."""
    new = _new_lines(saved, current, version)
    return all(there for chars, there in new if chars >= _TELLING_CHARS)


def _new_lines(saved: str, current: str, version: str) -> Iterator[tuple[int, bool]]:
    """Of each line of ``current`` that ``version`` lacks: how much is new, and whether the save has it: as it
    is, or most of it at its place. Elsewhere that may as well be another line that is like it."""
    known = set(words(version))
    known_lines, saved_lines = set(version.splitlines()), set(saved.splitlines())
    anchors = known_lines & saved_lines & set(current.splitlines())
    places = _places(current, known_lines, anchors)
    there: dict[str, list[tuple[set[str], set[_Place]]]] = defaultdict(list)
    """By each new word, for most lines have others."""
    for line, at in _places(saved, known_lines, anchors).items():
        for word in (written := set(words(line)) - known):
            there[word].append((written, at))
    most = Counter() if places.keys().isdisjoint(saved_lines) else _most_often(known_lines)
    for line, place in places.items():
        if line in saved_lines:
            if telling_chars((_seen(line) - most).elements()) >= _TELLING_LINE_CHARS:
                yield _TELLING_CHARS, True
        elif new := _seen(line).keys() - known:
            like = (each for word in new for each in there.get(word, ()))
            yield (
                telling_chars(new),
                any(not place.isdisjoint(at) and _are_among(new, written) for written, at in like),
            )


def _places(text: str, known: Set[str], anchors: Set[str]) -> dict[str, set[_Place]]:
    """The lines of the text that are not ``known``, each with the anchors next above and below it."""
    found: dict[str, set[_Place]] = {}
    lines = text.splitlines()
    for side, ordered in enumerate((lines, reversed(lines))):
        anchor = None
        for line in ordered:
            if line in anchors:
                anchor = line
            elif line not in known:
                found.setdefault(line, set()).add((side, anchor))
    return found


def keeps_insertions(saved: str, later: str, older: str) -> bool:
    """Whether the save has all that ``later`` inserted into ``older``, which is something, where it did.

    Letters of it in another word do not count.
    """
    taken_out = [
        edit for edit in diff(later, saved) if edit.end > edit.start or inside_word(later, edit.start)
    ]
    inserted = False
    shift = 0
    for edit in diff(older, later):
        start = edit.start + shift
        end = start + len(edit.text)
        if any(out.start < end and start < max(out.end, out.start + 1) for out in taken_out):
            return False
        inserted = inserted or not (edit.text == "" or edit.text.isspace())
        shift += len(edit.text) - (edit.end - edit.start)
    return inserted


def shows(saved: str, later: str, older: str, *, seen: bool) -> bool:
    """Whether a save was made from the later text; ``seen``: that did stand on disk once."""
    if has_line_of(saved, older, later):
        return False
    if has_line_of(saved, later, older):
        # Two formatters write the same line: of what never stood on disk for certain, all must be there.
        return seen or keeps_insertions(saved, later, older)
    nearer = size_of(diff(later, saved)) < size_of(diff(older, saved))
    return nearer and (seen or keeps_insertions(saved, later, older))


def _seen(text: str) -> Counter[str]:
    """How often the text has each of its words."""
    return Counter(word for word in words(text) if not word.isspace())


def _most_often(lines: Iterable[str]) -> Counter[str]:
    """How often the line that has a word most often has it."""
    most: Counter[str] = Counter()
    for line in lines:
        for word, times in _seen(line).items():  # to join the counters would look at all words for each line
            most[word] = max(most[word], times)
    return most


def _undone(version: str, since: Sequence[Edit], own: Sequence[Edit]) -> bool:
    """Whether a save that differs from the version by ``own`` lacks all that came ``since``, and shows it."""
    shown = False
    known = set(words(version))
    for change in since:
        around = max(0, change.start - _AROUND), min(len(version), change.end + _AROUND)
        near = [edit for edit in own if edit.start <= around[1] and around[0] <= edit.end]
        whole = _in_whole_words(version, change)
        parts = (change.text,) if known.issuperset(words(whole)) else (change.text, whole)
        if any(_holds(version, edit, part, known) for edit in near for part in parts):
            return False
        if any(_goes_on_alike(version, edit, change) for edit in near):
            return False
        if change.start == change.end:
            shown = shown or 2 * _deleted(own, *around) <= around[1] - around[0]
        else:
            deleted = _deleted(own, change.start, change.end)
            if deleted == change.end - change.start and not change.text:
                return False  # deleted in the save as well
            shown = shown or (not deleted and 2 * _grown(own, change) <= change.end - change.start)
    return shown


def _goes_on_alike(version: str, own: Edit, change: Edit) -> bool:
    """Whether both go on in one line of the version with the same words, whatever comes below."""
    there = change.text.partition("\n")[0]
    within = change.start > 0 and version[change.start - 1] != "\n"
    return within and own.start == change.start and bool(there.strip()) and begins_with(own.text, there)


def _deleted(edits: Sequence[Edit], start: int, end: int) -> int:
    """How many characters of the range they delete."""
    return sum(max(0, min(edit.end, end) - max(edit.start, start)) for edit in edits)


def _grown(edits: Sequence[Edit], change: Edit) -> int:
    """How many characters they insert within the range of the change: with many, it is another text."""
    return sum(len(edit.text) for edit in edits if change.start < edit.start and edit.end < change.end)


def _in_whole_words(version: str, edit: Edit) -> str:
    """What the edit inserts, with the letters of the version that belong to the words at its ends."""
    before = version[word_start(version, edit.start) : edit.start]
    return before + edit.text + version[edit.end : word_end(version, edit.end)]


def _holds(version: str, edit: Edit, part: str, known: Set[str]) -> bool:
    """Whether most of the words of ``part``, by their letters, are in what the edit of the version inserts.

    Those that are ``known`` count only if all are: lines of one file have many words in common.
    """
    wanted = _seen(part).keys()
    new = wanted - known
    found = set(words(edit.text))
    if new:
        found.update(words(_in_whole_words(version, edit)))
    return bool(wanted) and _are_among(new or wanted, found)


def _are_among(wanted: Set[str], found: Set[str]) -> bool:
    """Whether most of the words are, by what they tell."""
    return 5 * telling_chars(wanted & found) >= 4 * telling_chars(wanted)
