"""What happens to a room without a folder, and what its engine asks for, as values.

Effects are carried out in order. Frames, ticks and the connection are those of a replica with a folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from crdtsync.core.replica.cursors import Ranges
from crdtsync.core.replica.effects import Connect, Disconnect, Halt, Notice, SendBinary, SendText
from crdtsync.core.replica.events import BinaryFrame, Connected, Disconnected, NetworkChanged, TextFrame, Tick
from crdtsync.core.text.diff import Edit
from crdtsync.core.values.ids import EntryId

Event: TypeAlias = Connected | TextFrame | BinaryFrame | Disconnected | NetworkChanged | Tick


@dataclass(frozen=True, slots=True)
class TextChanged:
    """An open text is another one now: ascending edits, in code points, of what it was before.

    ``ours``: this program made them, and ``holder`` says who of it; None: they come from a write of the whole
    file. ``by``: the name of who made them, or "" if it is not known.
    """

    entry: EntryId
    edits: tuple[Edit, ...]
    by: str
    ours: bool = False
    holder: int | None = None


@dataclass(frozen=True, slots=True)
class CursorsMoved:
    """Where someone is in an open text, as (anchor, head) in code points; nowhere if there are none.

    ``person`` tells one from another, ``holder`` who of this program it is, if it is one.
    """

    entry: EntryId
    person: str
    name: str
    ranges: Ranges
    holder: int | None = None


@dataclass(frozen=True, slots=True)
class EntriesChanged:
    """Something about these entries is another than before: path, content, or whether they are alive."""

    entries: frozenset[EntryId]


@dataclass(frozen=True, slots=True)
class PeopleChanged:
    """Someone came, went, or does something else now."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What ``RoomEngine.settle`` with that number waited for has come true."""

    number: int


Effect: TypeAlias = (
    Connect
    | Disconnect
    | SendText
    | SendBinary
    | Halt
    | Notice
    | TextChanged
    | CursorsMoved
    | EntriesChanged
    | PeopleChanged
    | Settled
)
