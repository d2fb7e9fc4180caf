"""What the hub says, for a room without a folder: updates go into tree and texts, the rest to the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from crdtsync.core.room.texts import RoomTexts
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.update import EMPTY_UPDATE
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.view import RoomView
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.core.wire.control import Presence, Refused
from crdtsync.errors import MalformedUpdate


@dataclass(frozen=True, slots=True)
class Heard:
    """Whom to tell what."""

    edited: Callable[[EntryId, tuple[Edit, ...]], None]
    """By someone else, in a text that is open."""
    left_out: Callable[[DocumentId, str], None]
    """An update that cannot be applied, and why."""
    someone: Callable[[Presence], None]
    left: Callable[[int], None]
    caught_up: Callable[[], None]
    probed: Callable[[int], None]
    refused: Callable[[Refused], None]


@dataclass(slots=True)
class HubSide:
    """The session's ``Listener``."""

    tree: TreeDocument
    texts: RoomTexts
    view: RoomView
    heard: Heard
    touched: set[EntryId] = field(default_factory=set)
    """Entries that are another than before, until the engine has told so."""

    def on_update(self, document: DocumentId, update: bytes, at_ms: int, tentative: bool) -> None:
        """An update of someone else."""
        try:
            if document == TREE:
                self.refresh(self.tree.apply_update(update))
            else:
                entry = EntryId(document)
                edits = self.texts.apply(entry, update)
                self.refresh([entry])
                if edits:
                    self.heard.edited(entry, edits)
        except MalformedUpdate as error:
            self.heard.left_out(document, str(error))

    def on_heard(self) -> None:
        """Each update stands by itself here."""

    def refresh(self, entries: Iterable[EntryId]) -> None:
        """These entries have changed."""
        entries = set(entries)
        self.view.refresh(entries)
        self.touched |= entries

    def on_caught_up(self, reseed: bool) -> None:
        self.heard.caught_up()

    def on_unresumed(self) -> None:
        """Everything is compared; nothing else hangs on it here."""

    def on_accepted(self, updates: Iterable[tuple[DocumentId, bytes]]) -> None:
        """What is typed into an open text is meant as it is, so the order of the hub changes nothing."""

    def on_stored(self, updates: Iterable[tuple[DocumentId, bytes]]) -> None:
        """As above."""

    def on_away(self) -> None:
        """As above: no place in the order is remembered that could be lost."""

    def on_clean(self, document: DocumentId) -> None:
        """The hub has it; whatever is not there yet is dirty in the session."""

    def on_presence(self, presence: Presence) -> None:
        """Who else is here, and where."""
        self.heard.someone(presence)

    def on_left(self, member: int) -> None:
        self.heard.left(member)

    def on_wanted(self, digests: Iterable[Digest]) -> None:
        """Blobs are not kept here."""

    def on_probed(self, number: int) -> None:
        self.heard.probed(number)

    def on_refused(self, refused: Refused) -> None:
        self.heard.refused(refused)

    def state_vectors(self) -> Mapping[DocumentId, bytes]:
        """Of all documents, the tree last."""
        vectors = {DocumentId(entry): self.texts.state_vector(entry) for entry in self.texts.entries}
        vectors[TREE] = self.tree.state_vector
        return vectors

    def state_vector(self, document: DocumentId) -> bytes:
        if document == TREE:
            return self.tree.state_vector
        return self.texts.state_vector(EntryId(document))

    def difference(self, document: DocumentId, state_vector: bytes) -> bytes:
        """What someone at ``state_vector`` lacks; ``b""`` for nothing."""
        if document == TREE:
            update = self.tree.diff_update(state_vector)
            return b"" if update == EMPTY_UPDATE else update
        return self.texts.diff_update(EntryId(document), state_vector)
