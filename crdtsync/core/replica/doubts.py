"""Finds out which agreement holds of an entry where that is in doubt: after a crash, or when it was evicted.

The disk decides. Nothing is decided while a look is still awaited that could tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crdtsync.core.replica.after_crash import left_by_cut
from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.passed import vector_of
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.steps import Stood
from crdtsync.core.replica.trees import OnDisk, is_that, on_disk
from crdtsync.core.text.base import shows
from crdtsync.core.text.distance import is_edit_of, is_within
from crdtsync.core.text.statevector import EMPTY_STATE_VECTOR
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import BlobContent, Content, Fingerprint, Kind, Present, Seen, TextContent
from crdtsync.core.values.ids import EntryId


class Doubts:
    def __init__(self, state: ReplicaState, deletions: Deletions) -> None:
        self._state = state
        self._deletions = deletions
        self.stood: set[Stood] = set()
        """What the former run did write, though it may not have come to remember that."""
        found = [(each.fingerprint, entry) for entry, unsure in state.unsure.items() for each in unsure]
        self._files = {(seen.device, seen.inode): entry for seen, entry in found if seen is not None}
        """The devices and inodes of all that were in doubt at the start."""

    def unread(self, entry: EntryId) -> bool:
        """Whether a look is still awaited at a path where the entry's file may stand, and it does not stand
        at another of them as it was."""
        state = self._state
        agreed = state.synced.get(entry)
        agreements = state.unsure.get(entry, ())
        if self._very(entry, agreements) is not None:
            return False
        paths = {each.path for each in agreements}
        if agreed is not None:
            paths.add(agreed.path)
        return any(state.disk.get(path) is None and state.looking.is_open(path) for path in paths)

    def note(self, seen: Mapping[str, Seen]) -> None:
        """Be sure of those whose very files stand at the paths of others, while something else stands at
        their own: ``Swapping`` knows them by what is agreed."""
        state = self._state
        if not state.unsure:
            return
        files = {path: each for path, each in seen.items() if isinstance(each, Present)}
        found = {path: on_disk(each) for path, each in files.items()}
        written = self._written(found)
        for path, here in found.items():
            assert here.fingerprint is not None
            last = state.synced.with_inode(here.fingerprint) or written.get(here.digest)
            if last is None or last.entry not in state.unsure or state.synced.at(path) in (None, last.entry):
                continue
            own, agreements = found.get(last.path), state.unsure[last.entry]
            if own is None or any(each.path == path or _may_be(own, each) for each in agreements):
                continue
            self._shown(last, agreements, here, files[path].content)

    def _written(self, found: Mapping[str, OnDisk]) -> dict[Digest | None, Synced]:
        """What was only about to be written, for all that is known, by its digest, where the very file of
        another stands at its own path: if it stands elsewhere to the letter, they changed names."""
        state = self._state
        written: dict[Digest | None, Synced] = {}
        for path, own in found.items():
            assert own.fingerprint is not None
            very = state.synced.with_inode(own.fingerprint)
            for entry in sorted(state.unsure_at.get(path, ())):
                last = state.unsure[entry][-1]
                other = very is not None and very.entry != entry
                if other and last.path == path and last.fingerprint is None:
                    written.setdefault(last.digest, last)
        return written

    def found_elsewhere(self, agreed: Synced, here: OnDisk, content: Content) -> Synced:
        """What is agreed of a file that turned up under a new name: if that is in doubt, the file tells."""
        agreements = self._state.unsure.get(agreed.entry)
        return agreed if agreements is None else self._shown(agreed, agreements, here, content)

    def with_inode(self, fingerprint: Fingerprint) -> Synced | None:
        """What is agreed of that file, or of the one that it was before a write which was undone."""
        synced, unsure = self._state.synced, self._state.unsure
        entry = self._files.get((fingerprint.device, fingerprint.inode))
        return synced.with_inode(fingerprint) or (synced.get(entry) if entry in unsure else None)

    def agreements(self, agreed: Synced) -> tuple[Synced, ...]:
        """What may be agreed of the file."""
        return self._state.unsure.get(agreed.entry, (agreed,))

    def may_have_left(self, agreed: Synced) -> bool:
        """Whether a blob or link may have left its path before the room's content was saved there: a power
        cut that left in doubt what is agreed may have taken back that we told it."""
        state, entry = self._state, agreed.entry
        unsure = state.unsure.get(entry, (agreed,))
        cut = unsure[0] != agreed or entry in state.unborn  # after a kill, what is in doubt begins with it
        known = (None, *(each.digest for each in unsure))
        return cut and agreed.kind is not Kind.TEXT and state.room_digest(entry) not in known

    def _shown(self, last: Synced, agreements: tuple[Synced, ...], here: OnDisk, content: Content) -> Synced:
        agreed = self._made_from(agreements, content) or last
        if agreed.digest != here.digest:
            self._state.guessed.add(last.entry)
        agreed = agreed._replace(path=last.path, fingerprint=here.fingerprint_of(agreed.digest))
        self._holds(agreed, agreements)
        return agreed

    def recognise(self, path: str, seen: OnDisk) -> None:
        """After a kill several may be agreed on at a path: its very file tells which was put there last.

        The others have gone, in a way that had yet to be found out. Where only the path of a file is in
        doubt, the file itself tells that, whatever it holds by now.
        """
        state, synced = self._state, self._state.synced
        for entry in sorted(state.unsure_at.get(path, set()) - state.unborn):
            unsure = state.unsure[entry]
            last = unsure[-1]
            if all(is_that(seen, each) and each.digest == last.digest for each in unsure):
                fingerprint = seen.fingerprint_of(last.digest)
                self._holds(last._replace(path=path, fingerprint=fingerprint), unsure)
        if not synced.disputed or not (agreements := synced.all_at(path)):
            return
        very = next((each for each in agreements if is_that(seen, each)), agreements[0])
        if very is not agreements[0]:
            synced.put(very)
            state.replan([agreements[0].entry])

    def _made_from(self, agreements: tuple[Synced, ...], content: Content) -> Synced | None:
        """Which of the agreements that is what was seen, or what was edited since, as far as one can tell."""
        for agreed in reversed(agreements):
            if agreed.digest == content.digest:
                return agreed
        text = content.text if isinstance(content, TextContent) else None
        nearest = None if text is None else self._nearest(agreements, text)
        return None if nearest is None else nearest[1]

    def settled(self, path: str, content: Content | None) -> bool:
        """Make sure of all whose files may stand at ``path``, where ``content`` has just been found."""
        state = self._state
        for doubtful in sorted(state.unsure_at.get(path, ())):
            if self.unread(doubtful) or not self.made_sure(doubtful, content):
                return False
            state.replan([doubtful])
        return True

    def made_sure(self, entry: EntryId, content: Content | None) -> bool:
        """After a crash, let the disk say which agreement holds: the durable one, or a later one.

        Returns False if the file has to be read for that.
        """
        state = self._state
        agreements = state.unsure.get(entry)
        if agreements is None:
            return True
        for agreed in reversed(agreements):
            seen = self.standing(entry, agreed.path)
            if seen is not None and seen.digest == agreed.digest and seen.kind is agreed.kind:
                self._holds(agreed._replace(fingerprint=seen.fingerprint), agreements)
                return True
        if (very := self._very(entry, agreements)) is not None:
            self._holds(very, agreements)
            return True
        first, last = agreements[0], agreements[-1]
        path = self._likeliest(entry, agreements)
        seen = self.standing(entry, path)
        if seen is not None and seen.kind is Kind.TEXT is last.kind and seen.digest is not None:
            other = self._other_at(entry, path, seen)
            between = self._between(first._replace(path=path), seen)
            if between is not None and (other is None or other.digest != seen.digest):
                self._holds(between, agreements)
                return True
            if not isinstance(content, TextContent) or content.digest != seen.digest:
                state.looking.want(path)
                return False
            left = left_by_cut(state, agreements, path, seen)
            if left is not None:
                state.documents.stands(entry, content.digest, content.text)
                self._holds(left, agreements)
                return True
            if entry not in state.unborn and self._is_anothers(agreements, path, seen, content):
                state.agree(first)  # it stands elsewhere, or nowhere: what nobody saw go stays in the room
                return False
            found = self._nearest(agreements, content.text)
            new = entry in state.unborn
            if found is not None and not (new and self._was_there(found[0], agreements, seen, content)):
                # It is edited, and may not be ingested before the next start: that must read it again.
                nearest = found[1]
                nearest = nearest._replace(path=path, fingerprint=seen.fingerprint_of(nearest.digest))
                self._holds(nearest, agreements)
                state.guessed.add(entry)
                return True
        unborn = entry in state.unborn
        whole = unborn or last.kind is Kind.TEXT or first.fingerprint is None
        if seen is not None and not whole and not self._deletions.covers(entry):
            # A power cut tears what was saved here, or takes it back: nobody replaced more than was safe, but
            # in the very file that we wrote.
            ours = (each for each in reversed(agreements) if is_that(seen, each) and not each.saved_here)
            made_from = next(ours, first)
            state.agree(made_from._replace(path=path, fingerprint=seen.fingerprint_of(made_from.digest)))
            return True
        gone = all(self.standing(entry, agreed.path) is None for agreed in agreements)
        if (len(agreements) == 1 and (gone or last.fingerprint is None)) or (
            unborn and (gone or not self._torn(last, seen, content))
        ):
            # Nothing was ever safe on this disk: what is not there was not deleted by anybody, nor replaced
            # by what is there instead, which stood there before, or has come since.
            state.forget(entry)
            for agreed in agreements:
                state.replan_path(agreed.path)
        elif gone and not self._deletions.covers(entry):
            state.agree(first)  # nobody deleted more than was safe here: a power cut may have taken the rest
        elif not self._deletions.covers(entry):
            state.sure(entry)  # else it may yet turn up elsewhere, and tell
        return True

    def _between(self, agreed: Synced, seen: OnDisk) -> Synced | None:
        """What is agreed if the disk holds a version between the agreements, since we were killed between
        two writes; or, where nothing is known to have been written, a former text of the room: that stood
        there before, and the state that knew of it is gone."""
        documents, entry, digest = self._state.documents, agreed.entry, seen.digest
        between = agreed._replace(digest=digest, fingerprint=seen.fingerprint, saved_here=False)
        if any(version.digest == digest for version in documents.versions(entry)):
            return between
        if entry not in self._state.unborn or digest is None:
            return None
        vector = vector_of(documents.log(entry), digest)
        return None if vector == EMPTY_STATE_VECTOR else between._replace(state_vector=vector)

    def _is_anothers(
        self, agreements: tuple[Synced, ...], path: str, seen: OnDisk, content: TextContent
    ) -> bool:
        """Whether what stands there is the very file of another, perhaps edited, that was moved there.

        Then both paths are read again: it may be where the room has it.
        """
        state = self._state
        other = self._other_at(agreements[0].entry, path, seen)
        if other is None or any(is_that(seen, each) for each in agreements):
            return False
        apart = state.documents.apart(other, content)
        ours = [state.documents.apart(each, content) for each in agreements]
        if apart is None or apart > 0.5 or any(each is not None and each <= apart for each in ours):
            return False
        state.looking.want(path)
        state.looking.want(other.path)
        return True

    def _other_at(self, entry: EntryId, path: str, seen: OnDisk) -> Synced | None:
        """What is agreed, for sure, of another whose very file stands there, and not at its own path."""
        state = self._state
        other = None if seen.fingerprint is None else state.synced.with_inode(seen.fingerprint)
        if other is None or other.entry in (entry, *state.unsure) or other.path == path:
            return None
        return other

    def _was_there(
        self, text: str, agreements: tuple[Synced, ...], seen: OnDisk, content: TextContent
    ) -> bool:
        """Whether that is another file than the new one of that text: by what it holds, or as the very file
        of one of which it is in doubt, too, where it stands."""
        state = self._state
        other = None if seen.fingerprint is None else state.synced.with_inode(seen.fingerprint)
        if (
            other is not None
            and other.entry in state.unsure
            and not any(is_that(seen, e) for e in agreements)
        ):
            return True
        return not is_edit_of(text, content.text)

    def _likeliest(self, entry: EntryId, agreements: tuple[Synced, ...]) -> str:
        """Where its file may stand, edited: as the very file, or else where it was to be last."""
        found = [(agreed, self.standing(entry, agreed.path)) for agreed in reversed(agreements)]
        very = [agreed.path for agreed, seen in found if is_that(seen, agreed)]
        there = [agreed.path for agreed, seen in found if seen is not None]
        return [*very, *there, agreements[-1].path][0]

    def _holds(self, agreed: Synced, agreements: tuple[Synced, ...]) -> None:
        """That is what the disk held. If it is not the last one, no save was made from the last one. A bit
        that a power cut may have taken back was changed by nobody."""
        bits = {False} if agreed.entry in self._state.unborn else set[bool]()
        bits.update(each.executable for each in agreements)
        if agreed.fingerprint is not None and agreed.fingerprint.executable in bits:
            agreed = agreed._replace(executable=agreed.fingerprint.executable)
        self._state.documents.intention_ended(agreed.entry, stood=agreed.digest == agreements[-1].digest)
        self._state.agree(agreed)

    def evicted(self, agreed: Synced, now: float) -> bool:
        """Another entry has been put where this one's file had stood: whether that is now taken for deleted.

        The file was moved away by someone, or deleted, before ours was written: that is found out first.
        """
        state = self._state
        if agreed.entry in self._deletions.passed:
            return True
        if agreed.entry in self._deletions.held and state.view.get(agreed.entry) is None:
            self._deletions.discard(agreed.entry)  # others deleted it too
            return True
        if not self._deletions.covers(agreed.entry):
            self._deletions.add(agreed.entry, now, limits.SETTLE_DELETION_S)
        return False

    def standing(self, entry: EntryId, path: str) -> OnDisk | None:
        """What is on disk at ``path``, unless it is another entry's.

        Where several may stand there, a power cut may have brought back any: it belongs to whom it shows, by
        what it holds, or else as their very file.
        """
        state = self._state
        seen, occupant, doubtful = state.disk.get(path), state.synced.at(path), state.unsure_at.get(path)
        if seen is None or not doubtful:
            return seen if occupant in (None, entry) else None
        known = {entry, *doubtful} if occupant is None else {occupant, *doubtful}
        here = {each: self._agreed_at(each, path) for each in known}
        exact = {each for each, at in here.items() if any(agreed.digest == seen.digest for agreed in at)}
        very = {each for each, at in here.items() if any(is_that(seen, agreed) for agreed in at)}
        owners = (exact & very) or exact or very or known
        if occupant in owners and occupant not in state.unsure:
            owners = {occupant}
        return seen if entry in owners else None

    def _very(self, entry: EntryId, agreements: Iterable[Synced]) -> Synced | None:
        """The agreement whose very file, as it was, stands at the path of one of them: a power cut may have
        taken its name back."""
        at = {each.path: self.standing(entry, each.path) for each in agreements}
        for agreed in reversed(tuple(agreements)):
            for path, seen in at.items():
                if seen is not None and seen.digest == agreed.digest and is_that(seen, agreed):
                    return agreed._replace(path=path, fingerprint=seen.fingerprint)
        return None

    def _agreed_at(self, entry: EntryId, path: str) -> list[Synced]:
        """What may be agreed of the entry at that path."""
        state = self._state
        agreed = state.synced.get(entry)
        agreements = state.unsure.get(entry, () if agreed is None else (agreed,))
        return [each for each in agreements if each.path == path]

    def is_torn(self, agreed: Synced, content: Content) -> bool:
        """Whether that is what a power cut left of a save of the agreed text, wherever it stands."""
        if agreed.entry not in self._state.rebooted or agreed.digest is None:
            return False
        text = self._state.documents.version(agreed.entry, agreed.digest)
        left = content.text if isinstance(content, TextContent) else None
        if isinstance(content, BlobContent):
            left = content.beginning
        return text is not None and left is not None and is_edit_of(text, left)

    def _torn(self, agreed: Synced, seen: OnDisk | None, content: Content | None) -> bool:
        """Whether the file of a text may be one that a power cut tore: ``Mending`` reads it."""
        if agreed.kind is not Kind.TEXT or seen is None or seen.kind is not Kind.BLOB:
            return False
        if not isinstance(content, BlobContent) or content.digest != seen.digest:
            return True  # it has yet to be read
        return content.beginning is not None

    def _nearest(self, agreements: tuple[Synced, ...], saved: str) -> tuple[str, Synced] | None:
        """The agreement that an edited file was made from, and its text: the oldest, unless it shows another.

        What a later one had added then comes back at worst; the other way round it would count as taken out.
        """
        found: tuple[str, Synced] | None = None
        for before, agreed in zip((None, *agreements), agreements, strict=False):
            digest = agreed.digest
            text = None if digest is None else self._state.documents.version(agreed.entry, digest)
            if text is None:
                continue
            if self._was_written(before, agreed):
                found = None  # what was there before is past
            elif agreed.fingerprint is None and not is_within(0.5, text, saved):
                # it was only about to be written, and has little in common with what is there
                if found is None or not shows(saved, text, found[0], seen=False):
                    continue
            elif found is not None and not shows(saved, text, found[0], seen=agreed.fingerprint is not None):
                continue
            found = text, agreed
        return found

    def _was_written(self, before: Synced | None, agreed: Synced) -> bool:
        """Whether what came out tells that it was put where the agreement before it held."""
        if before is None or before.digest is None or agreed.digest is None:
            return False
        return Stood(agreed.entry, before.digest, agreed.digest) in self.stood

    def wrote(self, entry: EntryId, digest: Digest) -> bool:
        """Whether that was put into the entry's file by a former run: it is what others had made."""
        return any((each.entry, each.digest) == (entry, digest) for each in self.stood)


def _may_be(seen: OnDisk, agreed: Synced) -> bool:
    return is_that(seen, agreed) or seen.digest == agreed.digest
