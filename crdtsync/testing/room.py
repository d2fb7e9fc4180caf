"""One room of a world: its replicas, the people at them, its pages and programs, and who wrote what there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from crdtsync.core.replica.events import Differing
from crdtsync.testing.apart import Apart
from crdtsync.testing.bots import Bot
from crdtsync.testing.editors import Editor
from crdtsync.testing.hocuspocus_page import HocuspocusSocket
from crdtsync.testing.newcomer import Newcomer
from crdtsync.testing.oracles import (
    Broken,
    Ledger,
    check_equal,
    check_kept,
    check_nothing_doubled,
    check_nothing_lost,
    picture,
)
from crdtsync.testing.pages import Pages, Until
from crdtsync.testing.plan import BASIC, GROUPS, Plan
from crdtsync.testing.presence import Here, texts_of
from crdtsync.testing.programs import Programs
from crdtsync.testing.setting import Setting
from crdtsync.testing.spellers import Speller
from crdtsync.testing.tokens import is_common, token_name, tokens
from crdtsync.testing.typists import Typist
from crdtsync.testing.unkept import Unkept
from crdtsync.testing.virtual_power import Ordering
from crdtsync.testing.virtual_replica import VirtualReplica

Actor: TypeAlias = Editor | Typist | Bot


class Room:
    """``sockets`` are those of all rooms."""

    def __init__(self, setting: Setting, replicas: int, plan: Plan, sockets: list[HocuspocusSocket]) -> None:
        self.name = setting.room
        self.ledger = setting.ledger
        self._setting = setting
        self._plan = plan
        self.replicas = [self._replica(number) for number in range(replicas + plan.readers)]
        for replica in self.replicas[replicas:]:
            replica.read_only = True
        self.people = [self._person(replica) for replica in self.replicas]
        self.apart = [self._apart(replica) for replica in self.replicas[replicas:] if plan.working]
        self.unkept = Unkept(setting, self.replicas)
        self.pages = Pages(setting, self.replicas, self.unkept, sockets)
        self.programs = Programs(setting, self.replicas[:replicas], self.unkept)

    @property
    def actors(self) -> list[Actor]:
        writers = [
            person
            for person, replica in zip(self.people, self.replicas, strict=True)
            if not replica.read_only or self._plan.working
        ]
        return [*writers, *self.pages.typists, *self.programs.bots]

    def person_at(self, replica: VirtualReplica) -> Editor:
        return self.people[self.replicas.index(replica)]

    def ledger_at(self, replica: VirtualReplica) -> Ledger:
        """Of the people at that replica."""
        return self.person_at(replica).ledger

    def _apart(self, replica: VirtualReplica) -> Apart:
        return Apart(replica, self.person_at(replica), self.ledger, self.ledger.aside())

    def _replica(self, number: int) -> VirtualReplica:
        its = self._setting
        name = its.prefix + "abcdefgh"[number]
        rng = its.streams[f"replica {name}"]
        disks = self._plan.disks or ("plain",)
        mode = disks[number % len(disks)]
        replica = VirtualReplica(name, its.clock, rng, its.trace, its.hub, mode, self.name)
        replica.link.latency_s = rng.choice([0.0005, 0.005, 0.05, 0.3])
        replica.work_s = rng.choice([0.0003, 0.003, 0.03])
        faults = self._plan.faults
        if "coarse" in faults:
            filesystem = replica.machine.filesystem
            filesystem.tick_ns = rng.choice([4_000_000, 1_000_000_000, 2_000_000_000])
            filesystem.reuses_numbers = True
        if "power" in faults:
            replica.machine.filesystem.order(rng.choice([Ordering.ORDERED, Ordering.JUMPING]))
        if "pieces" in faults:
            replica.transfers.piece_bytes = 4
        if "hints" in faults:
            replica.pace.overflows = replica.pace.doubled = 0.05
            replica.pace.watch_delay_s = rng.choice([0.001, 0.1])
        return replica

    def _person(self, replica: VirtualReplica) -> Editor:
        actions = dict(BASIC)
        for group in sorted(self._plan.groups):
            for action, weight in GROUPS[group].items():
                actions[action] = actions.get(action, 0) + weight
        if self._plan.disks:
            actions["respell"] = 3
        rng = self._setting.streams[f"person {replica.name}"]
        person = (Speller if self._plan.disks else Editor)(
            replica.name,
            self._setting.clock,
            rng,
            self._setting.trace,
            replica.disk,
            self.ledger,
            actions,
            replica.machine.holds,
            replica.has_read,
        )
        if "races" in self._plan.faults and (self._plan.working or not replica.read_only):
            replica.race = lambda path: person.save_racing(path) if rng.random() < 0.2 else None
        return person

    # -- its run ----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Once its replicas have joined: its pages and programs."""
        self.pages.open(self._plan.typists, self._plan.hocuspocus)
        self.programs.open(self._plan.bots, blobs="hub_restore" not in self._plan.faults)

    def arrive(self, choice: Differing, *, in_ways: bool) -> Newcomer:
        """One more joins, with a folder of their own."""
        replica = self._replica(len(self.replicas))
        self.replicas.append(replica)
        self.people.append(person := self._person(replica))
        if self._plan.working:
            replica.read_only = True
            self.apart.append(self._apart(replica))
        rng = self._setting.streams[f"newcomer {replica.name}"]
        newcomer = Newcomer(replica, person, rng, choice)
        newcomer.bring(self.replicas[0].disk, in_ways=in_ways)
        replica.start()
        return newcomer

    def calm(self, until: Until) -> None:
        """From here on nothing fails, and everyone is there."""
        self.pages.calm(until)
        self.programs.calm()

    def settle(self) -> Callable[[], bool]:
        """Returns what tells whether all have settled from here on."""
        numbers = [(replica, replica.flush()) for replica in self.replicas]
        programs_settled = self.programs.settle()
        return lambda: programs_settled() and all(number in replica.flushed for replica, number in numbers)

    def activity(self) -> tuple[object, ...]:
        return (
            *(replica.performed for replica in self.replicas),
            *(tuple(picture(replica).items()) for replica in self.replicas),
            *self.pages.activity(),
            *self.programs.activity(),
        )

    # -- what must hold of it ---------------------------------------------------------------------------

    def judge(self, until: Until) -> None:
        check_equal(self.replicas)
        self.pages.judge(until)
        self.programs.judge(self.replicas[0])
        check_nothing_lost(self.ledger, self.replicas)  # is told first
        if "ignores" not in self._plan.groups:  # what was ignored here and moved elsewhere is two files
            check_nothing_doubled(self.replicas, self.ledger)

    def judge_apart(self) -> None:
        """What holds as long as some may only read, and people work there."""
        together = [replica for replica in self.replicas if not replica.read_only]
        check_equal(together)
        everywhere = {
            f"{each.name}/{path}": node for each in self.replicas for path, node in picture(each).items()
        }
        trashed = [data for each in self.replicas for data in each.machine.trashed()]
        taken_back = set().union(*(apart.taken_back for apart in self.apart))
        check_kept(self.ledger, everywhere, trashed, taken_back)
        check_nothing_doubled(together, self.ledger)
        for apart in filter(lambda apart: apart.holds, self.apart):
            apart.check(picture(together[0]), self._contents(apart.replica))

    def here(self) -> Here:
        """Who is told of whom, at rest."""
        members = self.programs.told_who_is_here()
        for replica in self.replicas:
            assert replica.engine is not None
            members[replica.name] = [peer.name for peer in replica.engine.status.peers]
        pages = [typist.page for typist in self.pages.typists if typist.page.open]
        return Here(members, pages, texts_of(pages, self._setting.hub.store))

    def check_apart(self, other: Room) -> None:
        """Nothing that was written in the other room is known to anyone here, nor who is there."""
        foreign = {token for token in other.ledger.born if not is_common(token)}
        for where, data in self._contents():
            for token in sorted(tokens(data) & foreign):
                raise Broken("apart", f"{token_name(token)} of {other.name} is in {where} of {self.name}")
        theirs = {actor.name for actor in other.actors}
        for replica in self.replicas:
            assert replica.engine is not None
            if met := theirs & {peer.name for peer in replica.engine.status.peers}:
                raise Broken("apart", f"{replica.name} meets {sorted(met)} of {other.name}")

    def _contents(self, but: VirtualReplica | None = None) -> Iterator[tuple[str, bytes]]:
        for replica in self.replicas:
            if replica is but:
                continue
            yield from (("a file", data) for data in replica.machine.contents())
            yield from (("a state", text.encode()) for text in replica.store.texts())
        yield from (("the log", text.text.encode()) for _, text in self._setting.hub.store.texts(self.name))
        yield from (("a blob", data) for data in self._setting.hub.blobs_of(self.name).values())
        yield from (("a page", typist.page.text.encode()) for typist in self.pages.typists)
        yield from (("a program", text.encode()) for bot in self.programs.bots for text in bot.texts())
