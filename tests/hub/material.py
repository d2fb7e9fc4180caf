"""Documents and updates for the hub's tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pycrdt import Doc, Map, Text

from crdtsync.core.text.causal import CausalBuffer
from crdtsync.core.text.update import check_update
from crdtsync.core.values.ids import TREE, DocumentId

NOTES = DocumentId("0a" * 12)
TASKS = DocumentId("0b" * 12)
DRAFT = DocumentId("0c" * 12)

__all__ = ["DRAFT", "NOTES", "TASKS", "TREE", "Author", "document", "lone_update", "text_of", "v2_update"]


def document(number: int) -> DocumentId:
    return DocumentId(f"{number:024x}")


class Author:
    """Someone who types into one text, and takes the updates of others in any order."""

    def __init__(self, client_id: int = 1) -> None:
        self.doc: Doc[Text] = Doc(client_id=client_id)
        self.text = self.doc.get("content", type=Text)
        self._causal = CausalBuffer()

    def type(self, text: str, at: int | None = None) -> bytes:
        """ASCII only: pycrdt counts bytes."""
        before = self.doc.get_state()
        if at is None:
            self.text += text
        else:
            self.text.insert(at, text)
        return self._made(before)

    def erase(self, start: int, end: int) -> bytes:
        before = self.doc.get_state()
        del self.text[start:end]
        return self._made(before)

    def take(self, *updates: bytes) -> None:
        for update in updates:
            for ready in self._causal.take(update).ready:
                self.doc.apply_update(ready)

    def _made(self, before: bytes) -> bytes:
        update = self.doc.get_update(before)
        self._causal.learn(check_update(update))
        return update

    def __str__(self) -> str:
        return str(self.text)


def lone_update(text: str = "hello", client_id: int = 1) -> bytes:
    return Author(client_id).type(text)


def text_of(updates: Iterable[bytes]) -> str:
    reader = Author(99)
    reader.take(*updates)
    return str(reader)


def v2_update() -> bytes:
    """What Y.encodeStateAsUpdateV2 gives for a text "hi" of client 1; columns as in yjs's UpdateEncoderV2."""
    strings = b"\x09contenthi\x07\x02"
    columns = [b"", b"\x01", b"", b"", b"\x04", strings, b"\x01", b"", b""]
    encoded = b"".join(bytes([len(column)]) + column for column in columns)
    return b"\0" + encoded + b"\x01\x01\x00\x00"


def map_update(values: dict[str, Any], client_id: int = 7) -> bytes:
    doc: Doc[Map[Any]] = Doc(client_id=client_id)
    columns = doc.get("path", type=Map)
    with doc.transaction():
        for key, value in values.items():
            columns[key] = value
    return doc.get_update()
