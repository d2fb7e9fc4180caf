"""One end of a text that two sides edit at the same time, over a channel that keeps the order.

The two-party algorithm of Jupiter (Nichols, Curtis, Dixon, Lamping: "High-Latency, Low-Bandwidth Windowing in
the Jupiter Collaboration System", UIST 1995): each side applies its own edits at once, and says with each how
many of the other's it has taken.
"""

from __future__ import annotations

from collections import deque

from crdtsync.core.text.diff import Edit
from crdtsync.core.text.transform import moved_offset, transform


class JupiterEnd:
    """``first``: of two insertions at one place, this side's comes first; exactly one of the ends has it."""

    def __init__(self, *, first: bool) -> None:
        self._first = first
        self._untaken: deque[tuple[Edit, ...]] = deque()
        self._made = 0
        self._taken = 0

    @property
    def taken(self) -> int:
        """Lists of edits of the other side that were taken: to be told with each of our own."""
        return self._taken

    @property
    def untaken(self) -> int:
        """Lists of edits of ours that the other side is not known to have taken."""
        return len(self._untaken)

    def make(self, edits: tuple[Edit, ...]) -> None:
        """This side's text was edited; the other side is to be told, with ``taken``."""
        self._untaken.append(edits)
        self._made += 1

    def confirmed(self, taken: int) -> None:
        """The other side says how many of ours it has taken. Raises ValueError if that cannot be."""
        pending = self._made - taken
        if not 0 <= pending <= len(self._untaken):
            raise ValueError(f"{taken} lists of edits cannot have been taken: {self._made} were made")
        while len(self._untaken) > pending:
            self._untaken.popleft()

    def take(self, taken: int, edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
        """The other side made ``edits`` when it had taken so many of ours; returns them as edits of the text
        as it is here. Raises ValueError as ``confirmed`` does."""
        self.confirmed(taken)
        self._taken += 1
        for index, ours in enumerate(self._untaken):
            self._untaken[index] = transform(ours, edits, first=self._first)
            edits = transform(edits, ours, first=not self._first)
        return edits

    def moved(self, taken: int, offset: int) -> int:
        """Where an offset of the other side stands here. Raises ValueError as ``confirmed`` does."""
        self.confirmed(taken)
        for ours in self._untaken:
            offset = moved_offset(offset, ours, stays=False)
        return offset
