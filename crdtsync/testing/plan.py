"""What a simulated world is made of: how many replicas, which deeds, which faults; drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crdtsync.testing.clock import Streams
from crdtsync.testing.folding import MODES

BASIC = {"edit": 8, "create": 3, "delete": 1, "rename": 1}
GROUPS: dict[str, dict[str, int]] = {
    "structure": {
        "rename": 2,
        "rename_over": 1,
        "rename_folder": 2,
        "delete_tree": 1,
        "mkdir": 1,
        "rmdir": 1,
    },
    "cycles": {"cycle": 2, "rename": 1},
    "blobs": {"blob": 4, "exec": 2},
    "links": {"link": 2},
    "retype": {"retype": 2},
    "editors": {"slow": 2, "aside": 3, "copy": 1, "empty": 1},
    "stale": {"load": 3, "save_stale": 3},
    "ignores": {"ignore": 3},
}
FAULTS = ("offline", "kill", "kill_within", "cut", "hub_kill", "hub_restore", "state_lost", "hints", "races")
DISK_FAULTS = ("kill_at", "power", "trouble", "coarse")
"""Killed, or without power, between any two system calls; errors for a while; coarse times of files."""
LATER_FAULTS = (
    "slow",
    "half_open",
    "store_full",
    "state_restored",
    "hub_full",
    "clock",
    "pieces",
)
"""Readers that do not keep up (with limits so small that it tells), connections that only the hub holds for
open, stores that cannot be written or are replaced by an older copy, clocks that jump, blobs in pieces."""
FOLDING_SHARE = 0.25
"""Of worlds with disks that take several names for one, and people who spell names in several ways."""

IGNORES_SHARE = 0.08
"""Of worlds whose people change ignore files. Nobody takes turns in them, for not all get the same; whether
something stands twice is not asked: what is ignored here and was moved elsewhere is two files. Their disks
fold no names."""

TYPISTS_SHARES = (0.7, 0.2, 0.1)
"""Of worlds with none, one and two people who type in pages at the hub's Yjs door."""

BOTS_SHARES = (0.8, 0.15, 0.05)
"""Of worlds with none, one and two programs that have the room in memory, and no folder."""

HOCUSPOCUS_SHARES = (0.85, 0.05, 0.05, 0.05)
"""Of worlds with none, one, two and three more who do so at its Hocuspocus door, over one connection."""


READERS_SHARE = 0.1
"""Of worlds with a replica that may only read."""
TAKES_FROM_READERS = frozenset({"power", "state_lost", "state_restored", "hub_restore"})
"""Faults after which a reader has something of its own, which it keeps, and nobody gets from it."""

EMPTIES_TRASHES = frozenset({"clock"})
"""Faults after which a trash no longer has what it is to have: what was put there long ago goes."""

RIGHTS_SHARE = 0.3
"""Of the worlds of readers who work, those in which they may write for a while."""

