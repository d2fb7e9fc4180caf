"""Reads what one member pushes, which is nearly always what a person types on with: that is known by its
first bytes. What may be wrong with an update at all is known in ``documents``.
"""

from __future__ import annotations

from collections.abc import Sequence

from crdtsync.core.hub.documents import problem_of, read_sound
from crdtsync.core.text.typist import Typist
from crdtsync.core.values.ids import TREE, DocumentId
from crdtsync.errors import MalformedUpdate


class Pushed:
    def __init__(self) -> None:
        self._document: DocumentId | None = None
        self._typist: Typist | None = None
        """Who made the last update, of ``_document``, if that typed."""

    def problem_of(self, updates: Sequence[tuple[DocumentId, bytes]]) -> str | None:
        """As ``documents.problem_of``."""
        if len(updates) != 1:
            return problem_of(updates)
        ((document, update),) = updates
        typist, self._typist = self._typist, None
        if typist is not None and document == self._document and (typed := typist.read(update)) is not None:
            typist.type_on(typed)
            self._typist = typist
            return None
        try:
            shape = read_sound(document, update)
        except MalformedUpdate as error:
            return f"an update of document {document} cannot be applied: {error}"
        if document != TREE:
            self._document, self._typist = document, Typist.after(update, shape)
        return None
