"""Finds out which former text of the room a disk holds, though the replica remembers another agreement.

A power cut takes back what was remembered last, a backup of the state is old, and the hub tells the log
anew: then the disk is ahead of the agreement. Pure reading of logs; what follows is left to others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import Final, NamedTuple

from crdtsync.core.replica.records import Synced
from crdtsync.core.text.align import Budget
from crdtsync.core.text.base import keeps_insertions
from crdtsync.core.text.distance import is_edit_of
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.lineage import Lineage, stepped, thinned
from crdtsync.core.text.needs import with_needed
from crdtsync.core.text.offsets import utf8_length
from crdtsync.core.text.rebase import includes
from crdtsync.core.text.shared import with_shared_lines
from crdtsync.core.text.slices import sliced
from crdtsync.core.text.statevector import EMPTY_STATE_VECTOR, covers, decode, encode
from crdtsync.core.text.torn import looks_torn
from crdtsync.core.text.update import check_update
from crdtsync.core.text.words import telling_chars, words
from crdtsync.core.values.digests import Digest, digest_of_text
from crdtsync.core.values.late import dataclass
from crdtsync.errors import MalformedUpdate

_READ_MAX_CHARS: Final = 8 << 20
"""Of all texts looked at; costs 0.05 s."""
_TELLING_CHARS: Final = 8
"""New words of at least this many characters in all do not stand in a save by chance."""
_STEPS_MAX: Final = 4096
"""Of updates that are told apart by who made them; costs 0.5 s."""
_ERASING_MAX: Final = 32
"""Of updates that only erase: each is looked at in a document of its own."""
_CHARS_PER_STEP: Final = 1 << 12
_SHAPES_PER_STEP: Final = 16
"""Characters of the text, or updates that are looked at only, which cost as much as one of those."""
_COMPARED_MAX_CHARS: Final = 1 << 20
"""Of those that are compared word by word, the latest ones; costs 0.2 s."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What the text was once, and the state vector that it had."""

    text: str
    state_vector: bytes


def moment_of(
    log: Sequence[bytes], agreed: Synced, stood: str | None, saved: str, *, torn: bool
) -> Moment | None:
    """The last moment since the agreement whose text was saved, or was changed and then saved.

    ``log`` are all updates of the text in the order in which they came; who made one may not have had what
    others did at once, nor more of what came before the agreement than that covers. ``stood``: the agreed
    text, if it is known. ``torn``: a power cut may have left only the beginning. None if there was no such
    moment, or nobody can tell: a log may be one update by now.
    """
    log = [update for update in log if _is_read(update)]
    since: list[tuple[int, Moment]] = []
    merged: list[tuple[int, Moment]] = []
    for at, moment in _moments(log):
        if digest_of_text(moment.text) == agreed.digest:
            since = [(at, moment)]  # what was before that had been seen, and may have been gone back to
        elif since:
            since.append((at, moment))
        elif covers(moment.state_vector, agreed.state_vector):
            merged.append((at, moment))
    if merged and not since and stood is not None:
        # a save of this disk, which was never what the room had: others' edits were in that already
        since = [(merged[0][0], Moment(stood, agreed.state_vector)), *merged]
    if not since:
        return None
    (agreed_at, base), *after = since
    if not covers(base.state_vector, agreed.state_vector):
        return None
    latest = [moment for _, moment in reversed(after)]
    before = log[: agreed_at + 1]
    starts = [before]
    if (covered := _just(base, before)) not in (before, None):
        starts.append(covered)
    moments: list[Moment] = []
    budget = Budget(_STEPS_MAX)
    for moment in chain(latest, *(_alone(start, log, budget) for start in starts)):
        moments.append(moment)
        if moment.text == saved:
            return moment
        if torn and saved and moment.text.startswith(saved) and looks_torn(moment.text, saved):
            return moment
    known, there = set(words(base.text)), set(words(saved))
    compared_chars = 0
    for moment in moments:
        compared_chars += len(moment.text)
        if compared_chars > _COMPARED_MAX_CHARS:
            break
        new = set(words(moment.text)) - known
        tells = torn or telling_chars(new) >= _TELLING_CHARS
        if new and new <= there:
            has_all = tells and keeps_insertions(saved, moment.text, base.text)
            if has_all or includes(base.text, moment.text, saved):
                return moment
    if torn and looks_torn(base.text, saved):
        return _begun(moments[len(latest) :], base.text, saved)
    return None


