"""Texts on their way from the hub to the disk, so that their documents need not be decoded twice.

Keeps as many as it may; who asks for another one has it from the document.
"""

from __future__ import annotations

from crdtsync.core.values import limits
from crdtsync.core.values.ids import EntryId


class UnwrittenTexts:
    def __init__(self) -> None:
        self._texts: dict[EntryId, str] = {}
        self.size_bytes = 0
        """Of memory, at most."""

    def __len__(self) -> int:
        return len(self._texts)

    def keep(self, entry: EntryId, text: str) -> None:
        """The text as the document holds it now. Call ``take`` before that changes."""
        self.take(entry)
        if self.size_bytes + _size_bytes(text) <= limits.UNWRITTEN_TEXTS_MAX_BYTES:
            self._texts[entry] = text
            self.size_bytes += _size_bytes(text)

    def take(self, entry: EntryId) -> str | None:
        """The text, which is not kept any longer."""
        text = self._texts.pop(entry, None)
        self.size_bytes -= 0 if text is None else _size_bytes(text)
        return text


def _size_bytes(text: str) -> int:
    return len(text) if text.isascii() else 4 * len(text)
