"""Texts that programs of this machine have open in the running replica: editors, scripts, who embeds it.

A holder (one connection, one handle) opens a text, edits it and is told, in order, of every change that it
did not make itself. Its edits are operations on the document: they go to the hub at once and wait for no
disk. A holder that writes the file itself, as editors do, has nothing written under it: its file is brought
up to date once it saves what it shows, or lets go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Literal, assert_never

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.arranging import arrange
from crdtsync.core.replica.cursors import Cursors, Ranges
from crdtsync.core.replica.marks import Marks
from crdtsync.core.replica.obstacles import fits
from crdtsync.core.replica.openings import Openings
from crdtsync.core.replica.shown import ShownContents
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.text.base import has_all_lines_of, has_line_of, keeps_insertions
from crdtsync.core.text.diff import Edit, diff, size_of
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of_text
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import DocumentId, EntryId
from crdtsync.core.wire.control import Presence
from crdtsync.errors import InvalidEdit

KEEP_EVERY_S = 2.0
"""So often at most is what an open text has become kept as a version, against a kill."""
SHOWN_MAX = 8
"""Texts of which a program may still make a save, kept for each open text."""


@dataclass(slots=True)
class _Held:
    """One text, where it stands or stood last, and who has it open (True: that holder writes the file)."""

    path: str
    holders: dict[int, bool] = field(default_factory=dict)
    shown: deque[str] = field(default_factory=lambda: deque(maxlen=SHOWN_MAX))
    contents: ShownContents = field(default_factory=ShownContents)
    write_at: float | None = None
    """When the file is written for its editors; None: it need not be."""
    due: float | None = None
    """The event, by its time, at which it is written."""
    kept_at: float = 0.0
    unkept: bool = False


class LiveTexts:
    def __init__(self, state: ReplicaState, meta: Mapping[str, str]) -> None:
        self._state = state
        state.documents.watched = self
        state.documents.tell = self.changed
        state.saved_by_program = self.saved_by_program
        self._texts: dict[EntryId, _Held] = {}
        self._openings = Openings(state, self)
        self._watchers: dict[int, None] = {}
        self._editing: int | None = None
        """The holder whose edit is being made."""
        self.take_save: Callable[[EntryId, str, float], bool]
        """Take in what stands on disk before it is the time to; False if that cannot be."""
        self._now = 0.0
        self.cursors = Cursors()
        self.marks = Marks(state.out, meta)

    def __contains__(self, entry: object) -> bool:
        return entry in self._texts

    def saved_by_program(self, entry: EntryId) -> bool:
        """Whether a program has the text open that saves it itself."""
        held = self._texts.get(entry)
        return held is not None and any(held.holders.values())

    def keeps(self, entry: EntryId) -> bool:
        """Whether the file, which is not what the text is, is left for now to a program that has it open.

        Some editors write it themselves, and complain of others who do; some leave it to us.
        """
        held = self._texts.get(entry)
        if held is None or not any(held.holders.values()):
            return False
        if held.due == self._now:
            held.write_at = None
            return False
        if held.write_at is None:
            held.write_at = self._now + limits.EDITOR_SAVES_WITHIN_S
        return True

    @property
    def deadline(self) -> float | None:
        """When ``tick`` has something to do."""
        due = [held.kept_at + KEEP_EVERY_S for held in self._texts.values() if held.unkept]
        due += [held.write_at for held in self._texts.values() if held.write_at is not None]
        return min(due, default=None)

    def tick(self, now: float) -> None:
        self._now = now
        for entry, held in self._texts.items():
            if held.unkept and now - held.kept_at >= KEEP_EVERY_S:
                self._keep(entry, held, now)
            if held.write_at is not None and now >= held.write_at:
                self._write(entry, held)

    def write_all(self, now: float) -> None:
        """Somebody waits for the disk: have all be written now."""
        self._now = now
        for entry, held in self._texts.items():
            if held.write_at is not None:
                self._write(entry, held)

    def _write(self, entry: EntryId, held: _Held) -> None:
        held.due, held.write_at = self._now, None
        self._state.replan([entry])

    def take(
        self,
        event: ev.Said,
        now: float,
    ) -> None:
        """Do what a program asks for."""
        self._now = now
        match event:
            case ev.OpenText():
                self.open(event)
            case ev.EditText():
                self._said(event, now)
            case ev.PlaceCursors(holder, entry, ranges):
                self.place(holder, entry, ranges)
            case ev.WatchFiles(holder):
                self._watchers[holder] = None
            case ev.MoveFiles() | ev.DeleteFiles() | ev.MakeFolder():
                arrange(self._state, event, now)
            case ev.HolderGone(holder):
                self.gone(holder, now)
            case _:
                assert_never(event)

    def _said(self, event: ev.EditText, now: float) -> None:
        try:
            self.edit(event.holder, event.text, event.edits, now, event.shown)
        except InvalidEdit as error:
            self._state.out.effect(ef.EditRefused(event.holder, event.text, str(error)))
        else:
            if event.mark is not None:
                self.marks.take(event.mark)

    # -- holders --------------------------------------------------------------------------------------

    def open(self, event: ev.OpenText) -> None:
        """Answered by TextOpened or TextRefused, once what stands on disk is known."""
        self._openings.ask(event)

    def close(self, holder: int, entry: EntryId, now: float) -> None:
        """The holder has the text open no more; the file follows what was typed last."""
        held = self._texts.get(entry)
        if held is None or held.holders.pop(holder, None) is None:
            return
        self.place(holder, entry, ())
        self._keep(entry, held, now)
        self._openings.closed(holder, entry)
        if not held.holders:
            del self._texts[entry]
        self._state.replan([entry])

    def gone(self, holder: int, now: float) -> None:
        """The holder is no more."""
        self._watchers.pop(holder, None)
        self._openings.gone(holder)
        for entry in list(self._texts):
            self.close(holder, entry, now)

    def place(self, holder: int, entry: EntryId, ranges: Ranges) -> None:
        """The cursors of the person at that holder; the other programs here are told at once."""
        self.cursors.place(holder, entry, ranges)
        held = self._texts.get(entry)
        others = () if held is None else tuple(each for each in held.holders if each != holder)
        if others:
            self._tell_cursors(others, entry, f"here:{holder}", self._state.name, ranges)

    def edit(
        self, holder: int, entry: EntryId, edits: Sequence[Edit], now: float, shown: str | None = None
    ) -> None:
        """Edits of the text as it is now, ascending and apart. Raises InvalidEdit, changing nothing."""
        state = self._state
        held = self._texts.get(entry)
        if held is None or holder not in held.holders:
            raise InvalidEdit("the text is not open: open it first")
        if state.session.read_only:
            raise InvalidEdit("this folder may only read the room: nothing of it is sent")
        text = state.documents.text(entry)
        if not fits(edits, len(text)):
            raise InvalidEdit(f"the edits are not ascending, or not within the {len(text)} characters")
        if len(text) + sum(len(edit.text) for edit in edits) > limits.TEXT_REMAINS_MAX_BYTES // 4:
            grown = len(text.encode()) + sum(len(edit.text.encode("utf-8", "replace")) for edit in edits)
            if grown > limits.TEXT_REMAINS_MAX_BYTES:
                raise InvalidEdit(f"the text would be above {limits.TEXT_REMAINS_MAX_BYTES} bytes")
        self._editing = holder
        try:
            update = state.documents.edit(entry, edits, now, typed=True)
        except ValueError as error:
            raise InvalidEdit(str(error)) from None
        finally:
            self._editing = None
        if shown is not None:
            held.contents.showed(digest_of_text(shown), now)
        if update:
            state.session.push(DocumentId(entry), update)
            state.replan([entry])
            state.edited_here(held.path, now)

    # -- what the documents tell ----------------------------------------------------------------------

    def changed(self, entry: EntryId, edits: tuple[Edit, ...], here: bool) -> None:
        """The document was edited; ``here``: by a program of this machine, or by its disk."""
        held = self._texts[entry]
        held.unkept = True
        self.cursors.changed(entry, edits, here=here)
        origin: Literal["room", "disk", "program"] = "program"
        if not here:
            origin = "room"
        elif self._editing is None:
            origin = "disk"
        others = tuple(holder for holder in held.holders if holder != self._editing)
        if others:
            self._state.out.effect(ef.TextChanged(others, entry, edits, origin))

    def settled(self, entries: Collection[EntryId]) -> None:
        """These documents have changed, or may stand elsewhere; the view knows."""
        if self._watchers and (changed := frozenset(entries)):
            self._state.out.effect(ef.EntriesChanged(tuple(self._watchers), changed))
        if not self._texts:
            return
        for entry in entries:
            held, placed = self._texts.get(entry), self._state.view.get(entry)
            path = None if placed is None else placed.path
            if placed is not None and placed.kind is Kind.TEXT:
                self._openings.stands(entry, placed.path)
            if held is None:
                continue
            held.contents.becomes(self._state.documents.text_digest(entry), self._now)
            if path != held.path and path is not None:
                held.path = path
                self._state.out.effect(ef.TextMoved(tuple(held.holders), entry, path))

    # -- who else is there ----------------------------------------------------------------------------

    def someone(self, presence: Presence) -> None:
        """What another member of the room says of itself."""
        for entry, ranges in self.cursors.take(presence):
            if (held := self._texts.get(entry)) is not None:
                self._tell_cursors(tuple(held.holders), entry, str(presence.member), presence.name, ranges)

    def left(self, member: int) -> None:
        name = self.cursors.names.get(member, "")
        for entry in self.cursors.left(member):
            if (held := self._texts.get(entry)) is not None:
                self._tell_cursors(tuple(held.holders), entry, str(member), name, ())

    def away(self) -> None:
        """The hub cannot be reached: nobody knows who is there."""
        for member in list(self.cursors.names):
            self.left(member)

    def _tell_cursors(
        self, holders: tuple[int, ...], entry: EntryId, person: str, name: str, ranges: Ranges
    ) -> None:
        length = len(self._state.documents.text(entry)) if ranges else 0
        inside = tuple((min(anchor, length), min(head, length)) for anchor, head in ranges)
        self._state.out.effect(ef.CursorsMoved(holders, entry, person, name, inside))

    # -- what may be saved ----------------------------------------------------------------------------

    def shows(self, entry: EntryId, digest: Digest) -> bool:
        """Whether a save of that content says no more than what its program has been told, or told us."""
        held = self._texts.get(entry)
        return held is not None and held.contents.knows(digest, self._now)

    def base_of(self, entry: EntryId, agreed: str | None, saved: str) -> str | None:
        """What a save of an open text was made from: what stood on disk, or what its program shows.

        That only if the save has at least half of it, since what replaces all of a text is nearest to the
        shortest; something of what did not stand on disk, and each line of that which tells; but none of the
        disk that is not in it.
        """
        held = self._texts[entry]
        # one that equals an earlier text has brought that back: a checkout, or a person who thought again
        texts = [self._state.documents.text(entry), *(text for text in reversed(held.shown) if text != saved)]
        at_most = len(saved) + 1
        least = at_most if agreed is None else min(at_most, size_of(diff(agreed, saved)))
        nearer = [(size, text) for text in texts if (size := size_of(diff(text, saved))) < least]
        for _, text in sorted(nearer, key=itemgetter(0)):
            if agreed is None or (
                has_all_lines_of(saved, text, agreed)
                and not has_line_of(saved, agreed, text)
                and not keeps_insertions(saved, agreed, text)
                and (has_line_of(saved, text, agreed) or keeps_insertions(saved, text, agreed))
            ):
                return text
        return texts[0] if agreed is None else agreed

    def _keep(self, entry: EntryId, held: _Held, now: float) -> None:
        if not held.unkept:
            return
        text = self._state.documents.text(entry)
        held.unkept, held.kept_at = False, now
        held.shown.append(text)
        self._state.documents.keep_version(entry, text, now)

    # -- opening --------------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """Open what can be opened by now."""
        self._now = now
        self._openings.advance(now)

    def opened(self, opening: ev.OpenText, entry: EntryId, now: float) -> None:
        """The holder has the text open from here on."""
        state = self._state
        held = self._texts.setdefault(entry, _Held(opening.path))
        held.holders[opening.holder] = opening.writes
        held.path = opening.path
        text = state.documents.text(entry)
        held.contents.becomes(digest_of_text(text), now)
        held.shown.append(text)
        state.out.effect(ef.TextOpened(opening.holder, entry, opening.path, text))
        for (member, there), ranges in self.cursors.there.items():
            if there == entry:
                self._tell_cursors((opening.holder,), entry, str(member), self.cursors.names[member], ranges)
        for (holder, there), ranges in self.cursors.here.items():
            if there == entry and holder != opening.holder:
                self._tell_cursors((opening.holder,), entry, f"here:{holder}", state.name, ranges)
