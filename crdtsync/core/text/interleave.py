"""Edits that two sides made at one place, brought together character by character.

Knows nothing of words or lines but where one insertion is a part of the other.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from crdtsync.core.text.align import common_prefix, common_suffix
from crdtsync.core.text.combine import Place, touching_joined
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.standing import stand_in
from crdtsync.core.text.words import begins_with, inside_word

_TELLING_AT_END_CHARS: Final = 3
"""Text of at least this many visible characters does not end what others inserted at one place by chance."""


_TELLING_CHARS: Final = 8
"""Nor is text of at least this many found next to what we deleted."""
_LINES_AFTER: Final = re.compile(r"\n[^\n]*")


class _Kind(Enum):
    """Whose a piece of text is, and who deleted it."""

    BASE = auto()
    """Of the base, kept by both."""
    OURS = auto()
    """Inserted by us: to be inserted."""
    THEIRS = auto()
    """Inserted by them."""
    WE_DELETED = auto()
    """Of the base, and still in theirs: to be deleted."""
    THEY_DELETED = auto()
    """Of the base, and still in ours."""
    BOTH_DELETED = auto()


_KIND_LOST: Final = {_Kind.OURS: _Kind.THEY_DELETED, _Kind.THEIRS: _Kind.WE_DELETED}
_DELETED_BY: Final = {  # (them, us)
    (False, False): _Kind.BASE,
    (False, True): _Kind.WE_DELETED,
    (True, False): _Kind.THEY_DELETED,
    (True, True): _Kind.BOTH_DELETED,
}
_IN_THEIRS: Final = (_Kind.BASE, _Kind.THEIRS, _Kind.WE_DELETED)
_IN_RESULT: Final = (_Kind.BASE, _Kind.OURS, _Kind.THEIRS)


@dataclass(slots=True)
class _Piece:
    kind: _Kind
    text: str
    edit: Edit | None = None
    """That inserted it."""


def interleave(place: Place) -> list[Edit]:
    """Our edits of the base as edits of theirs: delete what we deleted and they did not, insert what we
    inserted and they did not, after what they inserted at the same place.

    White space that set apart what one side wrote stays, or comes again, where the other side deleted it.
    """
    pieces = [_Piece(_Kind.BASE, place.before)] if place.before else []
    pieces += _joined(place)
    if place.after:
        pieces.append(_Piece(_Kind.BASE, place.after))
    edits = []
    at = -len(place.before)
    for piece in _set_apart(pieces):
        if piece.kind is _Kind.OURS:
            edits.append(Edit(at, at, piece.text))
        elif piece.kind in _IN_THEIRS:
            end = at + len(piece.text)
            if piece.kind is _Kind.WE_DELETED:
                edits.append(Edit(at, end, ""))
            at = end
    return touching_joined(edit for edit in edits if edit.text or edit.start < edit.end)


def _pieces(place: Place) -> Iterator[_Piece]:
    """All of the base and all that was inserted, in order; at one place theirs goes first."""
    theirs, ours = deque(place.their_edits), deque(place.our_edits)
    inserted = {
        (edit.start, kind): edit
        for edits, kind in ((theirs, _Kind.THEIRS), (ours, _Kind.OURS))
        for edit in edits
    }
    bounds = sorted({0, *(at for edit in (*theirs, *ours) for at in (edit.start, edit.end)), len(place.base)})
    for start, end in zip(bounds, [*bounds[1:], len(place.base)], strict=True):
        for kind in (_Kind.THEIRS, _Kind.OURS):
            edit = inserted.get((start, kind))
            if edit is not None and edit.text:
                yield _Piece(kind, edit.text, edit)
        if start < end:
            kind = _DELETED_BY[_deletes(theirs, start), _deletes(ours, start)]
            yield _Piece(kind, place.base[start:end])


def _deletes(edits: deque[Edit], position: int) -> bool:
    """Whether one of them deletes the character there; forgets those before."""
    while edits and edits[0].end <= position:
        edits.popleft()
    return bool(edits) and edits[0].start <= position


def _joined(place: Place) -> list[_Piece]:
    """Of what we inserted next to an insertion of theirs only what they did not insert as well."""
    joined: list[_Piece] = []
    theirs: int | None = None  # the index of the insertion that the next of the other side is next to
    ours: int | None = None
    for piece in _pieces(place):
        match piece.kind:
            case _Kind.BASE:
                theirs = ours = None
            case _Kind.WE_DELETED:
                theirs = None
            case _Kind.THEY_DELETED:
                ours = None
            case _Kind.THEIRS:
                if ours is not None and _had_already(joined[ours], piece):
                    joined[ours].text = ""
                    theirs = None
                else:
                    theirs = len(joined)
                ours = None
            case _Kind.OURS:
                if theirs is None:
                    ours = len(joined)
                else:
                    _join(joined, theirs, piece, place)
                    theirs = None
        joined.append(piece)
    return joined


def _had_already(ours: _Piece, theirs: _Piece) -> bool:
    """Whether they inserted the same amid what we deleted, or right after it."""
    assert ours.edit is not None
    assert theirs.edit is not None
    if theirs.edit.start == ours.edit.end and _visible(ours.text) < _TELLING_CHARS:
        return False
    return theirs.edit.start <= ours.edit.end and not joined_insertions(ours.text, theirs.text, alike=False)


def _join(pieces: list[_Piece], index: int, ours: _Piece, place: Place) -> None:
    """Take out of our insertion what theirs, at that index, has; put in it what belongs there."""
    theirs = pieces[index]
    assert ours.edit is not None
    assert theirs.edit is not None
    alike = (ours.edit.start, ours.edit.end) == (theirs.edit.start, theirs.edit.end)
    before = (place.before + place.base[: theirs.edit.start])[-1:]
    ours_alone = joined_insertions(
        ours.text,
        theirs.text,
        alike=alike,
        replaced=alike and theirs.edit.start < theirs.edit.end,
        mid_line=before not in ("", "\n"),
    )
    ours.text = ""
    for edit in ours_alone:
        if edit.start == len(theirs.text):
            ours.text = edit.text
        else:
            head, tail = theirs.text[: edit.start], theirs.text[edit.start :]
            pieces[index : index + 1] = [
                _Piece(_Kind.THEIRS, head, theirs.edit),
                _Piece(_Kind.OURS, edit.text, ours.edit),
                _Piece(_Kind.THEIRS, tail, theirs.edit),
            ]


def _set_apart(pieces: list[_Piece]) -> list[_Piece]:
    """Keep, or bring again, white space that the other side deleted between what was inserted and what is
    next to it now."""
    pieces = [piece for piece in pieces if piece.text]
    index = 0
    while index < len(pieces):
        if pieces[index].kind in (_Kind.OURS, _Kind.THEIRS):
            _set_apart_from_next(pieces, index)
            index = _set_apart_from_last(pieces, index)
        index += 1
    return pieces


def _set_apart_from_next(pieces: list[_Piece], index: int) -> None:
    piece = pieces[index]
    after = next((i for i in range(index + 1, len(pieces)) if pieces[i].kind in _IN_RESULT), len(pieces))
    if after == len(pieces) or pieces[after].text[0].isspace() or piece.text[-1].isspace():
        return
    lost = _KIND_LOST[piece.kind]
    for i in range(index + 1, after):
        if pieces[i].kind is lost:
            at = _white_space(pieces[i].text)
            if at is not None:
                if piece.kind is _Kind.OURS:
                    piece.text += pieces[i].text[at]
                else:
                    _keep(pieces, i, at)
                return


def _set_apart_from_last(pieces: list[_Piece], index: int) -> int:
    """Returns where the piece stands then."""
    piece = pieces[index]
    before = next((i for i in range(index - 1, -1, -1) if pieces[i].kind in _IN_RESULT), -1)
    if before < 0 or pieces[before].text[-1].isspace() or piece.text[0].isspace():
        return index
    lost = _KIND_LOST[piece.kind]
    for i in range(index - 1, before, -1):
        if pieces[i].kind is lost:
            at = _white_space(pieces[i].text)
            if at is not None:
                if piece.kind is _Kind.OURS:
                    piece.text = pieces[i].text[at] + piece.text
                    return index
                return index + _keep(pieces, i, at)
    return index


def _white_space(text: str) -> int | None:
    """Where the end of a line is, or else other white space."""
    line = text.find("\n")
    if line >= 0:
        return line
    return next((at for at, character in enumerate(text) if character.isspace()), None)


def _keep(pieces: list[_Piece], index: int, at: int) -> int:
    """Keep one character of what we deleted; returns by how much later pieces move."""
    text = pieces[index].text
    parts = [
        _Piece(_Kind.WE_DELETED, text[:at]),
        _Piece(_Kind.BASE, text[at]),
        _Piece(_Kind.WE_DELETED, text[at + 1 :]),
    ]
    parts = [part for part in parts if part.text]
    pieces[index : index + 1] = parts
    return len(parts) - 1


def joined_insertions(
    ours: str, theirs: str, *, alike: bool, replaced: bool = False, mid_line: bool = False
) -> list[Edit]:
    """Two insertions at one place, as edits of theirs: what only we inserted is added.

    ``alike``: both stand at the same place of the base, so that it means more if they end alike.
    ``replaced``: for the same text of it, so that they are versions of one thing. ``mid_line``: they begin by
    going on in a line that was there.
    """
    whole = not mid_line and ours.endswith("\n") and theirs.endswith("\n")
    mine, yours = ours.splitlines(), theirs.splitlines()
    in_theirs, in_ours = not whole or stand_in(mine, yours), not whole or stand_in(yours, mine)
    if in_theirs and theirs.endswith(ours) and (alike or _visible(ours) >= _TELLING_AT_END_CHARS):
        return []  # it is where we put it
    start = common_prefix(ours, theirs)
    end = common_suffix(ours, theirs, min(len(ours), len(theirs)) - start)
    sizes = sorted((_visible(ours), _visible(theirs)))
    telling = sizes[0] >= _TELLING_CHARS or 2 * sizes[0] >= sizes[1]  # less is a part of much by chance
    if (
        in_theirs
        and telling
        and start + end == len(ours)
        and not _inside_words(theirs, start, len(theirs) - end)
    ):
        return []  # they inserted ours and more
    if in_ours and telling and start + end == len(theirs) and not _inside_words(ours, start, len(ours) - end):
        more = ours[start : len(ours) - end]  # we inserted theirs and more
        return [Edit(start, start, more)] if alike or more.strip() else []
    start = _same_head(ours, theirs) if mid_line else 0
    rest_ours, rest_theirs = ours[start:], theirs[start:]
    goes_on = start or (mid_line and not replaced and rest_ours)
    if goes_on and rest_theirs[:1] == "\n" != rest_ours[:1]:
        return [Edit(start, start, rest_ours)]  # we went on in that line
    first, last = _same_lines(rest_ours, rest_theirs, replaced)
    at = len(theirs) - last
    return [Edit(at, at, rest_ours[first : len(rest_ours) - last])]


def _same_head(ours: str, theirs: str) -> int:
    """How many characters of the line that was there both inserted alike, before they began new lines.

    A head that only one side went on with counts for the other, too.
    """
    mine, yours = ours.partition("\n")[0], theirs.partition("\n")[0]
    shorter, longer = sorted((mine, yours), key=len)
    if not shorter.strip() or not begins_with(longer, shorter):
        return 0
    ended = ours if shorter is mine else theirs
    return len(shorter) if mine == yours or ended.startswith("\n", len(shorter)) else 0


def _same_lines(ours: str, theirs: str, replaced: bool) -> tuple[int, int]:
    """How many characters the same first and last lines of two insertions have, if they are much the same.

    Different things that two people add may well end alike, in code above all.
    """
    mine, yours = _lines(ours), _lines(theirs)
    limit = min(len(mine), len(yours))
    first = next((n for n in range(limit) if mine[n] != yours[n]), limit)
    last = next((n for n in range(limit - first) if mine[-1 - n] != yours[-1 - n]), limit - first)
    head, tail = "".join(mine[:first]), "".join(mine[len(mine) - last :])
    shared, sizes = _visible(head) + _visible(tail), (_visible(ours), _visible(theirs))
    same = 2 * shared >= min(sizes) if replaced else head.strip() and 2 * shared >= max(sizes)
    return (len(head), len(tail)) if shared and same else (0, 0)


def _lines(text: str) -> list[str]:
    """With the ends of lines at their starts, if the text goes on after the end of a line."""
    return _LINES_AFTER.findall(text) if text.startswith("\n") else text.splitlines(keepends=True)


def _inside_words(text: str, *positions: int) -> bool:
    return any(inside_word(text, position) for position in positions)


def _visible(text: str) -> int:
    return sum(map(len, text.split()))
