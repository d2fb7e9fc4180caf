"""One round: a hub and three replicas in real folders, three people at work, faults, rest, judgement."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from crdtsync.testing.oracles import Broken
from tests.torture.judging import judge, judge_logs, outside_of, settle, status_of
from tests.torture.machines import Machine, clock_s, pause
from tests.torture.people import Person, SharedLedger
from tests.waiting import eventually

NAMES: Final = ("ann", "bob", "cid")
ROOM: Final = "torture"
BUSY_S: Final = 8.0
_UP: Final = {True: "listening", False: "joining"}
"""What a hub, and a replica, says once it is there."""


@dataclass(slots=True)
class Round:
    """What a scenario may touch. ``faults`` counts what it did and what came of it."""

    base: Path
    rng: Random
    busy_s: float = BUSY_S
    first_call: int = 0
    """Kill at this call, then at each next one; 0: at some, from the first on."""
    last_call: int = 0
    """The last one at which something was to be killed."""
    faults: Counter[str] = field(default_factory=Counter)
    machines: dict[str, Machine] = field(default_factory=dict)
    people: list[Person] = field(default_factory=list)
    hub_address: str = "127.0.0.1"

    @property
    def hub(self) -> Machine:
        return self.machines["hub"]

    @property
    def folders(self) -> list[Path]:
        return [self.folder(name) for name in NAMES]

    def folder(self, name: str) -> Path:
        return self.base / name / "folder"

    @property
    def hub_data(self) -> Path:
        return self.base / "hub" / "data"

    # -- beginning --------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """The folders beside which processes come to stand; a scenario may mount something there."""
        for name in ("hub", *NAMES, "logs", "notes"):
            (self.base / name).mkdir(parents=True)
        outside = self.base / "outside"
        outside.mkdir()
        for number in range(3):
            (outside / f"{number}.txt").write_text(f"not shared {number}\n")

    def start(self, around: dict[str, tuple[str, ...]], env: dict[str, dict[str, str]]) -> None:
        """Start everybody; ``around`` and ``env`` are by the name of a machine."""
        arguments = ["hub", "--json", "--data", str(self.hub_data), "--host", self.hub_address, "--port"]
        hub = self._machine("hub", [*arguments, "0"], around, env)
        hub.start()
        listening = hub.up("listening")
        assert listening is not None, hub.errors()
        url = str(listening["url"])
        hub.arguments = (*arguments, url.rpartition(":")[2], *(["--open"] if self._open else []))
        for name in NAMES:
            join = ["join", ROOM, str(self.folder(name)), "--hub", url, "--name", name, "--json"]
            self._machine(name, join, around, env).start()
        for name in NAMES:
            assert self.machines[name].up("joining") is not None, self.machines[name].errors()

    @property
    def _open(self) -> bool:
        return not self.hub_address.startswith("127.")

    def _machine(
        self,
        name: str,
        arguments: list[str],
        around: dict[str, tuple[str, ...]],
        env: dict[str, dict[str, str]],
    ) -> Machine:
        arguments = [*arguments, "--open"] if name == "hub" and self._open else arguments
        machine = Machine(
            name,
            tuple(arguments),
            self.base / "logs" / f"{name}.log",
            around.get(name, ()),
            env.get(name, {}),
        )
        self.machines[name] = machine
        return machine

    def set_to_work(self, ledger: SharedLedger) -> None:
        for name in NAMES:
            rng = Random(self.rng.random())
            machine = self.machines[name]
            person = Person(name, self.folder(name), rng, ledger, machine, self.rng.choice([0.01, 0.05, 0.2]))
            self.people.append(person)
            person.start()

    # -- what scenarios do ------------------------------------------------------------------------------

    def while_busy(self, at_least: int = 1) -> Iterator[float]:
        """Once and again until the time is over; gives what is left, in seconds."""
        end = clock_s() + self.busy_s
        while at_least > 0 or clock_s() < end:
            yield max(0.5, end - clock_s())
            at_least -= 1

    def revive(self, name: str) -> None:
        """Start what has ended, plainly; what ended by itself is counted."""
        machine = self.machines[name]
        if not machine.running:
            machine.start()
            self.up(name)

    def up(self, name: str) -> None:
        """Wait until it is there, or has ended."""
        self.machines[name].up(_UP[name == "hub"])

    # -- ending -----------------------------------------------------------------------------------------

    def calm(self) -> None:
        """Nothing fails from here on, and everybody is there."""
        for person in self.people:
            person.stop()
        eventually(self._all_connected, "everybody has found the hub")

    def _all_connected(self) -> bool:
        """Also of those who were about to end a moment ago."""
        for name in self.machines:
            self.revive(name)
            self.up(name)
        with contextlib.suppress(Broken):  # it has just ended
            return all(status_of(folder)["connected"] for folder in self.folders)
        return False

    def end(self) -> None:
        for person in self.people:
            with contextlib.suppress(Exception):
                person.stop()
        for machine in reversed(self.machines.values()):
            machine.kill()


@dataclass(frozen=True, slots=True)
class Told:
    """How a round went."""

    deeds: int
    faults: Counter[str]
    flushes: int
    files: int
    took_s: float
    last_call: int
    last_words: list[str]
    """Why processes ended by themselves."""


class Scenario:
    """One kind of fault. A subclass says what it changes; as it stands nothing fails."""

    def __init__(self, here: Round) -> None:
        self.here = here
        self.around: dict[str, tuple[str, ...]] = {}
        self.env: dict[str, dict[str, str]] = {}

    def before(self) -> None:
        """Make what processes need before they start."""

    def during(self) -> None:
        """While people work."""
        for left_s in self.here.while_busy():
            pause(left_s)

    def after(self) -> None:
        """Everything is as it should be again: what is restarted from here on meets no fault."""

    def clean(self) -> None:
        """Take away what ``before`` made, whatever happened."""


def play(
    scenario: type[Scenario], base: Path, seed: int, busy_s: float = BUSY_S, first_call: int = 0
) -> Told:
    """One round; ``first_call`` as in ``Round``.

    Raises Broken, or AssertionError when something does not come about in time.
    """
    started_s = clock_s()
    here = Round(base, Random(f"{scenario.__name__} {seed}"), busy_s, first_call)
    here.prepare()
    ledger = SharedLedger()
    fault = scenario(here)
    try:
        fault.before()
        outside = outside_of(base, here.folders)
        here.start(fault.around, fault.env)
        here.set_to_work(ledger)
        fault.during()
        for person in here.people:
            person.stop()
        fault.after()
        here.calm()
        flushes = settle(here.folders, here.rng)
        found = judge(here.folders, ledger)
        for machine in reversed(here.machines.values()):
            machine.stop()
        judge_logs([*here.machines.values()])
        assert outside_of(base, here.folders) == outside, "something beside the folders has changed"
    finally:
        here.end()
        fault.clean()
    deeds = sum(sum(person.done.values()) for person in here.people)
    words = [f"{name}: {word}" for name, machine in here.machines.items() for word in machine.last_words()]
    return Told(deeds, here.faults, flushes, len(found), clock_s() - started_s, here.last_call, words)


def discard(base: Path) -> None:
    shutil.rmtree(base, ignore_errors=True)
