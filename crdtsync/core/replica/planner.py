"""The merge table: what to do with one entry, given what its disk, the last agreement and the room say.

Pure decisions on small facts; how each is carried out stands in ``ingest`` and ``materialise``.
The shape follows Mutagen's Reconcile and the three trees of Dropbox's Nucleus.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final


class Disk(Enum):
    """The disk against the last agreement."""

    SAME = auto()
    EDITED = auto()
    REPLACED = auto()
    """Something of another kind stands there: a text became binary, a file became a link."""
    GONE = auto()
    NEW = auto()
    """Something is there and nothing was ever agreed."""
    ABSENT = auto()
    """Nothing is there and nothing was ever agreed."""
    UNKNOWN = auto()
    """It cannot be read, is never shared, or a step on it is under way. Unreadable is not deleted."""


class Room(Enum):
    """The room against the last agreement."""

    SAME = auto()
    EDITED = auto()
    GONE = auto()
    NEW = auto()
    """The room has it and nothing was ever agreed."""
    ABSENT = auto()
    """The room does not have it and nothing was ever agreed."""


class Action(Enum):
    """What to do with the entry."""

    NOTHING = auto()
    ADOPT = auto()
    """Both sides hold the same: agree, move no content."""
    INGEST = auto()
    """Bring the disk's edit into the room, merged with what the room has."""
    CREATE = auto()
    """Make a new entry of what is on disk."""
    REPLACE = auto()
    """Delete the entry as far as it was seen, and make a new one of another kind at its path."""
    DELETE_THERE = auto()
    """The disk's deletion enters the room, covering what was seen."""
    MATERIALISE = auto()
    """Write what the room has to disk."""
    DELETE_HERE = auto()
    """Move the file to the trash."""
    KEEP_BOTH = auto()
    """No common past and other content: the room's keeps the name, ours becomes a conflict copy."""
    FORGET = auto()
    """Gone on both sides."""
    HOLD = auto()
    """Nothing can be decided now."""


_TABLE: Final[dict[tuple[Disk, Room], tuple[Action, Action]]] = {
    # (disk, room): (the two hold other content, the two hold the same content)
    (Disk.SAME, Room.SAME): (Action.NOTHING, Action.NOTHING),
    (Disk.SAME, Room.EDITED): (Action.MATERIALISE, Action.ADOPT),
    (Disk.SAME, Room.GONE): (Action.DELETE_HERE, Action.DELETE_HERE),
    (Disk.EDITED, Room.SAME): (Action.INGEST, Action.ADOPT),
    (Disk.EDITED, Room.EDITED): (Action.INGEST, Action.ADOPT),
    # The edit survives a deletion: it is more than the deleter saw.
    (Disk.EDITED, Room.GONE): (Action.INGEST, Action.INGEST),
    (Disk.REPLACED, Room.SAME): (Action.REPLACE, Action.REPLACE),
    # The deletion covers what was seen; the room's edit is more, stays alive, and is kept aside.
    (Disk.REPLACED, Room.EDITED): (Action.REPLACE, Action.REPLACE),
    (Disk.REPLACED, Room.GONE): (Action.CREATE, Action.CREATE),
    (Disk.GONE, Room.SAME): (Action.DELETE_THERE, Action.DELETE_THERE),
    # The edit survives: the file comes back with all of its text.
    (Disk.GONE, Room.EDITED): (Action.MATERIALISE, Action.MATERIALISE),
    (Disk.GONE, Room.GONE): (Action.FORGET, Action.FORGET),
    (Disk.NEW, Room.NEW): (Action.KEEP_BOTH, Action.ADOPT),
    (Disk.NEW, Room.ABSENT): (Action.CREATE, Action.CREATE),
    (Disk.ABSENT, Room.NEW): (Action.MATERIALISE, Action.MATERIALISE),
    (Disk.ABSENT, Room.ABSENT): (Action.FORGET, Action.FORGET),
    **{(Disk.UNKNOWN, room): (Action.HOLD, Action.HOLD) for room in Room},
}


def plan(disk: Disk, room: Room, *, equal: bool) -> Action:
    """Decide for one entry; ``equal``: disk and room hold the same content now.

    Raises KeyError for facts that contradict each other (agreed on one side, never agreed on the other).
    """
    other, same = _TABLE[disk, room]
    return same if equal else other


class Move(Enum):
    """What to do about the entry's name, apart from its content."""

    STAY = auto()
    RENAME_HERE = auto()
    RENAME_THERE = auto()


def plan_move(agreed: str, disk: str, room: str) -> Move:
    """Decide on the name. Renamed on both sides: the room's name holds, everywhere the same, unless it was
    renamed here on top of that: where all has the room's name that the room has renamed."""
    if disk == room:
        return Move.STAY
    return Move.RENAME_THERE if _has_renames(agreed, room, disk) else Move.RENAME_HERE


def _has_renames(agreed: str, room: str, disk: str) -> bool:
    """Whether every name on the way that is another in the room is the same on the disk."""
    if room == agreed:
        return True
    names = agreed.split("/"), room.split("/"), disk.split("/")
    same_depth = len(names[0]) == len(names[1]) == len(names[2])
    return same_depth and all(there in (before, here) for before, there, here in zip(*names, strict=True))


def plan_executable(agreed: bool, disk: bool, room: bool) -> bool:
    """Three-way merge of one bit: whoever changed it wins."""
    return disk if disk != agreed else room
