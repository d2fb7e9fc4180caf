"""The faults that real processes meet, each as a scenario that can be run alone, by name."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Final

from crdtsync.core.values.reserved import STATE_FOLDER
from tests.torture import clocks, wires
from tests.torture.machines import pause
from tests.torture.people import FOLDERS, PROJECT
from tests.torture.tracing import CALLS, Failing, failing, injected, killed_at, may_trace
from tests.torture.world import NAMES, Scenario

SLICE_S: Final = 1.5
"""How long a process that is there is watched for the call at which it is to be killed."""


class Plain(Scenario):
    """Nothing fails."""


class Killed(Scenario):
    """A process is killed at one system call after the other, over and over, right after its start too."""

    group: ClassVar[str]
    victim: ClassVar[str]

    def during(self) -> None:
        here = self.here
        name = "hub" if self.victim == "hub" else here.rng.choice(NAMES)
        machine = here.machines[name]
        number = max(1, here.first_call)
        for left_s in here.while_busy(at_least=min(4, int(here.busy_s))):
            here.last_call = number
            machine.stop() if here.rng.random() < 0.3 else machine.kill()
            note = here.base / "notes" / "kill"
            machine.start(killed_at(self.group, number, note))
            here.up(name)
            if not machine.running or machine.ended_within(min(SLICE_S, left_s)):
                here.faults["kills"] += 1
                number += 1 if here.first_call else here.rng.choice([1, 1, 2, 5, number])
            else:
                here.faults["in vain"] += 1
                number = number + 1 if here.first_call else max(1, number // here.rng.choice([2, 3, 8]))

    def after(self) -> None:
        for machine in self.here.machines.values():
            machine.kill()  # what is traced ends with its process


class Hammered(Scenario):
    """Hub and replicas are killed at any time, often several at once."""

    def during(self) -> None:
        for left_s in self.here.while_busy():
            for name in self.here.rng.sample(["hub", *NAMES], self.here.rng.choice([1, 1, 2, 3])):
                self.here.machines[name].kill()
                self.here.faults["kills"] += 1
                if self.here.rng.random() < 0.7:
                    self.here.machines[name].start()
            pause(min(left_s, self.here.rng.uniform(0.1, 1.5)))
            for machine in self.here.machines.values():
                if not machine.running:
                    machine.start()


class Rejoining(Scenario):
    """All replicas come back at once, over and over; the hub is killed while it tells what they missed."""

    def during(self) -> None:
        here, rng = self.here, self.here.rng
        for _ in here.while_busy(at_least=2):
            for name in NAMES:
                here.machines[name].kill()
            pause(rng.uniform(0, 1.0))
            for name in NAMES:
                here.machines[name].start()
            for name in rng.sample(NAMES, rng.choice([1, 2, 3])):
                here.up(name)
            pause(rng.choice([0.0, 0.02, 0.1, 0.3]))
            here.hub.kill()
            here.faults["kills"] += 1 + len(NAMES)
            pause(rng.uniform(0, 0.5))
            here.revive("hub")


class Frozen(Scenario):
    """Processes stand still for a while, as on a machine that swaps or sleeps."""

    def during(self) -> None:
        for left_s in self.here.while_busy():
            name = self.here.rng.choice(["hub", *NAMES])
            pause(self.here.rng.uniform(0, 0.3))
            with self.here.machines[name].still():
                pause(min(left_s, self.here.rng.choice([0.05, 0.5, 2.0])))
            self.here.faults["stops"] += 1


class Erring(Scenario):
    """The calls of a running process fail for a while."""

    victim: ClassVar[str]
    faults: ClassVar[tuple[tuple[str, str, bool], ...]]
    """Calls, the error, and whether the first thread is left out."""
    in_folders: ClassVar[bool] = False

    def during(self) -> None:
        here, rng = self.here, self.here.rng
        name = "hub" if self.victim == "hub" else rng.choice(NAMES)
        machine = here.machines[name]
        for left_s in here.while_busy(at_least=2):
            if not machine.running:
                here.faults["ended"] += 1
                here.revive(name)
            calls, error, workers_only = rng.choice(self.faults)
            first = rng.choice([1, 1, 2, 5, 20])
            last = first + rng.choice([0, 0, 3, 30, 1000])
            where = tuple(self._where(name)) if self.in_folders else ()
            note = here.base / "notes" / "errors"
            note.unlink(missing_ok=True)
            with failing(machine, Failing(calls, error, first, last, where, workers_only), note):
                pause(min(left_s, rng.choice([0.3, 1.0, 2.0])))
            here.faults["failed calls"] += injected(note)
            pause(rng.uniform(0, 0.3))

    def _where(self, name: str) -> Iterator[str]:
        folder = self.here.folder(name)
        yield str(folder)
        yield str(folder / STATE_FOLDER / "staging")
        for each in {*FOLDERS, PROJECT} - {""}:
            yield str(folder / each)


class Full(Scenario):
    """A tiny disk is full for a while, more than once."""

    victim: ClassVar[str]
    size_mib: ClassVar[int]

    def before(self) -> None:
        self._name = "hub" if self.victim == "hub" else self.here.rng.choice(NAMES)
        self._disk = self.here.base / self._name
        _command("mount", "-t", "tmpfs", "-o", f"size={self.size_mib}m", "torture", self._disk)

    def during(self) -> None:
        ballast = self._disk / "ballast"
        for left_s in self.here.while_busy(at_least=2):
            leave_bytes = self.here.rng.choice([0, 0, 4096, 50_000])
            _fill(ballast, shutil.disk_usage(self._disk).free - leave_bytes)
            self.here.faults["times full"] += 1
            pause(min(left_s, self.here.rng.choice([0.5, 1.5, 3.0])))
            if self.here.rng.random() < 0.3:
                self.here.machines[self._name].kill()
                self.here.machines[self._name].start()
                self.here.faults["kills"] += 1
                pause(0.5)
            ballast.unlink()
            pause(self.here.rng.uniform(0, 1.0))
            self._revive()

    def after(self) -> None:
        (self._disk / "ballast").unlink(missing_ok=True)
        _command("mount", "-o", f"remount,size={self.size_mib * 20}m", self._disk)

    def _revive(self) -> None:
        if not self.here.machines[self._name].running:
            self.here.faults["ended"] += 1
            self.here.revive(self._name)

    def clean(self) -> None:
        """Keep what the disk held, for whoever looks for a cause; sockets cannot be copied."""
        with contextlib.suppress(OSError):
            shutil.copytree(self._disk, self._disk.with_name(f"{self._name}-disk"), symlinks=True)
        with contextlib.suppress(OSError):
            _command("umount", "-l", self._disk)


class Wired(Scenario):
    """Everybody is in a network of their own; wires are cut, slow, or lose packets."""

    def before(self) -> None:
        self._net = wires.Network(NAMES, self.here.rng)
        self.here.hub_address = self._net.hub_address
        self.around = self._net.around

    def during(self) -> None:
        rng = self.here.rng
        for left_s in self.here.while_busy():
            wire = self._net.wires[rng.choice(NAMES)]
            self._harm(wire)
            pause(min(left_s, rng.choice([0.3, 1.5, 4.0])))
            if rng.random() < 0.7:
                self._net.heal(wire)

    def _harm(self, wire: wires.Wire) -> None:
        rng = self.here.rng
        fault = rng.choice(["slow", "lossy", "silent", "down"])
        self.here.faults[fault] += 1
        match fault:
            case "slow":
                wire.delay_s = rng.choice([0.02, 0.1, 0.4])
            case "lossy":
                wire.loss = rng.choice([0.02, 0.1, 0.3])
            case "silent":
                wire.loss = 1.0
            case _:
                self._net.set_link(wire, up=False)

    def after(self) -> None:
        for wire in self._net.wires.values():
            self._net.heal(wire)
        self.here.faults["packets"] += sum(wire.packets for wire in self._net.wires.values())
        self.here.faults["packets lost"] += sum(wire.lost for wire in self._net.wires.values())

    def clean(self) -> None:
        self._net.close()


class Storm(Wired):
    """Wires fail while processes are killed and held still: what is late meets what was lost."""

    def during(self) -> None:
        rng = self.here.rng
        for left_s in self.here.while_busy():
            self._harm(self._net.wires[rng.choice(NAMES)])
            name = rng.choice(["hub", *NAMES])
            machine = self.here.machines[name]
            if rng.random() < 0.5:
                machine.kill()
                self.here.faults["kills"] += 1
                pause(rng.uniform(0, 1.0))
                machine.start()
            else:
                with machine.still():
                    pause(rng.uniform(0, 1.0))
                self.here.faults["stops"] += 1
            pause(min(left_s, rng.uniform(0, 2.0)))
            for wire in self._net.wires.values():
                if rng.random() < 0.4:
                    self._net.heal(wire)


class Clocks(Scenario):
    """Everybody has another date; in half of the rounds it jumps while they work."""

    def before(self) -> None:
        rng = self.here.rng
        shim = clocks.shim(self.here.base)
        self._clocks = {name: clocks.Clock(self.here.base / f"{name}.clock") for name in ("hub", *NAMES)}
        for name, clock in self._clocks.items():
            clock.set(rng.choice(clocks.SHIFTS_S))
            self.env[name] = clock.environment(shim)

    def during(self) -> None:
        rng = self.here.rng
        jumps = rng.random() < 0.5
        for left_s in self.here.while_busy():
            pause(min(left_s, rng.uniform(0.5, 2.0)))
            name = rng.choice(["hub", *NAMES])
            if jumps:
                self._clocks[name].set(rng.choice(clocks.SHIFTS_S))
                self.here.faults["jumps"] += 1
            if rng.random() < 0.3:
                self.here.machines[name].kill()
                self.here.machines[name].start()
                self.here.faults["kills"] += 1


_SPACE = (("write,pwrite64,ftruncate", "ENOSPC", True), ("mkdirat,renameat2,linkat", "ENOSPC", False))
_IO = (
    ("write,pwrite64,pread64", "EIO", True),
    ("fsync,fdatasync,syncfs", "EIO", False),
    ("renameat2,rename,renameat,unlinkat,mkdirat", "EIO", False),
)
_DENIED = (("openat,mkdirat,renameat,renameat2,unlinkat,linkat,newfstatat,statx", "EACCES", False),)


def _made() -> Iterator[tuple[str, type[Scenario]]]:
    yield "plain", Plain
    yield "hammered", Hammered
    yield "rejoining", Rejoining
    yield "frozen", Frozen
    for victim in ("hub", "replica"):
        for group in CALLS:
            yield (
                f"kill-{victim}-{group}",
                type(f"Kill-{victim}-{group}", (Killed,), {"group": group, "victim": victim}),
            )
        for error, faults in (("ENOSPC", _SPACE), ("EIO", _IO)):
            yield (
                f"error-{victim}-{error}",
                type(f"Error-{victim}-{error}", (Erring,), {"faults": faults, "victim": victim}),
            )
        size = {"hub": 4, "replica": 3}[victim]
        yield f"full-{victim}", type(f"Full-{victim}", (Full,), {"size_mib": size, "victim": victim})
    denied = {"faults": _DENIED, "victim": "replica", "in_folders": True}
    yield "error-replica-EACCES", type("Error-replica-EACCES", (Erring,), denied)
    yield "wires", Wired
    yield "storm", Storm
    yield "clocks", Clocks


SCENARIOS: Final[dict[str, type[Scenario]]] = dict(_made())


def impossible(name: str) -> str | None:
    """Why this scenario cannot run here; None when it can."""
    missing = [tool for tool in ("git", "sed", "ed", "vim") if shutil.which(tool) is None]
    if missing:
        return f"people need {', '.join(missing)}"
    needs: dict[type[Scenario], Callable[[], str | None]] = {
        Killed: may_trace,
        Erring: may_trace,
        Full: _may_mount,
        Wired: wires.may_wire,
        Clocks: clocks.may_shift,
    }
    return next((needs[kind]() for kind in SCENARIOS[name].__mro__ if kind in needs), None)


def _may_mount() -> str | None:
    done = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else "file systems may not be mounted here (needs root)"


def _fill(path: Path, size_bytes: int) -> None:
    """Write until so much is written or nothing more fits."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while size_bytes > 0:
            size_bytes -= file.write(b"\0" * min(size_bytes, 65536))


def _command(*command: str | Path) -> None:
    """Raises OSError when it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
