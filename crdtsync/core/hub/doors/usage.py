"""What all desks of a hub have open together, kept up to date: with a thousand rooms nobody may go through
them for each client that comes or goes.
"""

from __future__ import annotations

from crdtsync.core.values import limits


class Usage:
    def __init__(self) -> None:
        self.texts = 0
        """Open at all desks."""
        self._left: dict[str, None] = {}

    @property
    def may_open(self) -> bool:
        """Whether the hub takes one more text."""
        return self.texts < limits.OPEN_TEXTS_MAX

    def left(self, desk: str) -> None:
        """A client has left the desk of this room, which may have been the last, or nobody is there yet."""
        self._left[desk] = None

    def take_left(self) -> list[str]:
        """All desks of which that was told since the last call."""
        left = list(self._left)
        self._left.clear()
        return left
