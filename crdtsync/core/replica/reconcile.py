"""Brings one entry, or one path without an entry, a step nearer to agreement: facts, plan, action.

Finds the facts in the three trees, asks ``planner`` what to do, and hands it on.
"""

from __future__ import annotations

from typing import assert_never

from crdtsync.core.replica.chains import waits_for_spelling
from crdtsync.core.replica.choices import Choices
from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.doubts import Doubts
from crdtsync.core.replica.ignored_places import left_behind, place_here, rests_ignored
from crdtsync.core.replica.ingest import Ingest
from crdtsync.core.replica.links import edited_astray
from crdtsync.core.replica.live import LiveTexts
from crdtsync.core.replica.materialise import Materialise
from crdtsync.core.replica.mending import Mending
from crdtsync.core.replica.planner import Action, Disk, Room, plan, plan_executable
from crdtsync.core.replica.reading import Reading
from crdtsync.core.replica.records import DropSynced, Synced
from crdtsync.core.replica.state import RACES_MAX, ReplicaState
from crdtsync.core.replica.steps import Outcome, Raced
from crdtsync.core.replica.successors import arrived, in_ruins, may_have_arrived, succeeded
from crdtsync.core.replica.trees import OnDisk
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.files import IGNORED, Content, Kind, Present, TextContent
from crdtsync.core.values.ids import EntryId


