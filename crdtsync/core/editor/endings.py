"""A text with ``\\r\\n`` as an editor shows it that keeps line endings to itself (Neovim's fileformat=dos).

The editor speaks of ``\\n`` only; what it inserts becomes ``\\r\\n``, as in the rest of the text.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from crdtsync.core.text.diff import Edit, apply_edits, diff


def hides_endings(text: str, shown: str) -> bool:
    """Whether an editor that shows ``shown`` of ``text`` keeps the line endings to itself."""
    return "\r\n" in text and "\r" not in shown


class Endings:
    """``text`` is the document's; what the editor shows of it is ``shown``."""

    def __init__(self, text: str, *, hidden: bool) -> None:
        self.text = text
        self.hidden = hidden
        self._ends: list[int] | None = None

    @property
    def shown(self) -> str:
        return self.text.replace("\r\n", "\n") if self.hidden else self.text

    def to_shown(self, edits: Sequence[Edit]) -> tuple[Edit, ...]:
        """The document was edited: the same as edits of what was shown. Takes them in."""
        if not self.hidden:
            self.text = apply_edits(self.text, edits)
            return tuple(edits)
        before = self.shown
        mapped = [
            Edit(self._to_shown(edit.start), self._to_shown(edit.end), edit.text.replace("\r\n", "\n"))
            for edit in edits
        ]
        self._set(apply_edits(self.text, edits))
        after = self.shown
        if apply_edits(before, mapped) != after:  # one went between a \r and its \n
            return diff(before, after)
        return tuple(edit for edit in mapped if edit.text or edit.end > edit.start)

    def to_text(self, edits: Sequence[Edit]) -> tuple[Edit, ...]:
        """The editor edited what it shows: the same as edits of the document. Does not take them in."""
        if not self.hidden:
            return tuple(edits)
        return tuple(
            Edit(
                self.to_text_offset(edit.start),
                self.to_text_offset(edit.end),
                edit.text.replace("\r\n", "\n").replace("\n", "\r\n"),
            )
            for edit in edits
        )

    def take(self, edits: Sequence[Edit]) -> None:
        """The document has these edits of it now."""
        self._set(apply_edits(self.text, edits))

    def to_text_offset(self, offset: int) -> int:
        if not self.hidden:
            return offset
        low, high = 0, len(self._hidden_at)
        while low < high:  # how many \r stand before it
            middle = (low + high) // 2
            if self._hidden_at[middle] - middle < offset:
                low = middle + 1
            else:
                high = middle
        return offset + low

    def to_shown_offset(self, offset: int) -> int:
        return self._to_shown(offset) if self.hidden else offset

    def _to_shown(self, offset: int) -> int:
        return offset - bisect_left(self._hidden_at, offset)

    @property
    def _hidden_at(self) -> list[int]:
        if self._ends is None:
            self._ends = []
            at = self.text.find("\r\n")
            while at >= 0:
                self._ends.append(at)
                at = self.text.find("\r\n", at + 2)
        return self._ends

    def _set(self, text: str) -> None:
        self.text = text
        self._ends = None
