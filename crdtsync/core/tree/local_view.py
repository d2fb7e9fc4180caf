"""Where the entries of a room stand on one disk, which may take two of the room's names for the same.

A pure function of the room's state and of what the disk folds: of names that are one here, one keeps the
name and the others get derived ones, on this disk alone. Every ``path`` in here is one of the disk, every
``room_path`` one of the room.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from unicodedata import normalize

from crdtsync.core.tree.rows import Operation
from crdtsync.core.tree.view import Placement, RoomView, TextDigest
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Kind
from crdtsync.core.values.folding import PLAIN, Folding
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.paths import is_below, name, parent, parents, spelled_otherwise, spelling_name


class LocalView:
    """The placements of ``room`` under the names that they have on a disk with this folding."""

    def __init__(self, room: RoomView, folding: Folding = PLAIN) -> None:
        self.room = room
        self.folding = folding
        self._own: dict[EntryId, Placement] = {}
        """The placements whose path here is not the room's."""
        self._users: dict[str, int] = {}
        """How many entries stand at or below each room path."""
        self._names: dict[str, dict[str, set[str]]] = {}
        """By folder of the room and key: the names in it that are one on this disk."""
        self._contested: dict[str, set[str]] = {}
        """By folder of the room: the keys of more than one name."""
        self._local: dict[str, str] = {}
        """The names here of the room paths whose last name is another one here."""
        self._room_name: dict[tuple[str, str], str] = {}
        """The same the other way round: folder of the room and name here, to name in the room."""
        self._former: dict[tuple[str, str], str] = {}
        """By folder of the room and key: which of the room's names stood for the name here until it left, as
        long as another name of that key is there: what stands here has yet to follow."""
        self._left: set[str] = set()
        self._moved: set[EntryId] = set()
        if folding:
            for placed in room.placements.values():
                self._enter(placed.path)
            self._assign({folder: set(names) for folder, names in self._names.items()})
            self._place(room.placements)
            self._left.clear()
            self._moved.clear()

    # -- as RoomView ------------------------------------------------------------------------------------

    @property
    def placements(self) -> Mapping[EntryId, Placement]:
        return _Overlaid(self.room.placements, self._own) if self._own else self.room.placements

    def get(self, entry: EntryId) -> Placement | None:
        return self._own.get(entry) or self.room.get(entry)

    def at(self, path: str) -> EntryId | None:
        """The entry that stands at ``path``; the one that keeps the name where several claim it."""
        room_path = self._standing(path)
        return None if room_path is None else self.room.at(room_path)

    def holds_below(self, folder: str) -> bool:
        """Whether any entry stands below ``folder``."""
        room_path = self._standing(folder)
        return room_path is not None and self.room.holds_below(room_path)

    def repairs(self, text_digest: TextDigest) -> list[Operation]:
        """Of the room: what is one name here only needs none."""
        return self.room.repairs(text_digest)

    def take_left(self) -> set[str]:
        """The paths that entries have left since the last call: something else may stand there now."""
        if not self.folding:
            return self.room.take_left()
        left, self._left = self._left, set()
        return left

    def refresh(self, entries: Iterable[EntryId]) -> None:
        """Take in changed rows, or texts whose documents changed."""
        if not self.folding:
            self.room.refresh(entries)
            return
        entries = list(dict.fromkeys(entries))
        before = {entry: placed.path for entry in entries if (placed := self.room.get(entry)) is not None}
        places = {entry: placed.path for entry in entries if (placed := self.get(entry)) is not None}
        self.room.refresh(entries)
        self.room.take_left()
        concerned: dict[str, set[str]] = {}
        entered: set[str] = set()
        for entry in entries:
            old, placed = before.get(entry), self.room.get(entry)
            new = None if placed is None else placed.path
            if old is not None and old != new:
                self._leave(old)
            if new is not None and old != new:
                entered |= self._enter(new)
            for path in (each for claimed in {old, new} if claimed for each in (claimed, *parents(claimed))):
                concerned.setdefault(parent(path), set()).add(self.folding.key(name(path)))
        changed = self._assign(concerned) - entered
        self._place(entries, places)
        if changed:
            self._place([e for e, placed in self.room.placements.items() if _touches(placed.path, changed)])

    # -- what a disk that folds needs besides -----------------------------------------------------------

    def take_moved(self) -> set[EntryId]:
        """The entries whose place here has changed since the last call."""
        moved, self._moved = self._moved, set()
        return moved

    def claimants(self, path: str) -> list[EntryId]:
        """The entries that have to do with the name at ``path``, in whatever spelling."""
        if not self.folding:
            entry = self.room.at(path)
            return [] if entry is None else [entry]
        folder = self.room_path(parent(path))
        names = self._names.get(folder, {}).get(self.folding.key(name(path)), ())
        found = [self.room.at(_joined(folder, each)) for each in sorted(names)]
        return [entry for entry in found if entry is not None]

    def needs(self, folder: str) -> bool:
        """Whether an entry stands below ``folder``, or is an empty folder there."""
        return self._is_folder(self._standing(folder))

    def may_need(self, folder: str) -> bool:
        """The same, in whatever spelling."""
        room_path: str | None = ""
        for part in folder.split("/"):
            if room_path is not None:
                room_path = self._child(room_path, part)
        return self._is_folder(room_path)

    def _is_folder(self, room_path: str | None) -> bool:
        if room_path is None:
            return False
        entry = self.room.at(room_path)
        placed = None if entry is None else self.room.get(entry)
        return self.room.holds_below(room_path) or (placed is not None and placed.kind is Kind.DIR)

    def _child(self, folder: str, here: str) -> str | None:
        """Of a folder of the room, what has that name on this disk, in whatever spelling."""
        own = self._room_name.get((folder, here))
        if own is not None:
            return _joined(folder, own)
        key = self.folding.key(here)
        for each in sorted(self._names.get(folder, {}).get(key, ())):
            path = _joined(folder, each)
            if self.folding.key(self._local.get(path, each)) == key:
                return path
        return None

    def room_path(self, path: str, entry: EntryId | None = None) -> str:
        """The path in the room of what stands at ``path``, or would come to stand there.

        With ``entry`` it is one that moves there: names that it takes along stay as they are in the room.
        """
        if not self.folding or not path:
            return path
        parts = path.split("/")
        kept: list[str] = []
        placed = None if entry is None else self.room.get(entry)
        if placed is not None:
            there, here = placed.path.split("/"), self.path_of(placed.path).split("/")
            while parts and here and parts[-1] == here.pop():
                parts.pop()
                kept.append(there.pop())
        found = ""
        for part in parts:
            found = _joined(found, self._name_in_room(found, part))
        for part in reversed(kept):
            found = _joined(found, part)
        return found

    def room_path_of_new(self, path: str, entry: EntryId | None = None) -> str:
        """``room_path`` for what is to get that name in the room: ``entry``, or an entry that is made.

        Where the room has that name for another, which stands here under a derived one, or did until just
        now, the name here means another of the room's: the one that it stands for, or stood for last.
        """
        found = self.room_path(path, entry)
        if self._former:
            found = _joined(self._folder_of_new(parent(path), parent(found)), name(found))
        if not self.folding or not self._is_anothers(found, entry):
            return found
        folder, key = parent(found), self.folding.key(name(path))
        for own in sorted(self._names.get(folder, {}).get(key, ())):
            if own != name(found) and self._keeps_name(_joined(folder, own)):
                return _joined(folder, own)
        return _joined(folder, self._former.get((folder, key), name(found)))

    def _folder_of_new(self, path: str, room_path: str) -> str:
        """The folder of the room that is meant by what stands here, where its name may have moved on."""
        found, moved = "", False
        for part in path.split("/") if path else ():
            former = self._former.get((found, self.folding.key(part)))
            moved = moved or former is not None
            found = _joined(found, former or self._name_in_room(found, part))
        return found if moved else room_path

    def stands(self, path: str) -> None:
        """What the room has there is on disk: the name means that from now on."""
        if self._former:
            for each in (path, *parents(path)):
                self._former.pop((self.room_path(parent(each)), self.folding.key(name(each))), None)

    def _is_anothers(self, room_path: str, entry: EntryId | None) -> bool:
        return self.room.at(room_path) not in (None, entry) or self.room.holds_below(room_path)

    def _keeps_name(self, room_path: str) -> bool:
        """Whether of the names that are one here, this is the one that is not derived."""
        own = name(room_path)
        return self._local.get(room_path, own) == self.folding.spelled(own)

    def path_of(self, room_path: str) -> str:
        """Where an entry at that path of the room, or a folder of it, stands here."""
        if not self._local:
            return room_path
        found, done = "", ""
        for part in room_path.split("/"):
            done = _joined(done, part)
            found = _joined(found, self._local.get(done, part))
        return found

    def _standing(self, path: str) -> str | None:
        """The room's path of what stands at ``path``, if anything does."""
        room_path = self.room_path(path)
        return room_path if not self.folding or self.path_of(room_path) == path else None

    # -- names ------------------------------------------------------------------------------------------

    def _enter(self, room_path: str) -> set[str]:
        """One more entry at that path; returns the paths that are new with it."""
        new: set[str] = set()
        for path in (room_path, *parents(room_path)):
            users = self._users[path] = self._users.get(path, 0) + 1
            if users == 1:
                new.add(path)
                key = self.folding.key(name(path))
                spellings = self._names.setdefault(parent(path), {}).setdefault(key, set())
                spellings.add(name(path))
                if self._former.get((parent(path), key)) == name(path):
                    del self._former[parent(path), key]
                if len(spellings) == 2:
                    self._contested.setdefault(parent(path), set()).add(key)
        return new

    def _leave(self, room_path: str) -> None:
        for path in (room_path, *parents(room_path)):
            self._users[path] -= 1
            if not self._users[path]:
                del self._users[path]
                names = self._names[parent(path)]
                key = self.folding.key(name(path))
                names[key].discard(name(path))
                if self._keeps_name(path):
                    self._former[parent(path), key] = name(path)
                if len(names[key]) == 1:
                    self._contested[parent(path)].discard(key)
                if not names[key]:
                    del names[key]
                    self._former.pop((parent(path), key), None)
                if not names:
                    del self._names[parent(path)]
                    self._contested.pop(parent(path), None)
                self._call(path, name(path))

    def _call(self, room_path: str, here: str) -> bool:
        """The name of a room path is ``here`` on this disk; returns whether it was another one before."""
        folder, own = parent(room_path), name(room_path)
        before = self._local.pop(room_path, own)
        if self._room_name.get((folder, before)) == own:
            del self._room_name[folder, before]
        if here != own:
            self._local[room_path] = here
            self._room_name[folder, here] = own
        return here != before

    def _assign(self, concerned: Mapping[str, set[str]]) -> set[str]:
        """Give their names to what has one of these keys, by folder of the room; returns the room paths with
        a new one. Derived names keep clear of all others, so all of a folder are found together."""
        changed: set[str] = set()
        for folder in sorted(concerned):
            names = self._names.get(folder, {})
            taken: set[str] = set()
            for key in sorted(concerned[folder] | self._contested.get(folder, set())):
                spellings = [_joined(folder, each) for each in names.get(key, ())]
                for position, path in enumerate(sorted(spellings, key=self._rank)):
                    own = name(path)
                    here = self._derived(own, names, taken) if position else self.folding.spelled(own)
                    if self._call(path, here):
                        changed.add(path)
        return changed

    def _derived(self, own: str, names: Mapping[str, set[str]], taken: set[str]) -> str:
        """A name that nothing else in the folder has, in the room or on this disk."""
        attempt = 0
        while True:
            identity = _identity(own, attempt)
            here = self.folding.spelled(spelling_name(self.folding.spelled(own), identity))
            key = self.folding.key(here)
            if key not in names and key not in taken:
                taken.add(key)
                return here
            attempt += 1

    def _name_in_room(self, folder: str, here: str) -> str:
        own = self._room_name.get((folder, here))
        if own is None and here in self._names.get(folder, {}).get(self.folding.key(here), ()):
            return here  # whatever it looks like
        return own or self._original(here)

    def _original(self, here: str) -> str:
        """A derived name is no name of the room, even when what had it is gone and left a folder behind."""
        derived = spelled_otherwise(here)
        if derived is None:
            return here
        stem, identity = derived
        forms = (stem, normalize("NFD", stem)) if self.folding.form else (stem,)
        return next((own for own in forms if _identity(own, 0).startswith(identity)), here)

    def _rank(self, room_path: str) -> tuple[bool, tuple[bool, bool, bool, EntryId] | tuple[()], str]:
        """Folders before files, by name; files as everywhere else."""
        entry = self.room.at(room_path)
        placed = None if entry is None else self.room.get(entry)
        if placed is None or placed.kind is Kind.DIR or self.room.holds_below(room_path):
            return False, (), name(room_path)
        return True, self.room.rank(placed.entry), name(room_path)

    # -- places -----------------------------------------------------------------------------------------

    def _place(self, entries: Iterable[EntryId], places: Mapping[EntryId, str] | None = None) -> None:
        """Find anew where the entries stand; ``places`` says where they stood, where that is forgotten."""
        for entry in entries:
            known = self.get(entry) if places is None else None
            old = known.path if known is not None else places.get(entry) if places is not None else None
            self._own.pop(entry, None)
            placed = self.room.get(entry)
            new = None if placed is None else self.path_of(placed.path)
            if placed is not None and new is not None and new != placed.path:
                self._own[entry] = placed._replace(path=new)
            if old != new:
                self._moved.add(entry)
                if old is not None:
                    self._left.add(old)


class _Overlaid(Mapping[EntryId, Placement]):
    """A mapping of which some values are others."""

    def __init__(self, below: Mapping[EntryId, Placement], above: Mapping[EntryId, Placement]) -> None:
        self._below = below
        self._above = above

    def __getitem__(self, entry: EntryId) -> Placement:
        return self._above.get(entry) or self._below[entry]

    def __iter__(self) -> Iterator[EntryId]:
        return iter(self._below)

    def __len__(self) -> int:
        return len(self._below)


def _identity(own: str, attempt: int) -> str:
    """What tells the derived names of one spelling from those of another."""
    return digest_of(f"{attempt}:{own}".encode())


def _joined(folder: str, last: str) -> str:
    return f"{folder}/{last}" if folder else last


def _touches(path: str, folders: set[str]) -> bool:
    return any(path == folder or is_below(path, folder) for folder in folders)
