"""What a power cut leaves of a virtual file system: names by a journal, contents by what was synced.

The model. Changes of names go into a journal in their order, each of them whole: no common journalling file
system tears a rename. A cut leaves a prefix of what was not committed. ``syncfs``, and ``fsync`` of a folder,
commit all of it. ``fsync`` of a file does so too where names are ``ORDERED`` (ext4 in its default mode, XFS);
where it is ``JUMPING`` (the log of btrfs), it commits only the changes of that file's own names, and those
that they need, ahead of all others. Contents are in no order with names: one that was not synced is what it
was, or any since then, or torn: the beginning of a new one, with nothing, zeros, or the old one after it.
Source: Pillai et al., "All File Systems Are Not Created Equal" (ALICE), OSDI 2014.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from crdtsync.testing.virtual_inodes import Dentry, Inode, NodeKind


class Ordering(Enum):
    ORDERED = auto()
    JUMPING = auto()


@dataclass(frozen=True, slots=True)
class SlotChange:
    """What a name meant before, and after."""

    folder: Inode
    key: str
    before: tuple[Dentry, str] | None
    after: tuple[Dentry, str] | None
    """With the spelling, since a dentry changes its name."""


Change = tuple[SlotChange, ...]


class Journal:
    """The changes of names that a power cut could undo."""

    def __init__(self, ordering: Ordering) -> None:
        self.ordering = ordering
        self._open: list[Change] = []

    def add(self, change: Change) -> None:
        self._open.append(change)

    def commit(self) -> None:
        self._open.clear()

    def commit_names_of(self, inode: Inode) -> None:
        """As ``fsync`` of the file does."""
        if self.ordering is Ordering.ORDERED or inode.kind is NodeKind.FOLDER:
            self.commit()
            return
        needed: set[int] = set()
        for at, change in enumerate(self._open):
            if any(_is_of(slot, inode) for slot in change):
                needed.add(at)
        for at in range(len(self._open) - 1, -1, -1):
            if any(later > at and _needs(self._open[later], self._open[at]) for later in needed):
                needed.add(at)
        self._open = [change for at, change in enumerate(self._open) if at not in needed]

    def cut(self, rng: Random) -> list[Change]:
        """The changes that are lost, the last first."""
        lost = self._open[rng.randint(0, len(self._open)) :]
        self._open.clear()
        return lost[::-1]


def _needs(later: Change, earlier: Change) -> bool:
    return any(_slot_needs(one, other) for one in later for other in earlier)


def _slot_needs(later: SlotChange, earlier: SlotChange) -> bool:
    if later.folder is earlier.folder and later.key == earlier.key:
        return True
    made_folder = earlier.after is not None and earlier.after[0].inode is later.folder
    emptied_folder = later.before is not None and later.before[0].inode is earlier.folder
    return made_folder or emptied_folder


def _is_of(slot: SlotChange, inode: Inode) -> bool:
    return any(side is not None and side[0].inode is inode for side in (slot.before, slot.after))


def torn(inode: Inode, rng: Random) -> bytes:
    """What is left of a content that was not synced."""
    assert inode.unspared is not None
    old, new = inode.spared, rng.choice(inode.unspared)
    at = rng.randint(0, len(new))
    match rng.randrange(6):
        case 0 | 1:
            return old
        case 2 | 3:
            return new
        case 4:
            return new[:at] + (old[at:] if rng.random() < 0.5 else b"")
        case _:
            return new[:at] + bytes(len(new) - at)
