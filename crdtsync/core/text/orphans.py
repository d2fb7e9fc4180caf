"""Takes out of updates what was inserted into something that is no shared type.

Yjs makes garbage of such items. Yrs 0.28 refuses the update, and whoever builds on it would wait for ever; so
they are made garbage before an update is applied. Knows which items are types, not what stands in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace

from crdtsync.core.text.cursor import Cursor
from crdtsync.core.text.update import (
    GC,
    HAS_ORIGIN,
    HAS_RIGHT_ORIGIN,
    Struct,
    UpdateShape,
    check_update,
    encode_update,
    read_structs,
)
from crdtsync.core.wire.lib0 import varuint


class Types:
    """The shared types of a document, by ID. ``states`` are read when somebody inserts into a type."""

    __slots__ = ("_ids", "_unread")

    def __init__(self, states: Iterable[bytes]) -> None:
        self._ids: set[tuple[int, int]] = set()
        self._unread = tuple(states)

    def learn(self, shape: UpdateShape) -> None:
        self._ids.update(shape.types)

    def without_orphans(self, update: bytes, shape: UpdateShape) -> bytes:
        """The update, all of whose dependencies are known, as Yjs takes it. Raises MalformedUpdate."""
        if all(parent in self._ids for parent in shape.parents):
            return update
        unread, self._unread = self._unread, ()
        for state in unread:
            self._ids.update(check_update(state).types)
        orphaned = {parent for parent in shape.parents if parent not in self._ids}
        if not orphaned:
            return update
        structs, deletes = read_structs(update)
        return encode_update(
            {client: [_taken_out(struct, orphaned) for struct in queue] for client, queue in structs.items()},
            deletes,
        )


def _taken_out(struct: Struct, orphaned: Set[tuple[int, int]]) -> Struct:
    cursor = Cursor(struct.encoded)
    info = cursor.byte()
    if struct.gap or info == GC or info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN) or cursor.uint():
        return struct
    if (cursor.uint(), cursor.uint()) not in orphaned:
        return struct
    return replace(struct, encoded=bytes((GC,)) + varuint(struct.end - struct.start))
