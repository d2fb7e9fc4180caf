"""One simulated world: a hub, replicas with their people, faults; from its seed alone.

A run is: join, be busy among faults, come to rest, be judged; then take turns, and be judged after each.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

from crdtsync.core.replica.events import ConfirmRequested, RestoreRequested
from crdtsync.testing.bots import Bot
from crdtsync.testing.clock import Clock, Streams, Trace
from crdtsync.testing.editors import Editor
from crdtsync.testing.faults import Faults
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
from crdtsync.testing.programs import Programs
from crdtsync.testing.small_limits import small_limits
from crdtsync.testing.spellers import Speller
from crdtsync.testing.typists import Typist
from crdtsync.testing.unkept import Unkept
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_power import Ordering
from crdtsync.testing.virtual_replica import VirtualReplica

SETTLE_ROUNDS_MAX = 12
FLUSH_MAX_S = 400.0
REST_S = 12.0
EVENTS_MAX = 60_000


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
        self._unkept = Unkept(self.hub, self.ledger, self.replicas)
        self.pages = Pages(
            self.clock, self.streams, self.trace, self.hub, self.ledger, self.replicas, self._unkept
        )
        self.programs = Programs(
            self.clock, self.streams, self.trace, self.hub, self.ledger, self.replicas, self._unkept
        )
        self._faults = Faults(
            self.clock,
            self._rng,
            self.trace,
            self.hub,
            self.replicas,
            self.people,
            self.pages,
            self.programs,
            self._unkept,
            self.ledger,
        )

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
                self._faults.happen(self._rng.choice(sorted(self.plan.faults)))
        self._calm()
        self.settle()
        if "ignores" in self.plan.groups:
            self._ignore_nothing()
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
    def _actors(self) -> list[Editor | Typist | Bot]:
        return [*self.people, *self.pages.typists, *self.programs.bots]

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
            replica.has_read,
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
        self.pages.open(self.plan.typists, self.plan.hocuspocus)
        self.programs.open(self.plan.bots, blobs="hub_restore" not in self.plan.faults)

    def _wait(self, for_s: float) -> None:
        self.clock.run_until(self.clock.now_s + for_s)

    def _calm(self) -> None:
        """From here on nothing fails, and everyone is there."""
        self.trace.note("----", "calm")
        self._faults.end()
        self._until(lambda: not any(person.busy for person in self.people), 10.0, "people finish")
        self._until(lambda: self.hub.drained, 120.0, "reading")
        self._wait(2.0)  # a page may not have heard yet that the hub it knows is gone
        self.pages.calm(self._until)
        self.programs.calm()

    # -- coming to rest ---------------------------------------------------------------------------------

    def settle(self) -> None:
        """Until all is settled, and stays so."""
        for _ in range(SETTLE_ROUNDS_MAX):
            before = self._activity()
            self._attend()
            numbers = [(replica, replica.flush()) for replica in self.replicas]
            programs_settled = self.programs.settle()
            self._until(
                lambda: programs_settled() and all(number in replica.flushed for replica, number in numbers),  # noqa: B023
                FLUSH_MAX_S,
                "flush",
            )
            self._wait(1.0)
            if self._activity() == before:
                return
        raise Broken("rest", f"no rest after {SETTLE_ROUNDS_MAX} rounds")

    def _attend(self) -> bool:
        """People see to what asks for their attention; whether one of them had files brought back."""
        restored = False
        for replica, person in zip(self.replicas, self.people, strict=True):
            assert replica.engine is not None
            asked = {each.path: each.kind for each in replica.engine.status.attention}
            for path in [path for path, kind in asked.items() if kind == "failed"]:
                person.make_way(path)
            if "held" in asked.values():
                restore = self._rng.random() < 0.3
                self.trace.note(replica.name, "PERSON " + ("restores" if restore else "confirms"))
                replica.handle(RestoreRequested() if restore else ConfirmRequested())
                restored = restored or restore
        return restored

    def _activity(self) -> tuple[object, ...]:
        return (
            self.hub.updates,
            sorted(self.hub.blobs),
            *(replica.performed for replica in self.replicas),
            *(tuple(picture(replica).items()) for replica in self.replicas),
            *self.pages.activity(),
            *self.programs.activity(),
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

    def _ignore_nothing(self) -> None:
        """What was somebody's own comes to the room: only then can everyone have the same."""
        while found := [person.name for person in self.people if person.ignore_nothing()]:
            self.trace.note("----", f"{' '.join(found)} ignore nothing")
            self.settle()

    def _judge(self) -> None:
        check_equal(self.replicas)
        self.pages.judge(self.streams["pages"], self._until)
        self.programs.judge(self.replicas[0])
        if "ignores" not in self.plan.groups:  # what was ignored here and moved elsewhere is two files
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
        if isinstance(person, Bot):
            self.programs.take_turn(person, self.settle)
            check_equal(self.replicas)
            return
        person.act()
        self._until(lambda: not person.busy, 10.0, "people finish")
        self._wait(2.0)
        restored = self._attend()
        replica = next(replica for replica in self.replicas if replica.name == person.name)
        expected = picture(replica)
        self.settle()
        check_equal(self.replicas)
        if not restored:
            check_is(expected, replica, self.replicas)
