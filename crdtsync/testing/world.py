"""One simulated world: a hub, replicas with their people, faults; from its seed alone.

A run is: join, be busy among faults, come to rest, be judged; then take turns, and be judged after each.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

from crdtsync.core.replica.events import ConfirmRequested, RestoreRequested
from crdtsync.core.values.reserved import reserved_path
from crdtsync.errors import StoreError
from crdtsync.testing.clock import Clock, Streams, Trace
from crdtsync.testing.editors import Editor
from crdtsync.testing.memory_store import MemoryReplicaStore
from crdtsync.testing.oracles import (
    Broken,
    Ledger,
    check_equal,
    check_is,
    check_nothing_doubled,
    check_nothing_lost,
    picture,
)
from crdtsync.testing.pages import Pages
from crdtsync.testing.plan import BASIC, GROUPS, Plan
from crdtsync.testing.small_limits import small_limits
from crdtsync.testing.spellers import Speller
from crdtsync.testing.trouble import ERRORS, Trouble
from crdtsync.testing.typists import Typist
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_machine import VirtualMachine
from crdtsync.testing.virtual_network import VirtualLink
from crdtsync.testing.virtual_power import Ordering
from crdtsync.testing.virtual_replica import VirtualReplica

SETTLE_ROUNDS_MAX = 12
FLUSH_MAX_S = 400.0
REST_S = 12.0
EVENTS_MAX = 60_000
DAY_S = 86_400.0


@dataclass(slots=True)
class Result:
    """What a run did, for whoever counts."""

    digest: str
    events: int
    acts: int
    steps: int
    virtual_s: float
    findings: list[str] = field(default_factory=list)


class World:
    def __init__(
        self, seed: int, plan: Plan | None = None, shown: Callable[[str], None] | None = None
    ) -> None:
        self.seed = seed
        self.plan = plan or Plan.of_seed(seed)
        self.clock = Clock()
        self.streams = Streams(seed)
        self.trace = Trace(self.clock, shown=shown)
        self.ledger = Ledger()
        self._rng = self.streams["world"]
        self.hub = VirtualHub(self.clock, self.streams["hub"], self.trace)
        self.replicas = [self._replica(number) for number in range(self.plan.replicas)]
        self.people = [self._person(replica) for replica in self.replicas]
        self.pages = Pages(self.clock, self.streams, self.trace, self.hub, self.ledger, self.replicas)
        self._backup = self.hub.backup()
        self._states: dict[str, MemoryReplicaStore] = {}
        """Copies of what replicas remembered."""

    def run(self) -> Result:
        """Raises Broken when a promise is not kept."""
        with small_limits() if "slow" in self.plan.faults else nullcontext():
            try:
                return self._run()
            finally:
                self.clock.end()

    def _run(self) -> Result:
        self.hub.start()
        self._join()
        for _ in range(self.plan.acts):
            self._wait(self._rng.expovariate(1 / self.plan.pause_s))
            self._rng.choice(self._actors).act()
            if self.plan.faults and self._rng.random() < 0.25:
                self._fault(self._rng.choice(sorted(self.plan.faults)))
        self._calm()
        self.settle()
        self._judge()
        for _ in range(self.plan.turns):
            self._take_turn()
        return Result(
            self.trace.digest,
            self.clock.handled,
            sum(person.done for person in self._actors),
            sum(replica.performed for replica in self.replicas),
            self.clock.now_s,
        )

    @property
    def _actors(self) -> list[Editor | Typist]:
        return [*self.people, *self.pages.typists]

    # -- the parts --------------------------------------------------------------------------------------

    def _replica(self, number: int) -> VirtualReplica:
        name = "abcdefgh"[number]
        rng = self.streams[f"replica {name}"]
        disks = self.plan.disks or ("plain",)
        mode = disks[number % len(disks)]
        replica = VirtualReplica(name, self.clock, rng, self.trace, self.hub, mode)
        replica.link.latency_s = rng.choice([0.0005, 0.005, 0.05, 0.3])
        replica.work_s = rng.choice([0.0003, 0.003, 0.03])
        if "coarse" in self.plan.faults:
            filesystem = replica.machine.filesystem
            filesystem.tick_ns = rng.choice([4_000_000, 1_000_000_000, 2_000_000_000])
            filesystem.reuses_numbers = True
        if "power" in self.plan.faults:
            replica.machine.filesystem.order(rng.choice([Ordering.ORDERED, Ordering.JUMPING]))
        if "pieces" in self.plan.faults:
            replica.transfers.piece_bytes = 4
        if "hints" in self.plan.faults:
            replica.pace.overflows = replica.pace.doubled = 0.05
            replica.pace.watch_delay_s = rng.choice([0.001, 0.1])
        return replica

    def _person(self, replica: VirtualReplica) -> Editor:
        actions = dict(BASIC)
        for group in sorted(self.plan.groups):
            for action, weight in GROUPS[group].items():
                actions[action] = actions.get(action, 0) + weight
        if self.plan.disks:
            actions["respell"] = 3
        rng = self.streams[f"person {replica.name}"]
        person = (Speller if self.plan.disks else Editor)(
            replica.name,
            self.clock,
            rng,
            self.trace,
            replica.disk,
            self.ledger,
            actions,
            replica.machine.holds,
        )
        if "races" in self.plan.faults:
            replica.race = lambda path: person.save_racing(path) if rng.random() < 0.2 else None
        return person

    def _join(self) -> None:
        for replica, person in zip(self.replicas, self.people, strict=True):
            for _ in range(self._rng.choice([0, 0, 2])):
                person.act()
            replica.start()
            self._wait(self._rng.choice([0.0, 0.1, 3.0]))
        self.pages.open(self.plan.typists)

    def _wait(self, for_s: float) -> None:
        self.clock.run_until(self.clock.now_s + for_s)

    # -- faults -----------------------------------------------------------------------------------------

    def _fault(self, fault: str) -> None:
        rng = self._rng
        replica = rng.choice(self.replicas)
        back_s = rng.choice([0.05, 0.5, 3.0])
        self.trace.note("----", f"fault {fault} {replica.name}")
        match fault:
            case "offline":
                replica.link.online = False
                replica.link.cut()
                self.clock.after(back_s * 3, lambda: setattr(replica.link, "online", True))
            case "cut":
                replica.link.cut()
            case "kill":
                replica.kill()
                self.clock.after(back_s, lambda: self._restart(replica))
            case "kill_within":
                replica.kill_within_effects(rng.randrange(12))
                self.clock.after(back_s, lambda: self._restart(replica))
            case "kill_at":
                replica.at_primitive(rng.randrange(80), lambda: self._kill(replica, back_s))
            case "power":
                replica.at_primitive(rng.randrange(80), lambda: self._cut_power(replica, back_s))
            case "trouble":
                replica.trouble = Trouble(rng.choice(ERRORS), rng.choice([0.02, 0.2, 1.0]))
                self.trace.note(replica.name, f"disk meets {replica.trouble}")
                self.clock.after(back_s * 3, lambda: setattr(replica, "trouble", None))
            case "state_lost":
                self._forgets(replica)
                replica.kill()
                contents = [node.data for _, node in replica.disk.files()]
                self.ledger.lost_with_state(replica.name, replica.store.texts(), contents)
                for data in contents:
                    self.ledger.froze(data)
                replica.lose_state()
                next(person for person in self.people if person.name == replica.name).close_all()
                self.pages.something_went()
                self.clock.after(back_s, lambda: self._restart(replica))
            case "slow":
                self._slow_down(rng.choice(self._links), rng.choice([100.0, 1000.0, 10_000.0]), back_s * 3)
            case "half_open":
                rng.choice(self._links).lose(rng.choice([0.0, 0.2, 2.0]), rng.choice([3.0, 30.0]))
            case "store_full":
                replica.store.failure = StoreError("The state cannot be written: no space left")
                self.clock.after(back_s * 3, lambda: setattr(replica.store, "failure", None))
            case "state_restored":
                self._restore_state(replica, back_s)
            case "hub_full":
                self.hub.store.full = True
                self.clock.after(back_s, lambda: setattr(self.hub.store, "full", False))
            case "clock":
                hosts: list[VirtualHub | VirtualMachine] = [
                    self.hub,
                    *(each.machine for each in self.replicas),
                ]
                host = rng.choice(hosts)
                host.ahead_s = rng.choice([-400, -2, -0.04, 0.0, 0.04, 2, 400]) * DAY_S
                self.trace.note("----", f"a clock is {host.ahead_s:g} s ahead")
            case "hub_kill":
                self.hub.kill()
                self.pages.something_went()
                self.clock.after(back_s, self._restart_hub)
            case "hub_restore":
                if rng.random() < 0.5:
                    self._backup = self.hub.backup()
                else:
                    self.hub.kill()
                    self.hub.restore(self._backup)
                    self.pages.something_went()
                    self.clock.after(back_s, self._restart_hub)
            case _:
                pass  # happens all the time

    @property
    def _links(self) -> list[VirtualLink]:
        return [
            *(replica.link for replica in self.replicas),
            *(typist.page.link for typist in self.pages.typists),
        ]

    def _slow_down(self, link: VirtualLink, bytes_per_s: float, for_s: float) -> None:
        link.bytes_per_s = bytes_per_s
        self.clock.after(for_s, lambda: setattr(link, "bytes_per_s", None))

    def _restore_state(self, replica: VirtualReplica, back_s: float) -> None:
        """What it had taken in since, and neither sent nor left on disk, is lost with what it remembered."""
        if replica.name not in self._states or self._rng.random() < 0.5:
            self._states[replica.name] = replica.store.copy()
            return
        self._forgets(replica)
        replica.kill()
        contents = replica.machine.contents()
        self.ledger.lost_with_state(replica.name, replica.store.texts(), contents)
        replica.restore_state(self._states[replica.name])
        self.pages.something_went()
        self.clock.after(back_s, lambda: self._restart(replica))

    def _forgets(self, replica: VirtualReplica) -> None:
        """Of what it was sending it will not know that it has to take it back, or that it has."""
        if replica.engine is not None:
            unaccepted = replica.engine._state.unaccepted
            for entry in replica.engine._state.view.room.placements:
                for edit in unaccepted.of(entry):
                    self.ledger.forgot(edit.before, edit.after)

    def _kill(self, replica: VirtualReplica, back_s: float) -> None:
        replica.kill()
        self.clock.after(back_s, lambda: self._restart(replica))

    def _cut_power(self, replica: VirtualReplica, back_s: float) -> None:
        """What people there had saved, and is gone, was never safe. Neither was what a program had written
        aside, if the rename over the real file is gone: that never came to be a save."""
        person = next(person for person in self.people if person.name == replica.name)
        before = replica.machine.contents()
        held = [(path, node, node.data) for path, node in replica.disk.files()]
        replica.cut_power()
        person.lose_power()
        self.ledger.lost_with_power(replica.name, before, replica.machine.contents_to_share())
        aside = {dentry.inode for path, dentry in replica.disk.nodes.all().items() if reserved_path(path)}
        for path, node, data in held:
            if node in aside:  # files were changing names: the cut left one under a name that no room has
                self.ledger.deleted(replica.name, data)
            for left in {node, replica.disk.get(path) or node}:  # a cut may give a name back to a former file
                self.ledger.torn(replica.name, data, left.data)
        self.pages.something_went()
        self.clock.after(back_s, lambda: self._restart(replica))

    def _restart(self, replica: VirtualReplica) -> None:
        if not replica.running:
            replica.start()

    def _restart_hub(self) -> None:
        if not self.hub.up:
            self.hub.start()

    def _calm(self) -> None:
        """From here on nothing fails, and everyone is there."""
        self.trace.note("----", "calm")
        self._restart_hub()
        self.hub.store.full = False
        for link in self._links:
            link.bytes_per_s = None
        for replica in self.replicas:
            replica.store.failure = None
            replica.pace.overflows = 0.0
            replica.race = lambda path: None
            replica.link.online = True
            replica.trouble = None
            replica.at_primitive(1 << 60, lambda: None)
            replica.kill_within_effects(1 << 60)
            self._restart(replica)
        self._until(lambda: not any(person.busy for person in self.people), 10.0, "people finish")
        self._until(lambda: self.hub.drained, 120.0, "reading")
        self._wait(2.0)  # a page may not have heard yet that the hub it knows is gone
        self.pages.calm(self._until)

    # -- coming to rest ---------------------------------------------------------------------------------

    def settle(self) -> None:
        """Until all is settled, and stays so."""
        for _ in range(SETTLE_ROUNDS_MAX):
            before = self._activity()
            self._attend()
            numbers = [(replica, replica.flush()) for replica in self.replicas]
            self._until(
                lambda: all(number in replica.flushed for replica, number in numbers),  # noqa: B023
                FLUSH_MAX_S,
                "flush",
            )
            self._wait(1.0)
            if self._activity() == before:
                return
        raise Broken("rest", f"no rest after {SETTLE_ROUNDS_MAX} rounds")

    def _attend(self) -> None:
        """People see to what asks for their attention."""
        for replica, person in zip(self.replicas, self.people, strict=True):
            assert replica.engine is not None
            asked = {each.path: each.kind for each in replica.engine.status.attention}
            for path in [path for path, kind in asked.items() if kind == "failed"]:
                person.make_way(path)
            if "held" in asked.values():
                restore = self._rng.random() < 0.3
                self.trace.note(replica.name, "PERSON " + ("restores" if restore else "confirms"))
                replica.handle(RestoreRequested() if restore else ConfirmRequested())

    def _activity(self) -> tuple[object, ...]:
        return (
            self.hub.updates,
            sorted(self.hub.blobs),
            *(replica.performed for replica in self.replicas),
            *(tuple(picture(replica).items()) for replica in self.replicas),
            *self.pages.activity(),
        )

    def _until(self, enough: Callable[[], bool], at_most_s: float, what: str) -> None:
        handled = self.clock.handled

        def busy() -> bool:
            return self.clock.handled - handled > EVENTS_MAX

        self.clock.run_until(self.clock.now_s + at_most_s, lambda: enough() or busy())
        for replica in self.replicas:
            if replica.halted is not None:
                raise Broken("halted", f"{replica.name}: {replica.halted}")
        if not enough():
            states = [
                f"{replica.name}: {replica.engine.status if replica.engine else 'down'}"
                for replica in self.replicas
            ]
            raise Broken("busy" if busy() else "stuck", f"{what} does not end; {'; '.join(states)}")

    def _judge(self) -> None:
        check_equal(self.replicas)
        self.pages.judge(self.streams["pages"], self._until)
        check_nothing_doubled(self.replicas, self.ledger)
        check_nothing_lost(self.ledger, self.replicas)
        before = self._activity()
        self._wait(REST_S)
        if self._activity() != before:
            raise Broken("echo", "something goes on although everything was settled")

    def _take_turn(self) -> None:
        """One person does one thing while everyone is at rest: everyone gets just that."""
        person = self._rng.choice(self._actors)
        if isinstance(person, Typist):
            self.pages.take_turn(person, self.settle)
            check_equal(self.replicas)
            return
        person.act()
        self._until(lambda: not person.busy, 10.0, "people finish")
        self._wait(2.0)
        self._attend()
        replica = next(replica for replica in self.replicas if replica.name == person.name)
        expected = picture(replica)
        self.settle()
        check_equal(self.replicas)
        check_is(expected, replica, self.replicas)
