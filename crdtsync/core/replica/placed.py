"""Texts as they are without those of our edits that the hub has not placed in its order yet.

Such an edit may turn out to be the same change as another's; typed ones never do, and count as placed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from crdtsync.core.replica.unaccepted import Unaccepted, without_taken_back
from crdtsync.core.text.deltas import inserted_ranges
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.update import check_update
from crdtsync.core.values.ids import EntryId


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
        waits for something else is no part of it.
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
        if document.pending and _completes((edit.update for edit in edits), document):
            return None
        return without_taken_back(document, edits)

    def untaken(self, entry: EntryId, edits: Iterable[Unaccepted]) -> str:
        """The text with these edits, which ``without`` left out, but for those that took something back."""
        kept = [edit.update for edit in edits if not edit.takes_back]
        return TextDocument(self._client_id, [self._documents[entry].encode_state(), *kept]).text

    def inserted_by(self, entry: EntryId, updates: Sequence[bytes], text: str) -> list[tuple[int, int]]:
        """Where in ``text``, all of it, stands what these updates of ours inserted; empty if nobody can tell.

        They are those that ``without`` left out, in their order. Ascending, in code points.
        """
        document = TextDocument(self._client_id, [self._documents[entry].encode_state()])
        ranges: list[tuple[int, int]] = []
        for update in updates:
            edits = document.apply_telling(update)
            if edits is None:
                return []
            ranges = inserted_ranges(ranges, edits)
        return ranges if document.text == text else []

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


def _completes(updates: Iterable[bytes], document: TextDocument) -> bool:
    """Whether these are what something in the document waits for, or wait themselves."""
    whole = TextDocument(0, [*document.encode_log(), *updates])
    return whole.pending != document.pending


def _lies_in(part: Mapping[int, tuple[int, int]], whole: Mapping[int, tuple[int, int]]) -> bool:
    """Whether something is inserted, and all of it by the other update as well."""
    return bool(part) and all(
        client in whole and whole[client][0] <= first and end <= whole[client][1]
        for client, (first, end) in part.items()
    )
