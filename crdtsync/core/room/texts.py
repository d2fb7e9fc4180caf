"""The texts of a room in memory: encoded, and decoded as long as someone has them open.

Knows their documents only; which of them are files, and where, is the tree's matter.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from crdtsync.core.text.diff import Edit
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.statevector import EMPTY_STATE_VECTOR
from crdtsync.core.text.update import EMPTY_UPDATE, check_update
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of_text
from crdtsync.core.values.ids import EntryId, client_id_in

RECENT_MAX = 16
"""Documents that nobody has open and that stay decoded a little longer."""


class RoomTexts:
    """By entry. Implements ``core.tree.view.Contents``."""

    def __init__(self, client_id: int) -> None:
        self._client_id = client_id
        self._updates: dict[EntryId, list[bytes]] = {}
        self._open: dict[EntryId, TextDocument] = {}
        self._recent: OrderedDict[EntryId, TextDocument] = OrderedDict()
        self._vectors: dict[EntryId, bytes] = {}

    @property
    def entries(self) -> list[EntryId]:
        """Those of which anything was ever written."""
        return list(self._updates)

    def state_vector(self, entry: EntryId) -> bytes:
        if entry not in self._updates:
            return EMPTY_STATE_VECTOR
        if entry not in self._vectors:
            self._vectors[entry] = self._document(entry).state_vector
        return self._vectors[entry]

    def text_digest(self, entry: EntryId) -> Digest:
        return digest_of_text(self.text(entry))

    def text(self, entry: EntryId) -> str:
        return self._document(entry).text

    def diff_update(self, entry: EntryId, state_vector: bytes) -> bytes:
        """What a holder of ``state_vector`` lacks, or b"". Raises ValueError for a malformed one."""
        update = self._document(entry).diff_update(state_vector)
        return b"" if update == EMPTY_UPDATE else update

    def open(self, entry: EntryId) -> None:
        """Keep it decoded until it is closed."""
        if entry not in self._open:
            self._open[entry] = self._document(entry)
            self._recent.pop(entry, None)

    def close(self, entry: EntryId) -> None:
        self._recent[entry] = self._open.pop(entry)
        self._cool()

    def edit(self, entry: EntryId, edits: Sequence[Edit]) -> bytes:
        """Returns the update for the others, b"" if there is none. Raises ValueError, changing nothing."""
        update = self._document(entry).edit(edits)
        if update:
            self._logged(entry, update)
        return update

    def apply(self, entry: EntryId, update: bytes) -> tuple[Edit, ...]:
        """Take in an update of others; returns what it changed in a text that is open.

        Raises MalformedUpdate, changing nothing.
        """
        if update in (b"", EMPTY_UPDATE):
            return ()
        document = self._open.get(entry)
        edits: tuple[Edit, ...] = ()
        if document is not None:
            _, edits = document.apply_update_telling(update)
        elif entry in self._recent:
            self._recent[entry].apply_update(update)
        else:
            check_update(update)
        self._logged(entry, update)
        return edits

    def _logged(self, entry: EntryId, update: bytes) -> None:
        self._vectors.pop(entry, None)
        log = self._updates.setdefault(entry, [])
        log.append(update)
        if len(log) >= limits.COMPACT_AFTER_UPDATES:
            document = self._document(entry)
            if len(log) >= limits.COMPACT_AFTER_UPDATES + len(document.pending):
                self._updates[entry] = list(document.encode_log())

    def _document(self, entry: EntryId) -> TextDocument:
        document = self._open.get(entry)
        if document is None:
            document = self._recent.get(entry)
            if document is None:
                updates = self._updates.get(entry, ())
                document = TextDocument(client_id_in(entry, self._client_id), updates)
            self._recent[entry] = document
            self._recent.move_to_end(entry)
            self._cool()
        return document

    def _cool(self) -> None:
        while len(self._recent) > RECENT_MAX:
            self._recent.popitem(last=False)
