"""Room → disk: asks for the disk steps that bring a folder to what the room says, and takes their outcomes.

Every step names what it expects to find; whatever else it finds is left alone or kept, and looked at again.
"""

from __future__ import annotations

from typing import assert_never

from crdtsync.core.replica.chains import chain_of, occupant_of
from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.effects import CancelTransfer, Fetch
from crdtsync.core.replica.links import leads_astray
from crdtsync.core.replica.outcomes import Outcomes
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.sparing import is_spared
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.steps import (
    Done,
    Failed,
    KeepCopy,
    MakeFolder,
    MoveFile,
    Outcome,
    Raced,
    RemoveFile,
    RemoveFolder,
    SetExecutable,
    SwapFiles,
    WriteFile,
)
from crdtsync.core.replica.trashing import reason_for_trash
from crdtsync.core.replica.trees import OnDisk, expected_of
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import (
    BlobContent,
    Content,
    Kind,
    LinkContent,
    Manifest,
    TextContent,
)
from crdtsync.core.values.ids import EntryId, new_entry_id
from crdtsync.core.values.paths import conflict_path, is_below, link_leads_out, parents


class Materialise:
    def __init__(self, state: ReplicaState, deletions: Deletions) -> None:
        self._state = state
        self._deletions = deletions
        self._outcomes = Outcomes(state)
        self._beside: dict[int, EntryId] = {}
        """By the steps that swap two files, whose the other one is: it is left alone, too."""

    # -- asking ---------------------------------------------------------------------------------------

    def write(
        self,
        placed: Placement,
        agreed: Synced | None,
        seen: OnDisk | None,
        now: float,
        trash: str | None = None,
        both: TextContent | None = None,
    ) -> None:
        """Bring the entry's content to disk; ``seen`` is what stands at its path now, to be replaced.

        ``both``: the entry's text with an edit on top that stays on this disk, to be written in its place.
        """
        state = self._state
        entry = placed.entry
        path = placed.path if agreed is None else agreed.path
        if placed.kind is Kind.DIR:
            step = state.take_step_number()
            state.begin(MakeFolder(step, path), entry, self._agreement(placed, path, None, b""))
            return
        if both is None and self.puts_off(placed):
            return
        state.waiting.pop(entry, None)
        content = both or self._content(placed, agreed, path)
        if content is None or (seen is not None and is_spared(state, entry, path, seen, now)):
            return
        covered = state.documents.state_vector(entry) if placed.kind is Kind.TEXT else b""
        expected = expected_of(seen)
        if expected is not None and trash is None:
            trash = reason_for_trash(state, entry, agreed, content, now)
        if isinstance(content, BlobContent):
            state.taken.setdefault(content.digest, set())
        agreement = self._agreement(
            placed, path, content.digest if both is None else state.room_digest(entry), covered
        )
        state.intend(agreement)
        state.begin(
            WriteFile(
                step=state.take_step_number(),
                entry=entry,
                path=path,
                content=content,
                executable=placed.executable,
                expected=expected,
                trash=trash,
            ),
            entry,
            agreement,
        )

    def puts_off(self, placed: Placement) -> bool:
        """Whether a text has to wait, since many steps are under way; it is planned again then."""
        state = self._state
        if placed.kind is not Kind.TEXT or not state.many_steps:
            return False
        state.waiting[placed.entry] = None
        return True

    def remove(self, agreed: Synced, seen: OnDisk, now: float) -> None:
        """Take the file away, into the trash, since the room does not have it any more."""
        state = self._state
        expected = expected_of(seen)
        if agreed.kind is Kind.DIR or expected is None:
            self._prune([agreed.path, *parents(agreed.path)], entry=agreed.entry)
            if agreed.entry not in state.busy:
                state.forget(agreed.entry)
                if state.synced.at(agreed.path) is None:  # else two had made it at once
                    state.disk.discard(agreed.path)
                state.replan([agreed.entry])
            return
        if is_spared(state, agreed.entry, agreed.path, seen, now):
            return
        step = RemoveFile(state.take_step_number(), agreed.entry, agreed.path, expected, "deleted by others")
        state.begin(step, agreed.entry)
        self._prune(parents(agreed.path), leaving=agreed.path)

    def move(self, agreed: Synced, placed: Placement, seen: OnDisk, now: float) -> None:
        """Rename the file as the room says; first whoever stands in its way, together if in a cycle."""
        state = self._state
        expected = expected_of(seen)
        if agreed.kind is Kind.DIR or expected is None:
            self.remove(agreed, seen, now)  # and is made anew there
            return
        key = state.view.folding.path_key
        source, target = key(agreed.path), key(placed.path)
        if is_below(target, source) or is_below(source, target):
            # A folder has to be where it stands, or has to go that it stands in: it goes aside first.
            outer = agreed.path if is_below(target, source) else placed.path
            aside = conflict_path(outer, state.name, new_entry_id(state.rng))  # that nobody has
            step = MoveFile(state.take_step_number(), agreed.entry, agreed.path, aside, expected)
            state.begin(step, agreed.entry, agreed._replace(path=aside))
            self._prune(parents(agreed.path), leaving=agreed.path)
            return
        if leads_astray(state, agreed, placed.path):
            self.remove(agreed, seen, now)  # and is made anew there, if it may be
            return
        if self._in_the_way(agreed, placed, now):
            return
        blocking = state.disk.get(placed.path)
        if blocking is not None and blocking.kind is Kind.DIR:
            self.clear(placed.path)
        step = MoveFile(state.take_step_number(), agreed.entry, agreed.path, placed.path, expected)
        state.begin(step, agreed.entry, agreed._replace(path=placed.path))
        self._prune(parents(agreed.path), leaving=agreed.path)

    def set_aside(self, entry: EntryId, path: str, aside: str, seen: OnDisk) -> None:
        """Rename a file that stands where ``entry`` belongs, or in a folder there."""
        expected = expected_of(seen)
        assert expected is not None
        step = MoveFile(self._state.take_step_number(), entry, path, aside, expected)
        self._state.begin(step, entry)
        self._prune(parents(path), leaving=path)

    def set_executable(self, agreed: Synced, placed: Placement, seen: OnDisk) -> None:
        state = self._state
        expected = expected_of(seen)
        assert expected is not None
        step = SetExecutable(state.take_step_number(), agreed.path, placed.executable, expected)
        state.begin(step, agreed.entry, agreed._replace(executable=placed.executable))

    def keep_copy(self, token: str, path: str) -> None:
        """Give a displaced file a name of its own in the folder."""
        self._state.begin(KeepCopy(self._state.take_step_number(), token, path), None)

    def _in_the_way(self, agreed: Synced, placed: Placement, now: float) -> bool:
        """Whether another entry stands at the target; follows a chain of renames to see if it is a cycle."""
        state = self._state
        occupant = occupant_of(state, placed.path, agreed.entry)
        if occupant is None or occupant.entry in self._deletions.held:
            return False
        inside = is_below(occupant.path, placed.path)
        if occupant.entry in state.unsure:
            return not inside  # it may stand elsewhere; this is planned again once that is known
        chain, last = chain_of(state, agreed, occupant)
        astray = leads_astray(state, occupant, agreed.path)
        if last == agreed.entry and not chain & state.busy and not astray:
            if state.looking.is_open(agreed.path) or state.looking.is_open(occupant.path):
                return True  # one of them may be there already; the look plans it again
            step = SwapFiles(state.take_step_number(), agreed.path, occupant.path)
            state.busy.add(occupant.entry)
            self._beside[step.step] = occupant.entry
            state.begin(step, agreed.entry, agreed._replace(path=occupant.path))
            return True
        if inside or self._leaves(occupant.path):
            return False  # a folder goes as soon as nothing is in it
        state.replan([occupant.entry])
        state.retry_later(agreed.entry, agreed.path, now)
        return True

    def _agreement(self, placed: Placement, path: str, digest: Digest | None, covered: bytes) -> Synced:
        return Synced(placed.entry, path, placed.kind, digest, placed.executable, covered, None)

    def _content(self, placed: Placement, agreed: Synced | None, path: str) -> Content | None:
        """What to write; None if it must be fetched first, or may not be written."""
        state = self._state
        if placed.kind is Kind.TEXT:
            text = state.documents.text(placed.entry)
            return TextContent(text, state.documents.text_digest(placed.entry))
        version = placed.version
        assert version is not None
        if placed.kind is Kind.LINK:
            assert version.target is not None
            if link_leads_out(path, version.target):
                state.tell(path, "link", "a link that would lead out of the folder: not made here")
                return None
            return LinkContent(version.target, version.digest)
        if version.digest not in state.fetched:
            if version.digest in state.taken:
                state.taken[version.digest].add(placed.entry)
                return None
            wanting = state.fetching.get(version.digest)
            if wanting is None:
                self._stop_fetching(placed.entry)
                same = state.synced.with_digest(version.digest)
                near = tuple(dict.fromkeys([path, *([] if same is None else [same.path])]))
                state.fetching[version.digest] = {placed.entry}
                state.out.effect(Fetch(version.digest, version.size_bytes, version.index, near))
            else:
                wanting.add(placed.entry)
            return None
        return BlobContent(Manifest(version.digest, version.size_bytes, ()))

    def _stop_fetching(self, entry: EntryId) -> None:
        """The entry wants another content now; what nobody wants any more need not arrive."""
        state = self._state
        for digest in [digest for digest, wanting in state.fetching.items() if entry in wanting]:
            state.fetching[digest].discard(entry)
            if not state.fetching[digest]:
                del state.fetching[digest]
                state.out.effect(CancelTransfer(digest))

    def _prune(self, folders: list[str], leaving: str | None = None, entry: EntryId | None = None) -> None:
        """Remove the folders that neither room nor disk need any more, innermost first.

        ``entry`` is the first of them, which stays agreed until it is gone: who is killed before that, or
        whose disk fails just then, would take the folder for a new one.
        """
        state = self._state
        for folder in folders:
            if state.view.needs(folder):
                return
            if any(path != leaving and self._stays(path) for path in state.disk.below(folder)):
                return
            exact = bool(state.view.folding) and state.view.may_need(folder)
            self.clear(folder, exact=exact, entry=entry)
            entry = None

    def clear(self, folder: str, *, exact: bool = False, entry: EntryId | None = None) -> None:
        """Remove a folder that has nothing in it; if it turns out to have, it stays."""
        self._state.begin(RemoveFolder(self._state.take_step_number(), folder, exact), entry)

    def _stays(self, path: str) -> bool:
        """Whether the folder above is needed for what was seen there. An empty folder that is no entry may
        have been filled and removed since; if not, the one above turns out not to be empty."""
        seen = self._state.disk.get(path)
        passing = seen is not None and seen.kind is Kind.DIR and self._state.synced.at(path) is None
        return not passing and not self._leaves(path)

    def _leaves(self, path: str) -> bool:
        """Whether a step that takes the file at ``path`` away is under way."""
        entry = self._state.synced.at(path)
        return entry is not None and any(
            isinstance(under_way.step, RemoveFile | MoveFile | RemoveFolder) and under_way.entry == entry
            for under_way in self._state.steps.values()
        )

    # -- outcomes -------------------------------------------------------------------------------------

    def done(self, number: int, outcome: Outcome, now: float) -> None:
        """Take the outcome of a step into the trees."""
        state = self._state
        under_way = state.steps.pop(number, None)
        if under_way is None:
            return
        state.end(under_way.step)
        entry = under_way.entry
        if (beside := self._beside.pop(number, None)) is not None:
            state.busy.discard(beside)
            state.replan([beside])
        if entry is not None:
            state.busy.discard(entry)
            # A step that failed may have failed late.
            state.documents.intention_ended(entry, stood=not isinstance(outcome, Raced))
            if state.intended.pop(entry, None) is not None and isinstance(outcome, Raced):
                state.remember(entry)  # nothing was changed: the next start need not doubt it
            state.replan([entry])
        if isinstance(under_way.step, WriteFile) and isinstance(under_way.step.content, BlobContent):
            state.replan(state.taken.pop(under_way.step.content.digest, ()))
        match outcome:
            case Done(fingerprint, displaced):
                self._outcomes.succeeded(under_way, fingerprint, now)
                if entry is not None:
                    state.give_up(entry)
                if displaced is not None:
                    state.displaced[displaced.token] = displaced
            case Raced(path, _):
                if isinstance(under_way.step, SwapFiles):
                    state.looking.want(under_way.step.other)
                state.looking.want(path)
                state.looking.want(under_way.step.path)
                if entry is not None:
                    state.raced(entry, under_way.step.path, path, now)
            case Failed(cause, message):
                self._outcomes.failed(under_way, cause, message, now)
            case _:
                assert_never(outcome)
