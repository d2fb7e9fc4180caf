"""Who else is in a room, where everybody's cursor is, and what is told the others of the program here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from crdtsync.core.replica.cursors import Cursors, Ranges
from crdtsync.core.replica.session import HubSession
from crdtsync.core.room.effects import CursorsMoved, TextChanged
from crdtsync.core.text.diff import Edit
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import EntryId
from crdtsync.core.wire.control import Presence, TextCursors

_Announced: TypeAlias = tuple[tuple[str, ...], tuple[Digest, ...], tuple[TextCursors, ...]]
_NOTHING: Final[_Announced] = ((), (), ())


class People:
    """``path_of`` tells where a text stands now; None: nowhere."""

    def __init__(self, name: str, path_of: Callable[[EntryId], str | None]) -> None:
        self.told: list[TextChanged | CursorsMoved] = []
        """What has happened to texts since the engine has last told it."""
        self._name = name
        self._path_of = path_of
        self._cursors = Cursors()
        self._edited_at: dict[EntryId, float] = {}
        self._wanted: tuple[Digest, ...] = ()
        self._announced = _NOTHING
        self._announced_at = 0.0

    # -- the program here -----------------------------------------------------------------------------

    def edited(self, entry: EntryId, edits: Sequence[Edit], holder: int | None, now: float) -> None:
        self._edited_at[entry] = now
        self._cursors.changed(entry, edits, here=True)
        self.told.append(TextChanged(entry, tuple(edits), self._name, True, holder))

    def place(self, entry: EntryId, ranges: Ranges, holder: int) -> None:
        self._cursors.place(holder, entry, ranges)
        self.told.append(CursorsMoved(entry, f"here:{holder}", self._name, ranges, holder))

    def want(self, digests: Iterable[Digest]) -> None:
        self._wanted = tuple(sorted(digests))[: limits.PRESENCE_WANTED_MAX]

    # -- the others -----------------------------------------------------------------------------------

    def cursors(self, entry: EntryId) -> list[CursorsMoved]:
        """Where everyone is in the text."""
        found = []
        for (member, text), ranges in self._cursors.there.items():
            if text == entry:
                found.append(CursorsMoved(entry, str(member), self._cursors.names.get(member, ""), ranges))
        for (holder, text), ranges in self._cursors.here.items():
            if text == entry:
                found.append(CursorsMoved(entry, f"here:{holder}", self._name, ranges, holder))
        return found

    def others_edited(self, entry: EntryId, edits: tuple[Edit, ...], author: str) -> None:
        self._cursors.changed(entry, edits, here=False)
        self.told.append(TextChanged(entry, edits, author))

    def someone(self, presence: Presence) -> None:
        for entry, ranges in self._cursors.take(presence):
            self.told.append(CursorsMoved(entry, str(presence.member), presence.name, ranges))

    def left(self, member: int) -> None:
        name = self._cursors.names.get(member, "")
        for entry in self._cursors.left(member):
            self.told.append(CursorsMoved(entry, str(member), name, ()))

    # -- what the others are told ---------------------------------------------------------------------

    def away(self) -> None:
        """The hub cannot be reached: nobody knows who is there, and nobody knows of us."""
        self._announced = _NOTHING
        for member in list(self._cursors.names):
            self.left(member)

    @property
    def deadline(self) -> float | None:
        """When there is something to announce, as long as the hub is there."""
        due = []
        if self._edited_at:
            due.append(min(self._edited_at.values()) + limits.EDITING_SHOWN_S)
        if self._cursors.told() != self._announced[2]:
            due.append(self._announced_at + limits.PRESENCE_EVERY_S)
        return min(due, default=None)

    def announce(self, session: HubSession, now: float) -> None:
        """Tell the others which texts the program edited within the last minute, and what it lacks."""
        recent = {entry: at for entry, at in self._edited_at.items() if now - at < limits.EDITING_SHOWN_S}
        self._edited_at = recent
        if not session.live:
            return
        newest = sorted(recent, key=lambda entry: -recent[entry])[: limits.PRESENCE_PATHS_MAX]
        paths = tuple(sorted(path for path in map(self._path_of, newest) if path is not None))
        news = paths, self._wanted, self._cursors.told()
        only_cursors = news[:2] == self._announced[:2]
        if news != self._announced and not (
            only_cursors and now < self._announced_at + limits.PRESENCE_EVERY_S
        ):
            self._announced, self._announced_at = news, now
            session.announce(*news)
