"""Texts that programs want open, and at which path an editor has which: when and by what that is answered.

What an editor shows is the file of its path, whichever text that is by now; other programs follow the text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.obstacles import as_in, obstacle
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.text.offsets import well_formed
from crdtsync.core.tree.rows import Create, Origin
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import DocumentId, EntryId, new_entry_id, printable
from crdtsync.core.values.paths import path_problem


class Live(Protocol):
    """What becomes of an opening."""

    take_save: Callable[[EntryId, str, float], bool]

    def opened(self, opening: ev.OpenText, entry: EntryId, now: float) -> None: ...

    def close(self, holder: int, entry: EntryId, now: float) -> None: ...


class Openings:
    def __init__(self, state: ReplicaState, live: Live) -> None:
        self._state = state
        self._live = live
        self._waiting: list[ev.OpenText] = []
        self._editors: dict[str, dict[int, EntryId]] = {}
        """By path, the holders that are editors there, each with the text that it shows."""

    def ask(self, event: ev.OpenText) -> None:
        """Answered by TextOpened or TextRefused, once what stands on disk is known."""
        if event.content is not None:
            event = replace(event, content=well_formed(event.content))
        self._waiting.append(event)
        if path_problem(event.path) is None:
            self._state.looking.want(event.path)

    def closed(self, holder: int, entry: EntryId) -> None:
        for path, holders in list(self._editors.items()):
            if holders.get(holder) == entry:
                del holders[holder]
                if not holders:
                    del self._editors[path]

    def gone(self, holder: int) -> None:
        """The holder is no more."""
        self._waiting = [each for each in self._waiting if each.holder != holder]

    def stands(self, entry: EntryId, path: str) -> None:
        """A text stands there: editors that have another one open at that path go on with it."""
        for holder, shown in self._editors.get(path, {}).items():
            if shown != entry:
                self._waiting.append(ev.OpenText(holder, path, create=False, writes=True))

    def advance(self, now: float) -> None:
        """Open what can be opened by now."""
        if not self._state.running or self._state.catching_up:
            return
        waiting, self._waiting = self._waiting, []
        for opening in waiting:
            if not self._open(opening, now):
                self._waiting.append(opening)

    def _open(self, opening: ev.OpenText, now: float) -> bool:
        state, path = self._state, opening.path
        if opening.holder in self._editors.get(path, ()):
            return self._switch(opening, now)
        if (reason := obstacle(state, path)) is not None:
            state.out.effect(ef.TextRefused(opening.holder, path, reason))
            return True
        if state.looking.is_asked(path):
            return False
        entry = state.view.at(path)
        placed = None if entry is None else state.view.get(entry)
        if placed is not None:
            if placed.kind is not Kind.TEXT:
                self._refuse(opening, f"{printable(path)} is not a text")
                return True
            if not state.may_ingest and opening.content is not None:
                text = state.documents.text(placed.entry)
                self._live.take_save(placed.entry, as_in(text, opening.content), now)
            self._opened(opening, placed.entry, now)
            return True
        if (seen := state.disk.get(path)) is not None:
            if seen.kind is not Kind.TEXT:
                self._refuse(opening, f"{printable(path)} is not a text")
                return True
            if path in state.held:
                self._refuse(opening, f"{printable(path)} is only here: this folder may only read the room")
                return True
            if state.may_ingest:
                return False  # it is on its way into the room
            self._refuse(opening, "the hub has not been reached since this file was made: it stays on disk")
            return True
        if not opening.create:
            self._refuse(opening, f"there is no file {printable(path)}")
        elif state.session.read_only:
            self._refuse(opening, "this folder may only read the room: no file is made in it")
        else:
            self._create(opening, now)
        return True

    def _switch(self, opening: ev.OpenText, now: float) -> bool:
        """Another text than the one that an editor shows has come to stand at its path."""
        state, path = self._state, opening.path
        if state.looking.is_asked(path):
            return False
        entry = state.view.at(path)
        placed = None if entry is None else state.view.get(entry)
        if placed is not None and placed.kind is Kind.TEXT:
            before = self._editors[path][opening.holder]
            if placed.entry != before:
                self._live.close(opening.holder, before, now)
                self._opened(opening, placed.entry, now)
        return True

    def _refuse(self, opening: ev.OpenText, reason: str) -> None:
        self._state.out.effect(ef.TextRefused(opening.holder, opening.path, reason))

    def _create(self, opening: ev.OpenText, now: float) -> None:
        """The entry is there at once; its file is written as others' are."""
        state = self._state
        entry = new_entry_id(state.rng)
        origin = Origin(state.name, int(now * 1000))
        update = state.documents.create(entry, opening.content or "", now)
        if update:
            state.session.push(DocumentId(entry), update)
        state.operate(Create(entry, Kind.TEXT, state.view.room_path(opening.path), False, origin))
        self._opened(opening, entry, now)

    def _opened(self, opening: ev.OpenText, entry: EntryId, now: float) -> None:
        if opening.writes:
            self._editors.setdefault(opening.path, {})[opening.holder] = entry
        self._live.opened(opening, entry, now)
