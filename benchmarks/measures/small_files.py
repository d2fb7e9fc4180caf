"""10,000, 30,000 and 100,000 small texts: first join, memory at rest, and a rejoin where nothing changed.

Each step triples, so a quadratic one would show as nine times. The rejoin is ``join --once`` from the start
of the process; what it is allowed is twice a bare ``scandir`` and ``stat`` walk of the folder, plus 1 s.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from benchmarks import trees
from benchmarks.bench import Bench
from benchmarks.figures import OURS, Target
from benchmarks.measures.first_join import join_once
from benchmarks.processes import peak_resident_bytes, resident_bytes
from tests.processes.harness import Hub, Joined

TITLE = "100,000 small files"
ALLOWED = "two walks plus 1 s"
FLOOR = "scandir + stat"
TARGETS = (
    Target("rejoin ≤ 2 × a walk plus 1 s", "rejoin_100000_s", 1.0, (ALLOWED,)),
    Target("replica ≤ 250 MB at rest", "replica_100000_rss_MB", 250.0),
    Target(
        "no quadratic step: 100k per file against 10k", "join_100000_per_file", 1.5, ("crdtsync at 10,000",)
    ),
)
JOIN_DEADLINE_S = 300.0


def run(bench: Bench) -> None:
    for count in (10_000, 30_000, 100_000):
        bench.turn(f"{OURS} at {count:,}", partial(_size, bench, count))


def _size(bench: Bench, count: int) -> None:
    with bench.folder(str(count)) as place, Hub(place / "hub") as hub:
        folder = place / "one"
        folder.mkdir()
        trees.small_files(folder, bench.pick(count, count // 50))
        begun = time.perf_counter()
        with Joined(hub.url, folder, name="One") as replica:
            replica.wait_for("state", deadline_s=JOIN_DEADLINE_S, state="settled")
            took = time.perf_counter() - begun
            bench.record(OURS, f"join_{count}_s", took)
            bench.record(OURS, f"join_{count}_per_file", took / count)
            if count == 10_000:
                bench.record("crdtsync at 10,000", "join_100000_per_file", took / count)
            bench.record(OURS, f"replica_{count}_peak_MB", peak_resident_bytes(replica.pid) / 1e6)
            replica.stop()
        for _ in range(bench.pick(3, 2)):
            _rejoin(bench, hub, folder, count)
        with Joined(hub.url, folder, name="One") as replica:
            replica.wait_for("state", deadline_s=JOIN_DEADLINE_S, state="settled")
            time.sleep(3.0)
            bench.record(OURS, f"replica_{count}_rss_MB", resident_bytes(replica.pid) / 1e6)
            bench.record(OURS, f"hub_{count}_rss_MB", resident_bytes(hub.pid) / 1e6)


def _rejoin(bench: Bench, hub: Hub, folder: Path, count: int) -> None:
    begun = time.perf_counter()
    trees.walk(folder)
    walked = time.perf_counter() - begun
    bench.record("scandir + stat", f"rejoin_{count}_s", walked)
    bench.record(ALLOWED, f"rejoin_{count}_s", 2 * walked + 1)
    begun = time.perf_counter()
    join_once(hub, folder)
    bench.record(OURS, f"rejoin_{count}_s", time.perf_counter() - begun)
