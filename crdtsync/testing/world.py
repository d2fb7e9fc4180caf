"""One simulated world: a hub, its rooms with replicas and people, faults; from its seed alone.

A run is: join, be busy among faults, come to rest, be judged; then take turns, and be judged after each.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import permutations

from crdtsync.core.replica.events import ConfirmRequested, Differing, RestoreRequested
from crdtsync.testing.bots import Bot
from crdtsync.testing.clock import Clock, Streams, Trace
from crdtsync.testing.editors import Editor
from crdtsync.testing.faults import Faults
from crdtsync.testing.hocuspocus_page import HocuspocusSocket
from crdtsync.testing.oracles import Broken, Ledger, check_equal, check_is, picture
from crdtsync.testing.plan import Plan
from crdtsync.testing.room import Actor, Room
from crdtsync.testing.setting import Setting
from crdtsync.testing.small_limits import small_limits
from crdtsync.testing.typists import Typist
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_replica import VirtualReplica

SETTLE_ROUNDS_MAX = 12
FLUSH_MAX_S = 400.0
REST_S = 12.0
EVENTS_MAX = 60_000
TOKENS_PER_ROOM = 0x8000
"""What was written in one room is told from what was written in the other."""


@dataclass(slots=True)
class Result:
    """What a run did, for whoever counts."""

    digest: str
    events: int
    acts: int
    steps: int


class World:
    def __init__(
        self, seed: int, plan: Plan | None = None, shown: Callable[[str], None] | None = None
    ) -> None:
        self.seed = seed
        self.plan = plan or Plan.of_seed(seed)
        self.clock = Clock()
        self.streams = Streams(seed)
        self.trace = Trace(self.clock, shown=shown)
        self._rng = self.streams["world"]
        self.hub = VirtualHub(self.clock, self.streams["hub"], self.trace)
        self._sockets: list[HocuspocusSocket] = []
        self.rooms = [self._room("room", "", self.plan.replicas, Ledger())]
        if self.plan.neighbours:
            self.rooms.append(self._room("next", "n", self.plan.neighbours, Ledger(first=TOKENS_PER_ROOM)))
        self._faults = Faults(self.clock, self._rng, self.trace, self.hub, self.rooms)

    def _room(self, name: str, prefix: str, replicas: int, ledger: Ledger) -> Room:
        setting = Setting(name, prefix, self.clock, self.streams, self.trace, self.hub, ledger)
        return Room(setting, replicas, self.plan, self._sockets)

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
        arrival = self._arrival()
        for number in range(self.plan.acts):
            if number == arrival:
                self.rooms[0].arrive(Differing(self.plan.newcomer), in_ways=True)
            self._wait(self._rng.expovariate(1 / self.plan.pause_s))
            self._rng.choice(self._actors).act()
            if self.plan.faults and self._rng.random() < 0.25:
                self._faults.happen(self._rng.choice(sorted(self.plan.faults)))
        self._calm()
        self.settle()
        if "ignores" in self.plan.groups:
            self._ignore_nothing()
        if self.plan.working:
            self._judge_apart()
        self._judge()
        if arrival == self.plan.acts and not self.plan.working:
            self._arrive_at_rest()
        for _ in range(self.plan.turns):
            self._take_turn()
        return Result(
            self.trace.digest,
            self.clock.handled,
            sum(person.done for person in self._actors),
            sum(replica.performed for replica in self._replicas),
        )

    @property
    def _actors(self) -> list[Actor]:
        return [actor for room in self.rooms for actor in room.actors]

    @property
    def _replicas(self) -> list[VirtualReplica]:
        return [replica for room in self.rooms for replica in room.replicas]

    @property
    def _people(self) -> list[Editor]:
        return [person for room in self.rooms for person in room.people]

    def _join(self) -> None:
        for room in self.rooms:
            for replica, person in zip(room.replicas, room.people, strict=True):
                for _ in range(0 if replica.read_only else self._rng.choice([0, 0, 2])):
                    person.act()
                replica.start()
                self._wait(self._rng.choice([0.0, 0.1, 3.0]))
            room.open()

    def _wait(self, for_s: float) -> None:
        self.clock.run_until(self.clock.now_s + for_s)

    def _calm(self) -> None:
        """From here on nothing fails, and everyone is there."""
        self.trace.note("----", "calm")
        self._faults.end()
        self._until(lambda: not any(person.busy for person in self._people), 10.0, "people finish")
        self._until(lambda: self.hub.drained, 120.0, "reading")
        self._wait(2.0)  # a page may not have heard yet that the hub it knows is gone
        for room in self.rooms:
            room.calm(self._until)

    # -- coming to rest ---------------------------------------------------------------------------------

    def settle(self) -> None:
        """Until all is settled, and stays so."""
        for _ in range(SETTLE_ROUNDS_MAX):
            before = self._activity()
            self._attend()
            rooms_settled = [room.settle() for room in self.rooms]
            self._until(
                lambda: all(settled() for settled in rooms_settled),  # noqa: B023
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
        for replica, person in zip(self._replicas, self._people, strict=True):
            assert replica.engine is not None
            asked = {each.path: each.kind for each in replica.engine.status.attention}
            for path in [path for path, kind in asked.items() if kind == "failed"]:
                person.make_way(path)
            if "held" in asked.values() and not (replica.read_only and self.plan.working):
                restore = replica.read_only or self._rng.random() < 0.3
                self.trace.note(replica.name, "PERSON " + ("restores" if restore else "confirms"))
                replica.handle(RestoreRequested() if restore else ConfirmRequested())
                restored = restored or restore
        return restored

    def _activity(self) -> tuple[object, ...]:
        return (
            self.hub.updates,
            sorted(self.hub.blobs),
            *(room.activity() for room in self.rooms),
        )

    def _until(self, enough: Callable[[], bool], at_most_s: float, what: str) -> None:
        handled = self.clock.handled

        def busy() -> bool:
            return self.clock.handled - handled > EVENTS_MAX

        self.clock.run_until(self.clock.now_s + at_most_s, lambda: enough() or busy())
        for replica in self._replicas:
            if replica.halted is not None:
                raise Broken("halted", f"{replica.name}: {replica.halted}")
        if not enough():
            states = [
                f"{replica.name}: {replica.engine.status if replica.engine else 'down'}"
                for replica in self._replicas
            ]
            raise Broken("busy" if busy() else "stuck", f"{what} does not end; {'; '.join(states)}")

    def _ignore_nothing(self) -> None:
        """What was somebody's own comes to the room: only then can everyone have the same."""
        while found := [person.name for person in self._people if person.ignore_nothing()]:
            self.trace.note("----", f"{' '.join(found)} ignore nothing")
            self.settle()

    def _arrival(self) -> int | None:
        """After how many acts someone joins late; after all of them: once all is at rest."""
        acts = self.plan.acts
        if not self.plan.newcomer:
            return None
        last = acts - 1 if self.plan.working else 2 * acts
        return min(self.streams["arrival"].randint(0, max(last, 0)), acts)

    def _arrive_at_rest(self) -> None:
        """Nobody else does anything: what was chosen is what all have, to the letter."""
        room = self.rooms[0]
        before = picture(room.replicas[0])
        newcomer = room.arrive(Differing(self.plan.newcomer), in_ways=bool(self.plan.disks))
        self._faults.end()
        self._wait(5.0)
        self.settle()
        check_equal(room.replicas)
        if not self.plan.disks:
            newcomer.check_joined(before)

    def _judge_apart(self) -> None:
        """What is done where one may only read stays there; then all may write, and it comes to all."""
        for room in self.rooms:
            room.judge_apart()
            for apart in room.apart:
                if apart.holds:
                    self.trace.note(apart.replica.name, "may write")
                    apart.replica.kill()
                    apart.change()
                    apart.replica.start()
        self._wait(2.0)
        self.settle()

    def _check_present(self) -> None:
        """Whose end is not noticed yet is still shown; who was away is shown again once they are renewed."""
        waited_s = 0.0
        while amiss := [each for room in self.rooms for each in room.here().amiss()]:
            for each in amiss:
                if waited_s > each.within_s:
                    raise Broken("present", each.what)
            self._wait(1.0)
            if not self.hub.half_open:
                waited_s += 1.0

    def _judge(self) -> None:
        for room, other in permutations(self.rooms, 2):
            room.check_apart(other)
        self._check_present()
        for room in self.rooms:
            room.judge(self._until)
        self._check_present()
        before = self._activity()
        self._wait(REST_S)
        if self._activity() != before:
            raise Broken("echo", "something goes on although everything was settled")

    def _take_turn(self) -> None:
        """One person does one thing while everyone is at rest: everyone in that room gets just that."""
        person = self._rng.choice(self._actors)
        room = next(room for room in self.rooms if person in room.actors)
        if isinstance(person, Typist):
            room.pages.take_turn(person, self.settle)
            check_equal(room.replicas)
            return
        if isinstance(person, Bot):
            room.programs.take_turn(person, self.settle)
            check_equal(room.replicas)
            return
        person.act()
        self._until(lambda: not person.busy, 10.0, "people finish")
        self._wait(2.0)
        restored = self._attend()
        replica = room.replicas[room.people.index(person)]
        expected = picture(replica)
        self.settle()
        check_equal(room.replicas)
        if not restored:
            check_is(expected, replica, room.replicas)
