"""Edits of ours that the hub has not yet given a place in its order, or not durably, remembered over a kill.

Knows them by entry, and which updates of a log they are; what their places mean is left to ``hub_side``.
"""

from __future__ import annotations

from collections import ChainMap, OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.records import PutMeta, Recall
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.update import check_update
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.ids import DocumentId, EntryId
from crdtsync.core.values.late import dataclass

UNACCEPTED_KEY = "unaccepted:"
"""Before the entry; the value names the updates, each marked if it takes a doubling back."""
_TAKES_BACK = "-"
_LATELY_MAX: Final = 4
_LATELY_MAX_TEXTS: Final = 32
_LATELY_MAX_CHARS: Final = 1 << 15
"""Of placed edits so many of one text, of so many texts, so long with all texts around them: 4 million."""


@dataclass(frozen=True, slots=True)
class Save:
    """What someone made of which text; ``older``: of that one or of a later one."""

    base: str
    text: str
    older: bool = False


@dataclass(frozen=True, slots=True)
class Unaccepted:
    """One edit, with the texts before and after it.

    ``sent`` is what went to the hub: the update itself, or what a comparison found the hub to lack.
    """

    before: str
    after: str
    update: bytes
    sent: bytes
    takes_back: bool = False
    """Made to undo a doubling: nobody's change."""
    save: Save | None = None
    """Which it carries over, where the text had gone on since its base; not remembered over a kill."""

    @property
    def size_chars(self) -> int:
        """Of all its texts."""
        save = 0 if self.save is None else len(self.save.base) + len(self.save.text)
        return len(self.before) + len(self.after) + save


def without_taken_back(document: TextDocument, edits: Iterable[Unaccepted]) -> str:
    """The text of a document that has none of the edits, without what they took back of it.

    One that put something elsewhere is left out: half of it would take that away.
    """
    updates = [edit.update for edit in edits if edit.takes_back and not check_update(edit.update).inserts]
    return TextDocument(0, [document.encode_state(), *updates]).text if updates else document.text


