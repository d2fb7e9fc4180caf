"""People who spell one name in several ways: in other case, and in another Unicode form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from unicodedata import normalize

from crdtsync.core.values.paths import name, parent
from crdtsync.core.values.reserved import reserved_name
from crdtsync.testing.editors import Editor
from crdtsync.testing.workloads import FOLDERS, NAMES

ACCENTED: Final = ("\u00e9.md", "\u00f6l", "\u1e69.txt")
ACCENTED_FOLDERS: Final = ("\u00fc",)
WAYS: Final[tuple[Callable[[str], str], ...]] = (
    str,
    str.upper,
    str.swapcase,
    lambda given: normalize("NFD", given),
    lambda given: normalize("NFD", given.upper()),
    lambda given: normalize("NFC", given),
)


class Speller(Editor):
    def deeds(self) -> dict[str, Callable[[], str]]:
        return {**super().deeds(), "respell": self._respell}

    def _free_path(self) -> str:
        folder = self._spelled(self._rng.choice(FOLDERS + ACCENTED_FOLDERS))
        last = self._spelled(self._rng.choice(NAMES[:2] + ACCENTED))
        path = f"{folder}/{last}" if folder else last
        if self._disk.get(path) is not None or self._disk.blocked_by(path):
            raise FileExistsError(path)
        if folder:
            self._disk.make_folder(folder)
        return path

    def _spelled(self, given: str) -> str:
        return self._rng.choice(WAYS)(given)

    def _respell(self) -> str:
        """A file or a folder gets its own name in another spelling."""
        path = self._pick(lambda path: True)
        last = self._spelled(name(path))
        target = f"{parent(path)}/{last}" if parent(path) else last
        node = self._disk.nodes[path]
        if last == name(path) or reserved_name(last) or self._disk.get(target) not in (None, node):
            raise FileExistsError(target)
        if not self._disk.is_folder(path):
            self.ledger.moved(self.name, node.data)
        self._disk.rename(path, target)
        return f"{path} to {target}"
