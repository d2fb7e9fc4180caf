"""Takes what looks and scans found into the disk tree, and has what changed planned again.

Decides what is believed at once and what must settle first, and recognises renames; decides no content.
"""

from __future__ import annotations

from typing import assert_never

from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.effects import ScanFolder
from crdtsync.core.replica.events import Hint, HintKind, Looked, Scan
from crdtsync.core.replica.in_step import out_of_step, replan_where_it_stands, take_in_step
from crdtsync.core.replica.ingest import Ingest
from crdtsync.core.replica.looking import Wait
from crdtsync.core.replica.planner import Move, plan_move
from crdtsync.core.replica.rechecking import RECHECK_S, MissingDisk, forget_unknown
from crdtsync.core.replica.reconcile import Reconcile
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.successors import steps_hide
from crdtsync.core.replica.swapping import Swapping
from crdtsync.core.replica.trees import OnDisk
from crdtsync.core.values import limits
from crdtsync.core.values.digests import EMPTY_DIGEST
from crdtsync.core.values.files import (
    IGNORED,
    Absent,
    BlobContent,
    Content,
    Fingerprint,
    Folder,
    Kind,
    Present,
    Seen,
    Unchanged,
    Unreadable,
    Unshareable,
    kind_of,
)
from crdtsync.core.values.paths import is_below, name, parent

IGNORE_FILES = frozenset({".gitignore", ".crdtsyncignore"})


