"""What a replica that may only read does with what changed on its disk: it stays there, and is never sent.

It follows the room all the same. Where both changed a text, ours is put on top of theirs, in the file only;
where that cannot be, ours steps aside under the name of a conflict copy, known to this disk only.
"""

from __future__ import annotations

from crdtsync.core.replica.bases import Bases
from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.materialise import Materialise
from crdtsync.core.replica.passed import vector_of
from crdtsync.core.replica.planner import Action
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.trees import OnDisk
from crdtsync.core.text.diff import apply_edits
from crdtsync.core.text.rebase import rebase
from crdtsync.core.text.statevector import EMPTY_STATE_VECTOR
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.digests import digest_of_text
from crdtsync.core.values.files import Content, Kind, TextContent
from crdtsync.core.values.ids import EntryId, new_entry_id
from crdtsync.core.values.paths import conflict_path, name, parents


class Reading:
    def __init__(
        self, state: ReplicaState, bases: Bases, materialise: Materialise, deletions: Deletions
    ) -> None:
        self._state = state
        self._bases = bases
        self._materialise = materialise
        self._deletions = deletions

    def carry_out(
        self,
        action: Action,
        agreed: Synced,
        placed: Placement | None,
        seen: OnDisk | None,
        content: Content | None,
        now: float,
    ) -> bool:
        """Do instead what sends nothing; False for an action that sends nothing anyway."""
        state = self._state
        match action:
            case Action.DELETE_THERE | Action.REPLACE if placed is not None and placed.path != agreed.path:
                # Others renamed it: it comes to its new place, and holds this one no longer.
                self._deletions.discard(agreed.entry)
                state.forget(agreed.entry)
                state.replan([agreed.entry])
                state.replan_path(agreed.path)
            case Action.DELETE_THERE:
                state.give_up(agreed.entry)
                state.hold(agreed.path)
            case Action.INGEST | Action.REPLACE | Action.CREATE if placed is None:
                # Gone in the room, changed here: what stands here is only here from now on.
                state.forget(agreed.entry)
                state.replan_path(agreed.path)
            case Action.INGEST | Action.REPLACE:
                assert placed is not None and seen is not None
                is_text = action is Action.INGEST and agreed.kind is Kind.TEXT
                torn = is_text and agreed.entry in state.rebooted
                if state.room_digest(agreed.entry) == agreed.digest and not torn:
                    state.rebooted.discard(agreed.entry)
                    state.give_up(agreed.entry)
                    state.hold(agreed.path)
                elif action is Action.REPLACE or not self._put_on_top(agreed, placed, seen, content, now):
                    state.forget(agreed.entry)
                    self.step_aside(placed, agreed.path, seen)
            case _:
                return False
        return True

    def knows_again(self, placed: Placement, seen: OnDisk) -> bool:
        """Whether what stands in a text's place is its file, though nothing is agreed on: it holds what that
        text was once. A power cut took the note of it, or the state is an older one."""
        state, entry, digest = self._state, placed.entry, seen.digest
        if digest is None or seen.kind is not Kind.TEXT or placed.kind is not Kind.TEXT:
            return False
        vector = vector_of(state.documents.log(entry), digest)
        if vector == EMPTY_STATE_VECTOR:
            return False
        state.agree(Synced(entry, placed.path, seen.kind, digest, seen.executable, vector, seen.fingerprint))
        state.replan([entry])
        return True

    def step_aside(self, placed: Placement, path: str, seen: OnDisk) -> None:
        """Rename the file in the place of the room's entry; that is written once the place is free."""
        aside = self._aside(path, new_entry_id(self._state.rng))
        self._materialise.set_aside(placed.entry, path, aside, seen)

    def _aside(self, path: str, identity: EntryId) -> str:
        return conflict_path(path, self._state.name, identity)

    def makes_room(self, placed: Placement) -> bool:
        """Whether a file that is only here stands in the entry's place, above or below, and steps aside."""
        state = self._state
        if not (state.may_ingest and state.session.read_only):
            return False
        for path in (placed.path, *parents(placed.path)):
            for each in self._spellings(placed.entry, path):
                seen = self._only_here(each)
                if seen is not None:
                    self.step_aside(placed, each, seen)
                    return True
        return placed.kind is not Kind.DIR and any(
            self._empties(placed, folder) for folder in self._spellings(placed.entry, placed.path)
        )

    def _spellings(self, entry: EntryId, path: str) -> list[str]:
        """The path, and what else this disk may take for it if the entry could not be written there."""
        state, key = self._state, self._state.view.folding.key
        if not state.view.folding or entry not in state.retries:
            return [path]
        found = [""]
        for part in path.split("/"):
            beside = [each for folder in found for each in state.disk.within(folder)]
            found = [each for each in beside if key(name(each)) == key(part)]
        return found

    def _only_here(self, path: str) -> OnDisk | None:
        """The file at a path, if it is none of the room, or took the place of something of another kind."""
        seen, agreed = self._state.disk.get(path), self._state.agreed_at(path)
        if seen is None or seen.kind is Kind.DIR:
            return None
        return seen if agreed is None or agreed.kind is not seen.kind else None

    def _empties(self, placed: Placement, folder: str) -> bool:
        """Whether a file that is only here stands in that folder, and goes aside with it; else that goes."""
        disk, below = self._state.disk, self._state.disk.below(folder)
        for path in below:
            if (seen := self._only_here(path)) is not None:
                aside = self._aside(folder, placed.entry) + path.removeprefix(folder)
                if aside in disk:  # as another one went before
                    aside = self._aside(path, new_entry_id(self._state.rng))
                self._materialise.set_aside(placed.entry, path, aside, seen)
                return True
        spelled_otherwise = folder != placed.path and disk.get(folder) is not None
        if (below or spelled_otherwise) and not any(map(self._state.synced.at, (folder, *below))):
            for path in [*reversed(below), folder]:
                self._materialise.clear(path)
        return False

    def caught_up(self, now: float) -> None:
        """If it may write again, what was held is an edit like others, and deletions are judged together."""
        state = self._state
        if state.session.read_only or not state.held:
            return
        held, state.held = state.held, {}
        for entry in list(self._deletions.passed):
            self._deletions.discard(entry)
            self._deletions.add(entry, now)
        for path in held:
            state.looking.want(path)

    def _put_on_top(
        self, agreed: Synced, placed: Placement, seen: OnDisk, content: Content | None, now: float
    ) -> bool:
        """Bring the room's changes of a text into the file, under ours. False if there is no way to."""
        state, documents = self._state, self._state.documents
        if agreed.kind is not Kind.TEXT or agreed.digest is None:
            return False
        base = documents.version(agreed.entry, agreed.digest)
        if base is None:
            return False
        state.hold(agreed.path)
        if not isinstance(content, TextContent) or content.digest != seen.digest:
            state.looking.want(agreed.path)
            return True
        theirs, mine = documents.text(agreed.entry), content.text
        if agreed.entry in state.rebooted:
            mine = self._bases.whole(agreed.entry, base, mine)  # what a power cut tore off stays
            state.rebooted.discard(agreed.entry)
        merged = apply_edits(theirs, rebase(base, mine, theirs))
        if merged == content.text and theirs == base:
            state.give_up(agreed.entry)
            return True
        documents.keep_version(agreed.entry, theirs, now)
        both = TextContent(merged, digest_of_text(merged))
        self._materialise.write(placed, agreed, seen, now, both=both)
        return True
