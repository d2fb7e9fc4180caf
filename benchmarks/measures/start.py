"""``crdtsync --help``, and ``crdtsync status`` in a joined folder; the floor is ``python -c pass``."""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import OURS, Target
from tests.processes.harness import Hub, Joined

TITLE = "start of `crdtsync --help` and of `crdtsync status`"
FLOOR = "python -c pass"
TARGETS = (
    Target("--help ≤ 150 ms", "help_ms", 150),
    Target("status ≤ 250 ms", "status_ms", 250),
    Target("--help against the interpreter alone", "help_ms", 5, ("python -c pass",), over_metric="start_ms"),
)


def run(bench: Bench) -> None:
    with (
        bench.folder() as place,
        Hub(place / "hub") as hub,
        Joined(hub.url, place / "one", name="One") as replica,
    ):
        replica.wait_for("state", state="settled")
        turns = {
            "python -c pass": lambda: _took(bench, "python -c pass", "start_ms", "-c", "pass"),
            OURS: lambda: _both(bench, place / "one"),
        }
        bench.rounds(turns, bench.pick(15, 4))


def _both(bench: Bench, folder: Path) -> None:
    _took(bench, OURS, "help_ms", "-m", "crdtsync", "--help")
    _took(bench, OURS, "status_ms", "-m", "crdtsync", "status", str(folder))


def _took(bench: Bench, system: str, metric: str, *arguments: str) -> None:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    bench.record(system, metric, (time.perf_counter() - begun) * 1000)
