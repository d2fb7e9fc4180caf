"""One text of a folder that another process keeps joined: a document whose port is a connection."""

from __future__ import annotations

from collections.abc import Callable

from crdtsync.api import program_messages as messages
from crdtsync.api.document import Document
from crdtsync.api.program_link import ProgramLink
from crdtsync.api.served_text import CONFIRM_EVERY
from crdtsync.api.values import Origin, TextEdit
from crdtsync.core.replica.cursors import Ranges
from crdtsync.core.text.jupiter import JupiterEnd
from crdtsync.core.text.offsets import well_formed
from crdtsync.errors import CrdtsyncError, InvalidEdit, PeerError


class AttachedText:
    """The document's port; ``document`` is there once the replica has told what the text holds."""

    document: Document

    def __init__(
        self,
        number: int,
        link: ProgramLink,
        check: Callable[[], None],
        done: Callable[[int, None], object],
    ) -> None:
        self._number = number
        self._link = link
        self._check = check
        self._done = done
        self._jupiter = JupiterEnd(first=False)
        self._unconfirmed = 0
        self._told = False

    # -- for the document ---------------------------------------------------------------------------------

    def edit(self, edits: tuple[TextEdit, ...]) -> None:
        self._check()
        if any(well_formed(edit.text) != edit.text for edit in edits):
            raise InvalidEdit("The edit was not made: it holds half of a surrogate pair, which is no text")
        if self._link.behind:
            raise CrdtsyncError("The edit was not made: the replica of the folder does not answer")
        self._jupiter.make(edits)
        self._say(edits)

    def place(self, ranges: Ranges) -> None:
        self._check()
        told = messages.Cursors(document=self._number, taken=self._jupiter.taken, ranges=ranges)
        self._link.tell("cursors", told.model_dump())

    def close(self) -> None:
        self._done(self._number, None)
        self._link.tell("close", {"document": self._number})

    # -- what the replica tells ---------------------------------------------------------------------------

    def opened(self, told: messages.Opened) -> None:
        self.document = Document(self, told.path, told.text)
        self._told = True

    def edited(self, told: messages.Edit) -> None:
        """Raises PeerError for what cannot be."""
        try:
            if not told.edits:
                self._jupiter.confirmed(told.taken)
                return
            edits = self._jupiter.take(told.taken, messages.edits_of(told))
            self.document._changed(edits, Origin(*told.origin))
        except (ValueError, AttributeError) as error:
            raise PeerError(f"an edit of an open text does not fit: {error}") from error
        self._unconfirmed += 1
        if self._unconfirmed >= CONFIRM_EVERY:
            self._say(())

    def cursors(self, told: messages.Cursors) -> None:
        """Raises PeerError for what cannot be."""
        try:
            ranges = tuple(
                (self._jupiter.moved(told.taken, anchor), self._jupiter.moved(told.taken, head))
                for anchor, head in told.ranges
            )
        except ValueError as error:
            raise PeerError(str(error)) from error
        if self._told:
            self.document._cursors_moved(told.person, told.name, ranges)

    def stands(self, path: str | None) -> None:
        if self._told:
            self.document._stands(path)

    def ended(self, error: CrdtsyncError) -> None:
        if self._told:
            self.document._ended(error)

    def _say(self, edits: tuple[TextEdit, ...]) -> None:
        self._unconfirmed = 0
        told = messages.Edit(document=self._number, taken=self._jupiter.taken, edits=messages.triples(edits))
        self._link.tell("edit", told.model_dump())
