"""Disk → room: edits, new files, deletions and renames that someone made on this disk.

Each is called only when the session is live and the plan says so; none touches the disk.
"""

from __future__ import annotations

from functools import cache
from typing import assert_never

from crdtsync.core.replica.bases import Bases
from crdtsync.core.replica.live import LiveTexts
from crdtsync.core.replica.passed import edited, lineage_of, vector_of
from crdtsync.core.replica.planner import Move, plan_move
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.taking_back import doubled, given_back, taken_back
from crdtsync.core.replica.trees import OnDisk
from crdtsync.core.replica.unaccepted import Save, Unaccepted
from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.text.lineage import Lineage
from crdtsync.core.text.rebase import rebase
from crdtsync.core.text.statevector import EMPTY_STATE_VECTOR, decode, with_clock
from crdtsync.core.text.torn import looks_torn, mended
from crdtsync.core.tree.rows import (
    Create,
    DropVersions,
    Operation,
    Origin,
    PutVersion,
    SetExecutable,
    SetGone,
    SetPath,
    Version,
)
from crdtsync.core.tree.view import Placement
from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of_text
from crdtsync.core.values.files import BlobContent, Content, Kind, LinkContent, TextContent
from crdtsync.core.values.ids import DocumentId, EntryId, client_id_in, new_entry_id
from crdtsync.core.values.paths import conflict_path


