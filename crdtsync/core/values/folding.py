"""Which names are one and the same on a disk: case, Unicode form, trailing dots; found out by a probe.

Knows names alone. Who gets a name that several claim is decided by ``core.tree.local_view``.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import normalize

from crdtsync.core.values.late import dataclass

_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt: ext4 and HFS+ overlook them."""
_DROPPED: Final = ". "


@dataclass(frozen=True, slots=True)
class Folding:
    """What a file system takes for equal.

    ``case``: ``a`` and ``A``. ``form``: composed and decomposed characters, whichever of them listing gives
    back. ``tail``: a name with and without dots and spaces at its end (FAT).
    """

    case: bool = False
    form: bool = False
    tail: bool = False

    def __bool__(self) -> bool:
        return self.case or self.form or self.tail

    def spelled(self, name: str) -> str:
        """The one spelling by which a name is known here, among those that the disk may give back."""
        if self.form and not name.isascii():
            name = normalize("NFC", name)
        if self.tail:
            name = name.rstrip(_DROPPED) or name
        return name

    def key(self, name: str) -> str:
        """Equal for names that may be one on this disk.

        File systems fold by tables of their own, so this folds more than any of them: a name too many that
        counts as taken costs a detour, one too few a file.
        """
        name = self.spelled(name)
        if not self.case:
            return name
        if name.isascii():
            return name.lower()
        folded = normalize("NFD", name).casefold().upper().casefold()
        return normalize("NFD", _IGNORABLE.sub("", folded))

    def path_key(self, path: str) -> str:
        """``key`` of each part."""
        return "/".join(map(self.key, path.split("/"))) if self else path

    def spelled_path(self, path: str) -> str:
        """``spelled`` of each part."""
        return "/".join(map(self.spelled, path.split("/"))) if self.form or self.tail else path


PLAIN: Final = Folding()
"""Every name is another one."""