NEIGHBOURS_SHARE = 0.1
"""Of worlds with another room on the same hub, in which as much is done."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is made of. ``groups`` and ``faults`` are names of the tables above.

    ``disks``: which names each replica's disk takes for one (``folding.MODES``), in turn; empty: none does.
    ``typists``: how many type in pages of their own; ``hocuspocus``: how many more at one connection.
    ``bots``: how many have programs in the room. ``readers``: how many more replicas may only read; nobody
    changes anything there, unless they are ``working``.
    ``newcomer``: what someone chooses (``Differing``) who joins late with files of their own; empty: nobody.
    ``neighbours``: how many replicas another room has, and no such room if none.
    """

    replicas: int = 2
    acts: int = 40
    pause_s: float = 0.3
    groups: frozenset[str] = frozenset()
    faults: frozenset[str] = frozenset()
    turns: int = 6
    disks: tuple[str, ...] = ()
    typists: int = 0
    bots: int = 0
    hocuspocus: int = 0
    neighbours: int = 0
    readers: int = 0
    working: bool = False
    newcomer: str = ""

    def __str__(self) -> str:
        groups, faults = "+".join(sorted(self.groups)), "+".join(sorted(self.faults))
        return (
            f"replicas={self.replicas},acts={self.acts},pause_s={self.pause_s:g},"
            f"groups={groups},faults={faults},turns={self.turns},disks={'+'.join(self.disks)},"
            f"typists={self.typists},bots={self.bots},hocuspocus={self.hocuspocus},"
            f"neighbours={self.neighbours},readers={self.readers},"
            f"working={self.working:d},newcomer={self.newcomer}"
        )

    @staticmethod
    def parse(text: str) -> Plan:
        """The plan that ``str`` wrote. Raises ValueError or KeyError."""
        found = dict(part.split("=") for part in text.split(","))
        return Plan(
            replicas=int(found["replicas"]),
            acts=int(found["acts"]),
            pause_s=float(found["pause_s"]),
            groups=frozenset(found["groups"].split("+")) - {""},
            faults=frozenset(found["faults"].split("+")) - {""},
            turns=int(found["turns"]),
            disks=tuple(each for each in found.get("disks", "").split("+") if each),
            typists=int(found.get("typists", "0")),
            bots=int(found.get("bots", "0")),
            hocuspocus=int(found.get("hocuspocus", "0")),
            neighbours=int(found.get("neighbours", "0")),
            readers=int(found.get("readers", "0")),
            working=found.get("working") == "1",
            newcomer=found.get("newcomer", ""),
        )

    @staticmethod
    def with_newcomer(seed: int) -> Plan:
        """The seed's own, in which someone joins late with files of their own."""
        plan = Plan.of_seed(seed)
        choice = Streams(seed)["newcomer"].choice(("both", "hub", "mine", "newest"))
        reads = Streams(seed)["newcomer reads"].random() < READERS_SHARE
        return replace(
            plan,
            newcomer=choice,
            faults=plan.faults - EMPTIES_TRASHES,
            groups=plan.groups - {"ignores"},
            turns=0 if reads else 6,
            readers=0,
            working=reads,
        )

    @staticmethod
    def with_working_reader(seed: int) -> Plan:
        """The seed's own, in which people work in the folder of a replica that may only read."""
        plan = Plan.of_seed(seed)
        faults = plan.faults
        if Streams(seed)["rights"].random() < RIGHTS_SHARE:
            faults = faults - TAKES_FROM_READERS | {"rights"}
        return replace(
            plan, readers=1, working=True, faults=faults, groups=plan.groups - {"ignores"}, turns=0
        )

    @staticmethod
    def of_seed(seed: int) -> Plan:
        """Any mixture: a bug that needs two things is found where only few others disturb."""
        streams = Streams(seed)
        rng, names, disk = streams["plan"], streams["names"], streams["disk faults"]
        ignores, folding = streams["ignores"].random() < IGNORES_SHARE, names.random() < FOLDING_SHARE
        reads = streams["readers"].random() < READERS_SHARE
        plan = Plan(
            replicas=rng.choice([2, 2, 2, 3, 4]),
            acts=rng.choice([3, 6, 10, 20, 40]),
            pause_s=rng.choice([0.01, 0.05, 0.3, 1.0]),
            groups=frozenset(name for name in GROUPS if name != "ignores" and rng.random() < 0.35)
            | (frozenset({"ignores"}) if ignores else frozenset()),
            faults=frozenset(name for name in FAULTS if rng.random() < 0.2)
            | frozenset(name for name in DISK_FAULTS if disk.random() < 0.15)
            | frozenset(name for name in LATER_FAULTS if streams["later faults"].random() < 0.08),
            turns=0 if ignores else 6,
            disks=() if ignores or not folding else tuple(names.choices(sorted(MODES), k=4)),
            typists=streams["typists"].choices((0, 1, 2), TYPISTS_SHARES)[0],
            bots=0 if ignores else streams["bots"].choices((0, 1, 2), BOTS_SHARES)[0],
            hocuspocus=streams["hocuspocus"].choices((0, 1, 2, 3), HOCUSPOCUS_SHARES)[0],
            neighbours=2 if streams["neighbours"].random() < NEIGHBOURS_SHARE else 0,
        )
        reads = reads and not ignores and not plan.faults & TAKES_FROM_READERS
        return replace(plan, readers=1) if reads else plan


WORLDS = {"newcomers": Plan.with_newcomer, "working-readers": Plan.with_working_reader}
"""Worlds that are run only where they are asked for."""
