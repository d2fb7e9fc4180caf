"""Remembers the files that we put into the folder ourselves, so that the hints of their coming cost little.

That nothing but a hint asks for a look at them is known by ``looking``.
"""

from __future__ import annotations

from crdtsync.core.values.files import Fingerprint, Seen, Unchanged

MAX_COUNT = 4096
"""Files whose hints may still come: several times as many as steps are under way."""


class OwnFiles:
    """By path, the fingerprint of a file of ours, until a look finds anything else there.

    No mapping of such a file is older than its place in the folder, so no write goes by its times.
    """

    def __init__(self) -> None:
        self._written: dict[str, Fingerprint] = {}

    def put(self, path: str, fingerprint: Fingerprint | None) -> None:
        """A file of ours stands there now; hints of that will come. None: a folder, or not known."""
        self._written.pop(path, None)
        if fingerprint is not None and fingerprint.tells_writes:
            self._written[path] = fingerprint
            if len(self._written) > MAX_COUNT:
                del self._written[next(iter(self._written))]

    def get(self, path: str) -> Fingerprint | None:
        return self._written.get(path)

    def seen(self, path: str, seen: Seen) -> None:
        """A look has found that."""
        if not isinstance(seen, Unchanged):
            self._written.pop(path, None)
