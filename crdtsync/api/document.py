"""A text that a program has open, shared with everyone else who has: one class for every kind of room."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise
from types import TracebackType
from typing import Protocol, Self

from crdtsync.api.streams import Changes
from crdtsync.api.values import Change, Cursor, Origin, TextEdit
from crdtsync.core.replica.cursors import Ranges
from crdtsync.core.text.diff import apply_edits, diff
from crdtsync.core.text.offsets import utf8_length
from crdtsync.core.text.transform import moved_offset
from crdtsync.core.text.undo import UndoHistory
from crdtsync.core.values import limits
from crdtsync.errors import Closed, InvalidEdit, NotText

_SELF = Origin("self")


class TextPort(Protocol):
    """What stands behind a document: an engine in this process, or one behind a socket."""

    def edit(self, edits: tuple[TextEdit, ...]) -> None:
        """Take edits of the text as it was told last. Raises CrdtsyncError, changing nothing."""
        ...

    def place(self, ranges: Ranges) -> None:
        """Show the others where we are, as (anchor, head); none: nowhere."""
        ...

    def close(self) -> None: ...


class Shown(Protocol):
    """What an open text is told by its room: a document here, or one of another process."""

    def _changed(self, edits: tuple[TextEdit, ...], origin: Origin) -> None: ...

    def _stands(self, path: str | None) -> None: ...

    def _cursors_moved(self, person: str, name: str, ranges: Ranges) -> None: ...

    def _ended(self, error: Exception) -> None: ...


class Document:
    """One open text. Made by ``Room.open``; use it on the loop of its room.

    ``text`` always is the text as everyone here has it: edits of others come in between two of your awaits,
    never in the middle of your code. What you ``edit`` is in ``text`` when the call returns, and on its way.
    """

    def __init__(self, port: TextPort, path: str, text: str) -> None:
        self._port = port
        self._path = path
        self._text = text
        self._history = UndoHistory()
        self._streams: weakref.WeakSet[Changes] = weakref.WeakSet()
        self._cursor: tuple[int, int] | None = None
        self._cursors: dict[str, tuple[str, Ranges]] = {}
        self._exists = True
        self._end: Exception | None = None
        self._editing = False
        self._late: list[tuple[tuple[TextEdit, ...], Origin]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Document {self._path!r}, {len(self._text)} characters>"

    # -- looking --------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The text as it is now."""
        return self._text

    @property
    def path(self) -> str:
        """Where it stands in the room, or stood last; follows when someone moves it."""
        return self._path

    @property
    def exists(self) -> bool:
        """Whether the file is in the room. One that was deleted comes back with the next edit of it."""
        return self._exists

    def changes(self) -> AsyncIterator[Change]:
        """All changes from now on, your own among them (``change.own``), in order.

        Applied one after the other to the text as it was at this call they always give ``text``. For a reader
        who falls behind by more than 64 changes the rest is put together to one. Ends when the document is
        closed; raises the error that ended the room, if one did.
        """
        stream = Changes()
        if self._end is None:
            self._streams.add(stream)
        else:
            stream.end(None if isinstance(self._end, Closed) else self._end)
        return stream

    # -- changing -------------------------------------------------------------------------------------

    def edit(self, edits: Iterable[TextEdit]) -> None:
        """Replace parts of the text, all offsets in code points of ``text`` as it is now.

        Edits may come in any order and may touch, but not overlap; of several insertions at one place the
        first given comes first. Raises InvalidEdit if they do not fit, NotText if the text would grow above
        16 MiB, ReadOnly, Closed, or what ended the room; nothing is changed then.
        """
        ready = _ordered(edits)
        before = self._text
        if self._apply(ready):
            self._history.did(ready, before)

    def insert(self, at: int, text: str) -> None:
        """Insert ``text`` at the code point ``at``; raises as ``edit``."""
        self.edit([TextEdit(at, at, text)])

    def append(self, text: str) -> None:
        """Add ``text`` at the end; raises as ``edit``."""
        self.insert(len(self._text), text)

    def set_text(self, text: str) -> None:
        """Make it this text, by edits of the parts that differ; raises as ``edit``.

        What others type meanwhile elsewhere in it stays.
        """
        self.edit(diff(self._text, text))

    def undo(self) -> bool:
        """Take back the last ``edit`` made by this object that is not taken back yet.

        Edits of others stay, also inside of what is taken back. Returns whether there was any; raises as
        ``edit``. Up to 1000 steps are remembered.
        """
        edits = self._history.undo(self._text)
        self._apply(edits)
        return bool(edits)

    def redo(self) -> bool:
        """Do again what ``undo`` took back last. A new ``edit`` ends what can be done again."""
        edits = self._history.redo(self._text)
        self._apply(edits)
        return bool(edits)

    # -- cursors --------------------------------------------------------------------------------------

    def set_cursor(self, start: int | None, end: int | None = None) -> None:
        """Show the others where you are: a cursor, or a selection up to ``end``; None: nowhere.

        Code points. It follows the text from there on. Raises InvalidEdit if it is outside of the text.
        """
        self._check()
        if start is None:
            self._cursor = None
            self._port.place(())
            return
        end = start if end is None else end
        if not 0 <= start <= end <= len(self._text):
            raise InvalidEdit(f"A cursor [{start}, {end}) in a text of {len(self._text)} characters")
        self._cursor = start, end
        self._port.place(((start, end),))

    @property
    def cursor(self) -> tuple[int, int] | None:
        """Your own cursor, where it stands by now."""
        return self._cursor

    @property
    def cursors(self) -> list[Cursor]:
        """Those of the others, where they stand by now."""
        length = len(self._text)
        return [
            Cursor(name, *sorted((min(anchor, length), min(head, length))))
            for name, ranges in self._cursors.values()
            for anchor, head in ranges
        ]

    def close(self) -> None:
        """Let go of it; the text stays in the room. Closing twice does nothing."""
        if self._end is None:
            self._port.close()
            self._ended(Closed(f"The document {self._path} has been closed"))

    # -- for the room -----------------------------------------------------------------------------------

    def _changed(self, edits: tuple[TextEdit, ...], origin: Origin) -> None:
        """Someone else changed the text."""
        if self._editing:
            self._late.append((edits, origin))
            return
        self._history.changed(edits)
        self._take(edits, origin)

    def _stands(self, path: str | None) -> None:
        """It was moved, or deleted, or is back."""
        self._exists = path is not None
        if path is not None:
            self._path = path

    def _cursors_moved(self, person: str, name: str, ranges: Ranges) -> None:
        if ranges:
            self._cursors[person] = name, ranges
        else:
            self._cursors.pop(person, None)

    def _ended(self, error: Exception) -> None:
        if self._end is None:
            self._end = error
            for stream in list(self._streams):
                stream.end(None if isinstance(error, Closed) else error)

    def _check(self) -> None:
        if self._end is not None:
            raise type(self._end)(str(self._end))

    def _apply(self, edits: tuple[TextEdit, ...]) -> bool:
        """Edits of our own; whether there were any."""
        self._check()
        edits = tuple(edit for edit in edits if edit.text or edit.end != edit.start)
        if not edits:
            return False
        try:
            edited = apply_edits(self._text, edits)
            too_large = 4 * len(edited) > limits.TEXT_REMAINS_MAX_BYTES and (
                utf8_length(edited) > limits.TEXT_REMAINS_MAX_BYTES
            )
        except ValueError as error:
            raise InvalidEdit(f"The edits do not fit the text: {error}") from None
        if too_large:
            raise NotText(f"{self._path} would grow above {limits.TEXT_REMAINS_MAX_BYTES} bytes")
        self._editing = True
        try:
            self._port.edit(edits)
            self._take(edits, _SELF)
        finally:
            self._editing = False
            late, self._late = self._late, []
            for others, origin in late:
                self._changed(others, origin)
        return True

    def _take(self, edits: tuple[TextEdit, ...], origin: Origin) -> None:
        self._text = apply_edits(self._text, edits)
        if self._cursor is not None:
            self._cursor = _moved(self._cursor, edits)
        if origin.kind != "room":  # of its own edits everyone tells the cursors afterwards
            for person, (name, ranges) in self._cursors.items():
                self._cursors[person] = name, tuple(_moved(span, edits) for span in ranges)
        for stream in list(self._streams):
            stream.put(Change(edits, origin))


def _moved(span: tuple[int, int], edits: tuple[TextEdit, ...]) -> tuple[int, int]:
    start, end = (moved_offset(offset, edits, stays=False) for offset in span)
    return start, end


def _ordered(edits: Iterable[TextEdit]) -> tuple[TextEdit, ...]:
    """Raises InvalidEdit for edits that overlap."""
    ready = sorted(edits, key=lambda edit: (edit.start, edit.end))
    for first, second in pairwise(ready):
        if second.start < first.end:
            raise InvalidEdit(f"{first} and {second} overlap")
    return tuple(ready)