class Ingest:
    def __init__(self, state: ReplicaState, client_id: int, live: LiveTexts) -> None:
        self._state = state
        self._live = live
        live.take_save = self.take_save
        self._client_id = client_id
        self.bases = Bases(state, live)

    # -- texts --------------------------------------------------------------------------------------

    def edit_text(self, agreed: Synced, content: TextContent, seen: OnDisk, now: float) -> bytes:
        """A save of a text: its edits are taken against the version that it was made from.

        Returns the update that they are; ``b""`` if there are none.
        """
        state = self._state
        entry = agreed.entry
        saved = content.text
        passed = self.bases.passed(agreed, saved)
        if passed is not None:
            base = passed.text
            if entry in state.rebooted and (base.startswith(saved) or looks_torn(base, saved)):
                saved = mended(base, saved)
            base = self.bases.pulled(agreed, base, saved)
            state.guessed.add(entry)
            agreed = agreed._replace(state_vector=passed.state_vector)
        else:
            found = self.bases.base_of(agreed, saved)
            # Gone in the room, and the base is lost: what stands on disk is all that comes back.
            base = state.documents.text(entry) if found is None else found
            if entry in state.rebooted:
                saved = self.bases.whole(entry, base, saved)
                base = self.bases.pulled(agreed, base, saved)
        older = entry in state.rebooted or entry in state.guessed
        state.rebooted.discard(entry)
        state.guessed.discard(entry)
        self.bases.older.forget(entry)
        update = self._merge(entry, base, saved, now, older=older)
        state.documents.saved.here(entry, content.digest)
        merged = state.documents.text_digest(entry)
        covered = state.documents.state_vector(entry)
        if merged != content.digest:
            # What stands on disk is not what the document holds: a later base, and only partly seen.
            state.replan([entry])
            state.documents.keep_version(entry, content.text, now)
            author = client_id_in(entry, self._client_id)
            covered = with_clock(agreed.state_vector, author, _clock(covered, author))
        state.agree(
            agreed._replace(
                digest=content.digest, state_vector=covered, fingerprint=seen.fingerprint, saved_here=True
            )
        )
        return update

    def take_save(self, entry: EntryId, shown: str, now: float) -> bool:
        """With the hub away: a save that an editor shows becomes an edit, like those that it makes."""
        state, agreed = self._state, self._state.synced.get(entry)
        seen = None if agreed is None else state.disk.get(agreed.path)
        if agreed is None or seen is None or entry in state.busy or state.session.read_only:
            return False
        digest = digest_of_text(shown)
        if seen.digest != digest or agreed.digest == digest or not self.bases.knows(agreed):
            return False
        self.edit_text(agreed, TextContent(shown, digest), seen, now)
        return True

    def merge_torn(self, agreed: Synced, left: str, now: float) -> None:
        """What a power cut left of a save of a text that is known; the end that it lacks was not deleted."""
        passed = self.bases.passed(agreed, left)
        base = self.bases.base_of(agreed, left) if passed is None else passed.text
        assert base is not None
        self._merge(agreed.entry, base, mended(base, left), now)

    def merge_text(self, entry: EntryId, base: str, saved: str, now: float) -> bool:
        """Take a save that does not stand at the entry's path (a displaced file) into its document.

        ``base`` is what stood in that file before; a stale buffer may have been saved into it. What it
        holds now is kept as a version: whoever goes on writing to it edits that, not what it replaced.
        False, with nothing done, where lines of it would be nowhere though nobody can tell who took them out.
        """
        documents, stood = self._state.documents, base
        if not documents.saved.was_here(entry, digest_of_text(base)):
            versions = documents.versions(entry)
            at = next((at for at, version in enumerate(versions) if version.text == base), len(versions))
            base = self.bases.or_older(entry, base, saved, versions[at:])
        # A save from before the start may have been of this disk: then the last one holds, not an older one.
        forgotten = now < self._state.started_s + limits.DISPLACED_MAX_S
        if base != stood and forgotten and self._loses(entry, base, stood, saved):
            return False
        self._merge(entry, base, saved, now, older=True)
        documents.keep_version(entry, saved, now)  # newer than all that stood there before it
        return True

    def _loses(self, entry: EntryId, base: str, stood: str, saved: str) -> bool:
        """Whether a line that the save has, and the file had not before it, would not be in the text."""
        merged = apply_edits(self._state.documents.text(entry), self._carried(entry, base, saved, older=True))
        lacking = set(saved.splitlines()).difference(stood.splitlines(), merged.splitlines())
        return any(map(str.strip, lacking))

    def _merge(self, entry: EntryId, base: str, saved: str, now: float, *, older: bool = False) -> bytes:
        state = self._state
        documents = state.documents
        before = documents.text(entry)
        update = documents.edit(entry, self._carried(entry, base, saved, older=older), now)
        if not update:
            return b""
        state.session.push(DocumentId(entry), update)
        after = documents.text(entry)
        save = None if base == before else Save(base, saved, older)
        state.unaccepted.add(entry, Unaccepted(before, after, update, update, save=save))
        state.replan([entry])
        return update

    def _carried(self, entry: EntryId, base: str, saved: str, *, older: bool) -> tuple[Edit, ...]:
        """What was saved, as edits of what the text is by now."""
        documents = self._state.documents

        @cache
        def lineage() -> Lineage | None:
            return lineage_of(documents.log(entry), base)

        return rebase(base, saved, documents.text(entry), older=older, lineage=lineage)

    def take_back_doubled(self, entry: EntryId, now: float) -> None:
        """Others made a change before ours was placed: where both are the same change, ours goes.

        The hub's order decides which of the two is the later one, so exactly one side does this.
        """
        state = self._state
        documents = state.documents
        flying = state.unaccepted.of(entry)
        theirs = documents.placed.without(entry, flying)
        if theirs is None:
            return  # what came was made by someone who had our edits: it cannot be the same change
        merged = documents.text(entry)
        if any(edit.takes_back for edit in flying):
            again = given_back(merged, documents.placed.untaken(entry, flying), flying)
            if again:
                update = documents.edit(entry, again, now, typed=True)
                state.session.push(DocumentId(entry), update)
                state.replan([entry])
                return
        steps = documents.placed.steps(entry, flying, merged)
        if steps is None or not (
            edits := doubled(merged, theirs, steps.edits, steps.inserted, moving=not steps.deleted)
        ):
            return  # the merge of the operations stands, or nobody can tell where ours are
        update = documents.edit(entry, edits, now)
        self._taken_back(entry, merged, update)

    def stands_twice(self, entry: EntryId) -> bool:
        """Whether another made the same change as ours that have no place."""
        flying = self._state.unaccepted.of(entry)
        ours = [edit.update for edit in flying]
        others = [update for update in self._state.documents.log(entry) if update not in ours]
        return bool(taken_back(others, flying))

    def take_out(self, entry: EntryId, update: bytes, now: float, *, apart: bool = True) -> None:
        """What a hub has already, by another, is taken out again, whoever made it.

        ``apart``: in an update of its own, not with all else that the hub lacks. Who may only read brings
        nothing.
        """
        documents = self._state.documents
        if self._state.session.read_only:
            return
        before = documents.text(entry)
        if documents.apply_remote(entry, update, int(now * 1000), now, dirty=True):
            self._taken_back(entry, before, update, apart=apart)

    def _taken_back(self, entry: EntryId, before: str, update: bytes, *, apart: bool = True) -> None:
        after = self._state.documents.text(entry)
        self._state.unaccepted.add(entry, Unaccepted(before, after, update, update, takes_back=True))
        if apart:
            self._state.session.push(DocumentId(entry), update)

    # -- new entries --------------------------------------------------------------------------------

    def create(
        self,
        path: str,
        content: Content | None,
        seen: OnDisk,
        now: float,
        *,
        beside: Placement | None = None,
    ) -> bool:
        """Make an entry of what is on disk at ``path``; ``beside``: as a conflict copy of that entry.

        Returns False if that has to wait: for a look, or for an upload.
        """
        state = self._state
        entry = new_entry_id(state.rng)
        room_path = state.view.room_path_of_new(path)
        if room_path != state.view.room_path(path):
            beside = None  # what stood here had another name in the room
        if beside is not None:
            room_path = conflict_path(room_path, state.name, entry)
        origin = Origin(state.name, int(now * 1000), None if beside is None else beside.entry)
        covered = EMPTY_STATE_VECTOR
        version: Version | None = None
        match seen.kind:
            case Kind.TEXT:
                if not isinstance(content, TextContent):
                    state.looking.want(path)
                    return False
                update = state.documents.create(entry, content.text, now)
                if update:
                    state.session.push(DocumentId(entry), update)
                covered = state.documents.state_vector(entry)
                state.documents.saved.here(entry, content.digest)
                if beside is not None and beside.kind is Kind.TEXT:
                    # The file goes aside, but an editor will save at its old path what it has loaded there:
                    # that, or what that was made from before this replica knew of it.
                    for text in (*edited(state.documents.log(beside.entry), content.text), content.text):
                        state.documents.keep_version(beside.entry, text, now)
            case Kind.BLOB:
                version = self._blob_version(path, content, seen, now)
                if version is None:
                    return False
            case Kind.LINK:
                if not isinstance(content, LinkContent):
                    state.looking.want(path)
                    return False
                version = self._link_version(content, now)
            case _:
                assert seen.kind is Kind.DIR
        state.operate(Create(entry, seen.kind, room_path, seen.executable, origin, version))
        state.agree(
            Synced(
                entry=entry,
                path=path,
                kind=seen.kind,
                digest=seen.digest,
                executable=seen.executable,
                state_vector=covered,
                fingerprint=seen.fingerprint,
                saved_here=True,
            )
        )
        return True

    # -- blobs and links ------------------------------------------------------------------------------

    def put_version(
        self,
        agreed: Synced,
        content: Content | None,
        seen: OnDisk,
        now: float,
    ) -> bool:
        """A new content of a blob or link, replacing what its writer had seen.

        Returns False if that has to wait: for a look, or for an upload.
        """
        state = self._state
        version: Version | None
        if seen.kind is Kind.LINK:
            if not isinstance(content, LinkContent):
                state.looking.want(agreed.path)
                return False
            version = self._link_version(content, now)
        else:
            version = self._blob_version(agreed.path, content, seen, now)
        if version is None:
            return False
        state.rebooted.discard(agreed.entry)
        replaced = () if agreed.digest is None else (agreed.digest,)
        state.operate(PutVersion(agreed.entry, version, replaced))
        agreed = agreed._replace(digest=seen.digest, fingerprint=seen.fingerprint, saved_here=True)
        state.agree(agreed._replace(executable=seen.executable))
        return True

    def _blob_version(self, path: str, content: Content | None, seen: OnDisk, now: float) -> Version | None:
        """The version of a blob that the hub has; starts the upload if it has not."""
        state = self._state
        digest = seen.digest
        assert digest is not None and seen.fingerprint is not None
        if digest not in state.uploaded:
            if isinstance(content, BlobContent):
                state.upload(path, content.manifest)
            elif path not in state.uploading.get(digest, ()):
                state.looking.want(path)
            return None
        index = state.uploaded[digest]
        return Version(digest, seen.fingerprint.size_bytes, state.name, int(now * 1000), index)

    def _link_version(self, content: LinkContent, now: float) -> Version:
        size_bytes = len(content.target.encode())
        return Version(content.digest, size_bytes, self._state.name, int(now * 1000), target=content.target)

    # -- deletions and renames --------------------------------------------------------------------------

    def delete(self, agreed: Synced) -> None:
        """The deletion covers what stood on disk, and nothing that came since."""
        self.operate_deletion(agreed)
        self._state.forget(agreed.entry)

    def operate_deletion(self, agreed: Synced) -> None:
        """Of a file that a stale buffer had been saved to meanwhile, it covers what that buffer had."""
        older = self.bases.older.of(agreed.entry, agreed.digest)
        self.bases.older.forget(agreed.entry)
        if older is not None:
            log = self._state.documents.log(agreed.entry)
            agreed = agreed._replace(state_vector=vector_of(log, older))
        self._state.operate(deletion(agreed))

    def move(self, agreed: Synced, path: str, placed: Placement | None, seen: OnDisk) -> None:
        """The file is at another path now. Renamed in the room too: the room's name holds."""
        state = self._state
        state.agree(agreed._replace(path=path, fingerprint=seen.fingerprint_of(agreed.digest)))
        if placed is not None and plan_move(agreed.path, path, placed.path) is Move.RENAME_THERE:
            state.operate(SetPath(agreed.entry, state.view.room_path_of_new(path, agreed.entry)))

    def set_executable(self, agreed: Synced, seen: OnDisk) -> None:
        self._state.operate(SetExecutable(agreed.entry, seen.executable))
        self._state.agree(agreed._replace(executable=seen.executable, fingerprint=seen.fingerprint))


def deletion(agreed: Synced) -> Operation:
    """What takes an entry out of the room, as far as it was seen."""
    match agreed.kind:
        case Kind.TEXT:
            return SetGone(agreed.entry, agreed.state_vector)
        case Kind.DIR:
            return SetGone(agreed.entry, b"")
        case Kind.BLOB | Kind.LINK:
            assert agreed.digest is not None
            return DropVersions(agreed.entry, (agreed.digest,))
        case _:
            assert_never(agreed.kind)


def _clock(state_vector: bytes, client: int) -> int:
    return decode(state_vector).get(client, 0)