class UnacceptedEdits:
    def __init__(self, out: Outbox) -> None:
        self._out = out
        self._edits: dict[EntryId, list[Unaccepted]] = {}
        self._unstored: dict[EntryId, list[Unaccepted]] = {}
        """Placed by a hub that may still lose them: then their place is lost, too."""
        self.unordered: set[EntryId] = set()
        """Texts of which a hub that lost its order has yet to tell what it has."""
        self._lately: OrderedDict[EntryId, list[Unaccepted]] = OrderedDict()
        """Some that had a place, the last ones: a hub that is restored loses it."""
        self.kept_apart: Collection[EntryId] = ChainMap(self._edits, self._unstored)
        """Texts of which single edits must still be found in the log."""
        self._accepted: set[EntryId] = set()
        """Entries of which fewer have no lasting place than is written down; that may wait."""

    def __len__(self) -> int:
        """How many texts have any."""
        return len(self._edits)

    def __contains__(self, entry: object) -> bool:
        return entry in self._edits

    def of(self, entry: EntryId) -> Sequence[Unaccepted]:
        """Of one text, in the order in which they were made."""
        return tuple(self._edits.get(entry, ()))

    def add(self, entry: EntryId, edit: Unaccepted) -> None:
        """In the transaction that logs the update."""
        self._edits.setdefault(entry, []).append(edit)
        self._write(entry)

    def accepted(self, entry: EntryId, updates: Sequence[bytes], *, stored: bool) -> None:
        """The hub has placed these. ``stored``: durably."""
        left = [edit for edit in self._edits[entry] if edit.update not in updates]
        placed = [edit for edit in self._edits[entry] if edit.update in updates]
        self._remember(entry, placed)
        if not stored:
            self._unstored.setdefault(entry, []).extend(placed)
        if left:
            self._edits[entry] = left
        else:
            del self._edits[entry]
        if stored:
            self._accepted.add(entry)

    def stored(self, entry: EntryId, update: bytes) -> None:
        """What was sent as this is durable at the hub, and so is its place."""
        left = [edit for edit in self._unstored.get(entry, ()) if edit.sent != update]
        self.all_stored(entry)
        if left:
            self._unstored[entry] = left

    def all_stored(self, entry: EntryId) -> None:
        """The hub has every place of this text durably, those that others gave to edits of ours, too."""
        if self._unstored.pop(entry, None) is not None:
            self._accepted.add(entry)

    def lose_places(self) -> bool:
        """The hub is gone, maybe with what it had not stored; whether there was any such edit."""
        lost = bool(self._unstored)
        for entry, edits in self._unstored.items():
            self._edits[entry] = [*edits, *self._edits.get(entry, ())]
        self._unstored.clear()
        return lost

    def sent_as(self, entry: EntryId, update: bytes) -> None:
        """All of the text that the hub may lack goes to it in one."""
        self._edits[entry] = [replace(edit, sent=update) for edit in self._edits[entry]]

    def lose_order(self) -> None:
        """The hub is another one, or was restored: what is remembered will be placed anew."""
        entries = {*self._edits, *self._lately}
        for entry in entries:
            known = [*self._lately.get(entry, ()), *self._edits.get(entry, ())]
            self._edits[entry] = list({edit.update: edit for edit in known}.values())
        self._accepted |= entries
        self._unstored.clear()
        self._lately.clear()
        self.unordered = set(entries)

    def sent_alone(self, entry: EntryId) -> None:
        """Each of the edits goes to the hub by itself."""
        if entry in self._edits:
            self._edits[entry] = [replace(edit, sent=edit.update) for edit in self._edits[entry]]

    def forget(self, entry: EntryId) -> None:
        """Where its edits come to stand does not matter any more."""
        if self._edits.pop(entry, None) is not None:
            self._accepted.add(entry)

    def _remember(self, entry: EntryId, placed: Iterable[Unaccepted]) -> None:
        known = self._lately.pop(entry, [])
        known += [edit for edit in placed if edit.size_chars <= _LATELY_MAX_CHARS]
        self._lately[entry] = known[-_LATELY_MAX:]
        while len(self._lately) > _LATELY_MAX_TEXTS:
            self._lately.popitem(last=False)

    def write_down(self) -> None:
        """Before the cursor that hides their acceptance from us, or with it."""
        for entry in sorted(self._accepted):
            self._write(entry)
        self._accepted.clear()

    def recall(self, meta: Mapping[str, str], recall: Recall) -> None:
        """At a start: find the edits in the logs."""
        for key, value in meta.items():
            if not key.startswith(UNACCEPTED_KEY):
                continue
            entry = EntryId(key.removeprefix(UNACCEPTED_KEY))
            names = {name.rstrip(_TAKES_BACK): name.endswith(_TAKES_BACK) for name in value.split()}
            found = _found(names, recall.updates(DocumentId(entry)))
            if found:
                self._edits[entry] = found
            if len(found) != len(names):
                self._accepted.add(entry)

    def _write(self, entry: EntryId) -> None:
        names = [
            _name(edit.update) + (_TAKES_BACK if edit.takes_back else "")
            for edit in (*self._unstored.get(entry, ()), *self._edits.get(entry, ()))
        ]
        self._accepted.discard(entry)
        self._out.record(PutMeta(UNACCEPTED_KEY + entry, " ".join(names)))


def _found(names: Mapping[str, bool], log: Iterable[bytes]) -> list[Unaccepted]:
    found: list[Unaccepted] = []
    document = TextDocument(0)
    for update in log:
        takes_back = names.get(_name(update))
        before = "" if takes_back is None else document.text
        document.apply_update(update)
        if takes_back is not None:
            found.append(Unaccepted(before, document.text, update, update, takes_back))
    return found


def _name(update: bytes) -> str:
    return digest_of(update)[:32]
