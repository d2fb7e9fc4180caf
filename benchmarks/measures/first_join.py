"""The standard library's folder: into an empty hub, and from there into an empty folder, until settled.

Up and down are ``crdtsync join --once``, the start of the process included; rsync goes up to a daemon on
loopback and down again. Both at once, as Syncthing and Unison have it, is from the start of all processes,
which stay, to the last file in the other folder.
"""

from __future__ import annotations

import subprocess
import time
from functools import partial
from pathlib import Path

from benchmarks import trees
from benchmarks.bench import Bench
from benchmarks.figures import OURS, Target
from benchmarks.processes import wait_until
from benchmarks.systems import folders
from benchmarks.systems.folders import FolderSystem, peers, rsync_daemon
from tests.processes.harness import Hub
from tests.processes.harness import run as command

TITLE = "first join: the standard library"
FLOOR = "rsync"
TARGETS = (
    Target("up ≤ 2 × rsync -a", "up_s", 2.0, ("rsync",)),
    Target("down ≤ 2 × rsync -a", "down_s", 2.0, ("rsync",)),
    Target("both at most 1/5 of Syncthing", "both_s", 0.2, ("Syncthing",)),
    Target("both against Unison", "both_s", 1.0, ("Unison",)),
)


def run(bench: Bench) -> None:
    with bench.folder("library") as at:
        trees.standard_library(at / "library")
        found = trees.listing(at / "library")
        bench.record("the tree", "files", len(found))
        bench.record("the tree", "size_MB", sum(found.values()) / 1e6)
        turns = {
            "cp -a": lambda: _copy(bench, at / "library"),
            "rsync": lambda: _rsync(bench, at / "library"),
            OURS: lambda: _ours(bench, at / "library"),
        }
        bench.rounds(turns, bench.pick(3, 1))
        for peer in peers():
            if peer.name in ("Syncthing", "Unison"):
                for _ in range(bench.pick(2, 1)):
                    bench.turn(peer.name, partial(_both, bench, peer, at / "library"))


def copied(source: Path, target: Path) -> float:
    """Copy a tree with cp; returns the seconds."""
    begun = time.perf_counter()
    subprocess.run(["cp", "-a", source, target], check=True)
    return time.perf_counter() - begun


def _copy(bench: Bench, library: Path) -> None:
    with bench.folder("cp") as place:
        took = copied(library, place / "two")
        bench.record("cp -a", "copy_s", took)


def _rsync(bench: Bench, library: Path) -> None:
    with bench.folder("rsync") as place, rsync_daemon(place) as url:
        begun = time.perf_counter()
        subprocess.run(["rsync", "-a", f"{library}/", url], check=True)
        up = time.perf_counter() - begun
        subprocess.run(["rsync", "-a", url, f"{place / 'two'}/"], check=True)
        both = time.perf_counter() - begun
        bench.record("rsync", "up_s", up)
        bench.record("rsync", "down_s", both - up)
        bench.record("rsync", "both_s", both)


def _ours(bench: Bench, library: Path) -> None:
    """Up and down with processes that end once settled; then both at once."""
    with bench.folder("ours") as place, Hub(place / "hub") as hub:
        copied(library, place / "one")
        begun = time.perf_counter()
        join_once(hub, place / "one")
        up = time.perf_counter() - begun
        join_once(hub, place / "two")
        bench.record(OURS, "up_s", up)
        bench.record(OURS, "down_s", time.perf_counter() - begun - up)
        if not trees.all_there(library, place / "two"):
            raise AssertionError("the second folder lacks files")
    _both(bench, folders.ours(), library)


def join_once(hub: Hub, folder: Path) -> None:
    done = command("join", "notes", str(folder), "--hub", hub.url, "--name", folder.name, "--once", "--json")
    if done.returncode:
        raise ChildProcessError(f"join ended with {done.returncode}: {done.stderr[-300:]}")


def _both(bench: Bench, system: FolderSystem, library: Path) -> None:
    bench.results.options[system.name] = system.options
    if system.missing:
        raise FileNotFoundError(system.missing)
    with bench.folder(system.name) as place:
        (place / "pair").mkdir()
        stopwatch = [0.0]

        def fill(folder: Path) -> None:
            subprocess.run(["cp", "-a", f"{library}/.", folder], check=True)
            stopwatch[0] = time.perf_counter()

        with system.pair(place / "pair", fill) as pair:
            wait_until(lambda: trees.all_there(library, pair.two), f"{system.name} copied all", 90.0, 0.05)
            bench.record(system.name, "both_s", time.perf_counter() - stopwatch[0])
