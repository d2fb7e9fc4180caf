"""Which contents a program that has a text open may save without saying anything new."""

from __future__ import annotations

from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest


class ShownContents:
    """What the text is, and what it was or what its program showed a moment ago."""

    def __init__(self) -> None:
        self._current: Digest | None = None
        self._until: dict[Digest, float] = {}
        """The others, each with until when, ascending."""

    def becomes(self, digest: Digest, now: float) -> None:
        """The text is that now."""
        if digest == self._current:
            return
        if self._current is not None:
            self._remember(self._current, now)
        self._until.pop(digest, None)
        self._current = digest
        while self._until and self._until[first := next(iter(self._until))] <= now:
            del self._until[first]

    def showed(self, digest: Digest, now: float) -> None:
        """A program showed that when it made an edit."""
        if digest != self._current:
            self._remember(digest, now)

    def knows(self, digest: Digest, now: float) -> bool:
        return digest == self._current or now < self._until.get(digest, now)

    def _remember(self, digest: Digest, now: float) -> None:
        self._until.pop(digest, None)
        self._until[digest] = now + limits.EDITOR_BEHIND_S
