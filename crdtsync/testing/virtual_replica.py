"""One replica as a process on a virtual machine: the real engine between a virtual disk, network and store.

It can be killed, between any two effects or system calls, lose power (what was not durable reverts) or its
state, or have an older one restored. In which order effects are carried out is left to ``virtual_life``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import assert_never

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.engine import ReplicaEngine
from crdtsync.core.replica.records import chain
from crdtsync.core.replica.session import Identity
from crdtsync.core.replica.steps import Outcome, Step
from crdtsync.core.replica.unstored import Unstored
from crdtsync.core.values.digests import Digest
from crdtsync.errors import FolderError
from crdtsync.testing.clock import Clock, Trace
from crdtsync.testing.describing import described, short
from crdtsync.testing.folding import naming_of
from crdtsync.testing.memory_store import MemoryReplicaStore
from crdtsync.testing.trouble import Trouble
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_kernel import Killed, Primitive
from crdtsync.testing.virtual_life import VirtualLife
from crdtsync.testing.virtual_machine import DIRECTORY, VirtualMachine
from crdtsync.testing.virtual_network import VirtualLink
from crdtsync.testing.virtual_process import Pace, VirtualProcess
from crdtsync.testing.virtual_records import StoredRecords
from crdtsync.testing.virtual_transfers import VirtualTransfers

RESTART_S = 1.0
DURABLE_RETRY_S = 5.0


class VirtualReplica:
    def __init__(
        self,
        name: str,
        clock: Clock,
        rng: Random,
        trace: Trace,
        hub: VirtualHub,
        disk: str = "plain",
        room: str = "room",
    ) -> None:
        """``disk`` is what its file system takes for one name, out of ``folding.MODES``."""
        self.name = name
        self._clock = clock
        self._rng = rng
        self._disk_rng = Random()
        self._disk_rng.setstate(rng.getstate())
        """Of its own: what the disk code draws leaves the engine's identities alone."""
        self._trace = trace
        self.hub = hub
        self.room = room
        self.pace = Pace()
        self.race: Callable[[str], None] = lambda path: None
        """Called just before a change of the writer at that path: someone may save just then."""
        self.differing: ev.Differing | None = ev.Differing.BOTH
        self.asked: Callable[[ef.AskDiffering], None] = lambda question: None
        """Called when a first join asks what to do with files that differ."""
        self.machine = VirtualMachine(clock, *naming_of(disk))
        self.disk = self.machine.disk
        self.process: VirtualProcess | None = None
        self.link = VirtualLink(clock, rng, hub, self._opened, self._received, self._ended)
        self.store = MemoryReplicaStore()
        self._unstored = Unstored(self.store)
        self.read_only = False
        self.boot: str | None = None
        """Another after every power cut; None has the machine tell."""
        self.trouble: Trouble | None = None
        self.engine: ReplicaEngine | None = None
        self.flushed: set[int] = set()
        self.last_holder = 1000
        """Numbers of editors begin above."""
        self.programs: list[Callable[[ef.ForPrograms], None]] = []
        """Called with what programs are told."""
        self.halted: str | None = None
        self.frames_sent = 0
        self.performed = 0
        """How many steps were carried out."""
        self._life = self._begun()
        self._at_primitive: tuple[int, Callable[[], None], bool] | None = None
        self._flush_number = 0
        self.transfers = VirtualTransfers(
            hub,
            room,
            self.disk,
            self.handle,
            lambda delay_s, action: self._life.later(self._delay_s() if delay_s is None else delay_s, action),
            lambda: self._reaches_hub,
            self._stage_blob,
        )
        self._stored = StoredRecords()
        self.machine.filesystem.on_sync = self._stored.made_durable

    @property
    def work_s(self) -> float:
        """How long a look, a scan of a folder or a step takes, about."""
        return self.pace.work_s

    @work_s.setter
    def work_s(self, work_s: float) -> None:
        self.pace.work_s = work_s

    # -- the process ------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self.engine is not None

    def start(self) -> None:
        """A start that fails for want of the disk is tried again."""
        self._life.end()
        self._life = self._begun()
        self._trace.note(self.name, "starts")
        self.process = process = VirtualProcess(
            DIRECTORY,
            self.machine.filesystem,
            self._clock,
            self._disk_rng,
            self.pace,
            self.handle,
            lambda displaced: self.handle(ev.DisplacedChanged(displaced)),
            lambda error: self.handle(ev.RootLost(str(error))),
            self._before,
            self.machine.wall_s,
        )
        try:
            recovered = process.start()
        except (FolderError, OSError) as error:
            self._trace.note(self.name, f"cannot start: {error}")
            process.end()
            self._life.later(RESTART_S, self.start)
            return
        except Killed:
            return
        self._unstored = Unstored(self.store)
        self.engine = ReplicaEngine(
            Identity(self.room, self.name, self.name, None, self.read_only),
            self.store.remembered(),
            self._unstored,
            self._rng,
            process.disk.ignored,
            self.differing,
            self.boot or str(self.machine.boots),
            process.disk.folding,
        )
        self._carry_out(self.engine.start(self._life.now_s))
        self.handle(recovered)

    def _begun(self) -> VirtualLife:
        return VirtualLife(
            self._clock,
            self.machine.ahead_s,
            self.handle,
            self._one,
            self._tell,
            lambda: None if self.engine is None else self.engine.deadline,
            lambda error: self._trace.note(self.name, f"cannot persist: {error}"),
        )

    def flush(self) -> int:
        self._flush_number += 1
        self.handle(ev.FlushRequested(self._flush_number))
        return self._flush_number

    def handle(self, event: ev.Event) -> None:
        if self.engine is None or not self._life.takes(event):
            return
        self._trace.note(self.name, described(event))
        try:
            self._carry_out(self.engine.handle(event, self._life.now_s))
        except Killed:
            return

    def _delay_s(self) -> float:
        return self.pace.work_s * self._rng.uniform(0.2, 2.0)

    # -- how it ends ------------------------------------------------------------------------------------

    def kill(self) -> None:
        """The process ends at once; disk and store stay as they are."""
        if self.process is None or self.process.kernel.ended:
            return
        self._trace.note(self.name, "is killed")
        self.process.end()
        self.engine = None
        self._life.end()
        self.transfers.end()
        self.link.close()
        failure = self.store.failure
        self.store = self.store.copy()
        self.store.failure = failure

    def kill_within_effects(self, count: int) -> None:
        """The process ends after that many more effects."""
        self._life.end_within_effects(count, self.kill)

    def at_primitive(self, count: int, action: Callable[[], None], of_steps: bool = False) -> None:
        """Have that done before the primitive of the disk code that comes after so many more.

        ``of_steps``: only those that carry out steps count.
        """
        self._at_primitive = count, action, of_steps

    def cut_power(self) -> None:
        """The process ends, and what was not durable is lost, more or less of it."""
        self.kill()
        self._trace.note(self.name, "loses its power")
        self.machine.cut_power(self._disk_rng)
        self._keep_store(self._stored.after_cut(self._disk_rng))

    def lose_state(self) -> None:
        """While it is down: the state is deleted, so the next start is a first join.

        Saves that were displaced and not taken in yet are plain files; who deletes these deletes a save.
        """
        self._trace.note(self.name, "loses its state")
        self.machine.delete_blobs()
        self.transfers.forget_parts()
        self._keep_store(MemoryReplicaStore())

    def restore_state(self, older: MemoryReplicaStore) -> None:
        """While it is down: what it remembers is replaced by an older copy; the rest of its state stays."""
        self._trace.note(self.name, "has its state restored")
        self._keep_store(older.copy())

    def _keep_store(self, store: MemoryReplicaStore) -> None:
        self.store = store
        self._stored.begin(store)

    def _before(self, primitive: Primitive) -> None:
        assert self.process is not None
        if self._at_primitive is not None:
            left, action, of_steps = self._at_primitive
            if not of_steps or self.process.performing:
                self._at_primitive = (left - 1, action, of_steps) if left else None
                if not left:
                    action()
                    return
        if self.trouble is not None:
            self.trouble.meet(primitive, self._disk_rng)
        for folder, name in primitive.changes:
            path = self.machine.shared(folder, name)
            if path is not None:
                self.race(path)

    # -- effects ----------------------------------------------------------------------------------------

    def _carry_out(self, effects: list[ef.Effect]) -> None:
        self._life.carry_out(self._unstored.owing(effects))

    def _tell(self, effect: ef.ForPrograms) -> None:
        for program in [*self.programs]:
            program(effect)

    def _one(self, effect: ef.Effect) -> None:
        process = self.process
        assert process is not None
        match effect:
            case ef.Persist(records):
                self.store.persist(records)
                self._unstored.stored(records)
                self._stored.add(records)
            case ef.SendText(data) | ef.SendBinary(data):
                self.frames_sent += 1
                self.link.send(data)
            case ef.Look(paths):
                self._trace.note(self.name, f"looks at {[look.path for look in paths]}")
                process.look(paths, lambda seen: self.handle(ev.Looked(seen)))
            case ef.ScanFolder(number, below):
                self._trace.note(self.name, f"scans {below!r} ({number})")
                process.scan(below, lambda scan: self.handle(ev.Scanned(number, scan)))
            case ef.Steps(steps):
                process.perform(steps, self._performed)
            case ef.DropDisplaced(token):
                process.drop_displaced(token)
            case ef.MakeDurable(number):
                self._make_durable(number)
            case ef.Connect():
                self.link.open()
            case ef.Disconnect(reason):
                self.link.drop(reason)
            case ef.Upload():
                self.transfers.upload(effect)
            case ef.Fetch(digest):
                self.transfers.fetch(digest)
            case ef.CancelTransfer(digest):
                self.transfers.cancel(digest)
            case ef.AskDiffering():
                self.asked(effect)
                self._life.later(0.05, lambda: self.handle(ev.Decided(self.differing or ev.Differing.BOTH)))
            case ef.Flushed(number):
                self._trace.note(self.name, f"flushed {number}")
                self.flushed.add(number)
            case ef.Halt(message):
                self.halted = message
            case ef.ForPrograms():
                pass  # told already
            case ef.Notice(kind, path, message):
                self._trace.note(self.name, f"notice {kind} {path}: {message}")
            case _:
                assert_never(effect)

    # -- the disk ---------------------------------------------------------------------------------------

    def has_read(self, path: str) -> bool:
        """Whether it read what stands at the path, or remembers what was agreed there."""
        if self.engine is None:
            return any(each.path == path for row in self.store.remembered().synced for each in chain(row))
        state = self.engine.state
        return state.synced.at(path) is not None or state.disk.get(path) is not None

    def _performed(self, outcomes: Sequence[tuple[Step, Outcome]]) -> None:
        self.performed += len(outcomes)
        for step, outcome in outcomes:
            self._trace.note(self.name, f"step {short(step)} -> {short(outcome)}")
        self.handle(ev.StepsDone(tuple((step.step, outcome) for step, outcome in outcomes)))

    def _make_durable(self, number: int) -> None:
        """A disk that cannot be made durable is tried again."""

        def done(worked: bool) -> None:
            if worked:
                self.handle(ev.MadeDurable(number))
            else:
                self._life.later(DURABLE_RETRY_S, lambda: self._make_durable(number))

        if self.process is not None:
            self.process.make_durable(done)

    @property
    def _reaches_hub(self) -> bool:
        return self.link.online and self.hub.up

    def _stage_blob(self, digest: Digest, data: bytes) -> None:
        assert self.process is not None
        self.process.stage_blob(digest, data)

    # -- the network ------------------------------------------------------------------------------------

    def _opened(self) -> None:
        self.handle(ev.Connected())

    def _received(self, frame: bytes | str) -> None:
        self.handle(ev.TextFrame(frame) if isinstance(frame, str) else ev.BinaryFrame(frame))

    def _ended(self, reason: str) -> None:
        self.handle(ev.Disconnected(reason))