def with_pulled(log: Iterable[bytes], agreed: Synced, base: str, saved: str) -> str:
    """The base of a save, and in it what that has of the texts that the room has had since the agreement.

    For a save of which no such text is the base for certain: what it lacks of these was deleted by nobody.
    """
    since = [moment for _, moment in _moments(log) if covers(moment.state_vector, agreed.state_vector)]
    budget = Budget()
    for text in _latest(since, len(base) + len(saved)):
        base = with_shared_lines(base, saved, text, {*words(base)}, budget, older=True)
    return base


def edited(log: Iterable[bytes], stands: str) -> list[str]:
    """The texts of the room, the oldest first, that what stands in a file is an edit of."""
    moments = [moment for _, moment in _moments(log)]
    return [text for text in _latest(moments, len(stands)) if is_edit_of(text, stands)]


def _latest(moments: Iterable[Moment], with_chars: int) -> list[str]:
    """The last of their texts, as many as may be compared with so much."""
    texts = [*dict.fromkeys(moment.text for moment in moments)]
    read_chars = [*accumulate(with_chars + len(text) for text in reversed(texts))]
    return texts[len(texts) - bisect_right(read_chars, _COMPARED_MAX_CHARS) :]


def _is_read(update: bytes) -> bool:
    """What cannot be is left out of the document."""
    try:
        return check_update(update) is not None
    except MalformedUpdate:
        return False


def _just(agreed: Moment, log: Iterable[bytes]) -> list[bytes] | None:
    """Those of the updates that the agreement covers, if they made the text and no more."""
    clocks = decode(agreed.state_vector)
    covered = [
        update
        for update in log
        if all(clocks.get(client, 0) >= end for client, (_, end) in check_update(update).structs.items())
    ]
    return covered if TextDocument(0, covered).text == agreed.text else None


def _begun(alone: Iterable[Moment], base: str, saved: str) -> Moment | None:
    """The first moment of an author who made a line that the save ends within, and the base lacks.

    What came later, or by others, may not have been there yet.
    """
    torn = saved[saved.rfind("\n") + 1 :]
    if torn in base or telling_chars(set(words(torn)) - set(words(base))) < _TELLING_CHARS:
        return None
    having = [moment for moment in alone if f"\n{torn}" in f"\n{moment.text}"]
    return having[-1] if having else None


def was_text(log: Iterable[bytes], digest: Digest, since: bytes = EMPTY_STATE_VECTOR) -> bool:
    """Whether that is what the text was once, at that state vector or later, as far as the log tells."""
    return any(
        digest_of_text(moment.text) == digest and covers(moment.state_vector, since)
        for _, moment in _moments(log)
    )


def lineage_of(log: Sequence[bytes], base: str) -> Lineage | None:
    """What the operations made of that text since the document last was it; None if the log does not tell."""
    document, size_utf8 = TextDocument(0), utf8_length(base)
    last: int | None = None
    read_chars = 0
    for at, update in enumerate(log):
        try:
            document.apply_update(update)
        except MalformedUpdate:
            continue  # as it is left out of the document
        if document.size_utf8 == size_utf8 and read_chars <= _READ_MAX_CHARS:
            read_chars += len(document.text)
            last = at if document.text == base else last
    if last is None:
        return None
    before, since = log[: last + 1], log[last + 1 :]
    stood = TextDocument(0, before)
    edits = stood.apply_telling(document.diff_update(stood.state_vector))
    if edits is None:
        return None
    return Lineage.of(base, edits, _steps(before, since), _thinned(before, since))


