"""The deterministic view of a room: which entries are alive, where they stand, and what needs repair.

A pure function of the room's state: every replica that has the same state computes the same answer.
Knows rows and what the documents hold (``Contents``); changes nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol, TypeAlias, assert_never

from crdtsync.core.text.statevector import covers
from crdtsync.core.tree.rows import (
    Create,
    DropVersions,
    Operation,
    Origin,
    Row,
    SetGone,
    SetPath,
    Version,
)
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import ENTRY_ID_BYTES, EntryId
from crdtsync.core.values.paths import conflict_path, enters_room, folders_above

_new: Final = tuple.__new__


TextDigest: TypeAlias = Callable[[EntryId], Digest]
"""What a text holds now."""


class Contents(Protocol):
    """What the view must know of the text documents."""

    def state_vector(self, entry: EntryId) -> bytes: ...


class Placement(NamedTuple):
    """Where an entry that is alive stands. ``version`` is the content of a blob or link."""

    entry: EntryId
    path: str
    kind: Kind
    executable: bool
    version: Version | None


class RoomView:
    """Keeps placements up to date as rows and documents change, touching only what changed."""

    def __init__(self, rows: Mapping[EntryId, Row], contents: Contents) -> None:
        self._rows = rows
        self._contents = contents
        self._placements: dict[EntryId, Placement] = {}
        self._at: dict[str, EntryId | tuple[EntryId, ...]] = {}
        """By path, who claims it: hardly ever more than one, who then stands without a tuple."""
        self._below: dict[str, int] = {}
        self._unchecked: set[str] = set()
        self._forked: set[EntryId] = set()
        self._left: set[str] = set()
        self._place_all()

    @property
    def placements(self) -> Mapping[EntryId, Placement]:
        return self._placements

    def get(self, entry: EntryId) -> Placement | None:
        return self._placements.get(entry)

    def at(self, path: str) -> EntryId | None:
        """The entry that stands at ``path``; the one that keeps the name where several claim it."""
        claimants = self._at.get(path)
        return min(claimants, key=self.rank) if isinstance(claimants, tuple) else claimants

    def holds_below(self, folder: str) -> bool:
        """Whether any entry stands below ``folder``."""
        return self._below.get(folder, 0) > 0

    def refresh(self, entries: Iterable[EntryId]) -> None:
        """Take in changed rows, or texts whose documents changed."""
        for entry in entries:
            old = self._placements.get(entry)
            new = self._place(entry)
            if old == new:
                continue
            if old is not None and (new is None or new.path != old.path):
                self._remove(old)
                self._left.add(old.path)
            if new is not None:
                self._placements[entry] = new
                if old is None or old.path != new.path:
                    self._add(new)
                self._unchecked.add(new.path)

    def _place_all(self) -> None:
        """As ``refresh`` of all rows at the beginning; nearly all of so many paths need no repair."""
        placements, at, text = self._placements, self._at, Kind.TEXT
        inside: dict[str, int] = {}
        for entry, row in self._rows.items():
            path = row.path
            if row.kind is text and row.gone is None and path is not None:
                new = (
                    _new(Placement, (entry, path, text, row.executable, None)) if enters_room(path) else None
                )
            else:
                new = self._place(entry)
            if new is not None:
                placements[entry] = new
                if at.setdefault(new.path, entry) is not entry:
                    self._claim(new)
                folder = new.path.rpartition("/")[0]
                inside[folder] = inside.get(folder, 0) + 1
        for folder, count in inside.items():
            for above in (folder, *folders_above(folder)) if folder else ():
                self._below[above] = self._below.get(above, 0) + count
        self._unchecked |= self._at.keys() & self._below.keys()

    def take_left(self) -> set[str]:
        """The paths that entries have left since the last call: something else may stand there now."""
        left, self._left = self._left, set()
        return left

    def repairs(self, text_digest: TextDigest) -> list[Operation]:
        """The operations that resolve what claims more than its own place, each computed alike everywhere.

        Call again after performing them: a derived name may itself be contested.
        """
        operations: list[Operation] = []
        forked, self._forked = self._forked, set()
        for entry in sorted(forked):
            operations += self._split_versions(entry)
        unchecked, self._unchecked = self._unchecked, set()
        for path in sorted(unchecked):
            operations += self._resolve(path, text_digest)
        return operations

    def _place(self, entry: EntryId) -> Placement | None:
        row = self._rows.get(entry)
        if row is None or row.path is None or row.kind is None:
            return None
        if not enters_room(row.path):
            return None
        version: Version | None = None
        match row.kind:
            case Kind.TEXT:
                if row.gone is not None and _covers(row.gone, self._contents.state_vector(entry)):
                    return None
            case Kind.DIR:
                if row.gone is not None:
                    return None
            case Kind.BLOB | Kind.LINK:
                usable = [v for v in row.versions.values() if _usable(row.kind, v)]
                if not usable:
                    return None
                version = min(usable, key=lambda v: v.digest)
                if len(usable) > 1:
                    self._forked.add(entry)
            case _:
                assert_never(row.kind)
        return Placement(entry, row.path, row.kind, row.executable, version)

    def _add(self, placement: Placement) -> None:
        if self._at.setdefault(placement.path, placement.entry) is not placement.entry:
            self._claim(placement)
        for folder in folders_above(placement.path):
            self._below[folder] = self._below.get(folder, 0) + 1
            if folder in self._at:
                self._unchecked.add(folder)

    def _claim(self, placement: Placement) -> None:
        """Another stands there already."""
        self._at[placement.path] = (*self._claimants(placement.path), placement.entry)
        self._unchecked.add(placement.path)

    def _claimants(self, path: str) -> tuple[EntryId, ...]:
        claimants = self._at.get(path, ())
        return claimants if isinstance(claimants, tuple) else (claimants,)

    def _remove(self, placement: Placement) -> None:
        del self._placements[placement.entry]
        claimants = tuple(each for each in self._claimants(placement.path) if each != placement.entry)
        if claimants:
            self._at[placement.path] = claimants if len(claimants) > 1 else claimants[0]
        else:
            del self._at[placement.path]
        for folder in folders_above(placement.path):
            left = self._below[folder] - 1
            if left:
                self._below[folder] = left
            else:
                del self._below[folder]

    def rank(self, entry: EntryId) -> tuple[bool, bool, bool, EntryId]:
        """Who keeps a contested name: an order that no clock and no replica can bend.

        Files before folders; what was never deleted before what an unseen edit brought back, so that the
        replacement of a file keeps its name; links before files, likewise; then by identity.
        """
        placed = self._placements[entry]
        brought_back = self._rows[entry].gone is not None
        return placed.kind is Kind.DIR, brought_back, placed.kind is not Kind.LINK, entry

    def _split_versions(self, entry: EntryId) -> list[Operation]:
        """Each live version but the winner becomes a conflict copy with an identity derived from it."""
        placement = self._placements.get(entry)
        if placement is None or placement.version is None:
            return []
        row = self._rows[entry]
        operations: list[Operation] = []
        for digest in sorted(row.versions):
            version = row.versions[digest]
            if digest == placement.version.digest or not _usable(placement.kind, version):
                continue
            copy = derived_entry(entry, digest)
            path = conflict_path(placement.path, version.by, copy)
            operations += (
                Create(
                    copy,
                    placement.kind,
                    path,
                    placement.executable,
                    Origin(version.by, version.at_ms, entry),
                    version,
                ),
                DropVersions(entry, (digest,)),
            )
        return operations

    def _resolve(self, path: str, text_digest: TextDigest) -> list[SetPath | SetGone | DropVersions]:
        if not isinstance(self._at.get(path, ()), tuple) and not self.holds_below(path):
            return []  # one, and nothing else wants the name: so it is with nearly all
        claimants = sorted(self._claimants(path), key=self.rank)
        if not claimants:
            return []
        folders = [entry for entry in claimants if self._placements[entry].kind is Kind.DIR]
        files = [entry for entry in claimants if self._placements[entry].kind is not Kind.DIR]
        operations: list[SetPath | SetGone | DropVersions] = [SetGone(entry, b"") for entry in folders[1:]]
        stays_folder = bool(folders) or self.holds_below(path)
        keeper = None if stays_folder or not files else files[0]
        for entry in files:
            if entry == keeper:
                continue
            if keeper is not None and self._same_content(entry, keeper, text_digest):
                operations.append(self._drop(entry))
            else:
                by = self._author(entry)
                operations.append(SetPath(entry, conflict_path(path, by, entry), keeper))
        return operations

    def _author(self, entry: EntryId) -> str:
        version = self._placements[entry].version
        return version.by if version is not None else self._rows[entry].origin.by

    def _same_content(self, entry: EntryId, other: EntryId, text_digest: TextDigest) -> bool:
        mine, theirs = self._placements[entry], self._placements[other]
        if mine.kind is not theirs.kind:
            return False
        if mine.kind is Kind.TEXT:
            return text_digest(entry) == text_digest(other)
        return mine.version is not None and (
            theirs.version is not None and mine.version.digest == theirs.version.digest
        )

    def _drop(self, entry: EntryId) -> SetGone | DropVersions:
        placement = self._placements[entry]
        if placement.version is not None:
            return DropVersions(entry, (placement.version.digest,))
        return SetGone(entry, self._contents.state_vector(entry))


def derived_entry(entry: EntryId, digest: Digest) -> EntryId:
    """The identity of the conflict copy that keeps ``digest``, a version of ``entry`` that did not win."""
    return EntryId(digest_of(f"{entry}:{digest}".encode())[: 2 * ENTRY_ID_BYTES])


def _usable(kind: Kind, version: Version) -> bool:
    """A link needs a target that is its content and stays inside; a blob has none."""
    if kind is Kind.LINK:
        target = version.target
        return (
            target is not None
            and len(target) <= limits.LINK_TARGET_MAX_BYTES
            and "\0" not in target
            and digest_of(target.encode()) == version.digest
        )
    return version.target is None


def _covers(gone: bytes, state_vector: bytes) -> bool:
    """Whether the deleter had seen all of the text; a deletion that cannot be read covers nothing."""
    try:
        return covers(gone, state_vector)
    except ValueError:
        return False
