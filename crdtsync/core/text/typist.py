"""Recognises the commonest update of all: a client types on where its last update ended.

It differs from the one before in two clocks and its characters, so it is known by its first bytes and need
not be read as any other (``update.check_update``). Whoever holds the document says whether the clocks fit.
"""

from __future__ import annotations

from typing import NamedTuple

from crdtsync.core.text.cursor import MAX_CLOCK, Cursor
from crdtsync.core.text.update import HAS_ORIGIN, HAS_RIGHT_ORIGIN, UpdateShape
from crdtsync.core.wire.lib0 import varuint

_STRING = 4
_ONE_CLIENT_ONE_STRUCT = b"\1\1"


class Typed(NamedTuple):
    """What an update types: ``client`` goes on from clock ``start`` to ``end`` with ``characters``, in UTF-8.

    None of them counts as two in UTF-16. ``placed``: how a struct begins that holds them, and what ``typist``
    types next.
    """

    typist: Typist
    client: int
    start: int
    end: int
    placed: bytes
    characters: bytes


class Typist:
    """``client`` has typed up to the clock ``end``; what it types next follows, before the same neighbour."""

    __slots__ = ("_beginning", "_info", "_name", "_placed", "_right", "client", "end")

    def __init__(self, client: int, end: int, right: bytes) -> None:
        """``right``: the encoded ID of the item before which it types, b"" at the end of the text."""
        self.client = client
        self._name = varuint(client)
        self._right = right
        self._info = bytes((_STRING | HAS_ORIGIN | (HAS_RIGHT_ORIGIN if right else 0),)) + self._name
        self._move(end)

    @classmethod
    def after(cls, update: bytes, shape: UpdateShape) -> Typist | None:
        """Whoever made this update, if it typed. ``shape``: what ``check_update`` has returned for it."""
        if len(shape.bodies) != 1 or shape.deletes or shape.elsewhere:
            return None
        ((client, body),) = shape.bodies.items()
        cursor = Cursor(update)
        cursor.at = body.at_byte
        info = cursor.byte()
        if body.structs != 1 or info & ~(HAS_ORIGIN | HAS_RIGHT_ORIGIN) != _STRING:
            return None
        if info & HAS_ORIGIN:
            cursor.uint(), cursor.uint()
        at = cursor.at
        if info & HAS_RIGHT_ORIGIN:
            cursor.uint(), cursor.uint()
        return cls(client, body.end, update[at : cursor.at])

    def read(self, update: bytes) -> Typed | None:
        """What the update types on with, if it is known to."""
        beginning = self._beginning
        if not update.startswith(beginning) or update[-1]:
            return None
        at = len(beginning)
        size_bytes = len(update) - at - 2
        if not 0 < size_bytes < 0x80 or update[at] != size_bytes or self.end > MAX_CLOCK - size_bytes:
            return None
        characters = update[at + 1 : -1]
        count = size_bytes if characters.isascii() else _clocks(characters)
        if not count or 0 in characters:
            return None
        return Typed(self, self.client, self.end, self.end + count, self._placed, characters)

    def type_on(self, typed: Typed) -> None:
        """It has typed that."""
        self._move(typed.end)

    def _move(self, end: int) -> None:
        self.end = end
        self._placed = self._info + varuint(end - 1) + self._right
        self._beginning = _ONE_CLIENT_ONE_STRUCT + self._name + varuint(end) + self._placed


def _clocks(characters: bytes) -> int:
    """How many clocks they take, if each takes one; else 0."""
    try:
        text = characters.decode()
    except UnicodeDecodeError:
        return 0
    return 0 if max(text) > "\uffff" else len(text)
