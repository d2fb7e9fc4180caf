"""A blob of 2 GB from one disk to the other: memory above rest at both ends and the hub, and the throughput.

The floor is a copy of it through a loopback socket to a durable file. Memory is VmHWM, forgotten before the
transfer, above VmRSS at rest.
"""

from __future__ import annotations

import os
import time

from benchmarks import trees
from benchmarks.bench import Bench
from benchmarks.figures import OURS, Target
from benchmarks.measures.blobs import byte_at, has_byte, socket_copy_s
from benchmarks.processes import forget_peak, peak_resident_bytes, resident_bytes, wait_until
from benchmarks.systems.folders import nothing, ours

TITLE = "2 GB blob, both ends"
FLOOR = "copy through a socket"
TARGETS = (
    Target("sender ≤ 100 MB above rest", "sender_above_rest_MB", 100.0),
    Target("receiver ≤ 100 MB above rest", "receiver_above_rest_MB", 100.0),
    Target("≥ 0.5 × a copy through a socket", "throughput_MB_per_s", 0.5, (FLOOR,), at_least=True),
)


def run(bench: Bench) -> None:
    size = bench.pick(2 << 30, 1 << 26)
    with bench.folder() as place, ours().pair(place, nothing) as pair:
        trees.blob(place / "blob", size)
        last = byte_at(place / "blob", size - 1)
        took = socket_copy_s(place / "blob", place / "copy")
        (place / "copy").unlink()
        bench.record(FLOOR, "throughput_MB_per_s", size / took / 1e6)
        roles = {"sender": "first replica", "receiver": "replica", "hub": "hub"}
        rest = {role: resident_bytes(pair.pids[name]) for role, name in roles.items()}
        for name in roles.values():
            forget_peak(pair.pids[name])
        begun = time.perf_counter()
        os.rename(place / "blob", pair.one / "blob")
        wait_until(lambda: has_byte(pair.two / "blob", size, size - 1, last), "the blob comes", 240.0, 0.02)
        took = time.perf_counter() - begun
        bench.record(OURS, "throughput_MB_per_s", size / took / 1e6)
        for role, name in roles.items():
            above = peak_resident_bytes(pair.pids[name]) - rest[role]
            bench.record(OURS, f"{role}_above_rest_MB", above / 1e6)
