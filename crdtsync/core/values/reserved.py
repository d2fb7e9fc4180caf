"""The names that never enter a room and are never written from one, whatever any ignore file says."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import Final

STATE_FOLDER: Final = ".crdtsync"

REPOSITORY_FOLDERS: Final = frozenset({".git", ".hg", ".svn", ".jj", ".bzr", "_darcs", STATE_FOLDER})
"""Version control keeps locks and indexes that only its own tools may write; ours is the last."""

TEMPORARY_PATTERNS: Final = (
    "*~",
    "*.sw?",
    ".*.sw?",
    "4913",
    ".#*",
    "#*#",
    "*___jb_tmp___",
    "*___jb_old___",
    ".goutputstream-*",
    ".~lock.*#",
    "~$*",
    ".*.kate-swp",
    ".DS_Store",
    "._*",
    "Thumbs.db",
    "desktop.ini",
)
"""What editors and desktops leave beside a file."""

_TEMPORARY = re.compile("|".join(translate(pattern) for pattern in TEMPORARY_PATTERNS), re.DOTALL)
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def reserved_name(name: str) -> bool:
    """Whether a file or folder of this name, anywhere in the folder, stays out of the room.

    Repository folders match in any case: a file system that folds case would write into the real one.
    """
    return name.lower() in REPOSITORY_FOLDERS or _TEMPORARY.match(name) is not None


def reserved_path(path: str) -> bool:
    """Whether any part of ``path`` is a reserved name."""
    folder, _, name = path.rpartition("/")
    return reserved_name(name) or (bool(folder) and _reserved_folder(folder))


@lru_cache(maxsize=256)
def _reserved_folder(folder: str) -> bool:
    """The same few folders for thousands of files, one after the other."""
    return any(reserved_name(part) for part in folder.split("/"))


def litter_name(name: str) -> bool:
    """Whether the system itself leaves this file in folders, so that a folder of nothing else is empty."""
    return name in _LITTER