class Observing:
    def __init__(
        self, state: ReplicaState, ingest: Ingest, reconcile: Reconcile, deletions: Deletions
    ) -> None:
        self._state = state
        self._ingest = ingest
        self._reconcile = reconcile
        self._deletions = deletions
        self._swapping = Swapping(state, ingest, deletions, reconcile.doubts)
        self.scanned_once = False
        self._maybe_folders: set[str] = set()
        self._linked: set[str] = set()
        self._missing_disk = MissingDisk(state, self.scan)
        self._reread: set[str] = set()

    def hint(self, hint: Hint, now: float) -> None:
        """Something happened at the path: have it looked at, soon if we know what stood there."""
        if hint.kind in (HintKind.CREATED, HintKind.CLOSED):
            self._maybe_folders.add(hint.path)
        state = self._state
        for twin in state.synced.twins(hint.path):
            state.looking.hint(Hint(twin, hint.kind), now)  # a watcher may know the file by another spelling
        known = hint.path in state.disk or state.synced.at(hint.path) is not None
        entry = state.synced.at(hint.path)
        if entry is not None and state.saved_by_program(entry):
            state.looking.hint_new(hint, now, limits.SETTLE_SAVE_S)
        elif known or hint.path in state.stepping:
            state.looking.hint(hint, now)
        else:
            state.looking.hint_new(hint, now)

    def scan(self, below: str = "") -> int:
        """Start a scan of the folder ``below``; returns its number."""
        number = self._state.looking.start_scan(below)
        self._state.out.effect(ScanFolder(number, below))
        return number

    def read_again(self, paths: set[str]) -> None:
        """What changed while the hub was away is looked at once more, now that it can be ingested."""
        self._reread |= paths
        for path in sorted(paths):
            self._state.looking.want(path)

    @property
    def may_find_renames(self) -> bool:
        """Whether a file that is missing may yet turn up at a path that is being looked at, or will be."""
        asked = self._state.looking.is_asked
        self._reread = {path for path in self._reread if asked(path)}
        return bool(self._reread) or any(asked(path) for path in self._linked) or steps_hide(self._state)

    # -- looks ------------------------------------------------------------------------------------------

    def looked(self, event: Looked, now: float) -> None:
        """Believe what may be believed now; the rest is looked at again, or waits for a step under way."""
        valid = self._state.looking.looked(path for path, _ in event.seen)
        self._state.brought = self._swapping.note(event.seen)
        self._state.postponed |= valid & self._state.stepping.keys()
        valid -= self._state.stepping.keys()
        believed = self._swapping.take({path: seen for path, seen in event.seen if path in valid}, now)
        answered = self._state.looking.answered = set(believed)
        for path, seen in self._swapping.in_order(believed):
            answered.discard(path)
            self._take(path, seen, now)

    def _take(self, path: str, seen: Seen, now: float) -> None:
        state = self._state
        was_maybe_folder = path in self._maybe_folders
        self._maybe_folders.discard(path)
        before = state.disk.get(path)
        state.own_files.seen(path, seen)
        match seen:
            case Absent(unmounted):
                self._known(path)
                self._absent(path, now, unmounted)
            case Present(fingerprint, content):
                self._known(path)
                self._present(path, fingerprint, content, now)
            case Folder(empty):
                if path not in state.disk.unknown:
                    self._folder(path, empty, was_maybe_folder, now)
                elif not state.looking.scanning(path):
                    self.scan(path)  # until then nobody can tell what is gone in it
            case Unchanged(fingerprint):
                self._known(path)
                if not self._unchanged(path, fingerprint, now):
                    state.looking.want(path)
                else:
                    state.looking.settled(path)
                    replan_where_it_stands(state, path)
            case Unreadable(reason):
                self._unknown(path, reason, "unreadable")
                state.rechecks[path] = now + RECHECK_S
                state.replan_path(path)
            case Unshareable(reason):
                self._unknown(path, reason, "unshared")
            case _:
                assert_never(seen)
        self._missing_disk.note(path, seen, now)
        state.replan(state.unsure_at.get(path, ()))
        if name(path) in IGNORE_FILES and state.running and state.disk.get(path) != before:
            self.scan()

    def _known(self, path: str) -> None:
        state = self._state
        state.rechecks.pop(path, None)
        if state.disk.unknown.pop(path, None) is not None:
            state.attention.pop(path, None)
            state.replan_path(path)  # others' changes waited for it, even if it is what it was
            if state.view.holds_below(path):
                self._replan_below(path)

    def _replan_below(self, folder: str) -> None:
        """What waited for a folder that could not be read, or that something stood in the way of, goes on."""
        state = self._state
        for path in state.synced.below(folder):
            state.replan_path(path)
        state.replan(e for e, placed in state.view.placements.items() if is_below(placed.path, folder))

    def _unknown(self, path: str, reason: str, kind: str) -> None:
        state = self._state
        state.looking.settled(path)
        state.disk.unknown[path] = reason
        if reason != IGNORED:
            state.tell(path, kind, reason)

    def _absent(self, path: str, now: float, unmounted: bool = False) -> None:
        state = self._state
        for below in state.synced.below(path):
            state.looking.want(below)
        entry = state.synced.at(path)
        if entry is None:
            state.looking.settled(path)
            state.disk.discard(path)
            state.replan_path(path)
            return
        if self._deletions.covers(entry):
            state.looking.settled(path)  # known already; what is waited for is not the disk
            return
        if entry in self._deletions.passed:
            state.looking.settled(path)
            state.disk.discard(path)
            state.replan([entry])
            return
        if not state.looking.settle(path, Wait.ABSENT, now):
            return
        state.disk.discard(path)
        self._deletions.add(entry, now, unmounted=unmounted)
        if folder := parent(path):
            state.looking.want(folder)

    def _folder(self, path: str, empty: bool, maybe_new: bool, now: float) -> None:
        state = self._state
        agreed = state.agreed_at(path)
        if agreed is not None and agreed.kind is not Kind.DIR:
            state.folders_instead.add(path)
            self._absent(path, now)  # a folder stands where the file was
        if maybe_new and not empty and not state.looking.scanning(path):
            self.scan(path)
        if agreed is not None and agreed.kind is Kind.DIR:
            state.looking.settled(path)
            self._deletions.discard(agreed.entry)
            state.disk.put(path, OnDisk(Kind.DIR, None, None))
            state.replan([agreed.entry])
        elif agreed is None and not empty:
            state.looking.settled(path)
        elif agreed is None and state.looking.settle(path, Wait.EMPTY_FOLDER, now):
            state.disk.put(path, OnDisk(Kind.DIR, None, None))
            state.replan_path(path)

    def _present(self, path: str, fingerprint: Fingerprint, content: Content, now: float) -> None:
        state = self._state
        seen = OnDisk(kind_of(content), content.digest, fingerprint)
        self._reconcile.doubts.recognise(path, seen)
        agreed = state.agreed_at(path)
        held_something = agreed is not None and agreed.digest not in (None, EMPTY_DIGEST)
        before = state.disk.get(path)
        waited = before is not None and before.digest == EMPTY_DIGEST
        emptied = held_something and seen.digest == EMPTY_DIGEST and not waited
        if emptied and not state.looking.settle(path, Wait.EMPTIED, now):
            if agreed is not None and agreed.entry in state.rebooted:
                self._reconcile.put_off(agreed, content)  # whoever goes on in it emptied nothing
            return
        state.looking.settled(path)
        state.disk.put(path, seen)
        if state.unsure_at.get(path) and state.running:
            if not self._reconcile.doubts.settled(path, content):
                return  # whose it is shows once other looks are answered
            agreed = state.agreed_at(path)
        if path in state.reseeding:
            state.reseeding.discard(path)
            if isinstance(content, BlobContent):
                state.upload(path, content.manifest)
        if agreed is not None:
            self._deletions.discard(agreed.entry)
            self._reconcile.entry(agreed.entry, now, content)
            return
        if not state.running:
            return
        origin = self._reconcile.doubts.with_inode(fingerprint)
        if origin is not None and (origin.path == path or not self._same_file(origin, seen, content)):
            origin = None
        if origin is not None and origin.path in state.stepping:
            state.moving.setdefault(origin.path, set()).add(path)  # the step will find that it is gone there
            return
        if origin is not None and not self._is_gone(origin):
            # The old name may be gone without our knowing yet; if it is not, this is a second link.
            if path not in self._linked and not state.looking.is_asked(origin.path):
                state.looking.want(origin.path)
            if state.looking.is_asked(origin.path):
                self._linked.add(path)
                state.looking.want(path)
                return
            origin = None
        self._linked.discard(path)
        if origin is None:
            origin = self._same_content_gone(seen)
        if origin is not None and not self._stays_apart(origin, path):
            self._moved(origin, path, seen, content, now)
        else:
            self._reconcile.path(path, now, content)

    def _same_file(self, agreed: Synced, seen: OnDisk, content: Content) -> bool:
        """Whether a file with a known inode is that file: a file system gives the inode of a deleted file to
        the next new one at once, so what was edited as well must still have much in common with it."""
        doubts = self._reconcile.doubts
        if seen.kind is agreed.kind:
            for each in doubts.agreements(agreed):
                apart = 0.0 if each.digest == seen.digest else self._state.documents.apart(each, content)
                if apart is not None and apart <= 0.5:
                    return True
        return doubts.is_torn(agreed, content)

    def _same_content_gone(self, seen: OnDisk) -> Synced | None:
        """An entry with the same content whose own file is gone: moved by copy and delete."""
        if seen.digest is None or seen.digest == EMPTY_DIGEST:
            return None
        origin = self._state.synced.with_digest(seen.digest)
        if origin is not None and origin.kind is seen.kind and self._is_gone(origin):
            return origin
        return None

    def _stays_apart(self, agreed: Synced, path: str) -> bool:
        """Whether a rename would have to be told and cannot be: a file is gone, and another one is new."""
        placed, read_only = self._state.view.get(agreed.entry), self._state.session.read_only
        if placed is not None and placed.path == path:
            return False
        told = placed is None or plan_move(agreed.path, path, placed.path) is Move.RENAME_THERE
        return (told and read_only) or self._reconcile.doubts.may_have_left(agreed)

    def _is_gone(self, agreed: Synced) -> bool:
        return self._state.looking.is_absent(agreed.path) or self._deletions.covers(agreed.entry)

    def _moved(self, agreed: Synced, path: str, seen: OnDisk, content: Content, now: float) -> None:
        state = self._state
        placed = state.view.get(agreed.entry)
        if not state.may_ingest and (placed is None or placed.path != path):
            state.deferred.update((agreed.path, path))
            return
        agreed = self._reconcile.doubts.found_elsewhere(agreed, seen, content)
        state.looking.settled(agreed.path)
        self._deletions.discard(agreed.entry)
        if state.synced.at(agreed.path) == agreed.entry:
            state.disk.discard(agreed.path)
        if folder := parent(agreed.path):
            state.looking.want(folder)
        self._ingest.move(agreed, path, placed, seen)
        state.edited_here(path, now)
        state.out.notice("sent", agreed.path, f"renamed to {path}")
        # Planned once the tree knows the new name; what was edited on the way is read again then.
        state.replan([agreed.entry])
        if seen.digest != agreed.digest:
            state.looking.want(path)

    # -- scans ------------------------------------------------------------------------------------------

    def scanned(self, number: int, scan: Scan, now: float) -> bool:
        """Take a scan; returns False if it is not one that was asked for."""
        state = self._state
        asked = state.looking.scanned(number)
        if asked is None:
            return False
        below, touched = asked
        unknown_before = forget_unknown(state, below)
        for path, reason in scan.unreadable.items():
            self._unknown(path, reason, "unreadable")
            state.rechecks[path] = now + RECHECK_S
        for path, reason in scan.unshareable.items():
            self._unknown(path, reason, "unshared")
        others = take_in_step(state, self._deletions, scan.files)
        for path, fingerprint in [*others.items(), *scan.links.items()]:
            if not self._unchanged(path, fingerprint, now) or fingerprint.may_hide_writes(now):
                state.looking.suspect(path, fingerprint.size_bytes)
            else:
                state.looking.stands(path)
        for path, folder in scan.folders.items():
            agreed = state.agreed_at(path)
            if agreed is not None and agreed.kind is Kind.DIR:
                state.disk.put(path, OnDisk(Kind.DIR, None, None))
            elif agreed is None and not folder.empty:
                state.disk.discard(path)
            elif folder.empty and state.disk.get(path) is None:
                state.looking.want(path)
        for path in unknown_before:
            state.replan_path(path)
            if path in scan.files:  # a save that nobody read may not tell
                state.looking.suspect(path, scan.files[path].size_bytes)
            if not path or path in scan.folders:
                self._replan_below(path)
        self._missing(below, scan, touched)
        if not below:
            self.scanned_once = True
            if state.running:  # else all of it is planned when it first does
                self._replan_found()
        return True

    def _replan_found(self) -> None:
        state = self._state
        state.replan(out_of_step(state))
        for path in state.disk.paths():
            if state.synced.at(path) is None:
                state.replan_path(path)

    def _unchanged(self, path: str, fingerprint: Fingerprint, now: float) -> bool:
        """Whether the file is the one that was read before; then the tree knows its content."""
        state = self._state
        known = state.disk.get(path)
        agreed = state.agreed_at(path)
        if agreed is not None:
            self._deletions.discard(agreed.entry)
        if known is not None:
            return known.fingerprint == fingerprint and not (
                agreed is None and state.running and path in state.deferred
            )
        if fingerprint.is_coarse and now - fingerprint.mtime_ns / 1e9 < limits.REHASH_PERIOD_S:
            return False  # saved right before we ended, perhaps, and once more after that
        if agreed is not None and agreed.fingerprint == fingerprint and agreed.entry not in state.unsure:
            # The agreement's own path and fingerprint, so that neither is kept twice.
            state.disk.put_agreed(agreed)
            state.rebooted.discard(agreed.entry)  # whoever empties it from now on means it
            return True
        return False

    def _missing(self, below: str, scan: Scan, touched: set[str]) -> None:
        state = self._state
        missing = {path for path in state.disk.inside(below) if path not in scan.files}
        missing.update(path for path in state.synced.inside(below) if path not in scan.files)
        for path in sorted(missing):
            if (
                path not in scan.links
                and (path not in scan.folders or self._is_file(path))
                and path not in touched
                and state.disk.reason_unknown(path) is None
            ):
                state.looking.want(path)

    def _is_file(self, path: str) -> bool:
        agreed = self._state.agreed_at(path)
        return agreed is not None and agreed.kind is not Kind.DIR
