"""What one member pushes, until it may go into the room's log: bounds, the check, the room's greatest number.

One push at a time: the member is not read from while one waits for an answer.
"""

from __future__ import annotations

from collections.abc import Callable

from crdtsync.core.hub import bounds
from crdtsync.core.hub.admission import READ_ONLY
from crdtsync.core.hub.effects import CheckUpdates, FindDocuments
from crdtsync.core.hub.pushed import Pushed
from crdtsync.core.hub.room import Room
from crdtsync.core.hub.shared import Refusal, Shared
from crdtsync.core.values import limits
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.messages import Push
from crdtsync.errors import PeerError


class Pushing:
    def __init__(
        self, number: int, read_only: bool, shared: Shared, take_in: Callable[[Push, int], None]
    ) -> None:
        """``take_in`` gets each push that may go into the log, and when it came (milliseconds since 1970)."""
        self._number = number
        self._read_only = read_only
        self._shared = shared
        self._take_in = take_in
        self._pushed = Pushed()
        self._waiting: tuple[Push, int] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is awaited: of the check, or of the store."""
        return self._waiting is not None

    def begin(self, push: Push, at_ms: int, room: Room) -> None:
        """Raises PeerError (it cannot be applied) and Refusal."""
        if self._read_only:
            raise Refusal("denied", READ_ONLY)
        size_bytes = 0
        for document, update in push.updates:
            size_bytes += len(update)
            if len(update) > bounds.UPDATE_MAX_BYTES:
                raise Refusal(
                    "limit",
                    f"An update of document {document} has {len(update)} bytes; "
                    f"a hub takes at most {bounds.UPDATE_MAX_BYTES}.",
                )
        if (full := room.full(size_bytes)) is not None:
            raise Refusal("limit", full)
        self._waiting = (push, at_ms)
        if size_bytes > bounds.CHECK_INLINE_MAX_BYTES:
            self._shared.add(CheckUpdates(self._number, push.updates))
        else:
            self.checked(self._pushed.problem_of(push.updates), room)

    def checked(self, problem: str | None, room: Room) -> None:
        """``problem``: why the push cannot be applied. Raises PeerError then."""
        if problem is not None:
            raise PeerError(problem)
        if self._waiting is None:
            return
        if room.documents >= limits.DOCUMENTS_PER_ROOM_MAX:
            documents = frozenset(document for document, _ in self._waiting[0].updates)
            self._shared.add(FindDocuments(self._number, room.name, documents))
        else:
            self._end(*self._waiting)

    def found(self, known: frozenset[DocumentId]) -> None:
        """``known``: documents of the push that the full room has. Raises Refusal if it has others."""
        if self._waiting is None:
            return
        push, at_ms = self._waiting
        if new := {document for document, _ in push.updates} - known:
            raise Refusal(
                "limit",
                f"The room has {limits.DOCUMENTS_PER_ROOM_MAX} documents, as many as a hub keeps; "
                f"it cannot take {len(new)} more. Use another room.",
            )
        self._end(push, at_ms)

    def _end(self, push: Push, at_ms: int) -> None:
        self._waiting = None
        self._take_in(push, at_ms)
