"""The replica's engine: takes one event and the time, returns the effects to carry out, in order.

Routes events to the parts that know what they mean and lets plans run until nothing is left to decide.
Pure: no clock, disk, socket or ambient randomness; the same events give the same effects.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import assert_never

from crdtsync.core.replica import events as ev
from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.effects import Connect, Effect, Halt
from crdtsync.core.replica.flushing import Flushing
from crdtsync.core.replica.holding import Holding
from crdtsync.core.replica.housekeeping import Housekeeping
from crdtsync.core.replica.hub_side import HubSide
from crdtsync.core.replica.in_step import begin_planning, looks
from crdtsync.core.replica.ingest import Ingest
from crdtsync.core.replica.joining import JOINED_KEY, FirstJoin
from crdtsync.core.replica.live import LiveTexts
from crdtsync.core.replica.materialise import Materialise
from crdtsync.core.replica.observing import IGNORE_FILES, Observing
from crdtsync.core.replica.rechecking import recheck
from crdtsync.core.replica.reconcile import Reconcile
from crdtsync.core.replica.reconnecting import Reconnecting
from crdtsync.core.replica.records import PutMeta, Recall, Remembered
from crdtsync.core.replica.rehashing import Rehashing
from crdtsync.core.replica.session import Identity
from crdtsync.core.replica.starting import begin
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.status import Conflict, Status, conflicts_of, status_of
from crdtsync.core.replica.steps import Outcome
from crdtsync.core.replica.transfers import Transfers
from crdtsync.core.values.folding import PLAIN, Folding
from crdtsync.core.values.ids import Randomness
from crdtsync.core.values.paths import name
from crdtsync.core.wire.control import Refused

ROUNDS_MAX = 32
"""Plans lead to changes that lead to plans; honest rooms need two or three rounds."""


class ReplicaEngine:
    """One replica. ``handle`` is the only way in; everything it wants done comes back as effects."""

    def __init__(
        self,
        identity: Identity,
        remembered: Remembered,
        recall: Recall,
        rng: Randomness,
        ignored: Callable[[str], bool],
        differing: ev.Differing | None = None,
        boot: str | None = None,
        folding: Folding = PLAIN,
    ) -> None:
        """``differing``: what to do at a first join with files that differ; None asks.

        ``boot`` is another after every start of the machine: what was on disk before may be gone then.
        ``folding`` is what the disk takes for one name; every path that it tells of is ``spelled`` by it.
        """
        hub_side = HubSide(self)
        begun = begin(identity, remembered, recall, rng, ignored, boot, folding, hub_side)
        self._state = state = begun.state
        self._out = state.out
        self._session = state.session
        self._documents = state.documents
        self._deletions = Deletions()
        self._live = LiveTexts(state, remembered.meta)
        self.taken = self._live.marks.taken
        self._ingest = Ingest(state, begun.client_id, self._live)
        self._materialise = Materialise(state, self._deletions)
        self._reconcile = Reconcile(state, self._ingest, self._materialise, self._deletions, self._live)
        self._observing = Observing(state, self._ingest, self._reconcile, self._deletions)
        self._holding = Holding(state, self._deletions, self._observing)
        self._transfers = Transfers(state, remembered.meta)
        self._hub_side = hub_side
        self.rest = hub_side.rest_tree  # to be called while nothing happens
        hub_side.serve(
            state, self._ingest, self._transfers, self._live, begun.tree_rows, snapshot=state.tree.resting
        )
        self._housekeeping = Housekeeping(state, hub_side, self._live.cursors, boot)
        self._first_join = None if JOINED_KEY in remembered.meta else FirstJoin(state)
        self._differing = differing
        self._reconnecting = Reconnecting(rng, self._out)
        self._flushing = Flushing(state)
        self._rehashing = Rehashing(state)
        self.halted = False
        """Whether it has ended for good: it takes no event any more."""
        self._now = 0.0

    def start(self, now: float) -> list[Effect]:
        """The first effects: look at the folder, and connect."""
        self._now = self._state.started_s = now
        self._observing.scan()
        self._out.effect(Connect())
        return self._finish()

    def handle(self, event: ev.Event, now: float) -> list[Effect]:
        """Take one event at ``now`` (seconds since 1970, never going back); returns effects, in order."""
        self._now = self._hub_side.now = now
        if self.halted:
            return []
        self._hub_side.judging.begin()
        self._documents.recall.begin()
        for each in event.events if isinstance(event, ev.Several) else (event,):
            self._dispatch(each)
        self._tick()
        return self._finish()

    def stop(self, now: float) -> list[Effect]:
        """The last effects before a clean end. Nothing is lost without them."""
        self._now = now
        self._housekeeping.stop()
        return self._out.take()

    @property
    def deadline(self) -> float | None:
        """When a Tick is due, in the terms of ``now``; None: not before something else happens."""
        state = self._state
        due = [
            self._state.looking.deadline,
            self._deletions.deadline if state.may_ingest else None,
            self._housekeeping.deadline,
            self._reconnecting.due,
            self._rehashing.deadline,
            self._live.deadline,
            self._now if self._session.eager or self._hub_side.judging.waiting else None,
            state.deadline(self._now),
        ]
        return min((at for at in due if at is not None), default=None)

    @property
    def status(self) -> Status:
        """A snapshot for people and programs."""
        return status_of(self._state, self._deletions, halted=self.halted)

    @property
    def state(self) -> ReplicaState:
        """What it knows: to be looked at, never to be changed."""
        return self._state

    @property
    def conflicts(self) -> list[Conflict]:
        """The conflict copies that still exist."""
        return conflicts_of(self._state.view, self._state.tree.rows)

    # -- events -------------------------------------------------------------------------------------

    def _dispatch(self, event: ev.One) -> None:
        state, now = self._state, self._now
        match event:
            case ev.Hint():
                self._observing.hint(event, now)
            case ev.HintsLost():
                self._observing.scan()
            case ev.Looked():
                self._observing.looked(event, now)
            case ev.Scanned(number, scan):
                self._scanned(number, scan)
            case ev.StepsDone(outcomes):
                for step, outcome in outcomes:
                    self._step_done(step, outcome)
            case ev.DisplacedChanged(displaced):
                state.displace(displaced)
            case ev.Recovered(displaced, stood):
                for each in displaced:
                    state.displace(each)
                self._reconcile.doubts.stood.update(stood)
            case ev.MadeDurable(number):
                self._housekeeping.made_durable(number)
            case ev.RootLost(reason):
                self.halted = True
                self._out.effect(Halt(reason))
            case ev.Connected():
                self._session.connected()
            case ev.TextFrame(data):
                self._reconnecting.heed(partial(self._session.text_frame, data))
            case ev.BinaryFrame(data):
                self._reconnecting.heed(partial(self._session.binary_frame, data))
            case ev.Disconnected(reason):
                self._disconnected(reason)
            case ev.NetworkChanged():
                self._reconnecting.network_changed(now)
            case ev.Uploaded() | ev.UploadFailed() | ev.Fetched() | ev.FetchFailed():
                self._transfers.take(event, now)
            case ev.Decided(differing):
                self._decided(differing)
            case ev.FlushRequested(number, since_start):
                state.retry_at_once(now)
                self._live.write_all(now)
                self._flushing.request(number, None if since_start else self._observing.scan())
            case ev.ConfirmRequested():
                self._holding.confirm()
            case ev.RestoreRequested():
                self._holding.restore()
            case ev.FromProgram():
                self._live.take(event, now)
            case ev.Tick():
                pass
            case _:
                assert_never(event)

    def _scanned(self, number: int, scan: ev.Scan) -> None:
        if self._first_join is not None:
            if self._state.looking.scanned(number) is not None:
                self._first_join.scanned(scan)
                self._state.disk.unknown.update({**scan.unreadable, **scan.unshareable})
            return
        first = not self._observing.scanned_once
        if self._observing.scanned(number, scan, self._now) and first and self._observing.scanned_once:
            begin_planning(self._state)

    def _decided(self, differing: ev.Differing) -> None:
        if self._first_join is None:
            return
        self._reconcile.choices.choose(differing, self._first_join.compared, self._now)
        self._first_join = None
        self._out.record(PutMeta(JOINED_KEY, "1"))
        begin_planning(self._state)
        self._observing.scan()

    def _step_done(self, step: int, outcome: Outcome) -> None:
        under_way = self._state.steps.get(step)
        self._reconcile.step_done(step, outcome, self._now)
        if under_way is not None and name(under_way.step.path) in IGNORE_FILES:
            self._observing.scan()

    # -- the hub ------------------------------------------------------------------------------------

    def _disconnected(self, reason: str) -> None:
        self._session.disconnected()
        self._live.away()
        self._state.uploaded.clear()
        self._transfers.disconnected()
        self._reconnecting.lost(self._now)
        self._out.notice("offline", "", reason)

    def caught_up(self, reseed: bool) -> None:
        """Everything that the hub had is here; now the disk may be ingested."""
        state = self._state
        self._reconnecting.caught_up()
        self._out.notice("connected", "", "caught up with the hub")
        self._reconcile.reading.caught_up(self._now)
        if reseed and not self._session.read_only:
            self._transfers.reseed()
        state.retry_at_once(self._now)  # the hub may have got meanwhile what it lacked
        deferred, state.deferred = state.deferred, set()
        self._observing.read_again(deferred)
        self._deletions.restart(self._now)
        self._flushing.caught_up()

    def probed(self, number: int) -> None:
        """All that the hub had when the probe arrived is here."""
        self._flushing.probed(number, self._quiet)

    def refused(self, refused: Refused) -> None:
        """The hub will not have us."""
        self.halted = self._reconnecting.refused(refused)

    # -- planning until nothing is left -------------------------------------------------------------

    def _tick(self) -> None:
        state, now = self._state, self._now
        state.looking.tick(now)
        if self._hub_side.judging.waiting:
            self._hub_side.judge()
        self._rehashing.tick(now)
        self._live.tick(now)
        recheck(state, self._observing.scan, now)
        state.replan([entry for entry, retry in state.retries.items() if retry.due <= now])
        state.replan(state.pacing.tick(now))
        if self._reconnecting.take(now):
            self._out.effect(Connect())
        if self._first_join is not None and self._session.live and self._first_join.advance():
            self._decided(self._differing or ev.Differing.BOTH)

    def _finish(self) -> list[Effect]:
        self._rounds()
        if self._holding.judge(self._now):
            self._rounds()
        if self._state.may_ingest:
            self._holding.forget_if_none()
        self._housekeeping.tick(self._now)
        self._settle()
        self._reconnecting.heed(partial(self._session.advance, self._hub_side.judging.tired))
        self._session.flush()
        if self._flushing:
            self._flushing.advance(self._quiet)
        effects = self._out.take()
        self._documents.written()
        self._state.fetched.difference_update(self._state.taken)
        if not self._session.congested:
            effects += looks(self._state)
        return effects

    def _rounds(self) -> None:
        for _ in range(ROUNDS_MAX):
            if not self._round():
                break

    def _round(self) -> bool:
        """Plan what changed; returns whether that may have changed something again."""
        state = self._state
        self._settle()
        self._live.advance(self._now)
        if state.may_ingest:
            self._transfers.take_all_displaced(self._ingest, self._materialise, self._now)
            if not self._session.read_only:
                state.operations += state.view.repairs(state.documents.text_digest)
        if state.operations:
            self._hub_side.perform_operations()
        if not state.running or state.catching_up:
            return False
        for path in state.view.take_left():
            state.replan_path(path)
        moved = state.view.take_moved()
        state.replan(moved)
        self._live.settled(moved)
        entries, state.plan_entries = state.plan_entries, set()
        paths, state.plan_paths = state.plan_paths, set()
        for entry in sorted(entries):
            self._reconcile.entry(entry, self._now)
        for path in sorted(paths):
            self._reconcile.path(path, self._now)
        return bool(state.plan_entries or state.plan_paths or state.operations)

    def _settle(self) -> None:
        """Documents that changed get their heads; the view and the plan learn of them."""
        changed = self._documents.settle()
        if changed:
            self._state.view.refresh(changed)
            self._state.replan(changed)
            self._live.settled(changed)

    @property
    def _quiet(self) -> bool:
        """Nothing left to ingest, to send, to receive or to materialise, but for what needs a person."""
        state = self._state
        waits = state.steps or self._hub_side.judging.waiting
        return not waits and state.looking.idle and self.status.settled
