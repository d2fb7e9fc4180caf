"""A folder that exists in memory: paths, inodes, fingerprints, and what a watcher would tell.

Knows what a file system does; what a replica does with it is in ``virtual_writer``, what people do in
``workloads``. Changes by people and by the writer give the same hints: a watcher cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from crdtsync.core.replica.events import Hint, HintKind, Scan, ScannedFolder
from crdtsync.core.text.classify import classify
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.files import (
    Absent,
    BlobContent,
    Chunk,
    Content,
    Fingerprint,
    Folder,
    LinkContent,
    Manifest,
    Present,
    Seen,
    TextContent,
    Unshareable,
)
from crdtsync.core.values.folding import PLAIN, Folding
from crdtsync.core.values.paths import link_leads_out, name, parent, parents
from crdtsync.core.values.reserved import litter_name, reserved_path
from crdtsync.testing.clock import Clock

DEVICE = 1
ESCAPES = "a link that leads out of the folder: stays here only"


class NodeKind(Enum):
    FILE = auto()
    LINK = auto()
    FOLDER = auto()


@dataclass(slots=True, eq=False)
class Inode:
    """A file, a link or a folder. ``data`` is a link's target in UTF-8; ``writers`` hold it open."""

    number: int
    kind: NodeKind
    data: bytes = b""
    executable: bool = False
    mtime_ns: int = 0
    ctime_ns: int = 0
    writers: int = 0

    @property
    def digest(self) -> Digest:
        return digest_of(self.data)

    @property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint(DEVICE, self.number, len(self.data), self.mtime_ns, self.ctime_ns, self.executable)


