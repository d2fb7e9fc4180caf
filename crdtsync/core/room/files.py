"""The files of a room as a program sees and changes them: what stands where; make, move, delete, write.

Every verb does what the same change on a joined disk would do. Which of two that claim one name keeps it is
the view's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

from crdtsync.core.room.texts import RoomTexts
from crdtsync.core.text.diff import Edit, diff
from crdtsync.core.text.offsets import well_formed
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.rows import (
    Create,
    DropVersions,
    Operation,
    Origin,
    PutVersion,
    SetGone,
    SetPath,
    Version,
)
from crdtsync.core.tree.view import Placement, RoomView
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import DocumentId, EntryId, Randomness, new_entry_id, printable
from crdtsync.core.values.paths import check_path, is_below, parents
from crdtsync.errors import InvalidEdit, InvalidName, NameTaken, NoSuchFile, NotText


class Files:
    """``now`` is set by the engine before every event."""

    def __init__(
        self,
        name: str,
        rng: Randomness,
        tree: TreeDocument,
        texts: RoomTexts,
        view: RoomView,
        perform: Callable[[Sequence[Operation]], None],
        push: Callable[[DocumentId, bytes], None],
        writable: Callable[[], None],
    ) -> None:
        self._name = name
        self._rng = rng
        self._tree = tree
        self._texts = texts
        self._view = view
        self._perform = perform
        self._push = push
        self._writable = writable
        self.now = 0.0

    # -- looking --------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Placement]:
        """All that stands in the room, in no order. Of folders those that somebody made."""
        return iter(self._view.placements.values())

    def at(self, path: str) -> Placement | None:
        """The file there, or the folder that somebody made."""
        entry = self._view.at(path)
        return None if entry is None else self._view.get(entry)

    def holds_below(self, path: str) -> bool:
        """Whether anything is in a folder of that path."""
        return self._view.holds_below(path)

    def is_folder(self, path: str) -> bool:
        placed = self.at(path)
        return self._view.holds_below(path) or (placed is not None and placed.kind is Kind.DIR)

    def text_at(self, path: str) -> EntryId:
        """Raises NoSuchFile, NotText, InvalidName."""
        placed = self._there(path)
        if placed.kind is not Kind.TEXT:
            raise NotText(
                f"{printable(path)} is no text but a {_WORDS[placed.kind]}; read or write its bytes"
            )
        return placed.entry

    def text(self, entry: EntryId) -> str:
        return self._texts.text(entry)

    # -- changing -------------------------------------------------------------------------------------

    def make_text(self, path: str, text: str, *, replace: bool = False) -> EntryId:
        """``replace`` what is there, unless it is a folder.

        Raises InvalidEdit, InvalidName, NameTaken, ReadOnly; nothing is changed then.
        """
        self._writable()
        if well_formed(text) != text:
            raise InvalidEdit("The file was not made: it holds half of a surrogate pair, which is no text")
        if replace:
            self._make_way(path)
        self._check_free(path)
        entry = new_entry_id(self._rng)
        made = Create(entry, Kind.TEXT, path, False, self._origin())
        update = self._texts.edit(entry, [Edit(0, 0, text)]) if text else b""
        if update:
            self._push(DocumentId(entry), update)
        self._perform([*self._unmade(path), made])
        return entry

    def make_folder(self, path: str) -> None:
        """An empty one; with a file in it a folder is there by itself.

        Raises InvalidName, NameTaken, ReadOnly.
        """
        self._check_free(path)
        made = Create(new_entry_id(self._rng), Kind.DIR, path, False, self._origin())
        self._perform([*self._unmade(path), made])

    def move(self, path: str, to: str) -> None:
        """A file, or a folder with all that is in it. Raises NoSuchFile, InvalidName, NameTaken, ReadOnly."""
        check_path(path)
        check_path(to)
        moving = self._all_at(path)
        if path == to:
            return
        if is_below(to, path):
            raise InvalidName(f"{printable(path)} cannot be moved into itself")
        self._check_free(to)
        moved = [SetPath(placed.entry, to + placed.path[len(path) :]) for placed in moving]
        self._perform([*self._unmade(to), *moved])

    def delete(self, path: str) -> None:
        """A file, or a folder with all that is in it: as far as it is here now.

        Raises InvalidName, NoSuchFile, ReadOnly.
        """
        check_path(path)
        self._perform([self._deletion(placed) for placed in self._all_at(path)])

    def changes_to(self, entry: EntryId, text: str) -> tuple[Edit, ...]:
        """The edits that make a text that one."""
        return diff(self._texts.text(entry), text)

    def version(self, digest: Digest, size_bytes: int, index: Digest | None) -> Version:
        """A content of a blob, written by us now."""
        return Version(digest, size_bytes, self._name, int(self.now * 1000), index)

    def put_blob(self, path: str, version: Version) -> None:
        """A new content, which the hub has. Raises InvalidName, NameTaken, ReadOnly."""
        placed = self.at(path)
        if placed is not None and placed.kind is Kind.BLOB:
            seen = tuple(self._tree.rows[placed.entry].versions)
            self._perform([PutVersion(placed.entry, version, seen)])
            return
        self._make_way(path)
        self._check_free(path)
        entry = new_entry_id(self._rng)
        self._perform([*self._unmade(path), Create(entry, Kind.BLOB, path, False, self._origin(), version)])

    def _make_way(self, path: str) -> None:
        """What becomes of another kind is another entry."""
        placed = self.at(path)
        if placed is not None and placed.kind is not Kind.DIR:
            self._perform([self._deletion(placed)])

    def _deletion(self, placed: Placement) -> Operation:
        entry = placed.entry
        match placed.kind:
            case Kind.TEXT:
                return SetGone(entry, self._texts.state_vector(entry))
            case Kind.DIR:
                return SetGone(entry, b"")
            case Kind.BLOB | Kind.LINK:
                return DropVersions(entry, tuple(self._tree.rows[entry].versions))
            case _:
                assert_never(placed.kind)

    def _there(self, path: str) -> Placement:
        check_path(path)
        placed = self.at(path)
        if placed is None:
            raise NoSuchFile(f"There is no {printable(path)} in the room")
        return placed

    def _all_at(self, path: str) -> list[Placement]:
        """The entry there, or those below, in a fixed order."""
        found = [each for each in self if each.path == path or is_below(each.path, path)]
        if not found:
            raise NoSuchFile(f"There is no {printable(path)} in the room")
        return sorted(found, key=lambda placed: placed.path)

    def _check_free(self, path: str) -> None:
        check_path(path)
        if self.at(path) is not None or self._view.holds_below(path):
            raise NameTaken(f"{printable(path)} is there already")
        for folder in parents(path):
            above = self.at(folder)
            if above is not None and above.kind is not Kind.DIR:
                raise NameTaken(f"{printable(folder)} is a file, so nothing can stand below it")

    def _unmade(self, path: str) -> list[Operation]:
        """Folders are entries only as long as they are empty."""
        above = [self.at(folder) for folder in parents(path)]
        return [SetGone(each.entry, b"") for each in above if each is not None and each.kind is Kind.DIR]

    def _origin(self) -> Origin:
        return Origin(self._name, int(self.now * 1000))


_WORDS = {Kind.TEXT: "text", Kind.BLOB: "binary file", Kind.LINK: "link", Kind.DIR: "folder"}
