"""A hub's store that lives in memory: same methods and answers as the SQLite one, nothing on disk."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from crdtsync.core.hub.store import (
    Appendix,
    Epoch,
    LogPage,
    OpenedAt,
    RoomRecord,
    Row,
    Size,
    StoreFailed,
    Wanted,
)
from crdtsync.core.text.document import TextDocument
from crdtsync.core.values.ids import TREE, DocumentId
from crdtsync.core.wire.messages import LogEntry


@dataclass(slots=True)
class _Room:
    head: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    log: dict[int, LogEntry] = field(default_factory=dict)
    compacted: dict[DocumentId, int] = field(default_factory=dict)
    whole: dict[DocumentId, int] = field(default_factory=dict)
    opened: dict[tuple[str, DocumentId], None] = field(default_factory=dict)


class MemoryHubStore:
    """A HubStore for simulations; ``copy()`` stands for a backup, ``full`` for a disk without space."""

    def __init__(self) -> None:
        self.full = False
        self._rooms: dict[str, _Room] = {}

    def copy(self) -> Self:
        return copy.deepcopy(self)

    def shrink(self) -> bool:
        return False

    def open_room(self, room: str, epoch: str, rooms_max: int, epochs_kept: int) -> RoomRecord | None:
        known = self._rooms.get(room)
        if known is None:
            if len(self._rooms) >= rooms_max:
                return None
            self._check_space()
            known = self._rooms[room] = _Room()
        if not known.epochs or known.epochs[-1].name != epoch:
            self._check_space()
            known.epochs.append(Epoch(epoch, known.head))
            del known.epochs[:-epochs_kept]
        documents = {entry.document for entry in known.log.values()}
        size_bytes = sum(len(entry.update) for entry in known.log.values())
        return RoomRecord(known.head, len(documents), tuple(known.epochs), size_bytes, tuple(known.opened))

    def append(self, rows: Sequence[Row]) -> Appendix:
        self._check_space()
        heads: dict[str, int] = {}
        for row in rows:
            head = heads.get(row.room, self._room(row.room).head)
            if row.entry.sequence != head + 1:
                raise ValueError(f"row {row.entry.sequence} cannot follow {head}")
            heads[row.room] = head + 1
        for row in rows:
            room = self._room(row.room)
            room.log[row.entry.sequence] = row.entry
            room.head = row.entry.sequence
        touched = dict.fromkeys((row.room, row.entry.document) for row in rows)
        counts = tuple(
            (name, len({entry.document for entry in self._room(name).log.values()})) for name in heads
        )
        return Appendix(tuple(self._size(name, document) for name, document in touched), counts)

    def replace(self, room: str, document: DocumentId, sequences: Sequence[int], entry: LogEntry) -> Size:
        self._check_space()
        known = self._room(room)
        if entry.sequence not in sequences:
            raise ValueError(f"row {entry.sequence} is none of those it replaces")
        for sequence in sequences:
            if sequence not in known.log or known.log[sequence].document != document:
                raise ValueError(f"row {sequence} is not one of the document")
        before = self._size(room, document)
        for sequence in sequences:
            if sequence != entry.sequence:
                del known.log[sequence]
        known.log[entry.sequence] = entry
        known.whole[document] = entry.sequence
        known.compacted[document] = self._size(room, document).size_bytes
        after = self._size(room, document)
        return dataclasses.replace(after, freed_bytes=before.size_bytes - after.size_bytes)

    def remember_opened(self, opened: Sequence[OpenedAt], kept: int) -> None:
        self._check_space()
        for room, path, document in opened:
            known = self._room(room).opened
            known.pop((path, document), None)
            known[path, document] = None
            while len(known) > kept:
                del known[next(iter(known))]

    def read_log(self, room: str, after: int, wanted: Wanted, limit_bytes: int, limit_rows: int) -> LogPage:
        known = self._room(room)
        entries: list[LogEntry] = []
        size_bytes = 0
        through = after
        for sequence in sorted(sequence for sequence in known.log if sequence > after):
            entry = known.log[sequence]
            if wanted.wants(entry.document):
                size_bytes += len(entry.update)
                if entries and (size_bytes > limit_bytes or len(entries) == limit_rows):
                    return LogPage(tuple(entries), through)
                entries.append(entry)
            through = sequence
        return LogPage(tuple(entries), max(through, known.head))

    def read_document(self, room: str, document: DocumentId, through: int | None) -> Iterator[LogEntry]:
        known = self._room(room)
        for sequence in sorted(known.log):
            if known.log[sequence].document == document and (through is None or sequence <= through):
                yield known.log[sequence]

    def whole(self, room: str, document: DocumentId) -> int:
        return self._room(room).whole.get(document, 0)

    def known(self, room: str, documents: Iterable[DocumentId]) -> frozenset[DocumentId]:
        return frozenset(documents) & {entry.document for entry in self._room(room).log.values()}

    def texts(self, room: str) -> list[tuple[DocumentId, TextDocument]]:
        """What the log of a room comes to, but for its tree."""
        logs: dict[DocumentId, list[bytes]] = {}
        for _, entry in sorted(self._rooms[room].log.items()) if room in self._rooms else ():
            if entry.document != TREE:
                logs.setdefault(entry.document, []).append(entry.update)
        return [(document, TextDocument(1, log)) for document, log in logs.items()]

    def close(self) -> None:
        pass

    def _room(self, name: str) -> _Room:
        room = self._rooms.get(name)
        if room is None:
            raise ValueError(f"the room {name!r} was not opened")
        return room

    def _size(self, name: str, document: DocumentId) -> Size:
        rows = list(self.read_document(name, document, None))
        size_bytes = sum(len(row.update) for row in rows)
        return Size(name, document, len(rows), size_bytes, self._room(name).compacted.get(document, 0))

    def _check_space(self) -> None:
        if self.full:
            raise StoreFailed("the store cannot be used: no space left.")
