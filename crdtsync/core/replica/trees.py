"""Two of the replica's three trees, as observed: what is on disk, and what disk and room last agreed on.

The third, what the room says, is ``core.tree.view``. Trees hold observations, never pending work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.steps import Expected
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Fingerprint, Kind, Present, kind_of
from crdtsync.core.values.folding import PLAIN, Folding
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.late import dataclass
from crdtsync.core.values.paths import parent


class PathIndex:
    """Which paths are there, found by folder: the paths below one without walking all of them.

    ``here`` is who holds the paths themselves: one is there before it is added, and gone before it is
    discarded. The index keeps no string of its own, and nothing at all before somebody asks for a folder.
    """

    def __init__(self, here: Collection[str]) -> None:
        self._here = here
        self._found: dict[str, set[str]] | None = None
        """By folder: the paths right below it, of files and of folders that hold any. None: nobody asked."""

    @property
    def _children(self) -> dict[str, set[str]]:
        if self._found is None:
            self._found = {}
            for path in self._here:
                self.add(path)
        return self._found

    def add(self, path: str) -> None:
        found = self._found
        while path and found is not None:
            folder = path.rpartition("/")[0]
            children = found.get(folder)
            if children is not None:
                children.add(path)
                return
            found[folder] = {path}
            path = folder

    def discard(self, path: str) -> None:
        found = self._found
        while path and found is not None and path not in self._here and path not in found:
            folder = path.rpartition("/")[0]
            children = found.get(folder)
            if children is None:
                return
            children.discard(path)
            if not children:
                del found[folder]
            path = folder

    def within(self, folder: str) -> Collection[str]:
        """The files right in ``folder``, and the folders in it that hold any."""
        return self._children.get(folder, ())

    def below(self, folder: str) -> list[str]:
        """All paths below ``folder``, without the folder itself, in order."""
        return sorted(self.inside(folder))

    def inside(self, folder: str) -> Iterable[str]:
        """The same in any order, while nothing is added or discarded."""
        if not folder:
            return self._here
        found: list[str] = []
        stack = [folder]
        children = self._children
        while stack:
            for path in children.get(stack.pop(), ()):
                if path in self._here:
                    found.append(path)
                if path in children:
                    stack.append(path)
        return found


@dataclass(frozen=True, slots=True)
class OnDisk:
    """What the last look found at a path. ``digest`` is None for a folder."""

    kind: Kind
    digest: Digest | None
    fingerprint: Fingerprint | None

    @property
    def executable(self) -> bool:
        return self.fingerprint is not None and self.fingerprint.executable

    def fingerprint_of(self, digest: Digest | None) -> Fingerprint | None:
        """For an agreement on ``digest``: if the file holds something else by now, it must be read again."""
        if self.fingerprint is None or digest == self.digest:
            return self.fingerprint
        return self.fingerprint.outdated()


def on_disk(seen: Present) -> OnDisk:
    """What a look found, without the content."""
    return OnDisk(kind_of(seen.content), seen.content.digest, seen.fingerprint)


def expected_of(seen: OnDisk | None) -> Expected | None:
    """What a step expects that is to change the file; None if there is none."""
    if seen is None or seen.fingerprint is None or seen.digest is None:
        return None
    return Expected(seen.fingerprint, seen.digest)


def is_that(seen: OnDisk | None, agreed: Synced) -> bool:
    """Whether it is the very file that was agreed on, perhaps edited since."""
    if seen is None or seen.fingerprint is None or agreed.fingerprint is None:
        return False
    here, then = seen.fingerprint, agreed.fingerprint
    return seen.kind is agreed.kind and (here.device, here.inode) == (then.device, then.inode)


class DiskTree:
    """What is on disk: files and links by path, and the folders that are shared for being empty.

    ``unknown`` maps paths that cannot be read, or that hold what is never shared, to the reason.
    """

    def __init__(self) -> None:
        self._here: dict[str, OnDisk | Synced] = {}
        """An agreement stands for what it says of the disk: of most files there is no more to be kept."""
        self._index = PathIndex(self._here)
        self.unknown: dict[str, str] = {}
        self.reused: dict[str, EntryId] = {}
        """Whose inodes files have, by path, that are not theirs."""

    def get(self, path: str) -> OnDisk | None:
        seen = self._here.get(path)
        if isinstance(seen, Synced):
            return OnDisk(seen.kind, seen.digest, seen.fingerprint)
        return seen

    def __len__(self) -> int:
        return len(self._here)

    @property
    def as_agreed(self) -> Callable[[str], OnDisk | Synced | None]:
        """By path: the very agreement that the file was found to be as, or whatever else was seen."""
        return self._here.get

    def begin(self, agreed: Mapping[str, Synced]) -> None:
        """These stand at their paths; nothing is known of any other."""
        self._here = dict(agreed)
        self._index = PathIndex(self._here)

    def put_agreed(self, agreed: Synced) -> None:
        """What was agreed stands at its path."""
        self._put(agreed.path, agreed)

    def put(self, path: str, seen: OnDisk) -> None:
        self._put(path, seen)

    def _put(self, path: str, seen: OnDisk | Synced) -> None:
        known = path in self._here
        self._here[path] = seen
        if not known:
            self._index.add(path)
        if self.unknown:
            self.unknown.pop(path, None)

    def discard(self, path: str) -> None:
        if self._here.pop(path, None) is not None:
            self._index.discard(path)

    def paths(self) -> Iterator[str]:
        return iter(self._here)

    def __contains__(self, path: str) -> bool:
        return path in self._here

    def below(self, folder: str) -> list[str]:
        return self._index.below(folder)

    def inside(self, folder: str) -> Iterable[str]:
        """As ``below`` in any order, while nothing is put or discarded."""
        return self._index.inside(folder)

    def within(self, folder: str) -> Collection[str]:
        return self._index.within(folder)

    def reason_unknown(self, path: str) -> str | None:
        """Why nothing can be said of ``path``: it, or a folder above it, could not be read."""
        if not self.unknown:
            return None
        while path:
            if path in self.unknown:
                return self.unknown[path]
            path = parent(path)
        return self.unknown.get("")


class SyncedTree:
    """What disk and room last agreed on, by entry, by path and by inode.

    ``put`` replaces the agreement in memory; whether it is durable is kept apart (``durable``), so that
    what a power cut could still undo is never remembered as agreed.
    """

    def __init__(self, synced: Iterable[Synced] = (), folding: Folding = PLAIN) -> None:
        self._folding = folding
        self._by_key: dict[str, set[str]] = {}
        """Where the disk folds names: the paths that may be one."""
        self._by_entry: dict[EntryId, Synced] = {}
        self._by_path: dict[str, EntryId] = {}
        """The one agreed on last, where several are agreed to be at one path: what stands there and what is
        about to be put there, as a kill or a failed step leaves them."""
        self._also_at: dict[str, list[EntryId]] = {}
        self._by_inode: dict[int | tuple[int, int], EntryId] | None = None
        """None, as for digests, as long as nobody asks: of 100,000 files each takes 5 MB and 25 ms."""
        self._device: int | None = None
        """Of the first file, and of all of them where nothing is mounted inside: its inodes go without it."""
        self._on_device: dict[int, int] = {}
        """How many files are on each."""
        self._device_before: int | None = None
        """Of most files when the replica started: a start of the machine may number its devices anew."""
        self._by_digest: dict[Digest, EntryId] | None = None
        self._index = PathIndex(self._by_path)
        self._put_all(list(synced))
        self._device_before = self._main_device()

    def __len__(self) -> int:
        return len(self._by_entry)

    def __iter__(self) -> Iterator[Synced]:
        return iter(list(self._by_entry.values()))

    @property
    def by_entry(self) -> Mapping[EntryId, Synced]:
        """For whoever goes through thousands."""
        return self._by_entry

    @property
    def by_path(self) -> Mapping[str, EntryId]:
        """Likewise; see ``at``."""
        return self._by_path

    @property
    def disputed(self) -> bool:
        """Whether several entries are agreed to be at one path."""
        return bool(self._also_at)

    def get(self, entry: EntryId) -> Synced | None:
        return self._by_entry.get(entry)

    def at(self, path: str) -> EntryId | None:
        return self._by_path.get(path)

    def all_at(self, path: str) -> list[Synced]:
        """All that are agreed to be at one path, the one agreed on last first."""
        last = self._by_path.get(path)
        found = [] if last is None else [last, *self._also_at.get(path, ())]
        return [self._by_entry[entry] for entry in found]

    def twins(self, path: str) -> list[str]:
        """The other paths with an agreement that may be the same as ``path`` on this disk."""
        if not self._folding:
            return []
        return sorted(self._by_key.get(self._folding.path_key(path), set()) - {path})

    def other_device(self, path: str) -> int | None:
        """Of the file system on which the file at that path stood, if it is another than that of most."""
        entry = self._by_path.get(path)
        agreed = None if entry is None else self._by_entry[entry]
        if agreed is None or agreed.fingerprint is None or len(self._on_device) == 1:
            return None
        device = agreed.fingerprint.device
        return None if device in (self._main_device(), self._device_before) else device

    def _main_device(self) -> int | None:
        return max(self._on_device, key=self._on_device.__getitem__, default=None)

    def with_inode(self, fingerprint: Fingerprint) -> Synced | None:
        """The agreement about the file of that device and inode."""
        if self._by_inode is None:
            self._by_inode = {
                self._file(agreed.fingerprint): agreed.entry
                for agreed in self._by_entry.values()
                if agreed.fingerprint is not None
            }
        entry = self._by_inode.get(self._file(fingerprint))
        return None if entry is None else self._by_entry.get(entry)

    def with_digest(self, digest: Digest) -> Synced | None:
        """One of the entries with that content, the one agreed on last."""
        if self._by_digest is None:
            agreements = self._by_entry.values()
            self._by_digest = {each.digest: each.entry for each in agreements if each.digest is not None}
        entry = self._by_digest.get(digest)
        return None if entry is None else self._by_entry.get(entry)

    def below(self, folder: str) -> list[str]:
        return self._index.below(folder)

    def inside(self, folder: str) -> Iterable[str]:
        """As ``below`` in any order, while nothing is put or discarded."""
        return self._index.inside(folder)

    def put(self, agreed: Synced) -> None:
        entry, path, fingerprint = agreed.entry, agreed.path, agreed.fingerprint
        if entry in self._by_entry:
            self.discard(entry)
        self._by_entry[entry] = agreed
        other = self._by_path.get(path)
        if other is not None:
            self._also_at.setdefault(path, []).append(other)
        self._by_path[path] = entry
        self._index.add(path)
        if self._folding:
            self._by_key.setdefault(self._folding.path_key(path), set()).add(path)
        if fingerprint is not None:
            device = fingerprint.device
            if self._device is None:
                self._device = device
            if self._by_inode is not None:
                self._by_inode[self._file(fingerprint)] = entry
            self._on_device[device] = self._on_device.get(device, 0) + 1
        if agreed.digest is not None and self._by_digest is not None:
            self._by_digest[agreed.digest] = entry

    def _put_all(self, agreements: Sequence[Synced]) -> None:
        """The first ones, of which hardly ever two have anything to do with each other."""
        by_entry = {agreed.entry: agreed for agreed in agreements}
        by_path = {agreed.path: agreed.entry for agreed in agreements}
        if self._folding or not len(by_entry) == len(by_path) == len(agreements):
            for agreed in agreements:
                self.put(agreed)
            return
        self._by_entry.update(by_entry)
        self._by_path.update(by_path)
        devices = [seen.device for agreed in agreements if (seen := agreed.fingerprint) is not None]
        self._device = next(iter(devices), None)
        self._on_device = dict(Counter(devices))

    def discard(self, entry: EntryId) -> Synced | None:
        agreed = self._by_entry.pop(entry, None)
        if agreed is None:
            return None
        others = self._also_at.get(agreed.path, [])
        if entry in others:
            others.remove(entry)
        elif others:
            self._by_path[agreed.path] = others.pop()
        else:
            del self._by_path[agreed.path]
            self._index.discard(agreed.path)
            if self._folding:
                key = self._folding.path_key(agreed.path)
                self._by_key[key].discard(agreed.path)
                if not self._by_key[key]:
                    del self._by_key[key]
        if not others:
            self._also_at.pop(agreed.path, None)
        if agreed.fingerprint is not None:
            self._on_device[agreed.fingerprint.device] -= 1
            if self._by_inode is not None:
                file = self._file(agreed.fingerprint)
                if self._by_inode.get(file) == entry:
                    del self._by_inode[file]
        by_digest = self._by_digest or {}
        if agreed.digest is not None and by_digest.get(agreed.digest) == entry:
            del by_digest[agreed.digest]
        return agreed

    def _file(self, fingerprint: Fingerprint) -> int | tuple[int, int]:
        if fingerprint.device == self._device:
            return fingerprint.inode
        return fingerprint.device, fingerprint.inode
