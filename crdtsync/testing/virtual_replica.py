"""One replica as a process on a virtual machine: the real engine between a virtual disk, network and store.

It can be stopped, killed between any two effects, lose power (what was not durable reverts) or its state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import assert_never

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.engine import ReplicaEngine
from crdtsync.core.replica.session import Identity
from crdtsync.core.replica.steps import Outcome, Step, WriteFile
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import BlobContent
from crdtsync.core.values.reserved import reserved_path
from crdtsync.testing.clock import Clock, Timer, Trace
from crdtsync.testing.describing import described, short
from crdtsync.testing.folding import FoldingDisk, FoldingWriter
from crdtsync.testing.memory_store import MemoryReplicaStore
from crdtsync.testing.virtual_disk import Inode, VirtualDisk
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_looker import VirtualLooker
from crdtsync.testing.virtual_network import VirtualLink
from crdtsync.testing.virtual_writer import VirtualWriter

POLL_S = 0.25
TRANSFER_RETRY_S = 1.0


@dataclass(slots=True)
class Watching:
    """How well the watcher does. Chances are per hint."""

    delay_s: float = 0.001
    loss: float = 0.0
    """A lost hint is made up for by a HintsLost, later."""
    lost_after_s: float = 1.0


class VirtualReplica:
    def __init__(
        self, name: str, clock: Clock, rng: Random, trace: Trace, hub: VirtualHub, disk: str = "plain"
    ) -> None:
        """``disk`` is what its file system takes for one name, out of ``folding.MODES``."""
        self.name = name
        self._clock = clock
        self._rng = rng
        self._trace = trace
        self._hub = hub
        self.watching = Watching()
        self.race: Callable[[str], None] = lambda path: None
        """Called between a look and a change of the writer: someone may save just then."""
        self.differing: ev.Differing | None = ev.Differing.BOTH
        self.disk = VirtualDisk(clock, self._hinted)
        self.writer = VirtualWriter(clock, self.disk, lambda path: self.race(path))
        if disk != "plain":
            self.disk = folding = FoldingDisk(clock, self._hinted, disk)
            self.writer = FoldingWriter(clock, folding, lambda path: self.race(path))
        self.link = VirtualLink(clock, rng, hub, self._opened, self._received, self._ended)
        self._looker = VirtualLooker(self.disk, self._later, self._delay_s, self.handle)
        self.store = MemoryReplicaStore()
        self.read_only = False
        self.boot = "1"
        """Another after every power cut."""
        self.engine: ReplicaEngine | None = None
        self.flushed: set[int] = set()
        self.halted: str | None = None
        self.work_s = 0.001
        """How long a look, a scan of a folder or a step takes, about."""
        self.frames_sent = 0
        self._life = 0
        self._kill_after: int | None = None
        self._timer: Timer | None = None
        self._polling = False
        self._steps_free_s = 0.0
        self._flush_number = 0
        self._fetching: dict[Digest, int] = {}
        self._durable_disk: dict[str, Inode] = {}
        self._durable_store = MemoryReplicaStore()

    # -- the process ------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self.engine is not None

    def start(self) -> None:
        self._life += 1
        self._kill_after = None
        self._trace.note(self.name, "starts")
        self.engine = ReplicaEngine(
            Identity("room", self.name, self.name, None, self.read_only),
            self.store.remembered(),
            self.store,
            self._rng,
            reserved_path,
            self.differing,
            self.boot,
            self.disk.folding,
        )
        displaced = self.writer.recover()
        self._carry_out(self.engine.start(self._clock.now_s))
        for each in displaced:
            self.handle(ev.DisplacedChanged(each))
        self._poll_soon()

    def kill(self) -> None:
        """The process ends at once; disk and store stay as they are."""
        if self.engine is None:
            return
        self._trace.note(self.name, "is killed")
        self.engine = None
        self._life += 1
        self._polling = False
        self._fetching.clear()
        self.link.close()
        self.store = self.store.copy()
        if self._timer is not None:
            self._timer.cancel()

    def kill_within_effects(self, count: int) -> None:
        """The process ends after that many more effects."""
        if self.engine is not None:
            self._kill_after = count

    def lose_state(self) -> None:
        """While it is down: the state is deleted, so the next start is a first join.

        Saves that were displaced and not taken in yet are plain files; who deletes these deletes a save.
        """
        self._trace.note(self.name, "loses its state")
        self.store = MemoryReplicaStore()
        self.writer.staged_blobs.clear()

    def flush(self) -> int:
        self._flush_number += 1
        self.handle(ev.FlushRequested(self._flush_number))
        return self._flush_number

    def handle(self, event: ev.Event) -> None:
        if self.engine is None:
            return
        self._trace.note(self.name, described(event))
        self._carry_out(self.engine.handle(event, self._clock.now_s))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = None if self.engine is None else self.engine.deadline
        if deadline is not None:
            self._timer = self._clock.after(
                max(deadline - self._clock.now_s, 0) + 1e-5, lambda: self.handle(ev.Tick())
            )

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do it unless this life of the process has ended by then."""
        life = self._life
        self._clock.after(delay_s, lambda: action() if life == self._life else None)

    def _delay_s(self) -> float:
        return self.work_s * self._rng.uniform(0.2, 2.0)

    # -- effects ----------------------------------------------------------------------------------------

    def _carry_out(self, effects: Sequence[ef.Effect]) -> None:
        for effect in effects:
            if self._kill_after is not None:
                self._kill_after -= 1
                if self._kill_after < 0:
                    self.kill()
                    return
            self._one(effect)
        self._set_timer()

    def _one(self, effect: ef.Effect) -> None:
        match effect:
            case ef.Persist(records):
                self.store.persist(records)
            case ef.SendText(data) | ef.SendBinary(data):
                self.frames_sent += 1
                self.link.send(data)
            case ef.Look(paths):
                self._trace.note(self.name, f"looks at {[look.path for look in paths]}")
                self._looker.look(paths)
            case ef.ScanFolder(number, below):
                self._trace.note(self.name, f"scans {below!r} ({number})")
                self._looker.scan(number, below)
            case ef.Steps(steps):
                self._steps(steps)
            case ef.DropDisplaced(token):
                self._later(self._delay_s(), lambda: self.writer.drop(token))
            case ef.MakeDurable(number):
                self._later(10 * self._delay_s(), lambda: self._make_durable(number))
            case ef.Connect():
                self.link.open()
            case ef.Disconnect(reason):
                self.link.drop(reason)
            case ef.Upload():
                self._later(self._delay_s(), lambda: self._upload(effect))
            case ef.Fetch(digest):
                self._fetching[digest] = self._fetching.get(digest, 0) + 1
                ticket = self._fetching[digest]
                self._later(self._delay_s(), lambda: self._fetch(effect, ticket))
            case ef.CancelTransfer(digest):
                self._fetching[digest] = self._fetching.get(digest, 0) + 1
            case ef.AskDiffering():
                self._later(0.05, lambda: self.handle(ev.Decided(self.differing or ev.Differing.BOTH)))
            case ef.Flushed(number):
                self._trace.note(self.name, f"flushed {number}")
                self.flushed.add(number)
            case ef.Halt(message):
                self.halted = message
            case ef.Notice(kind, path, message):
                self._trace.note(self.name, f"notice {kind} {path}: {message}")
            case _:
                assert_never(effect)

    # -- watching ---------------------------------------------------------------------------------------

    def _hinted(self, hint: ev.Hint) -> None:
        """The watcher; while the process is down nobody watches."""
        if self.engine is None:
            return
        if self._rng.random() < self.watching.loss:
            self._later(self.watching.lost_after_s, lambda: self.handle(ev.HintsLost()))
            return
        self._later(self.watching.delay_s * self._rng.uniform(0.2, 2), lambda: self.handle(hint))

    # -- writing ----------------------------------------------------------------------------------------

    def _steps(self, steps: Sequence[Step]) -> None:
        """One thread: a batch after the other, and the outcomes of a batch together at its end."""
        outcomes: list[tuple[Step, Outcome]] = []

        def perform(step: Step) -> None:
            later = [other for other in steps if other.step > step.step]
            outcome = self.writer.perform(step, any(_same_blob(step, other) for other in later))
            self._trace.note(self.name, f"step {short(step)} -> {short(outcome)}")
            outcomes.append((step, outcome))

        begins_s = max(self._clock.now_s, self._steps_free_s)
        for step in steps:
            begins_s += self._delay_s()
            self._later(begins_s - self._clock.now_s, lambda step=step: perform(step))  # type: ignore[misc]
        self._steps_free_s = begins_s

        def end() -> None:
            for step, outcome in outcomes:
                self.handle(ev.StepsDone(((step.step, outcome),)))
            self._poll_soon()

        self._later(begins_s - self._clock.now_s + self._delay_s(), end)

    def _poll_soon(self) -> None:
        if self.writer.held and not self._polling and self.engine is not None:
            self._polling = True
            self._later(POLL_S, self._poll)

    def _poll(self) -> None:
        self._polling = False
        for displaced in self.writer.poll():
            self.handle(ev.DisplacedChanged(displaced))
        self._poll_soon()

    def _make_durable(self, number: int) -> None:
        self._durable_disk = self.disk.snapshot()
        self._durable_store = self.store.copy()
        self.handle(ev.MadeDurable(number))

    # -- blobs ------------------------------------------------------------------------------------------

    @property
    def _reaches_hub(self) -> bool:
        return self.link.online and self._hub.up

    def _upload(self, effect: ef.Upload) -> None:
        digest = effect.manifest.digest
        if not self._reaches_hub:
            self._later(TRANSFER_RETRY_S, lambda: self._upload(effect))
            return
        if digest not in self._hub.blobs:
            node = self.disk.get(effect.path)
            if node is None or node.digest != digest:
                self.handle(ev.UploadFailed(digest, f"{effect.path} changed while it was sent", True))
                return
            self._hub.blobs[digest] = node.data
        self.handle(ev.Uploaded(digest, digest))

    def _fetch(self, effect: ef.Fetch, ticket: int) -> None:
        digest = effect.digest
        if self._fetching.get(digest) != ticket:
            return
        if not self._reaches_hub:
            self._later(TRANSFER_RETRY_S, lambda: self._fetch(effect, ticket))
        elif digest in self._hub.blobs:
            self.writer.staged_blobs[digest] = self._hub.blobs[digest]
            self.handle(ev.Fetched(digest))
        else:
            self.handle(ev.FetchFailed(digest, "the hub does not have it", True))

    # -- the network ------------------------------------------------------------------------------------

    def _opened(self) -> None:
        self.handle(ev.Connected())

    def _received(self, frame: bytes | str) -> None:
        self.handle(ev.TextFrame(frame) if isinstance(frame, str) else ev.BinaryFrame(frame))

    def _ended(self, reason: str) -> None:
        self.handle(ev.Disconnected(reason))


def _same_blob(step: Step, other: Step) -> bool:
    match step, other:
        case WriteFile(content=BlobContent() as one), WriteFile(content=BlobContent() as two):
            return one.digest == two.digest
        case _:
            return False