def _thinned(before: Sequence[bytes], since: Iterable[bytes]) -> Mapping[str, str]:
    """Lines out of which one of the later updates, which does nothing else, took something, and what it left.

    Each is looked at by itself, so it does not matter whether others took the rest before it came.
    """
    document = TextDocument(0, before)
    text, state = document.text, document.encode_state()
    left: dict[str, str] = {}
    looked_at = 0
    for update in since:
        try:
            if check_update(update).inserts or looked_at == _ERASING_MAX:
                continue
            left |= thinned(text, TextDocument(0, [state]).apply_telling(update) or ())
        except MalformedUpdate:
            continue  # as it is left out of the document
        looked_at += 1
    return left


def _steps(before: Sequence[bytes], since: Iterable[bytes]) -> Sequence[tuple[int, int]]:
    """Where something stands as one of the later updates inserted it; nothing, if that costs too much."""
    document, steps = TextDocument(0, before), list[tuple[int, int]]()
    read_chars = 0
    for update in since:
        try:
            edits = document.apply_telling(update)
        except MalformedUpdate:
            continue  # as it is left out of the document
        read_chars += len(document.text)
        if edits is None or read_chars > _READ_MAX_CHARS:
            return ()
        steps = stepped(steps, edits)
    return steps


def vector_of(log: Iterable[bytes], digest: Digest) -> bytes:
    """What of the document the text covered when it was that last; nothing, if the log does not tell."""
    found = EMPTY_STATE_VECTOR
    for _, moment in _moments(log):
        if digest_of_text(moment.text) == digest:
            found = moment.state_vector
    return found


def _moments(log: Iterable[bytes]) -> Iterator[tuple[int, Moment]]:
    """With the place in the log of the update that made it."""
    document = TextDocument(0)
    read_chars = 0
    for at, update in enumerate(log):
        try:
            document.apply_update(update)
        except MalformedUpdate:
            continue  # as it is left out of the document
        read_chars += len(document.text)
        if read_chars > _READ_MAX_CHARS:
            return
        yield at, Moment(document.text, document.state_vector)


def _alone(before: Sequence[bytes], log: Iterable[bytes], budget: Budget) -> Iterator[Moment]:
    """What each author made of the text, without what others did since then: the last moments first.

    What a hub or a merge made one update of is looked at struct by struct, for the disk may have had a part
    of what was typed. Of what only deletes nobody knows the author.
    """
    parts = _parts(before, log)
    for author in dict.fromkeys(part.author for part in parts):
        yield from reversed([*_made_by(author, before, parts, budget)])


def _parts(before: Sequence[bytes], log: Iterable[bytes]) -> list[_Part]:
    """What was inserted since, by whom."""
    there, parts = set(before), list[_Part]()
    for update in log:
        if update in there:
            continue
        slices = sliced(update, 1)
        if len(check_update(update).structs) > 1:
            parts += (_Part(author, each, each) for each in slices for author in check_update(each).structs)
        else:
            for author in check_update(update).structs:
                *typed, last = (each for each in slices if check_update(each).structs)
                parts += (_Part(author, each, each) for each in typed)
                parts.append(_Part(author, update, last))
    return parts


class _Part(NamedTuple):
    """What an author inserted at once, with and without what went for it."""

    author: int
    update: bytes
    inserts: bytes


def _made_by(
    author: int, before: Sequence[bytes], parts: Sequence[_Part], budget: Budget
) -> Iterator[Moment]:
    """What the author made of it, step by step. What others put there at once, and the author next to that,
    counts as not there."""
    own = {part.update for part in parts if part.author == author}
    if not own or not budget.spend(len(parts) // _SHAPES_PER_STEP):
        return
    document = TextDocument(0, before)
    characters, stood = [*document.text], document.state_vector
    rows = [part.update if part.author == author else part.inserts for part in parts]
    for update in with_needed(rows, own):
        if not budget.spend(1 + len(characters) // _CHARS_PER_STEP):
            return
        try:
            edits = document.apply_telling(update)
        except MalformedUpdate:
            return  # as it is left out of the document
        if edits is None:
            return  # it waits for others, or is no text
        for edit in reversed(edits):
            characters[edit.start : edit.end] = edit.text if update in own else [""] * len(edit.text)
        if update in own:
            clock = decode(document.state_vector).get(author, 0)
            yield Moment("".join(characters), encode({**decode(stood), author: clock}))
