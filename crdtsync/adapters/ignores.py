"""Which paths are ignored: always-ignored names, ``.crdtsyncignore`` and ``.gitignore`` at every level.

Knows where such files are and keeps them compiled per folder; their syntax is known by ``gitignore``.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Mapping
from typing import TypeAlias

from crdtsync.adapters.filesystem import Blocked, Tree, split
from crdtsync.adapters.gitignore import PatternFile
from crdtsync.adapters.kernel import is_regular
from crdtsync.core.values.late import dataclass
from crdtsync.core.values.paths import is_below
from crdtsync.core.values.reserved import STATE_FOLDER, reserved_name

OWN_IGNORE_FILE = ".crdtsyncignore"
GIT_IGNORE_FILE = ".gitignore"
IGNORE_FILES = (OWN_IGNORE_FILE, GIT_IGNORE_FILE)
"""The patterns of the first one win over those of the second."""
IGNORE_FILE_MAX_BYTES = 1024 * 1024
"""Above this the file is not taken for patterns: compiling it would hold up every scan."""

_Level: TypeAlias = tuple[int, PatternFile]
"""The length of the folder's path with its slash, and the patterns in that folder."""
_Signature: TypeAlias = tuple[int, int, int, int]


def is_ignore_file(path: str) -> bool:
    return split(path)[1] in IGNORE_FILES


@dataclass(frozen=True, slots=True)
class FolderRules:
    """What is ignored directly inside one folder. ``levels``: per kind of ignore file, innermost first."""

    prefix: str
    ignored_itself: bool
    levels: tuple[tuple[_Level, ...], ...]

    def ignored(self, name: str, is_dir: bool) -> bool:
        """Whether ``name`` in this folder is ignored: the innermost file that says anything of it decides."""
        if self.ignored_itself or reserved_name(name):
            return True
        for levels in self.levels:
            for length, patterns in levels:
                decision = patterns.decides(self.prefix[length:] + name, name, is_dir)
                if decision is not None:
                    return decision
        return False


class Ignores:
    """The rules of one joined folder; safe to ask from several threads."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._lock = threading.Lock()
        self._generation = 0
        self._rules: dict[str, FolderRules] = {}
        self._missing: dict[str, FolderRules] = {}
        """Of folders that were not there when they were asked for, until any other folder turns up."""
        self._turned_up = 0
        self._files: dict[str, tuple[_Signature, PatternFile]] = {}

    def ignored(self, path: str, is_dir: bool) -> bool:
        """Whether the room-relative ``path`` is ignored, by itself or by a folder above it.

        For plans: a folder of this very instant may not count yet; whoever looks into one asks ``folder``.
        Raises OSError when a folder above cannot be read: then nobody can tell.
        """
        folder, name = split(path)
        rules = self._rules.get(folder) or self._missing.get(folder) or self.folder(folder)
        return rules.ignored(name, is_dir)

    def folder(self, path: str) -> FolderRules:
        """The rules inside the folder at ``path``. Raises OSError when it cannot be read."""
        known = self._rules.get(path)
        if known is not None:
            return known
        above: FolderRules | None = None
        if path:
            parent, name = split(path)
            above = self.folder(parent)
            if above.ignored(name, True):
                return FolderRules(path + "/", True, ())
        generation, turned_up = self._generation, self._turned_up
        try:
            with self._tree.folder(path) as fd:
                if path and self._is_joined(fd):
                    return FolderRules(path + "/", True, ())
                rules = self._read(path, fd, above, IGNORE_FILES)
        except (FileNotFoundError, Blocked):
            rules = _inside(path, above, {})  # no such folder now: only what is above counts
            with self._lock:
                if (generation, turned_up) == (self._generation, self._turned_up):
                    self._missing[path] = rules
            return rules
        self._remember(path, rules, generation)
        return rules

    def scanned(self, path: str, fd: int, above: FolderRules | None, names: Container[str]) -> FolderRules:
        """The rules inside a folder that holds ``names``, read afresh; ``above`` are those of its parent."""
        generation = self._generation
        if path and STATE_FOLDER in names:
            rules = FolderRules(path + "/", True, ())  # joined by itself
        else:
            rules = self._read(path, fd, above, [name for name in IGNORE_FILES if name in names])
        self._remember(path, rules, generation)
        return rules

    def invalidate(self, path: str) -> None:
        """Forget what was read at ``path``: an ignore file that changed, or a folder that came or went."""
        folder, name = split(path)
        top = folder if name in IGNORE_FILES else path
        with self._lock:
            self._generation += 1
            self._missing.clear()
            self._files.pop(path, None)
            for known in [known for known in self._rules if known == top or is_below(known, top)]:
                del self._rules[known]

    def _is_joined(self, fd: int) -> bool:
        """Whether this folder below the root is joined by itself: nothing in it is ours to share."""
        try:
            self._tree.calls.lstat(STATE_FOLDER, fd)
        except FileNotFoundError:
            return False
        return True

    def _remember(self, path: str, rules: FolderRules, generation: int) -> None:
        with self._lock:
            if path not in self._rules:
                self._turned_up += 1
                self._missing.clear()
            if generation == self._generation:
                self._rules[path] = rules

    def _read(self, path: str, fd: int, above: FolderRules | None, names: Iterable[str]) -> FolderRules:
        here: dict[str, PatternFile] = {}
        for name in names:
            patterns = self._patterns(f"{path}/{name}" if path else name, name, fd)
            if patterns:
                here[name] = patterns
        return _inside(path, above, here)

    def _patterns(self, path: str, name: str, dir_fd: int) -> PatternFile | None:
        calls = self._tree.calls
        try:
            fd = calls.open_file(name, dir_fd)
        except OSError:
            return None  # not there, a link (git does not follow it either), or unreadable: no patterns
        try:
            status = calls.fstat(fd)
            if not is_regular(status) or status.st_size > IGNORE_FILE_MAX_BYTES:
                return None
            signature = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            known = self._files.get(path)
            if known is not None and known[0] == signature:
                return known[1]
            patterns = PatternFile(calls.read(fd, IGNORE_FILE_MAX_BYTES))
        except OSError:
            return None
        finally:
            calls.close(fd)
        self._files[path] = (signature, patterns)
        return patterns


def _inside(path: str, above: FolderRules | None, here: Mapping[str, PatternFile]) -> FolderRules:
    """The rules inside ``path``: those from above, and before them what the folder's own files say."""
    prefix = path + "/" if path else ""
    inherited = above.levels if above is not None else ((),) * len(IGNORE_FILES)
    if not here:
        return FolderRules(prefix, False, inherited)
    levels = tuple(
        ((len(prefix), here[name]), *outer) if name in here else outer
        for name, outer in zip(IGNORE_FILES, inherited, strict=True)
    )
    return FolderRules(prefix, False, levels)
