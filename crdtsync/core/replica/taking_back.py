"""What stands twice in a text since another made the same change, and which of our edits made it so.

Pure judgement on texts and logs: who of the two takes it out again is known to ``ingest`` and ``hub_side``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

from crdtsync.core.replica.unaccepted import Save, Unaccepted, without_taken_back
from crdtsync.core.text.deltas import inserted_ranges
from crdtsync.core.text.diff import Edit, apply_edits, diff
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.doubling import doublings, within_ours
from crdtsync.core.text.rebase import rebase
from crdtsync.core.text.standing import is_gone_on_with
from crdtsync.errors import MalformedUpdate


def doubled(
    merged: str,
    theirs: str,
    flying: Sequence[Unaccepted],
    ours: Sequence[tuple[int, int]],
    *,
    moving: bool = True,
) -> tuple[Edit, ...]:
    """The edits of ``merged`` that take out what our edits brought into it a second time.

    ``theirs`` is the text without them, but for what some of them took back of it; ``ours`` are the ranges of
    ``merged`` that they inserted.
    """
    wanted = theirs
    for save in _saves(flying):
        wanted = apply_edits(wanted, rebase(save.base, save.text, wanted, older=save.older))
    return doublings(merged, wanted, _at_once(merged, ours, flying), moving=moving)


def _at_once(
    merged: str, ours: Sequence[tuple[int, int]], flying: Iterable[Unaccepted]
) -> Sequence[tuple[int, int]]:
    """The ranges, cut where we inserted at several places and others took out what stood between these, and
    where what we added to a line ends and lines below it begin."""
    saves = ((edit.before, diff(edit.before, edit.after)) for edit in flying if not edit.takes_back)
    inserted = [part for before, edits in saves for edit in edits for part in _parts(before, edit) if part]
    if "".join(inserted) != "".join(merged[start:end] for start, end in ours):
        return ours  # others wrote or erased within it
    lengths = set(accumulate(map(len, inserted)))
    cut: list[tuple[int, int]] = []
    done = 0
    for start, end in ours:
        ends = [at for at in range(start + 1, end) if done + at - start in lengths]
        cut += pairwise([start, *ends, end])
        done += end - start
    return cut


def _parts(before: str, edit: Edit) -> tuple[str, ...]:
    """What an edit inserts, told apart into what it adds to a line and what it puts below."""
    end = edit.text.find("\n")
    within = end > 0 and edit.start > 0 and before[edit.start - 1] != "\n"
    return (edit.text[:end], edit.text[end:]) if within else (edit.text,)


def given_back(merged: str, untaken: str, flying: Iterable[Unaccepted]) -> tuple[Edit, ...]:
    """The edits of ``merged`` that bring back what two took out, each the copy that the other had left.

    ``untaken`` is the text without what our edits took back.
    """
    wanted, edits = untaken, [edit for edit in flying if edit.takes_back]
    for edit in edits:
        wanted = apply_edits(wanted, rebase(edit.before, edit.after, wanted))
    return tuple(
        lacking
        for lacking in diff(merged, wanted)
        if lacking.start == lacking.end
        and any(_times(lacking.text, merged) < _times(lacking.text, edit.after) for edit in edits)
    )


def _times(part: str, text: str) -> int:
    """How often it stands in the text, also as a line with which someone has gone on."""
    others = (line for line in text.splitlines(keepends=True) if part not in line)
    return text.count(part) + sum(is_gone_on_with(part.strip("\n"), line) for line in others)


def taken_back(held: Iterable[bytes], flying: Sequence[Unaccepted]) -> bytes:
    """The update that takes edits out of a text that has the same by another already; ``b""`` if it has not.

    ``held`` are the updates that it has.
    """
    document = TextDocument(0, held)
    theirs = without_taken_back(document, flying)
    ranges = _applied(document, flying)
    if ranges is None:
        return b""
    return document.edit(_twice(document.text, theirs, flying, ranges))


def _twice(
    merged: str, theirs: str, flying: Sequence[Unaccepted], ours: Sequence[tuple[int, int]]
) -> list[Edit]:
    """What ``doubled`` takes out, as far as it is ours: a part of theirs may look like it."""
    return within_ours(merged, doubled(merged, theirs, flying, ours, moving=False), ours)


def found_again(held: Iterable[bytes], edit: Unaccepted) -> bytes:
    """As ``taken_back``, of what is known to be others': also lines in which they have typed since."""
    document = TextDocument(0, held)
    theirs = document.text
    ranges = _applied(document, [edit])
    if ranges is None:
        return b""
    edits = _twice(document.text, theirs, [edit], ranges)
    gone_on = _gone_on_with(edit.before, document.text, ranges)
    apart = [
        line for line in gone_on if all(line.end <= each.start or each.end <= line.start for each in edits)
    ]
    return document.edit(sorted([*edits, *apart], key=lambda each: each.start))


def _gone_on_with(before: str, merged: str, ours: Sequence[tuple[int, int]]) -> Iterator[Edit]:
    """Our whole lines beside which theirs stand with something typed in them: with nothing in between that
    was there before."""
    known = set(before.splitlines(keepends=True))
    left: list[str] = []
    inserted: list[Edit] = []
    at = 0
    for line in [*merged.splitlines(keepends=True), ""]:
        start, at = at, at + len(line)
        if any(first <= start < at <= last for first, last in ours):
            inserted.append(Edit(start, at, line))
        elif line and line not in known:
            left.append(line)
        else:
            for each in inserted:
                if found := next((other for other in left if is_gone_on_with(each.text, other)), ""):
                    left.remove(found)
                    yield Edit(each.start, each.end, "")
            left, inserted = [], []


def _applied(document: TextDocument, flying: Iterable[Unaccepted]) -> list[tuple[int, int]] | None:
    """The ranges that these have inserted into it; None if one of them cannot be read there."""
    ranges: list[tuple[int, int]] = []
    for edit in flying:
        try:
            edits = document.apply_telling(edit.update)
        except MalformedUpdate:
            return None
        if edits is None:
            return None
        ranges = inserted_ranges(ranges, edits)
    return ranges


def _saves(flying: Sequence[Unaccepted]) -> list[Save]:
    """What our edits carry over, joined where nothing of others came between two of them.

    Across what others did in between they would seem to be our own changes. For the same reason it is the
    save that counts, not what became of it in a text that had gone on: where both we and others add the same
    to a line in which a third has added something, one finds its own before that, the other after it.
    """
    saves: list[Save] = []
    for edit in flying:
        if edit.takes_back:
            continue
        save = edit.save or Save(edit.before, edit.after)
        if saves and saves[-1].text == save.base:
            first = saves.pop()
            save = Save(first.base, save.text, first.older or save.older)
        saves.append(save)
    return saves
