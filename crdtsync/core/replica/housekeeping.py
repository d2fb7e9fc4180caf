"""What may wait and is then done for many at once: durability, acknowledgements, cursor, presence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from crdtsync.core.replica.cursors import Cursors
from crdtsync.core.replica.effects import DropDisplaced, MakeDurable
from crdtsync.core.replica.hub_side import HubSide
from crdtsync.core.replica.records import PutMeta, Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import EntryId
from crdtsync.core.wire.control import Cursor, TextCursors, decode_cursor, encode_cursor

PERIOD_S = 0.5
CURSOR_KEY = "cursor"
AHEAD_KEY = "ahead"
"""The epoch since which more of the log may be here than the cursor tells."""
BOOT_KEY = "boot"
"""The start of the machine during which all was written that is still in doubt."""

_Announced: TypeAlias = tuple[tuple[str, ...], tuple[Digest, ...], tuple[TextCursors, ...]]
_NOTHING: Final[_Announced] = ((), (), ())


def cursor_in(meta: Mapping[str, str]) -> Cursor | None:
    """How far the log had been read, as far as it was written down. Raises ValueError."""
    written = meta.get(CURSOR_KEY)
    return None if written is None else decode_cursor(written)


class Housekeeping:
    def __init__(self, state: ReplicaState, hub_side: HubSide, cursors: Cursors, boot: str | None) -> None:
        """``boot`` is written down once what an earlier one left in doubt is settled."""
        self._state = state
        self._boot = boot
        self._hub_side = hub_side
        self._cursors = cursors
        self._due: float | None = None
        self._number = 0
        self._durable_soon: tuple[int, dict[EntryId, Synced | None], list[str]] | None = None
        """What was asked for, with the agreements and the displaced files that it is asked for."""
        self._cursor: Cursor | None = state.session.cursor
        self._ahead = state.session.ahead
        self._announced = _NOTHING
        self._announced_at = 0.0

    @property
    def deadline(self) -> float | None:
        if self._cursors_moved:
            return self._announced_at + limits.PRESENCE_EVERY_S
        oldest = min(self._state.edited_at.values(), default=None)
        if self._due is None and oldest is not None and self._announced[0]:
            return oldest + limits.EDITING_SHOWN_S
        return self._due

    def tick(self, now: float) -> None:
        """At the end of every event: start the clock if something waits, and do it once it is due."""
        if self._boot is not None and not self._state.unsure and not self._state.rebooted:
            self._state.out.record(PutMeta(BOOT_KEY, self._boot))
            self._boot = None
        if self._ahead != (ahead := self._state.session.ahead) and ahead:
            self._write_ahead()  # with the first update that the cursor does not cover
        waiting = (
            bool(self._hub_side.clean)
            or self._may_be_undone
            or (self._state.session.cursor, self._state.session.ahead) != (self._cursor, self._ahead)
            or self._stale_presence(now)
        )
        if self._cursors_moved and now >= self._announced_at + limits.PRESENCE_EVERY_S:
            self._announce(now)
        if not waiting:
            self._due = None
        elif self._due is None:
            self._due = now + PERIOD_S
        elif now >= self._due:
            self._due = None
            self._write_clean()
            self._ask_durable()
            self._announce(now)

    def stop(self) -> None:
        """At a clean end: do all of it now."""
        self._write_clean()
        self._hub_side.end_tree()
        self._durable_soon = None
        self._ask_durable()

    def made_durable(self, number: int) -> None:
        """All that stood on disk when it was asked survives a power cut: now it is agreed for good."""
        if self._durable_soon is None or self._durable_soon[0] != number:
            return
        state = self._state
        _, agreements, read = self._durable_soon
        self._durable_soon = None
        for token in read:
            state.out.effect(DropDisplaced(token))
        for entry, agreed in agreements.items():
            if entry not in state.undurable or agreed is None:
                continue
            if state.synced.get(entry) is agreed:
                del state.undurable[entry]
            else:
                state.undurable[entry] = agreed
            state.remember(entry)

    def _write_clean(self) -> None:
        state = self._state
        for document in sorted(self._hub_side.clean):
            if document not in state.session.dirty:
                state.documents.mark(document, dirty=False)
        self._hub_side.clean.clear()
        state.unaccepted.write_down()
        cursor = state.session.cursor
        if cursor is not None and cursor != self._cursor:
            self._cursor = cursor
            state.out.record(PutMeta(CURSOR_KEY, encode_cursor(cursor)))
        if self._ahead != state.session.ahead:
            self._write_ahead()

    def _write_ahead(self) -> None:
        self._ahead = self._state.session.ahead
        self._state.out.record(PutMeta(AHEAD_KEY, self._ahead))

    @property
    def _may_be_undone(self) -> bool:
        """Whether a power cut may undo something that nobody has asked to be made durable yet."""
        return self._durable_soon is None and bool(self._state.undurable or self._state.displaced_read)

    def _ask_durable(self) -> None:
        state = self._state
        if not self._may_be_undone:
            return
        self._number += 1
        read, state.displaced_read = state.displaced_read, []
        agreements = {entry: state.synced.get(entry) for entry in state.undurable}
        self._durable_soon = self._number, agreements, read
        state.out.effect(MakeDurable(self._number))

    def _stale_presence(self, now: float) -> bool:
        """Whether the others should be told anew what is edited here."""
        if not self._state.session.live:
            self._announced = _NOTHING
            return False
        return (self._editing(now), self._wanted(), self._cursors.told()) != self._announced

    @property
    def _cursors_moved(self) -> bool:
        return self._state.session.live and self._cursors.told() != self._announced[2]

    def _editing(self, now: float) -> tuple[str, ...]:
        """The paths saved here within the last minute, the latest few of them."""
        edited = self._state.edited_at
        return tuple(sorted(path for path, at in edited.items() if now - at < limits.EDITING_SHOWN_S))

    def _wanted(self) -> tuple[Digest, ...]:
        """The blobs that are waited for here and that the hub did not have; the first few of them."""
        state = self._state
        if not state.missing:
            return ()
        waiting = {entry: state.view.get(entry) for entry in state.retries}
        wanted = {each.version.digest for each in waiting.values() if each and each.version}
        state.missing &= wanted | state.fetching.keys()
        return tuple(sorted(state.missing))[: limits.PRESENCE_WANTED_MAX]

    def _announce(self, now: float) -> None:
        """Tell the others what the person here edited within the last minute."""
        state = self._state
        editing = self._editing(now)
        state.edited_at = {path: state.edited_at[path] for path in editing}
        news = (editing, self._wanted(), self._cursors.told())
        if news != self._announced and state.session.live:
            self._announced, self._announced_at = news, now
            state.session.announce(tuple(map(state.view.room_path, editing)), *news[1:])
