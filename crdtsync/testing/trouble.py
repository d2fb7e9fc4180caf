"""Disks that fail for a while: full, broken, read-only, or not ours to touch."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from crdtsync.testing.virtual_filesystem import error
from crdtsync.testing.virtual_kernel import Primitive

_NAMES: Final = frozenset(
    {"rename", "rename_noreplace", "exchange", "link", "symlink", "unlink", "mkdir", "rmdir"}
)
_MET: Final[Mapping[int, frozenset[str]]] = {
    errno.ENOSPC: frozenset({"write_all", "symlink", "link", "mkdir", "rename", "rename_noreplace", "fsync"}),
    errno.EIO: frozenset({"read", "write_all", "fsync", "syncfs", "open_file", "entries", *_NAMES}),
    errno.EACCES: frozenset({"open", "open_file", "open_folder", *_NAMES}),
    errno.EROFS: frozenset({"open", "fchmod", "fchown", *_NAMES}),
}
"""Which primitives can meet which error."""
ERRORS: Final = tuple(sorted(_MET))


@dataclass(frozen=True, slots=True)
class Trouble:
    """Each primitive that can meet the error does so with this chance."""

    number: int
    chance: float

    def meet(self, primitive: Primitive, rng: Random) -> None:
        """Raises OSError."""
        if primitive.name in _MET[self.number] and rng.random() < self.chance:
            raise error(self.number, primitive.name)