class VirtualDisk:
    """``hinted`` is told of every change. What cannot be done raises OSError or one of its kinds."""

    folding: Folding = PLAIN
    """Which names are one here: see ``folding``."""

    def __init__(self, clock: Clock, hinted: Callable[[Hint], None]) -> None:
        self._clock = clock
        self._hinted = hinted
        self.nodes: dict[str, Inode] = {}
        self._number = 100
        self._last_ns = 0

    # -- reading ----------------------------------------------------------------------------------------

    def get(self, path: str) -> Inode | None:
        return self.nodes.get(path)

    def inside(self, folder: str) -> list[str]:
        """All paths below ``folder``, sorted."""
        prefix = f"{folder}/" if folder else ""
        return sorted(path for path in self.nodes if path.startswith(prefix))

    def children(self, folder: str) -> list[str]:
        return [path for path in self.inside(folder) if parent(path) == folder]

    def is_folder(self, path: str) -> bool:
        node = self.nodes.get(path)
        return path == "" or (node is not None and node.kind is NodeKind.FOLDER)

    def blocked_by(self, path: str) -> str | None:
        """The outermost folder above ``path`` that is no folder but something else."""
        for folder in reversed(parents(path)):
            if folder in self.nodes and not self.is_folder(folder):
                return folder
        return None

    def look(self, path: str, known_text: bool) -> Seen:
        """What one look at a path finds."""
        if reserved_path(path):
            return Unshareable("ignored")
        node = self.nodes.get(path)
        if node is None:
            return Absent()
        if node.kind is NodeKind.FOLDER:
            return Folder(empty=not any(self._counts(child) for child in self.children(path)))
        if node.kind is NodeKind.LINK and link_leads_out(path, node.data.decode()):
            return Unshareable(ESCAPES)
        return Present(node.fingerprint, content_of(node, known_text))

    def list_folder(self, folder: str) -> Scan:
        """What a scan finds directly in one folder; folders in it are for the caller to go on with."""
        files: dict[str, Fingerprint] = {}
        links: dict[str, Fingerprint] = {}
        folders: dict[str, ScannedFolder] = {}
        unshareable: dict[str, str] = {}
        for path in self.children(folder):
            node = self.nodes[path]
            if reserved_path(path):
                continue
            match node.kind:
                case NodeKind.FILE:
                    files[path] = node.fingerprint
                case NodeKind.LINK if link_leads_out(path, node.data.decode()):
                    unshareable[path] = ESCAPES
                case NodeKind.LINK:
                    links[path] = node.fingerprint
                case NodeKind.FOLDER:
                    empty = not any(self._counts(child) for child in self.children(path))
                    folders[path] = ScannedFolder(empty)
        return Scan(files, links, folders, {}, unshareable)

    def snapshot(self) -> dict[str, Inode]:
        """The present state, which later changes leave alone."""
        return {path: replace(node) for path, node in self.nodes.items()}

    def _counts(self, path: str) -> bool:
        node = self.nodes[path]
        if reserved_path(path):
            return False
        return not (node.kind is NodeKind.LINK and link_leads_out(path, node.data.decode()))

    # -- changing ---------------------------------------------------------------------------------------

    def new_inode(self, kind: NodeKind, data: bytes = b"", executable: bool = False) -> Inode:
        """Something that has no path yet."""
        self._number += 1
        now_ns = self._now_ns()
        return Inode(self._number, kind, data, executable, now_ns, now_ns)

    def write_into(self, node: Inode, data: bytes, closed: bool = True) -> None:
        """A writer that has the file open; it may have lost its path meanwhile."""
        node.data = data
        node.mtime_ns = node.ctime_ns = self._now_ns()
        for path in [path for path, other in self.nodes.items() if other is node]:
            self.hint(path, HintKind.MODIFIED)
            if closed:
                self.hint(path, HintKind.CLOSED)

    def put(self, path: str, node: Inode, closed: bool = True) -> Inode | None:
        """Give ``node`` a path, whose folder is there; returns what it takes the place of."""
        if not self.is_folder(parent(path)):
            raise FileNotFoundError(path)
        old = self.nodes.get(path)
        if old is not None and (old.kind is NodeKind.FOLDER) and self.children(path):
            raise IsADirectoryError(path)
        self.nodes[path] = node
        node.ctime_ns = self._now_ns()
        self.hint(path, HintKind.CLOSED if closed else HintKind.CREATED)
        return old

    def take(self, path: str) -> Inode:
        """Take the path away from what is there (no folder with something in it)."""
        node = self.nodes.get(path)
        if node is None:
            raise FileNotFoundError(path)
        if node.kind is NodeKind.FOLDER and self.inside(path):
            raise OSError(f"{path} is not empty")
        del self.nodes[path]
        node.ctime_ns = self._now_ns()
        self.hint(path, HintKind.DELETED)
        return node

    def rename(self, path: str, target: str) -> Inode | None:
        """As rename(2): returns the file or empty folder whose place it takes; a folder goes whole."""
        node = self.nodes.get(path)
        if node is None or not self.is_folder(parent(target)):
            raise FileNotFoundError(path)
        if target == path or target.startswith(path + "/"):
            raise OSError(f"{path} cannot become {target}")
        old = self.nodes.get(target)
        if old is not None and (
            (old.kind is NodeKind.FOLDER) is not (node.kind is NodeKind.FOLDER) or self.inside(target)
        ):
            raise FileExistsError(target)
        below = self.inside(path) if node.kind is NodeKind.FOLDER else []
        moved = {target + each[len(path) :]: self.nodes.pop(each) for each in below}
        del self.nodes[path]
        self.nodes[target] = node
        self.nodes.update(moved)
        node.ctime_ns = self._now_ns()
        self.hint(path, HintKind.DELETED)
        self.hint(target, HintKind.CLOSED if node.kind is not NodeKind.FOLDER else HintKind.CREATED)
        return old

    def exchange(self, path: str, other: str) -> None:
        """As renameat2 with RENAME_EXCHANGE, for files."""
        mine, theirs = self.nodes.get(path), self.nodes.get(other)
        if mine is None or theirs is None:
            raise FileNotFoundError(path)
        self.nodes[path], self.nodes[other] = theirs, mine
        mine.ctime_ns = theirs.ctime_ns = self._now_ns()
        for each in (path, other):
            self.hint(each, HintKind.CLOSED)

    def make_folder(self, path: str) -> None:
        """With the folders above it."""
        blocked = self.blocked_by(path)
        if blocked is not None:
            raise NotADirectoryError(blocked)
        for folder in [*reversed(parents(path)), path]:
            if folder not in self.nodes:
                self.nodes[folder] = self.new_inode(NodeKind.FOLDER)
                self.hint(folder, HintKind.CREATED)

    def set_executable(self, path: str, executable: bool) -> None:
        node = self.nodes[path]
        node.executable = executable
        node.ctime_ns = self._now_ns()
        self.hint(path, HintKind.MODIFIED)

    def only_litter(self, folder: str) -> bool:
        return all(litter_name(name(path)) for path in self.inside(folder))

    def hint(self, path: str, kind: HintKind) -> None:
        if not reserved_path(path):
            self._hinted(Hint(path, kind))

    def files(self) -> Iterator[tuple[str, Inode]]:
        """Everything that a room could share, sorted: files, links, and folders with nothing in them."""
        for path in sorted(self.nodes):
            node = self.nodes[path]
            if reserved_path(path):
                continue
            if node.kind is NodeKind.FOLDER and not all(map(reserved_path, self.inside(path))):
                continue
            yield path, node

    def _now_ns(self) -> int:
        """No two changes at the same instant: a file system with fine timestamps."""
        self._last_ns = max(self._last_ns + 1, int(self._clock.now_s * 1e9))
        return self._last_ns


def content_of(node: Inode, known_text: bool) -> Content:
    """What the engine is told of a file's or a link's content."""
    if node.kind is NodeKind.LINK:
        return LinkContent(node.data.decode(), node.digest)
    text = classify(node.data, known_text)
    if text is not None:
        return TextContent(text, node.digest)
    chunks = (Chunk(node.digest, len(node.data)),) if node.data else ()
    return BlobContent(Manifest(node.digest, len(node.data), chunks))
