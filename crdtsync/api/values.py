"""What the library tells a program: small immutable values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crdtsync.core.text.diff import Edit

TextEdit = Edit
"""Replaces the code points ``[start, end)`` of a text by ``text``; offsets count as those of ``str`` do."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change of a text comes from.

    ``kind``: ``self`` (this very document object), ``program`` (another one that shares this connection or
    this folder: a second object of the same text, an editor), ``disk`` (a save in the joined folder),
    ``room`` (someone else in the room), ``several`` (changes of more than one origin, put together for a
    reader who was slow). ``name``: who it was, for a person to read; "" where that is not known.
    """

    kind: Literal["self", "program", "disk", "room", "several"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a text: ascending ``edits``, in code points of the text before the change."""

    edits: tuple[TextEdit, ...]
    origin: Origin

    @property
    def own(self) -> bool:
        """Whether it was made by this very document object."""
        return self.origin.kind == "self"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, link or empty folder of a room.

    ``path`` is relative to the room, with ``/``. ``size_bytes`` is None for texts, whose size is known only
    to whoever reads them, and for folders. ``entry`` stays the same when it is moved.
    """

    path: str
    kind: Literal["text", "blob", "link", "dir"]
    size_bytes: int | None
    executable: bool
    entry: str


@dataclass(frozen=True, slots=True)
class TreeChange:
    """One change of a room's files, as ``watch`` tells it.

    ``old_path``: of what was moved, where it was; else None. A text is ``changed`` when it holds something
    else than before; so is a binary file or a link.
    """

    kind: Literal["created", "changed", "moved", "deleted"]
    path: str
    old_path: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a person may want to see: ``kind`` is one word (``connected``, ``offline``, ``refused``,
    ``people``, ...), ``path`` is "" if it is about no file, ``message`` is for a person."""

    kind: str
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """Someone's cursor or selection in a text: ``[start, end)`` in code points, equal for a mere cursor."""

    name: str
    start: int
    end: int
