"""One text of a joined folder that a program has open: a holder of the running replica."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from typing import Generic, TypeVar

from crdtsync.api.document import Shown, TextPort
from crdtsync.api.values import Origin, TextEdit
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.cursors import Ranges
from crdtsync.core.values.ids import EntryId, printable
from crdtsync.errors import Closed, FileError, InvalidEdit, ReadOnly
from crdtsync.runtime.replica import Replica

S = TypeVar("S", bound=Shown)


class JoinedText(Generic[S]):
    """The document's port; ``open`` comes first, and makes the document."""

    def __init__(
        self,
        replica: Replica,
        check: Callable[[], None],
        done: Callable[[JoinedText[S]], None],
        make: Callable[[TextPort, str, str], S],
    ) -> None:
        """``make`` is given this port, the path and the text, and makes what is told of changes."""
        self._replica = replica
        self._check = check
        self._done = done
        self._make = make
        self._holder = replica.attach(self._told)
        self._entry = EntryId("")
        self._document: S | None = None
        self._opening: asyncio.Future[S] = asyncio.get_running_loop().create_future()
        self._refused: list[str] = []
        """Why the edit that is being made was refused."""

    async def open(self, path: str, *, create: bool, content: str | None) -> S:
        """``content``: what a text that is created holds from the first on.

        Raises FileError with the engine's reason, and what ends the room meanwhile.
        """
        try:
            self._replica.say(ev.OpenText(self._holder, path, create, content=content))
            return await self._opening
        except BaseException:
            self.close()
            raise

    def edit(self, edits: tuple[TextEdit, ...]) -> None:
        self._check()
        self._say(ev.EditText(self._holder, self._entry, edits))

    def place(self, ranges: Ranges) -> None:
        self._check()
        self._say(ev.PlaceCursors(self._holder, self._entry, ranges))

    def close(self) -> None:
        self._done(self)
        self._replica.detach(self._holder)

    def ended(self, error: Exception) -> None:
        """The room is over."""
        if not self._opening.done():
            self._opening.set_exception(type(error)(str(error)))
        if self._document is not None:
            self._document._ended(error)

    def entries_changed(self, entries: Set[EntryId]) -> None:
        """It may stand elsewhere, or nowhere."""
        engine = self._replica.engine
        if self._document is not None and engine is not None and self._entry in entries:
            placed = engine.state.view.get(self._entry)
            self._document._stands(None if placed is None else placed.path)

    def _say(self, event: ev.Said) -> None:
        engine = self._replica.engine
        if engine is None or engine.halted:
            raise Closed("The replica is about to end")
        self._refused.clear()
        self._replica.say(event)
        for reason in self._refused:
            kind = ReadOnly if engine.state.session.read_only else InvalidEdit
            raise kind(f"The edit was not made: {reason}")

    def _told(self, effect: ef.ForPrograms) -> None:
        document = self._document
        match effect:
            case ef.TextOpened(_, entry, path, content):
                self._entry = entry
                document = self._document = self._make(self, path, content)
                if not self._opening.done():
                    self._opening.set_result(document)
            case ef.TextRefused(_, path, reason):
                if not reason.startswith(printable(path)):  # a name keeps its letters
                    reason = reason[:1].upper() + reason[1:]
                if not self._opening.done():
                    self._opening.set_exception(FileError(reason))
            case ef.EditRefused(_, _, reason):
                self._refused.append(reason)
            case ef.TextChanged(_, _, edits, origin) if document is not None:
                document._changed(edits, Origin(origin))
            case ef.TextMoved(_, _, path) if document is not None:
                document._stands(path)
            case ef.CursorsMoved(_, _, person, name, ranges) if document is not None:
                document._cursors_moved(person, name, ranges)
            case _:
                pass
