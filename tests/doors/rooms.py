"""A folder replica of a room, for tests of the doors: its tree, its texts, and changes as replicas make."""

from __future__ import annotations

from collections.abc import Sequence

from crdtsync.core.text.diff import Edit
from crdtsync.core.text.document import TextDocument
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.rows import Create, Operation, Origin, SetGone, SetPath, Version
from crdtsync.core.tree.view import RoomView
from crdtsync.core.values.digests import Digest, digest_of, digest_of_text
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import TREE, DocumentId, EntryId, client_id_in
from tests.hub.bench import Bench, Replica

CLIENT_ID = 1 << 52 | 77


class Folder:
    """One replica, joined to the bench's hub."""

    def __init__(self, bench: Bench, room: str = "notes", name: str = "Bob") -> None:
        self.bench = bench
        self.member: Replica = bench.join(room, name=name)
        self.tree = TreeDocument(CLIENT_ID + self.member.number)
        self.texts: dict[EntryId, TextDocument] = {}
        self._read = 0
        self._last = 0

    # -- Contents -------------------------------------------------------------------------------------

    def state_vector(self, entry: EntryId) -> bytes:
        return self.text(entry).state_vector

    def text_digest(self, entry: EntryId) -> Digest:
        return digest_of_text(self.text(entry).text)

    # -- reading --------------------------------------------------------------------------------------

    def text(self, entry: EntryId) -> TextDocument:
        if entry not in self.texts:
            self.texts[entry] = TextDocument(client_id_in(entry, CLIENT_ID + self.member.number))
        return self.texts[entry]

    def read(self) -> dict[str, str]:
        """Take in what came, make the repairs that are due; the texts by path."""
        self.bench.settle()
        entries = self.member.entries
        for row in entries[self._read :]:
            if row.document == TREE:
                self.tree.apply_update(row.update)
            else:
                self.text(EntryId(row.document)).apply_update(row.update)
        self._read = len(entries)
        view = RoomView(self.tree.rows, self)
        while operations := view.repairs(self.text_digest):
            self.operate(*operations)
            view = RoomView(self.tree.rows, self)
        return {
            placed.path: self.text(entry).text if placed.kind is Kind.TEXT else f"<{placed.kind.value}>"
            for entry, placed in view.placements.items()
        }

    def at(self, path: str) -> EntryId:
        self.read()
        entry = RoomView(self.tree.rows, self).at(path)
        assert entry is not None, path
        return entry

    # -- changing -------------------------------------------------------------------------------------

    def operate(self, *operations: Operation) -> None:
        update, _ = self.tree.edit(operations)
        self._push((TREE, update))

    def create(self, path: str, text: str = "") -> EntryId:
        self._last += 1
        entry = EntryId(f"{self.member.number:012x}{self._last:012x}")
        if text:
            self._push((DocumentId(entry), self.text(entry).edit([Edit(0, 0, text)])))
        self.operate(Create(entry, Kind.TEXT, path, False, Origin("Bob", 1)))
        return entry

    def create_blob(self, path: str) -> None:
        self._last += 1
        entry = EntryId(f"{self.member.number:012x}{self._last:012x}")
        version = Version(digest_of(b"\0"), 1, "Bob", 1)
        self.operate(Create(entry, Kind.BLOB, path, False, Origin("Bob", 1), version))

    def edit(self, entry: EntryId, edits: Sequence[Edit]) -> None:
        self._push((DocumentId(entry), self.text(entry).edit(edits)))

    def rename(self, entry: EntryId, path: str) -> None:
        self.operate(SetPath(entry, path))

    def delete(self, entry: EntryId) -> None:
        self.read()
        self.operate(SetGone(entry, self.text(entry).state_vector))

    def _push(self, *updates: tuple[DocumentId, bytes]) -> None:
        self.member.push(*updates)
        self.bench.settle()
