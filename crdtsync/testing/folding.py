"""What several kinds of disks take for one name: macOS, Windows and some Linux file systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from unicodedata import normalize

from crdtsync.core.values.folding import PLAIN, Folding
from crdtsync.testing.virtual_filesystem import Naming

MODES: Final[Mapping[str, Folding]] = {
    "plain": PLAIN,
    "case": Folding(case=True),
    "form": Folding(form=True),
    "both": Folding(case=True, form=True),
    "decomposing": Folding(case=True, form=True),
}
"""NTFS folds case; APFS both, or only the form; HFS+ both, and gives all names back decomposed."""


def naming_of(mode: str) -> tuple[Naming, Folding]:
    """How such a file system finds and spells names, and what it takes for one."""
    return _NAMINGS[mode], MODES[mode]


def _upper(given: str) -> str:
    """Character by character, as NTFS does; a form is another name to it."""
    if given.isascii():
        return given.upper()
    return "".join(char.upper() if len(char.upper()) == 1 else char for char in given)


def _composed(given: str) -> str:
    return normalize("NFC", given)


def _decomposed(given: str) -> str:
    return normalize("NFD", given)


_NAMINGS: Final[Mapping[str, Naming]] = {
    "plain": Naming(),
    "case": Naming(_upper),
    "form": Naming(_composed),
    "both": Naming(MODES["both"].key),
    "decomposing": Naming(MODES["decomposing"].key, _decomposed),
}
