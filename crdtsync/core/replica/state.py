"""What a replica knows, shared by the parts of its engine; small helpers that keep it consistent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import field
from itertools import islice

from crdtsync.core.replica.documents import Documents
from crdtsync.core.replica.effects import Upload
from crdtsync.core.replica.looking import Looking
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.own_files import OwnFiles
from crdtsync.core.replica.pacing import Pacing
from crdtsync.core.replica.records import DropSynced, PutSynced, Synced
from crdtsync.core.replica.session import HubSession, Phase
from crdtsync.core.replica.steps import Displaced, Step, WriteFile, paths_of
from crdtsync.core.replica.trees import DiskTree, SyncedTree
from crdtsync.core.replica.unaccepted import UnacceptedEdits
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.local_view import LocalView
from crdtsync.core.tree.rows import DropVersions, Operation, SetGone
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Kind, Manifest, TextContent
from crdtsync.core.values.ids import EntryId, Randomness, printable
from crdtsync.core.values.late import dataclass
from crdtsync.core.values.paths import is_below, parents

RETRY_FIRST_S = 0.25
RETRY_MAX_S = 60.0
HELD = "held"
"""The kind of what is not sent until a person, or who runs the hub, decides otherwise."""
RACES_MAX = 8
"""After so many in a row, what a look finds is no longer acted upon at once: nobody saves that often."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Something a person should know of a path. ``kind`` is one word."""

    path: str
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A disk step that was asked for. ``agreed``: what disk and room agree on once it is done."""

    step: Step
    entry: EntryId | None
    agreed: Synced | None = None


@dataclass(slots=True)
class Retry:
    """``path`` is the one that a person was told of. ``races``: how often a step found something else."""

    path: str
    due: float
    delay_s: float
    races: int = 0


@dataclass(slots=True)
class ReplicaState:
    """Everything but time. Only the loop's thread touches it."""

    name: str
    rng: Randomness
    ignored: Callable[[str], bool]
    out: Outbox
    tree: TreeDocument
    view: LocalView
    documents: Documents
    disk: DiskTree
    synced: SyncedTree
    looking: Looking
    session: HubSession
    unaccepted: UnacceptedEdits

    started_s: float = float("-inf")
    """When this engine began, which knows nothing of who saved what before."""
    running: bool = False
    """The first comparison of disk and room is done: plans are carried out."""
    saved_by_program: Callable[[EntryId], bool] = lambda entry: False
    """Whether an editor has the text open, and may save it a little before we hear what it typed."""
    brought: set[str] = field(default_factory=set)
    """Paths, of those just looked at, with a file that stood elsewhere before: no editor's save."""
    operations: list[Operation] = field(default_factory=list)
    """Changes of the tree that this event led to, made in one transaction at its end."""
    leaving: set[EntryId] = field(default_factory=set)
    """Entries that those take out of the room, as far as they were seen."""
    plan_entries: set[EntryId] = field(default_factory=set)
    plan_paths: set[str] = field(default_factory=set)
    """What is to be planned again before this event is done."""
    deferred: set[str] = field(default_factory=set)
    """Paths whose disk changes wait for the hub: catch up first, then ingest."""
    held: dict[str, None] = field(default_factory=dict)
    """Paths changed on this disk of which nothing is sent, since this replica may only read."""
    held_told: bool = False
    """Whether the person was told that something is; once is enough."""
    steps: dict[int, UnderWay] = field(default_factory=dict)
    stepping: dict[str, int] = field(default_factory=dict)
    """The paths of the steps under way, with how many each."""
    postponed: set[str] = field(default_factory=set)
    """Paths looked at while a step on them was under way: the answer may be of before it, or after."""
    half_seen: Set[str] = frozenset()
    """Paths with a file that stood elsewhere before; what stands there now is being looked at."""
    moving: dict[str, set[str]] = field(default_factory=dict)
    """Where files turned up of which the former path has a step under way, by that path."""
    folders_instead: set[str] = field(default_factory=set)
    """Where a folder was seen in the place of a file: it is looked at again once that is known to be gone."""
    busy: set[EntryId] = field(default_factory=set)
    retries: dict[EntryId, Retry] = field(default_factory=dict)
    attention: dict[str, Attention] = field(default_factory=dict)
    undurable: dict[EntryId, Synced | None] = field(default_factory=dict)
    """Entries whose agreement a power cut may undo, with the last durable one."""
    intended: dict[EntryId, Synced] = field(default_factory=dict)
    """What is agreed once the step under way is done."""
    rebooted: set[EntryId] = field(default_factory=set)
    """Files that were not read since the machine started anew: a power cut may have torn or emptied them."""
    guessed: set[EntryId] = field(default_factory=set)
    """Texts that were edited after a crash: what their next save was made from is not known for sure."""
    found_again: dict[EntryId, bytes] = field(default_factory=dict)
    """What others had made of a text and only its file had left, as the update that it is now: whoever
    brings that themselves was first."""
    unsure: dict[EntryId, tuple[Synced, ...]] = field(default_factory=dict)
    """After a crash: the agreements that may hold, the oldest first; the disk tells which one does."""
    unborn: set[EntryId] = field(default_factory=set)
    """Of those, the ones of which nothing was safe on disk before a power cut, not even the name."""
    unsure_at: dict[str, set[EntryId]] = field(default_factory=dict)
    """The paths of those."""
    displaced: dict[str, Displaced] = field(default_factory=dict)
    displaced_read: list[str] = field(default_factory=list)
    """Tokens of those that were taken in: dropped once no power cut can take back what came of that."""
    displaced_torn: set[str] = field(default_factory=set)
    """Tokens of files that a power cut may have torn."""
    uploading: dict[Digest, set[str]] = field(default_factory=dict)
    """Blobs on their way to the hub, with the paths that wait for them."""
    uploaded: dict[Digest, Digest | None] = field(default_factory=dict)
    """Blobs that the hub has, during this session, with their index."""
    fetching: dict[Digest, set[EntryId]] = field(default_factory=dict)
    missing: set[Digest] = field(default_factory=set)
    """Of those, the ones that the hub did not have: the others are asked for them."""
    fetched: set[Digest] = field(default_factory=set)
    """Blobs that stand in staging."""
    taken: dict[Digest, set[EntryId]] = field(default_factory=dict)
    """Blobs that a step is taking out of staging, with the entries that want them next."""
    reseeding: set[str] = field(default_factory=set)
    """Blobs to offer to the hub again, once they have been read."""
    asked: set[Digest] = field(default_factory=set)
    """Blobs that others wait for, and that stand here: the hub has yet to get them again."""
    own_files: OwnFiles = field(default_factory=OwnFiles)
    edited_at: dict[str, float] = field(default_factory=dict)
    """When the person here last saved a path."""
    trashed_at: dict[EntryId, float] = field(default_factory=dict)
    pacing: Pacing = field(default_factory=Pacing)
    rechecks: dict[str, float] = field(default_factory=dict)
    """Paths to look at again, and when: they could not be read, or not be sent."""
    next_step: int = 0
    step_chars: int = 0
    """Of the texts that steps are writing."""
    waiting: dict[EntryId, None] = field(default_factory=dict)
    """Texts that are to be written once fewer steps are under way, in order."""

    @property
    def catching_up(self) -> bool:
        """Whether half of what the hub has is here: no state that any replica was ever in."""
        return self.session.phase is Phase.CATCHING_UP

    @property
    def may_ingest(self) -> bool:
        return self.running and self.session.live

    def agree(self, agreed: Synced) -> None:
        """Disk and room agree now; remembered as agreed only once a power cut cannot undo it."""
        entry = agreed.entry
        self.sure(entry)
        if entry not in self.undurable:
            self.undurable[entry] = self.synced.get(entry)
        old = self.synced.get(entry)
        self.synced.put(agreed)
        self.view.stands(agreed.path)
        if old is not None and old.path != agreed.path:
            self._freed(old)
            if old.path in self.reseeding or agreed.digest in self.asked:
                self.reseeding.add(agreed.path)  # another may come to the old path, and be offered there
                self.looking.want(agreed.path)
        self.remember(entry)

    def intend(self, agreed: Synced) -> None:
        """A step will make disk and room agree; if we are killed in between, the disk tells if it did."""
        self.intended[agreed.entry] = agreed
        self.remember(agreed.entry)
        if agreed.kind is Kind.TEXT and agreed.digest is not None:
            self.documents.intended[agreed.entry] = agreed.digest

    def remember(self, entry: EntryId) -> None:
        """Write down what is agreed, with what it was before if a power cut may bring that back."""
        agreed = self.synced.get(entry)
        durable = self.undurable.get(entry, agreed)
        rows = [durable, agreed if agreed is not durable else None, self.intended.get(entry)]
        later: Synced | None = None
        for row in reversed(rows):
            later = later if row is None else row.then(later)
        if later is not None and durable is None:
            later = later._replace(digest=None, fingerprint=None, provisional=later)
        self.out.record(DropSynced(entry) if later is None else PutSynced(later))

    def doubt(self, agreements: tuple[Synced, ...]) -> None:
        """After a crash: any of these may be what the disk holds."""
        for agreed in agreements:
            self.unsure[agreed.entry] = agreements
            self.unsure_at.setdefault(agreed.path, set()).add(agreed.entry)

    def sure(self, entry: EntryId) -> None:
        """It is known again what is agreed of the entry."""
        self.unborn.discard(entry)
        for agreed in self.unsure.pop(entry, ()):
            self.unsure_at.get(agreed.path, set()).discard(entry)
            self.plan_paths.add(agreed.path)
            if (heir := self.view.at(agreed.path)) is not None:
                self.plan_entries.add(heir)

    def forget(self, entry: EntryId) -> None:
        """Nothing is agreed of the entry any more."""
        doubtful = entry in self.unsure
        self.sure(entry)
        self.rebooted.discard(entry)
        self.guessed.discard(entry)
        self.found_again.pop(entry, None)
        self.undurable.pop(entry, None)
        old = self.synced.discard(entry)
        if old is not None or doubtful:
            self.out.record(DropSynced(entry))
        if old is not None:
            self._freed(old)

    def _freed(self, old: Synced) -> None:
        """The entry stands there no more: whoever waits for the place can have it."""
        path = old.path
        self.documents.left(old)
        if path in self.folders_instead:
            self.folders_instead.discard(path)
            self.looking.want(path)
        self.plan_paths.update(parents(path), self.disk.below(path))
        waiting = [heir for heir in self.view.claimants(path) if heir != old.entry]
        if old.kind is not Kind.DIR and self.view.holds_below(path):
            # A file stood where a folder is needed.
            waiting += [entry for entry, at in self.view.placements.items() if is_below(at.path, path)]
        self.plan_entries.update(waiting)
        for entry in waiting:
            self.give_up(entry)  # what it met before is no reason to wait any longer

    def displace(self, displaced: Displaced) -> None:
        """A file that was taken from its path has something that is to be taken in."""
        self.displaced[displaced.token] = displaced
        if displaced.entry in self.rebooted:
            self.displaced_torn.add(displaced.token)

    def edited_here(self, path: str, now: float) -> None:
        """The person here saved this; the last few such paths are shown to others."""
        self.edited_at.pop(path, None)
        self.edited_at[path] = now
        if len(self.edited_at) > limits.PRESENCE_PATHS_MAX:
            del self.edited_at[next(iter(self.edited_at))]

    def upload(self, path: str, manifest: Manifest) -> None:
        """Bring a blob to the hub, once for all paths that hold it."""
        waiting = self.uploading.get(manifest.digest)
        if waiting is None:
            self.uploading[manifest.digest] = {path}
            self.out.effect(Upload(path, manifest))
        else:
            waiting.add(path)

    def operate(self, *operations: Operation) -> None:
        self.operations += operations
        self.leaving.update(each.entry for each in operations if isinstance(each, DropVersions | SetGone))

    def take_step_number(self) -> int:
        self.next_step += 1
        return self.next_step

    def begin(self, step: Step, entry: EntryId | None, agreed: Synced | None = None) -> None:
        """Ask for a disk step; the entry is left alone until it is done."""
        self.steps[step.step] = UnderWay(step, entry, agreed)
        if entry is not None:
            self.busy.add(entry)
        for path in paths_of(step):
            self.stepping[path] = self.stepping.get(path, 0) + 1
        if isinstance(step, WriteFile) and isinstance(step.content, TextContent):
            self.step_chars += len(step.content.text)
        self.out.step(step)

    @property
    def many_steps(self) -> bool:
        """Whether no further text should be taken from the store to be written."""
        return (
            len(self.steps) >= limits.STEPS_UNDER_WAY_MAX
            or self.step_chars >= limits.STEPS_UNDER_WAY_MAX_BYTES
        )

    def end(self, step: Step) -> None:
        """Its outcome is known: its paths can be looked at again."""
        if isinstance(step, WriteFile) and isinstance(step.content, TextContent):
            self.step_chars -= len(step.content.text)
        if self.waiting and 4 * len(self.steps) <= 3 * limits.STEPS_UNDER_WAY_MAX and not self.many_steps:
            some = list(islice(self.waiting, limits.STEPS_UNDER_WAY_MAX - len(self.steps)))
            for entry in some:
                del self.waiting[entry]
            self.plan_entries.update(some)
        for path in paths_of(step):
            self.stepping[path] -= 1
            if not self.stepping[path]:
                del self.stepping[path]
                self.looking.step_over(path)
                if path in self.postponed:
                    self.postponed.discard(path)
                    self.looking.want(path)
                for moved_to in self.moving.pop(path, ()):
                    self.looking.want(path)
                    self.looking.want(moved_to)

    def replan(self, entries: Iterable[EntryId]) -> None:
        self.plan_entries.update(entries)

    def replan_path(self, path: str) -> None:
        """Plan whatever is concerned by what is on disk at ``path``."""
        entry = self.synced.at(path) or self.view.at(path)
        if entry is not None:
            self.plan_entries.add(entry)
        if self.synced.at(path) is None:
            self.plan_paths.add(path)

    def retry_later(self, entry: EntryId, path: str, now: float, at_least_s: float = RETRY_FIRST_S) -> Retry:
        """Leave the entry alone for a while, longer each time."""
        old = self.retries.get(entry)
        delay_s = at_least_s if old is None else min(max(old.delay_s * 2, at_least_s), RETRY_MAX_S)
        retry = Retry(path, now + delay_s, delay_s, 0 if old is None else old.races)
        self.retries[entry] = retry
        return retry

    def raced(self, entry: EntryId, told_at: str, path: str, now: float) -> None:
        """A step found something else at ``path``: a save, which a look takes in, or what stays there."""
        retry = self.retry_later(entry, told_at, now)
        retry.races += 1
        if retry.races > RACES_MAX:
            reason = f"what stands at {printable(path)} is in the way and is not shared: move it elsewhere"
            self.tell(told_at, "failed", reason)

    def deadline(self, now: float) -> float | None:
        """When something that was put off is due."""
        retries = min((retry.due for retry in self.retries.values() if retry.due > now), default=None)
        times = (retries, min(self.rechecks.values(), default=None), self.pacing.deadline)
        return min((due for due in times if due is not None), default=None)

    def retry_at_once(self, now: float) -> None:
        """What was put off may go well now: do not wait for its time."""
        for retry in self.retries.values():
            retry.due = now
        self.plan_entries.update(self.retries)

    def give_up(self, entry: EntryId) -> None:
        """There is nothing left to try, or it has worked: nobody needs to know any more."""
        if (retry := self.retries.pop(entry, None)) is not None:
            self.attention.pop(retry.path, None)

    def tell(self, path: str, kind: str, message: str) -> None:
        """Put something before a person, once."""
        attention = Attention(path, kind, message)
        if self.attention.get(path) != attention:
            self.attention[path] = attention
            self.out.notice(kind, path, message)

    def hold(self, path: str) -> None:
        """What was changed at the path stays on this disk."""
        if not self.held_told:
            self.held_told = True
            self.out.notice(HELD, "", "what is changed in this folder stays here: it may only read the room")
        self.held[path] = None

    def is_text(self, path: str) -> bool:
        """Whether a text was agreed on at the path."""
        agreed = self.agreed_at(path)
        return agreed is not None and agreed.kind is Kind.TEXT

    def agreed_at(self, path: str) -> Synced | None:
        """What disk and room last agreed on to be at the path."""
        entry = self.synced.at(path)
        return None if entry is None else self.synced.get(entry)

    def room_digest(self, entry: EntryId) -> Digest | None:
        """The content that the room gives the entry; None for a folder or an entry that is not alive."""
        placed = self.view.get(entry)
        if placed is None or placed.kind is Kind.DIR:
            return None
        if placed.kind is Kind.TEXT:
            return self.documents.text_digest(entry)
        return None if placed.version is None else placed.version.digest
