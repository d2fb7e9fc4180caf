"""Texts as they are without those of our edits that the hub has not placed in its order yet.

Such an edit may turn out to be the same change as another's; typed ones never do, and count as placed, but
for those that were made on top of such an edit: they wait for it, and come with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from crdtsync.core.replica.unaccepted import Unaccepted, without_taken_back
from crdtsync.core.text.deltas import inserted_ranges
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.merging import merge_updates
from crdtsync.core.text.update import UpdateShape, check_update
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.late import dataclass


@dataclass(frozen=True, slots=True)
class Steps:
    """Edits of ours with what was typed on top of each, which counts as an edit of its own here.

    ``inserted``: where all of the text has what the edits themselves inserted; empty if nobody can tell.
    ``deleted``: some of it was deleted again, which is no edit here: others may have put the same there.
    """

    edits: Sequence[Unaccepted]
    inserted: Sequence[tuple[int, int]]
    deleted: bool = False


class PlacedTexts:
    """``log`` gives all updates of a document; a text is made once someone asks for it."""

    def __init__(self, client_id: int, log: Callable[[EntryId], Iterable[bytes]]) -> None:
        self._client_id = client_id
        self._log = log
        self._documents: dict[EntryId, TextDocument] = {}

    def came(self, entry: EntryId, update: bytes) -> None:
        """An update that is part of the text whatever the hub's order."""
        if entry in self._documents:
            self._documents[entry].apply_update(update)

    def without(self, entry: EntryId, edits: Sequence[Unaccepted]) -> str | None:
        """The text as it would be without these edits of ours, which are all that the hub has not placed.

        What some of them took back of the others' stays out.

        None if it is not known: others have built on them, or the log was compacted with them in it. What
        waits for something else is no part of it, nor is what was typed on top of them.
        """
        if entry not in self._documents:
            left = [edit.update for edit in edits]
            kept = []
            for update in self._log(entry):
                if update in left:
                    left.remove(update)
                else:
                    kept.append(update)
            if left:
                return None
            self._documents[entry] = TextDocument(self._client_id, kept)
        document = self._documents[entry]
        if waiting := document.pending:
            whole = TextDocument(0, [*document.encode_log(), *(edit.update for edit in edits)])
            if set(whole.pending) != set(waiting) - _typed_on(edits, waiting).keys():
                return None
        return without_taken_back(document, edits)

    def untaken(self, entry: EntryId, edits: Iterable[Unaccepted]) -> str:
        """The text with these edits, which ``without`` left out, but for those that took something back."""
        kept = [edit.update for edit in edits if not edit.takes_back]
        return TextDocument(self._client_id, [*self._documents[entry].encode_log(), *kept]).text

    def steps(self, entry: EntryId, edits: Sequence[Unaccepted], text: str) -> Steps | None:
        """How these edits, which ``without`` left out, and what was typed on top of them lead to ``text``.

        None if something was typed there, and nobody can tell how.
        """
        placed = self._documents[entry]
        typed_on = _typed_on(edits, placed.pending)
        document = TextDocument(self._client_id, [placed.encode_state()])
        steps: list[Unaccepted] = []
        ranges: list[tuple[int, int]] = []
        deletions = merge_updates((each, shape) for each, shape in typed_on.items() if not shape.structs)
        for update, edit in (*_in_turn(edits, typed_on), *((each, None) for each in deletions)):
            before = document.text
            made = document.apply_telling(update)
            if made is None:
                break
            ranges = inserted_ranges(ranges, made)
            if edit is None:
                typed = inserted_ranges((), made)
                ranges = [each for each in ranges if each not in typed]
            if edit is not None or update not in deletions:
                steps.append(edit or Unaccepted(before, document.text, update, update))
        if document.text == text:
            return Steps(steps, ranges, bool(deletions))
        return None if typed_on else Steps(edits, ())

    def place(self, entry: EntryId, updates: Iterable[bytes], *, last: bool) -> None:
        """The hub has placed these updates of ours. ``last``: there are no others on their way."""
        if last:
            self._documents.pop(entry, None)
        for update in updates:
            self.came(entry, update)

    def forget(self) -> None:
        """Nobody knows any more what the hub has placed."""
        self._documents.clear()

    def contained(self, updates: Iterable[bytes], state: bytes) -> list[bytes]:
        """Those of our updates that are part of another, which may be all that a hub has of a document."""
        document = TextDocument(self._client_id, [state])
        if document.pending:
            # it builds on what others know: what it inserts tells
            structs = check_update(state).structs
            return [update for update in updates if _lies_in(check_update(update).structs, structs)]
        changes = [(update, document.apply_update(update)) for update in updates]
        return [update for update, change in changes if not change.changed and not change.pending]


def _typed_on(edits: Iterable[Unaccepted], waiting: Iterable[bytes]) -> dict[bytes, UpdateShape]:
    """Which of the updates whoever made the edits made, too.

    Of what only deletes nobody knows the author; what it deletes has no place yet, so it is theirs.
    """
    ours = {client for edit in edits for client in check_update(edit.update).structs}
    found = {}
    for update in waiting:
        shape = check_update(update)
        clients = shape.structs.keys() or shape.deletes.keys()
        if len(clients) == 1 and clients <= ours:
            found[update] = shape
    return found


def _in_turn(
    edits: Iterable[Unaccepted], typed_on: Mapping[bytes, UpdateShape]
) -> Iterator[tuple[bytes, Unaccepted | None]]:
    """The update of each edit, and after it, as few updates, what was typed on top of it."""
    typed = {
        (client, first): (end, update)
        for update, shape in typed_on.items()
        for client, (first, end) in shape.structs.items()
    }
    for edit in edits:
        yield edit.update, edit
        run: list[bytes] = []
        for client, (_, end) in check_update(edit.update).structs.items():
            while (client, end) in typed:
                end, update = typed[client, end]
                run.append(update)
        for update in merge_updates((each, check_update(each)) for each in run):
            yield update, None


def _lies_in(part: Mapping[int, tuple[int, int]], whole: Mapping[int, tuple[int, int]]) -> bool:
    """Whether something is inserted, and all of it by the other update as well."""
    return bool(part) and all(
        client in whole and whole[client][0] <= first and end <= whole[client][1]
        for client, (first, end) in part.items()
    )
