"""What a save was made from that waits for the hub or a look: the next one goes on from it.

Told from the texts alone the next time, it would count as made from what others had added meanwhile. So would
a save of an editor's buffer of it, if its file was gone before it could be taken in.
"""

from __future__ import annotations

from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import EntryId


class OlderBases:
    """By text, with what was agreed then: another agreement makes it void.

    Of more than OLDER_BASES_MAX_COUNT the one noted first is forgotten, as at a restart: what its next save
    leaves out of what others added is then taken for deleted, and is in the trash.
    """

    def __init__(self) -> None:
        self._noted: dict[EntryId, tuple[Digest, Digest]] = {}
        self._waiting: dict[EntryId, dict[Digest, Digest]] = {}

    def note(self, entry: EntryId, agreed: Digest, older: Digest) -> None:
        self._noted.pop(entry, None)
        self._noted[entry] = agreed, older
        if len(self._noted) > limits.OLDER_BASES_MAX_COUNT:
            del self._noted[next(iter(self._noted))]

    def waits(self, entry: EntryId, saved: Digest, base: Digest) -> None:
        """That text stands on disk, and is no version yet; it was made from that one."""
        before = self._waiting.pop(entry, {})
        before.pop(saved, None)
        latest = list(before.items())[1 - limits.VERSIONS_MAX_COUNT :]
        self._waiting[entry] = dict([*latest, (saved, base)])
        if len(self._waiting) > limits.OLDER_BASES_MAX_COUNT:
            del self._waiting[next(iter(self._waiting))]

    def waiting(self, entry: EntryId) -> list[tuple[Digest, Digest]]:
        """Texts that stood there and were not taken in, each with what it was made from; newest first."""
        return list(reversed(self._waiting.get(entry, {}).items()))

    def of(self, entry: EntryId, agreed: Digest | None) -> Digest | None:
        """The version that the first save since that agreement was made from, if it was an older one."""
        then, older = self._noted.get(entry, (None, None))
        return older if then is not None and then == agreed else None

    def forget(self, entry: EntryId) -> None:
        """A save was taken in, or was none."""
        self._noted.pop(entry, None)
        self._waiting.pop(entry, None)
