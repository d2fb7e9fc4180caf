"""A virtual disk that takes several names for one, as macOS, Windows and some Linux file systems do.

Knows how such a file system finds and spells names; everything else is ``virtual_disk``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final
from unicodedata import normalize

from crdtsync.core.replica.events import Hint, HintKind, Scan
from crdtsync.core.replica.steps import (
    Cause,
    Done,
    Failed,
    KeepCopy,
    MakeFolder,
    MoveFile,
    Outcome,
    Raced,
    Step,
    WriteFile,
)
from crdtsync.core.values.files import Absent, Seen
from crdtsync.core.values.folding import PLAIN, Folding
from crdtsync.core.values.paths import is_below, name, parent, parents
from crdtsync.testing.clock import Clock
from crdtsync.testing.virtual_disk import Inode, VirtualDisk
from crdtsync.testing.virtual_writer import VirtualWriter

MODES: Final[Mapping[str, Folding]] = {
    "plain": PLAIN,
    "case": Folding(case=True),
    "form": Folding(form=True),
    "both": Folding(case=True, form=True),
    "decomposing": Folding(case=True, form=True),
}
"""NTFS folds case; APFS both, or only the form; HFS+ both, and gives all names back decomposed."""


class FoldingNames(dict[str, Inode]):
    """Paths to inodes: found by any spelling, kept under the one by which they were made."""

    def __init__(self, folding: Folding, given: Callable[[str], str]) -> None:
        super().__init__()
        self._folding = folding
        self._given = given
        self._spelled: dict[str, str] = {}

    def spelled(self, path: str) -> str:
        """The path as it stands on disk; where nothing is, as it would come to stand there."""
        known = self._spelled.get(self._folding.path_key(path))
        if known is not None or not path:
            return known or path
        folder = parent(path)
        return f"{self.spelled(folder)}/{self._given(name(path))}" if folder else self._given(path)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and super().__contains__(self.spelled(path))

    def __getitem__(self, path: str) -> Inode:
        return super().__getitem__(self.spelled(path))

    def get(self, path: str, default: Inode | None = None) -> Inode | None:  # type: ignore[override]
        return super().get(self.spelled(path), default)

    def __setitem__(self, path: str, node: Inode) -> None:
        spelled = self.spelled(path)
        self._spelled[self._folding.path_key(path)] = spelled
        super().__setitem__(spelled, node)

    def __delitem__(self, path: str) -> None:
        super().__delitem__(self.spelled(path))
        del self._spelled[self._folding.path_key(path)]

    def pop(self, path: str) -> Inode:  # type: ignore[override]
        node = self[path]
        del self[path]
        return node

    def update(self, nodes: Mapping[str, Inode]) -> None:  # type: ignore[override]
        for path in sorted(nodes):
            self[path] = nodes[path]


class FoldingDisk(VirtualDisk):
    """Tells of paths as the adapters do: in one spelling, and only in that."""

    def __init__(self, clock: Clock, hinted: Callable[[Hint], None], mode: str) -> None:
        super().__init__(clock, hinted)
        self.folding = MODES[mode]
        given: Callable[[str], str] = _decomposed if mode == "decomposing" else str
        self.nodes = FoldingNames(self.folding, given)

    @property
    def names(self) -> FoldingNames:
        assert isinstance(self.nodes, FoldingNames)
        return self.nodes

    def exact(self, path: str) -> bool:
        """Whether what is there is spelled just so."""
        return self.folding.spelled_path(self.names.spelled(path)) == path

    def look(self, path: str, known_text: bool) -> Seen:
        return super().look(path, known_text) if self.exact(path) else Absent()

    def list_folder(self, folder: str) -> Scan:
        if not self.exact(folder):
            return Scan()
        found = super().list_folder(folder)
        shown = self.folding.spelled_path
        return Scan(
            {shown(path): fingerprint for path, fingerprint in found.files.items()},
            {shown(path): fingerprint for path, fingerprint in found.links.items()},
            {shown(path): below for path, below in found.folders.items()},
            {},
            {shown(path): reason for path, reason in found.unshareable.items()},
        )

    def inside(self, folder: str) -> list[str]:
        return super().inside(self.names.spelled(folder))

    def children(self, folder: str) -> list[str]:
        return super().children(self.names.spelled(folder))

    def rename(self, path: str, target: str) -> Inode | None:
        """A name may become another spelling of itself; a folder that is there keeps its own."""
        key, target_key = self.folding.path_key(path), self.folding.path_key(target)
        if is_below(target_key, key):
            raise OSError(f"{path} cannot become {target}")
        if key != target_key or path not in self.nodes:
            return super().rename(self.names.spelled(path), target)
        self.respell(path, name(target))
        return None

    def respell(self, path: str, new_name: str) -> None:
        """Give what is at ``path`` its name in another spelling."""
        old = self.names.spelled(path)
        below = {each: self.nodes[each] for each in super().inside(old)}
        node = self.nodes[old]
        for each in [*below, old]:
            del self.nodes[each]
        folder = parent(old)
        new = f"{folder}/{new_name}" if folder else new_name
        self.nodes[new] = node
        for each in sorted(below):
            self.nodes[new + each[len(old) :]] = below[each]
        node.ctime_ns = self._now_ns()
        self.hint(old, HintKind.DELETED)
        self.hint(new, HintKind.CREATED if self.is_folder(new) else HintKind.CLOSED)

    def spell(self, folders: Iterable[str]) -> None:
        """Give these folders, outermost first, just this spelling, where they are there in another."""
        for folder in folders:
            if self.is_folder(folder) and not self.exact(folder):
                self.respell(folder, name(folder))

    def hint(self, path: str, kind: HintKind) -> None:
        super().hint(self.folding.spelled_path(path), kind)


class FoldingWriter(VirtualWriter):
    """Sees to it that what the steps make is spelled as they say."""

    def __init__(self, clock: Clock, disk: FoldingDisk, race: Callable[[str], None]) -> None:
        super().__init__(clock, disk, race)
        self._names = disk

    def perform(self, step: Step, still_needed: bool = False) -> Outcome:
        disk = self._names
        match step:
            case MakeFolder(path=path):
                disk.spell([*reversed(parents(path)), path])
            case MoveFile(path=path, target=target, expected=expected):
                disk.spell(reversed(parents(target)))
                node = disk.get(target)
                if node is not None and node is disk.get(path):
                    if not node.fingerprint.same_file(expected.fingerprint):
                        return self._raced(path)
                    self.performed += 1
                    disk.respell(path, name(target))
                    return Done(node.fingerprint)
            case KeepCopy(path=path) | WriteFile(path=path, expected=None):
                disk.spell(reversed(parents(path)))
            case _:
                pass
        outcome = super().perform(step, still_needed)
        if isinstance(outcome, Raced) and outcome.path in disk.nodes and not disk.exact(outcome.path):
            return Failed(Cause.BLOCKED, f"{outcome.path} stands there in another spelling")
        return outcome


def _decomposed(given: str) -> str:
    return normalize("NFD", given)
