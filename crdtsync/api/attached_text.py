"""One text of a folder that another process keeps joined: a document whose port is a connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import assert_never

from crdtsync.api import program_messages as messages
from crdtsync.api.document import Document
from crdtsync.api.program_link import ProgramLink
from crdtsync.api.served_text import CONFIRM_EVERY
from crdtsync.api.values import Origin, TextEdit
from crdtsync.core.replica.cursors import Ranges
from crdtsync.core.text.jupiter import JupiterEnd
from crdtsync.core.text.offsets import well_formed
from crdtsync.errors import CrdtsyncError, InvalidEdit, PeerError, class_named


class AttachedText:
    """The document's port."""

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
        self._document: Document | None = None

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

    def take(self, told: messages.OfText) -> None:
        """Raises PeerError for what cannot be."""
        try:
            self._take(told)
        except ValueError as error:
            raise PeerError(f"what is told of an open text does not fit: {error}") from error

    def _take(self, told: messages.OfText) -> None:
        if isinstance(told, messages.Opened):
            self._document = Document(self, told.path, told.text)
            return
        document = self.document
        match told:
            case messages.Edit(taken=taken, edits=()):
                self._jupiter.confirmed(taken)
            case messages.Edit(taken=taken, origin=origin):
                document._changed(self._jupiter.take(taken, messages.edits_of(told)), Origin(*origin))
                self._unconfirmed += 1
                if self._unconfirmed >= CONFIRM_EVERY:
                    self._say(())
            case messages.Cursors(taken=taken, person=person, name=name):
                moved = partial(self._jupiter.moved, taken)
                ranges = tuple((moved(anchor), moved(head)) for anchor, head in told.ranges)
                document._cursors_moved(person, name, ranges)
            case messages.Stands(path=path):
                document._stands(path)
            case messages.Ended(code=code, message=message):
                self._done(self._number, None)
                document._ended(class_named(code)(message))
            case _:
                assert_never(told)

    def ended(self, error: CrdtsyncError) -> None:
        """The room is over."""
        if self._document is not None:
            self._document._ended(error)

    @property
    def document(self) -> Document:
        """Raises ValueError before the replica has told what it holds."""
        if self._document is None:
            raise ValueError("it is not open")
        return self._document

    def _say(self, edits: tuple[TextEdit, ...]) -> None:
        self._unconfirmed = 0
        told = messages.Edit(document=self._number, taken=self._jupiter.taken, edits=messages.triples(edits))
        self._link.tell("edit", told.model_dump())
