"""What a save was made from: the last text on disk, or an older one that an editor still had.

Knows the versions that are kept and what was saved on this disk; what follows for the room is ``Ingest``'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from crdtsync.core.replica import records
from crdtsync.core.replica.live import LiveTexts
from crdtsync.core.replica.older_bases import OlderBases
from crdtsync.core.replica.passed import Moment, moment_of, with_pulled
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.text.base import choose_base, with_saves, without_unseen
from crdtsync.core.text.diff import apply_edits, diff, size_of
from crdtsync.core.text.rebase import rebase
from crdtsync.core.text.torn import cut_short, looks_torn, mended, unspliced
from crdtsync.core.values.digests import digest_of_text
from crdtsync.core.values.ids import EntryId


class Bases:
    def __init__(self, state: ReplicaState, live: LiveTexts) -> None:
        self._state = state
        self._live = live
        self.older = OlderBases()
        """Of saves that wait for the hub, or for a look."""

    def put_off(self, agreed: Synced, saved: str) -> None:
        """A save that is not taken in yet: an older base is told best now, before it is saved over."""
        if agreed.entry in self._live or not self.knows(agreed):
            return
        base = self.base_of(agreed, saved)
        assert base is not None and agreed.digest is not None
        stands, digest = digest_of_text(saved), digest_of_text(base)
        self._state.documents.stands(agreed.entry, stands, saved)
        self.older.waits(agreed.entry, stands, digest)
        if digest != agreed.digest:
            self._state.documents.stands(agreed.entry, digest, base)  # it need not have stood anywhere
            self.older.note(agreed.entry, agreed.digest, digest)

    def passed(self, agreed: Synced, saved: str) -> Moment | None:
        """What the room's text was since that agreement, if the disk held that before this save.

        The disk may be ahead of what we remember, at a start alone: a power cut or a backup took that back.
        """
        documents, entry = self._state.documents, agreed.entry
        if documents.saved.since_start(entry) or entry in self._live:
            return None
        if documents.text_digest(entry) == agreed.digest:
            return None
        assert agreed.digest is not None
        stood, torn = documents.version(entry, agreed.digest), entry in self._state.rebooted
        return moment_of(documents.log(entry), agreed, stood, saved, torn=torn)

    def pulled(self, agreed: Synced, base: str, saved: str) -> str:
        """The base of a save, with what that has of the room: the disk is ahead of what we remember, or may
        be, as after a power cut that took the note of a write but not the file."""
        return with_pulled(self._state.documents.log(agreed.entry), agreed, base, saved)

    def whole(self, entry: EntryId, base: str, left: str) -> str:
        """The text that was being saved on top of ``base`` when a power cut left this of it, or something
        that was seen and gone on with since."""
        for torn, under in self._waiting(entry):
            if (
                under == base
                and looks_torn(base, torn)
                and size_of(diff(torn, left)) < size_of(diff(base, left))
            ):
                stood = mended(base, torn)
                return apply_edits(stood, rebase(torn, left, stood))
        if looks_torn(base, left):
            return mended(base, left)
        if cut_short(base, left, (version.text for version in self._state.documents.versions(entry))):
            return base
        return unspliced(base, left)

    def knows(self, agreed: Synced) -> bool:
        """Whether the text that last stood on disk is known, so that a save of it can be told apart."""
        return agreed.digest is not None and (
            self._state.documents.version(agreed.entry, agreed.digest) is not None
        )

    def base_of(self, agreed: Synced, saved: str) -> str | None:
        """The version that the save was made from: the last one on disk, or an older one (a stale buffer)."""
        documents = self._state.documents
        assert agreed.digest is not None
        if self._live.shows(agreed.entry, digest_of_text(saved)):
            return saved  # a program that has it open saves what it shows: the room has that
        current = documents.version(agreed.entry, agreed.digest)
        if agreed.entry in self._live:
            shown = self._live.base_of(agreed.entry, current, saved)
            if shown != current:
                return shown
        if current is None:
            return None
        if agreed.path in self._state.brought:
            return current  # a file that was moved here is no editor's buffer
        if agreed.entry in self._state.rebooted and current.startswith(saved):
            return current  # nor is what a power cut left of it
        older = self.older.of(agreed.entry, agreed.digest)
        if older is not None and (text := documents.version(agreed.entry, older)) is not None:
            return text
        chosen = self.or_older(agreed.entry, current, saved, documents.versions(agreed.entry))
        return self._or_never_taken_in(agreed.entry, current, saved) if chosen == current else chosen

    def _or_never_taken_in(self, entry: EntryId, current: str, saved: str) -> str:
        """What a text was made from that was gone before it could be taken in, if the save is of a buffer of
        that; what the buffer has more than that one is in no other text of the room."""
        known = self._waiting(entry)
        at = choose_base(saved, current, [text for text, _ in known])
        if at is None:
            return current
        self._state.trashed_at.pop(entry, None)
        return known[at][1]

    def _waiting(self, entry: EntryId) -> list[tuple[str, str]]:
        """Texts that stood on disk and were not taken in, each with what it was made from; newest first."""
        documents = self._state.documents
        return [
            (text, base)
            for stood, under in self.older.waiting(entry)
            if (text := documents.version(entry, stood)) is not None
            and (base := documents.version(entry, under)) is not None
        ]

    def or_older(self, entry: EntryId, current: str, saved: str, versions: Sequence[records.Version]) -> str:
        """What the save was made from: the text that stood there last, or one of these from before we wrote
        there, with what programs here have saved since."""
        documents = self._state.documents
        was_here = documents.saved.was_here
        older = [(each.text, was_here(entry, each.digest)) for each in versions if each.text != current]
        since = [(current, was_here(entry, digest_of_text(current)))]
        while older and since[-1][1]:
            since.append(older.pop(0))  # what was saved here, no editor here can have missed
        if not older:
            return current
        merged = documents.text(entry)
        between = [text for text, base in self._waiting(entry) if base == current]
        chosen = choose_base(saved, current, [text for text, _ in older], merged=merged, between=between)
        if chosen is None:
            return current
        self._state.trashed_at.pop(entry, None)  # it may be wrong: what it takes out is kept
        base = with_saves(older[chosen][0], reversed([*since, *older[:chosen]]), merged)
        return without_unseen(base, saved, current)
