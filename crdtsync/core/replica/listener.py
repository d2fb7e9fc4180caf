"""What a session with the hub tells the replica, and asks of it; implemented by ``hub_side``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.control import Presence, Refused


class Listener(Protocol):
    """What the session tells the replica."""

    def on_update(self, document: DocumentId, update: bytes, at_ms: int, tentative: bool) -> None:
        """An update of someone else. ``tentative``: the hub might still lose it; it is dirty until clean."""
        ...

    def on_heard(self) -> None:
        """All updates of a message are here."""
        ...

    def on_caught_up(self, reseed: bool) -> None:
        """Everything that the hub had is here. ``reseed``: the hub may have lost what it had of us."""
        ...

    def on_unresumed(self) -> None:
        """The hub does not go on where we were: all documents will be compared."""
        ...

    def on_accepted(self, updates: Iterable[tuple[DocumentId, bytes]]) -> None:
        """No update of others that these of ours did not know can come before them any more."""
        ...

    def on_stored(self, updates: Iterable[tuple[DocumentId, bytes]]) -> None:
        """The hub has these updates of ours, and where they were placed, durably."""
        ...

    def on_away(self) -> None:
        """The connection is gone; what was placed and not stored may be placed anew."""
        ...

    def on_clean(self, document: DocumentId) -> None:
        """The hub has, durably, all that we have of this document."""
        ...

    def on_presence(self, presence: Presence) -> None:
        """Who else is here, and where."""
        ...

    def on_left(self, member: int) -> None: ...

    def on_wanted(self, digests: Iterable[Digest]) -> None:
        """Someone lacks these blobs, and so does the hub."""
        ...

    def on_probed(self, number: int) -> None: ...

    def on_refused(self, refused: Refused) -> None: ...

    def state_vectors(self) -> Mapping[DocumentId, bytes]:
        """Of all documents, the tree last."""
        ...

    def state_vector(self, document: DocumentId) -> bytes: ...

    def difference(self, document: DocumentId, state_vector: bytes) -> bytes:
        """What someone at ``state_vector`` lacks, which is then dirty; ``b""`` for nothing."""
        ...
