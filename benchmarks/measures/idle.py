"""Two replicas of 10,000 files and their hub, at rest: processor time, resident memory (VmRSS)."""

from __future__ import annotations

import time

from benchmarks import trees
from benchmarks.bench import Bench
from benchmarks.figures import Target
from benchmarks.processes import cpu_s, peak_resident_bytes, resident_bytes
from benchmarks.systems.folders import ours, peers

TITLE = "idle, 10,000 files"
TARGETS = (
    Target("replica: CPU below 0.2 %", "replica_cpu_percent", 0.2),
    Target("hub: CPU below 0.2 %", "hub_cpu_percent", 0.2),
    Target("replica ≤ 90 MB", "replica_rss_MB", 90.0),
    Target("hub ≤ 60 MB", "hub_rss_MB", 60.0),
)


def run(bench: Bench) -> None:
    systems = (ours(), *(peer for peer in peers() if peer.name == "Syncthing" and not peer.missing))
    for system in systems:
        bench.results.options[system.name] = system.options
        with (
            bench.folder(system.name) as place,
            system.pair(place, lambda folder: trees.small_files(folder, bench.pick(10_000, 500))) as pair,
        ):
            end = time.monotonic() + 60
            while not trees.all_there(pair.one, pair.two) and time.monotonic() < end:
                time.sleep(0.2)
            time.sleep(bench.pick(12.0, 3.0))
            before = {role: cpu_s(pid) for role, pid in pair.pids.items()}
            watched_s = bench.pick(20.0, 4.0)
            time.sleep(watched_s)
            for role, pid in pair.pids.items():
                name = role.replace(" ", "_")
                share = (cpu_s(pid) - before[role]) / watched_s * 100
                bench.record(system.name, f"{name}_cpu_percent", share)
                bench.record(system.name, f"{name}_rss_MB", resident_bytes(pid) / 1e6)
                bench.record(system.name, f"{name}_peak_MB", peak_resident_bytes(pid) / 1e6)
