"""Which texts programs on this disk wrote: of those no editor here can have missed what they took out.

What follows for a save that lacks, or brings back, something is left to ``bases``.
"""

from __future__ import annotations

from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.trees import SyncedTree
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import EntryId


class SavedTexts:
    """Those since the start, and those that stood on disk then."""

    def __init__(self, synced: SyncedTree) -> None:
        self._synced = synced
        self._here: dict[EntryId, tuple[Digest, ...]] = {}
        self._since_start: set[EntryId] = set()

    def here(self, entry: EntryId, digest: Digest) -> None:
        """A program on this disk wrote that text."""
        self._since_start.add(entry)
        self._note(entry, digest)

    def stood(self, agreed: Synced) -> None:
        """That text is replaced by another one, and is an older version from here on."""
        if agreed.saved_here and agreed.digest is not None and agreed.entry not in self._here:
            self._note(agreed.entry, agreed.digest)

    def since_start(self, entry: EntryId) -> bool:
        return entry in self._since_start

    def was_here(self, entry: EntryId, digest: Digest) -> bool:
        """As far as it is known since the start, or still stood there then."""
        agreed = self._synced.get(entry)
        stands = agreed is not None and agreed.saved_here and agreed.digest == digest
        return stands or digest in self._here.get(entry, ())

    def _note(self, entry: EntryId, digest: Digest) -> None:
        before = self._here.get(entry, ())[1 - limits.VERSIONS_MAX_COUNT :]
        self._here[entry] = (*before, digest)
