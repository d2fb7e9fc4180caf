"""Yjs updates written by hand, byte by byte, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pycrdt import Doc, Text

from crdtsync.core.text.cursor import Cursor
from crdtsync.core.text.update import HAS_ORIGIN, HAS_RIGHT_ORIGIN, Ranges, check_update, read_structs
from crdtsync.core.wire.lib0 import varbytes, varuint


def said(update: bytes) -> tuple[Mapping[int, Ranges], Mapping[int, Ranges]]:
    """What it inserts and deletes; two that say the same may be cut in other pieces."""
    shape = check_update(update)
    return shape.inserts, shape.deletes


def string(text: str) -> bytes:
    return varbytes(text.encode())


def identifier(client: int, clock: int) -> bytes:
    return varuint(client) + varuint(clock)


def item(
    content: bytes,
    kind: int,
    *,
    left: tuple[int, int] | None = None,
    right: tuple[int, int] | None = None,
    parent: bytes = b"",
    key: str | None = None,
) -> bytes:
    """One item; without ``left``, ``right`` and ``parent`` a child of the root ``content``."""
    info = kind | (0x80 if left else 0) | (0x40 if right else 0) | (0x20 if key is not None else 0)
    placed = b"".join(identifier(*origin) for origin in (left, right) if origin)
    if not placed:
        placed = parent or varuint(1) + string("content")
        placed += b"" if key is None else string(key)
    return bytes((info,)) + placed + content


def text(characters: str, left: tuple[int, int] | None = None, right: tuple[int, int] | None = None) -> bytes:
    return item(string(characters), 4, left=left, right=right)


def garbage(length: int) -> bytes:
    return b"\x00" + varuint(length)


def skip(length: int) -> bytes:
    return b"\x0a" + varuint(length)


def structs(client: int, clock: int, *encoded: bytes) -> bytes:
    return varuint(len(encoded)) + identifier(client, clock) + b"".join(encoded)


def deletions(client: int, *ranges: tuple[int, int]) -> bytes:
    """``ranges`` are (clock, length)."""
    return varuint(client) + varuint(len(ranges)) + b"".join(identifier(*pair) for pair in ranges)


def update(inserted: Sequence[bytes] = (), deleted: Sequence[bytes] = ()) -> bytes:
    return varuint(len(inserted)) + b"".join(inserted) + varuint(len(deleted)) + b"".join(deleted)


def clocks(state: bytes) -> dict[tuple[int, int], tuple[object, ...]]:
    """What stands under each clock and by what it was placed, however a document has cut it in structs."""
    found: dict[tuple[int, int], tuple[object, ...]] = {}
    for client, queue in read_structs(state)[0].items():
        for struct in queue:
            cursor = Cursor(struct.encoded)
            info = cursor.byte()
            left = (cursor.uint(), cursor.uint()) if info & HAS_ORIGIN else None
            right = (cursor.uint(), cursor.uint()) if info & HAS_RIGHT_ORIGIN else None
            if left is right is None and info:
                cursor.uint()
                cursor.string()
            units = cursor.string().encode("utf-16-le") if info & 31 == 4 else b""
            for clock in range(struct.start, struct.end):
                at = 2 * (clock - struct.start)
                found[client, clock] = (info & 31, left, right, units[at : at + 2])
                left = (client, clock) if info else None
    return found


class Author:
    """Someone who edits with pycrdt alone, and whose updates can be had one by one."""

    def __init__(self, client_id: int) -> None:
        self.doc: Doc[Text] = Doc(client_id=client_id)
        self.text = self.doc.get("content", type=Text)
        self.updates: list[bytes] = []

    def replace(self, start: int, end: int, inserted: str) -> bytes:
        """``start`` and ``end`` in code points."""
        before = str(self.text)
        at, until = len(before[:start].encode()), len(before[:end].encode())
        made: list[bytes] = []
        subscription = self.doc.observe(lambda event: made.append(event.update))
        with self.doc.transaction():
            if until > at:
                del self.text[at:until]
            if inserted:
                self.text.insert(at, inserted)
        self.doc.unobserve(subscription)
        self.updates += made
        return made[0]

    def learn_from(self, other: Author) -> None:
        self.doc.apply_update(other.doc.get_update(self.doc.get_state()))
