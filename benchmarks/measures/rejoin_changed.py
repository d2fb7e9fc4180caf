"""A replica of 5,000 files comes back after 1,000 changed on the other side: ``join --once`` until settled.

The floor copies those 1,000 files with ``cp``; ``rsync -a`` finds and copies them.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from benchmarks import trees
from benchmarks.bench import Bench
from benchmarks.figures import OURS, Target
from benchmarks.measures.first_join import copied, join_once
from tests.processes.harness import Hub, Joined

TITLE = "rejoin after 1,000 changed files on the other side"
FLOOR = "cp of the 1,000"
TARGETS = (
    Target("≤ 2 × copying them", "rejoin_s", 2.0, ("cp of the 1,000",)),
    Target("against copying them durably (cp, sync -f)", "rejoin_s", 2.0, ("cp and sync -f",)),
    Target("against rsync -a", "rejoin_s", 2.0, ("rsync -a",)),
)


def run(bench: Bench) -> None:
    files, changed = bench.pick(5000, 500), bench.pick(1000, 100)
    with bench.folder() as place, Hub(place / "hub") as hub:
        trees.small_files(place / "one", files)
        with Joined(hub.url, place / "one", name="One") as one:
            one.wait_for("state", deadline_s=120, state="settled")
            join_once(hub, place / "two")
            subprocess.run(["cp", "-a", place / "two", place / "rsynced"], check=True)
            for number in range(bench.pick(3, 1)):
                _change(place / "one", place / f"changed{number}", changed, number)
                one.flush()
                begun = time.perf_counter()
                took = copied(place / f"changed{number}", place / "copy")
                bench.record("cp of the 1,000", "rejoin_s", took)
                subprocess.run(["sync", "--file-system", place / "copy"], check=True)
                bench.record("cp and sync -f", "rejoin_s", time.perf_counter() - begun)
                subprocess.run(["rm", "-r", place / "copy"], check=True)
                begun = time.perf_counter()
                excluded = "--exclude=.crdtsync"
                subprocess.run(["rsync", "-a", excluded, f"{place / 'one'}/", place / "rsynced"], check=True)
                bench.record("rsync -a", "rejoin_s", time.perf_counter() - begun)
                begun = time.perf_counter()
                join_once(hub, place / "two")
                bench.record(OURS, "rejoin_s", time.perf_counter() - begun)
                if not trees.all_there(place / "one", place / "two"):
                    raise AssertionError("the rejoined folder lacks changes")


def _change(folder: Path, copies: Path, count: int, round_number: int) -> None:
    """Change every so many files, and put a copy of each into ``copies``."""
    names = sorted(trees.listing(folder))
    for name in names[:: max(1, len(names) // count)][:count]:
        text = (folder / name).read_text()
        (folder / name).write_text(f"changed {round_number} {'.' * round_number}\n" + text)
        (copies / name).parent.mkdir(parents=True, exist_ok=True)
        (copies / name).write_bytes((folder / name).read_bytes())