class Reconcile:
    def __init__(
        self,
        state: ReplicaState,
        ingest: Ingest,
        materialise: Materialise,
        deletions: Deletions,
        live: LiveTexts,
    ) -> None:
        self._state = state
        self._live = live
        self._ingest = ingest
        self._materialise = materialise
        self._deletions = deletions
        self.reading = Reading(state, ingest.bases, materialise, deletions)
        self.doubts = Doubts(state, deletions)
        self._mending = Mending(state, ingest, materialise)
        self.choices = Choices(state)

    def step_done(self, step: int, outcome: Outcome, now: float) -> None:
        """Take the outcome of a step."""
        self._materialise.done(step, outcome, now)
        if isinstance(outcome, Raced) and isinstance(outcome.seen, Present):
            agreed = self._state.agreed_at(outcome.path)
            if agreed is not None:
                self.put_off(agreed, outcome.seen.content)  # the look may find that it was saved over

    def path(self, path: str, now: float, content: Content | None = None) -> None:
        """Something at a path that nothing was agreed on; ``content`` is what a look has just found there."""
        state = self._state
        if not self.doubts.settled(path, content):
            return
        if state.synced.at(path) is not None or not state.running:
            return  # what is held there is the entry's own affair
        state.held.pop(path, None)
        seen = state.disk.get(path)
        if seen is None or state.ignored(path):
            return
        entry = state.view.at(path)
        placed = None if entry is None else state.view.get(entry)
        if placed is not None and state.synced.get(placed.entry) is None:
            if not (seen.kind is Kind.DIR and placed.kind is not Kind.DIR):
                self._meet(placed, seen, content, now)
            return
        if placed is not None:
            agreed = state.synced.get(placed.entry)
            assert agreed is not None
            if arrived(state, agreed, placed, state.disk.get(agreed.path)):
                return
            # The room's entry of that name still stands elsewhere on this disk: it moves first.
            state.replan([placed.entry])
        self._create(path, content, seen, now)

    def entry(self, entry: EntryId, now: float, content: Content | None = None) -> None:
        """Plan an entry; ``content`` is what a look has just found at its path."""
        state = self._state
        if entry in state.busy or not state.running:
            return
        retry = state.retries.get(entry)
        if retry is not None and now < retry.due and (content is None or retry.races > RACES_MAX):
            return
        placed = state.view.get(entry)
        passed = entry in self._deletions.passed
        if not passed and self.doubts.unread(entry):
            return
        if not self.doubts.made_sure(entry, content):
            return
        agreed = state.synced.get(entry)
        if agreed is None:
            if placed is not None:
                self._never_agreed(placed, content, now)
            else:
                state.give_up(entry)
            return
        if content is None and agreed.path in state.half_seen:
            return  # to ask for another look would only put off what the one that is awaited decides
        state.held.pop(agreed.path, None)
        if left_behind(state, agreed, placed):
            return
        if placed is not None and placed.kind is not agreed.kind:
            # A kind never changes, unless someone forges it: what stands here is not that entry.
            state.forget(entry)
            state.replan([entry])
            state.replan_path(agreed.path)
            return
        if state.synced.at(agreed.path) != entry:
            if placed is not None and arrived(state, agreed, placed, state.disk.get(agreed.path)):
                return
            if not self.doubts.evicted(agreed, now):
                return
        if placed is None:
            self._deletions.forget([entry] if state.disk.get(agreed.path) is None else [])
        seen = self.doubts.standing(entry, agreed.path)
        disk, room = self._disk_fact(agreed, seen, passed), self._room_fact(agreed, placed)
        here = disk is Disk.SAME or (disk is Disk.EDITED and not edited_astray(state, agreed, placed))
        place = None if placed is None else place_here(state, agreed, placed)
        stands = disk in (Disk.SAME, Disk.EDITED)
        if stands and placed is not None and arrived(state, agreed, placed, seen):
            return
        unheard = disk is Disk.EDITED and place is not None and state.ignored(place.path)  # is sent first
        if place is not None and place.path != agreed.path and here and not unheard:
            assert seen is not None
            if disk is Disk.EDITED:
                self.put_off(agreed, content)
            if disk is Disk.EDITED and content is None and state.looking.is_asked(agreed.path):
                state.looking.want(agreed.path)  # it may be one that changed names with it
            elif not self._has_to_wait(place, now):
                self._materialise.move(agreed, place, seen, now)
            return
        if (
            disk is Disk.REPLACED
            and placed is not None
            and (may_have_arrived(state, agreed, placed) or arrived(state, agreed, placed, seen))
        ):
            return
        if placed is None and succeeded(state, agreed, disk, now):
            return
        equal = placed is not None and state.room_digest(entry) == (None if seen is None else seen.digest)
        self._carry_out(plan(disk, room, equal=equal), agreed, placed, seen, content, now)

    # -- facts ----------------------------------------------------------------------------------------

    def _disk_fact(self, agreed: Synced, seen: OnDisk | None, passed: bool) -> Disk:
        state = self._state
        unseen = state.ignored(agreed.path) or state.disk.reason_unknown(agreed.path) is not None
        if unseen or self._deletions.covers(agreed.entry):
            return Disk.UNKNOWN
        if not passed and state.looking.is_absent(agreed.path):
            return Disk.UNKNOWN
        if seen is None:
            return Disk.GONE
        if seen.kind is not agreed.kind:
            return Disk.REPLACED
        return Disk.SAME if seen.digest == agreed.digest else Disk.EDITED

    def _room_fact(self, agreed: Synced, placed: Placement | None) -> Room:
        if placed is None:
            return Room.GONE
        return Room.SAME if self._state.room_digest(agreed.entry) == agreed.digest else Room.EDITED

    def _has_to_wait(self, placed: Placement, now: float) -> bool:
        waits = self._unread(placed.path) or self.reading.makes_room(placed)
        return waits or waits_for_spelling(self._state, placed, now)

    def _unread(self, path: str) -> bool:
        """Whether nothing can be said of the path. A folder that is ignored is only in the way."""
        return self._state.disk.reason_unknown(path) not in (None, IGNORED)

    # -- actions --------------------------------------------------------------------------------------

    def _never_agreed(self, placed: Placement, content: Content | None, now: float) -> None:
        state = self._state
        path = placed.path
        if not (state.disk.get(path) or state.synced.at(path)) and self._materialise.puts_off(placed):
            return  # what else is to be known of the path is asked once its turn comes
        if rests_ignored(state, placed.entry, path) or self._unread(path):
            return  # this disk does not take part in it
        if state.looking.is_absent(path) or state.unsure_at.get(path):
            return  # of what stands there, some other entry's agreement tells more once it is sure
        seen = state.disk.get(path)
        other = state.synced.at(path)
        if other is not None:
            if seen is None and other not in self._deletions.held:
                return  # another entry stood there: where it is now is to be found out first
            seen = None  # another entry stands there; its own plan makes it leave
        if seen is not None and seen.kind is Kind.DIR and placed.kind is not Kind.DIR:
            self._materialise.clear(path)  # an empty folder stands where the room has a file
            seen = None
        if seen is None:
            if not self._has_to_wait(placed, now):
                self._materialise.write(placed, None, None, now)
            return
        self._meet(placed, seen, content, now)

    def _meet(self, placed: Placement, seen: OnDisk, content: Content | None, now: float) -> None:
        """Disk and room both have something at a path, without a common past."""
        state = self._state
        if placed.entry in state.busy:
            return  # this is planned again once its step has ended
        if placed.entry in state.leaving:
            state.replan_path(placed.path)  # once it is known whether it stays in the room
            return
        equal = seen.kind is placed.kind and seen.digest == state.room_digest(placed.entry)
        action = plan(Disk.NEW, Room.NEW, equal=equal)
        if action is Action.ADOPT:
            state.agree(self._agreement(placed, seen))
            state.replan([placed.entry])
            return
        if not state.may_ingest:
            state.deferred.add(placed.path)
        elif self.choices.gives_up(placed.path, seen):
            self._materialise.write(placed, None, seen, now, trash="replaced at the first join")
        elif state.session.read_only:
            if self.choices.keeps(placed.path, seen) or not self.reading.knows_again(placed, seen):
                self.reading.step_aside(placed, placed.path, seen)
        elif self._ingest.create(placed.path, content, seen, now, beside=placed):
            state.replan([placed.entry])
            state.replan_path(placed.path)

    def _agreement(self, placed: Placement, seen: OnDisk) -> Synced:
        covered = self._state.documents.state_vector(placed.entry) if placed.kind is Kind.TEXT else b""
        return Synced(
            placed.entry, placed.path, placed.kind, seen.digest, placed.executable, covered, seen.fingerprint
        )

    def _carry_out(
        self,
        action: Action,
        agreed: Synced,
        placed: Placement | None,
        seen: OnDisk | None,
        content: Content | None,
        now: float,
    ) -> None:
        state = self._state
        if (
            state.may_ingest
            and state.session.read_only
            and self.reading.carry_out(action, agreed, placed, seen, content, now)
        ):
            return
        match action:
            case Action.NOTHING | Action.ADOPT:
                assert placed is not None and seen is not None
                self._agree_on(agreed, placed, seen)
            case Action.INGEST:
                assert seen is not None
                self._ingest_edit(agreed, placed, seen, content, now)
            case Action.CREATE:
                assert seen is not None
                if self._may_ingest(agreed.path):
                    state.forget(agreed.entry)
                    self._create(agreed.path, content, seen, now)
            case Action.REPLACE:
                assert seen is not None
                if (
                    self._may_ingest(agreed.path)
                    and not self._mending.restores(agreed, placed, seen, content, now)
                    and self._create_instead(agreed, content, seen, now)
                ):
                    self._ingest.operate_deletion(agreed)
            case Action.DELETE_THERE:
                if self._may_ingest(agreed.path):
                    self._deletions.discard(agreed.entry)
                    state.documents.keep_agreed(agreed, now)
                    self._ingest.delete(agreed)
                    state.out.notice("sent", agreed.path, "deleted")
            case Action.MATERIALISE:
                assert placed is not None
                if seen is None:
                    self._deletions.discard(agreed.entry)
                    state.documents.keep_agreed(agreed, now)
                    state.forget(agreed.entry)
                    self._never_agreed(placed, content, now)
                elif self._live.keeps(agreed.entry):
                    pass  # its program saves it, or lets go of it
                elif placed.kind is not Kind.TEXT or not state.pacing.rests(agreed.entry, now):
                    self._materialise.write(placed, agreed, seen, now)
            case Action.DELETE_HERE:
                assert seen is not None
                self._materialise.remove(agreed, seen, now)
            case Action.FORGET:
                state.forget(agreed.entry)
            case Action.HOLD | Action.KEEP_BOTH:
                rests_ignored(state, agreed.entry, agreed.path)
            case _:
                assert_never(action)

    def _agree_on(self, agreed: Synced, placed: Placement, seen: OnDisk) -> None:
        """Contents are equal: agree, and settle the executable bit."""
        state = self._state
        covered = (
            state.documents.state_vector(agreed.entry) if agreed.kind is Kind.TEXT else agreed.state_vector
        )
        known = seen.digest, covered, seen.fingerprint
        if (agreed.digest, agreed.state_vector, agreed.fingerprint) != known:
            saved_here = agreed.saved_here and agreed.digest == seen.digest
            agreed = agreed._replace(
                digest=seen.digest, state_vector=covered, fingerprint=seen.fingerprint, saved_here=saved_here
            )
            state.agree(agreed)
        state.give_up(agreed.entry)
        state.rebooted.discard(agreed.entry)
        if agreed.kind in (Kind.DIR, Kind.LINK):
            return
        wanted = plan_executable(agreed.executable, seen.executable, placed.executable)
        if wanted != seen.executable:
            self._materialise.set_executable(agreed, placed, seen)
        elif wanted != placed.executable:
            if self._may_ingest(agreed.path):
                self._ingest.set_executable(agreed, seen)
        elif agreed.executable != wanted:
            state.agree(agreed._replace(executable=wanted))

    def _ingest_edit(
        self, agreed: Synced, placed: Placement | None, seen: OnDisk, content: Content | None, now: float
    ) -> None:
        state = self._state
        if not self._may_ingest(agreed.path):
            self.put_off(agreed, content)
            return
        state.edited_here(agreed.path, now)
        if agreed.kind is Kind.TEXT:
            if isinstance(content, TextContent) and content.digest == seen.digest:
                if placed is not None and not self._ingest.bases.knows(agreed):
                    # An old backup of our state: nobody can tell what was edited, so both are kept.
                    state.forget(agreed.entry)
                    self._meet(placed, seen, content, now)
                    return
                update = self._ingest.edit_text(agreed, content, seen, now)
                if update and self.doubts.wrote(agreed.entry, content.digest):
                    state.found_again[agreed.entry] = update
                state.out.notice("sent", agreed.path, "edited")
                if placed is None:
                    state.replan([agreed.entry])
            else:
                state.looking.want(agreed.path)
        elif self._ingest.put_version(agreed, content, seen, now):
            state.out.notice("sent", agreed.path, "edited")

    def _create_instead(self, agreed: Synced, content: Content | None, seen: OnDisk, now: float) -> bool:
        """Make the new entry of another kind; the old one is let go of once that has begun."""
        state = self._state
        state.synced.discard(agreed.entry)
        made = self._ingest.create(agreed.path, content, seen, now)
        if made:
            state.undurable.pop(agreed.entry, None)
            state.rebooted.discard(agreed.entry)
            state.out.record(DropSynced(agreed.entry))
        else:
            state.synced.put(agreed)
        return made

    def _create(self, path: str, content: Content | None, seen: OnDisk, now: float) -> None:
        ruined = in_ruins(self._state, path, self._deletions.held)
        if not ruined and self._may_ingest(path) and self._ingest.create(path, content, seen, now):
            self._state.edited_here(path, now)
            self._state.out.notice("sent", path, "created")

    def put_off(self, agreed: Synced, content: Content | None) -> None:
        """What stands in the file of a text is not taken in yet, and may be saved over before it is."""
        if agreed.kind is Kind.TEXT and isinstance(content, TextContent):
            self._ingest.bases.put_off(agreed, content.text)

    def _may_ingest(self, path: str) -> bool:
        """Catch up first: without a live session the disk itself is the queue of edits."""
        if not self._state.may_ingest:
            self._state.deferred.add(path)
            return False
        if self._state.session.read_only:
            self._state.hold(path)
            return False
        return True
