"""What stands twice in a text since another made the same change, and which of our edits made it so.

Pure judgement on texts and logs: who of the two takes it out again is known to ``ingest`` and ``hub_side``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from crdtsync.core.replica.unaccepted import Save, Unaccepted, without_taken_back
from crdtsync.core.text.deltas import inserted_ranges
from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.doubling import doublings
from crdtsync.core.text.rebase import rebase
from crdtsync.core.text.statevector import encode
from crdtsync.core.text.update import check_update
from crdtsync.core.values.late import dataclass
from crdtsync.errors import MalformedUpdate


def doubled(
    merged: str, theirs: str, flying: Sequence[Unaccepted], ours: Sequence[tuple[int, int]]
) -> tuple[Edit, ...]:
    """The edits of ``merged`` that take out what our edits brought into it a second time.

    ``theirs`` is the text without them, but for what some of them took back of it; ``ours`` are the ranges of
    ``merged`` that they inserted.
    """
    wanted = theirs
    for save in _saves(flying):
        wanted = apply_edits(wanted, rebase(save.base, save.text, wanted, older=save.older))
    return doublings(merged, wanted, ours)


def taken_back(held: Iterable[bytes], flying: Sequence[Unaccepted]) -> bytes:
    """The update that takes edits out of a text that has the same by another already; ``b""`` if it has not.

    ``held`` are the updates that it has.
    """
    document = TextDocument(0, held)
    waiting = document.pending
    theirs = without_taken_back(document, flying)
    ranges: list[tuple[int, int]] = []
    for edit in flying:
        try:
            edits = document.apply_telling(edit.update)
        except MalformedUpdate:
            return b""
        if edits is None:
            return b""
        ranges = inserted_ranges(ranges, edits)
    if document.pending != waiting:
        return b""
    found = doubled(document.text, theirs, flying, ranges)
    return b"" if any(edit.text for edit in found) else document.edit(found)


@dataclass(frozen=True, slots=True)
class Bringing:
    """What a hub that lost it gets of a text: all but the last updates in one, then those.

    ``taken_back`` take out what it has already, by another.
    """

    first: bytes
    taken_back: Sequence[bytes]


def bring(log: Sequence[bytes], rows: Sequence[bytes], clocks: Mapping[int, int]) -> Bringing | None:
    """``rows`` are the last updates of the log, in the order in which a hub told of them; None if they cannot
    be set apart, or insert nothing. ``clocks`` are those of the hub that lacks them.
    """
    rest = [update for update in log if update not in rows]
    document = TextDocument(0, rest)
    first = document.diff_update(encode(clocks))
    try:
        if not any(check_update(update).inserts for update in rows):
            return None
        for update in rows:
            document.apply_update(update)
        if document.pending:
            return None
        held = [update for update in rest if is_held(update, clocks) or not check_update(update).inserts]
        again = [update for update in _again(log, rows, held) if update]
    except MalformedUpdate:
        return None
    return Bringing(first, again)


def _again(log: Sequence[bytes], rows: Sequence[bytes], held: Sequence[bytes]) -> Iterator[bytes]:
    """What takes out of each of the rows, on top of those that it builds on, what is ``held``.

    Raises MalformedUpdate.
    """
    last = max(at for at, update in enumerate(log) if update in rows)
    before = [update for update in log[:last] if update not in rows]
    for at, update in enumerate(rows):
        if check_update(update).inserts:
            needed = _needed(update, rows[:at])
            document = TextDocument(0, [*before, *needed])
            text = document.text
            document.apply_update(update)
            if not document.pending:
                step = Unaccepted(text, document.text, update, update)
                yield taken_back([*held, *needed], [step])


def _needed(update: bytes, rows: Sequence[bytes]) -> list[bytes]:
    """Those of the rows on which an update builds."""
    needed: list[bytes] = []
    needs: dict[int, int] = {}
    for row in (update, *reversed(rows)):
        shape = check_update(row)
        if row is update or any(first < needs.get(client, 0) for client, (first, _) in shape.structs.items()):
            needed.insert(0, row)
            for client, clock in (
                *shape.needs.items(),
                *((c, first) for c, (first, _) in shape.structs.items()),
            ):
                needs[client] = max(clock, needs.get(client, 0))
    return needed[:-1]


def is_held(update: bytes, clocks: Mapping[int, int]) -> bool:
    """Whether a document with these clocks has all that the update inserts, which is something."""
    inserts = check_update(update).inserts
    return bool(inserts) and all(clocks.get(client, 0) >= ranges[-1][1] for client, ranges in inserts.items())


def with_inserts(clocks: Mapping[int, int], update: bytes) -> dict[int, int]:
    """The clocks of a document with these that has taken in the update, too."""
    ends = {client: ranges[-1][1] for client, ranges in check_update(update).inserts.items()}
    return {client: max(clocks.get(client, 0), ends.get(client, 0)) for client in (*clocks, *ends)}


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
