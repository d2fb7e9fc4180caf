"""Makes few updates of many that follow each other, without reading their structs again.

An update is a list of structs for each client, and deletions. Where the structs of each client go on where
those of the last update ended, the lists need only be put together; Yjs finds the order in which they apply.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crdtsync.core.text.update import Ranges, UpdateShape
from crdtsync.core.values.limits import FRAME_BATCH_BYTES
from crdtsync.core.wire.lib0 import varuint

MERGED_MAX_BYTES: Final = FRAME_BATCH_BYTES


def merge_updates(pieces: Iterable[tuple[bytes, UpdateShape | None]]) -> list[bytes]:
    """Updates that say the same, in that order.

    Each comes with what ``check_update`` returned for it; one with None stays alone.
    """
    merging = Merging()
    for update, shape in pieces:
        merging.add(update, shape)
    return merging.updates()


class Merging:
    """The same, one after the other; shapes are not kept."""

    __slots__ = ("_done", "_group", "count", "size_bytes")

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._group = _Group()
        self.count = 0
        self.size_bytes = 0
        """Of all that was added."""

    def add(self, update: bytes, shape: UpdateShape | None) -> None:
        self.count += 1
        self.size_bytes += len(update)
        if shape is not None and self._group.take(update, shape):
            return
        self._done += self._group.updates()
        self._group = _Group()
        if shape is None or not self._group.take(update, shape):
            self._done.append(update)

    def updates(self) -> list[bytes]:
        """All that was added so far."""
        return self._done + self._group.updates()


class _Group:
    __slots__ = ("_count", "_deletes", "_first", "_lists", "_size_bytes")

    def __init__(self) -> None:
        self._first: bytes = b""
        self._count = 0
        self._size_bytes = 0
        self._lists: dict[int, tuple[int, int, int, list[bytes]]] = {}
        """By client: how many structs, first clock, clock after the last, their encoding in parts."""
        self._deletes: dict[int, list[tuple[int, int]]] = {}

    def take(self, update: bytes, shape: UpdateShape) -> bool:
        """False: it does not follow what is here, which is left as it was."""
        if self._count and self._size_bytes + len(update) > MERGED_MAX_BYTES:
            return False
        for client, body in shape.bodies.items():
            if shape.inserts.get(client) != ((body.start, body.end),):
                return False  # with a gap
            known = self._lists.get(client)
            if known is not None and known[2] != body.start:
                return False
        for client, body in shape.bodies.items():
            count, start, _, parts = self._lists.get(client, (0, body.start, 0, []))
            parts.append(update[body.at_byte : body.to_byte])
            self._lists[client] = (count + body.structs, start, body.end, parts)
        for client, ranges in shape.deletes.items():
            self._deletes.setdefault(client, []).extend(ranges)
        self._first = self._first or update
        self._count += 1
        self._size_bytes += len(update)
        return True

    def updates(self) -> list[bytes]:
        if self._count < 2:
            return [self._first][: self._count]
        encoded = [varuint(len(self._lists))]
        for client in sorted(self._lists, reverse=True):
            count, start, _, parts = self._lists[client]
            encoded += (varuint(count), varuint(client), varuint(start), *parts)
        encoded.append(varuint(len(self._deletes)))
        for client in sorted(self._deletes, reverse=True):
            ranges = _joined(self._deletes[client])
            encoded += (varuint(client), varuint(len(ranges)))
            for first, after in ranges:
                encoded += (varuint(first), varuint(after - first))
        return [b"".join(encoded)]


def _joined(ranges: list[tuple[int, int]]) -> Ranges:
    joined: list[tuple[int, int]] = []
    for first, after in sorted(ranges):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], after))
        else:
            joined.append((first, after))
    return tuple(joined)
