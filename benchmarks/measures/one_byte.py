"""One byte changed in the middle of a 1 GB blob, until the other disk has it; what went over the wire.

The floor hashes the file once (BLAKE3, one thread). The index is 36 bytes a chunk, both ways past the hub.
"""

from __future__ import annotations

import time
from pathlib import Path

from blake3 import blake3

from benchmarks import trees
from benchmarks.bench import Bench
from benchmarks.figures import OURS, Target
from benchmarks.measures.blobs import byte_at, has_byte, wire_bytes
from benchmarks.processes import wait_until
from benchmarks.systems.folders import nothing, ours
from crdtsync.core.values import limits

TITLE = "one byte changed in a 1 GB blob"
HASHING, ALLOWED = "hashing it", "two average chunks + index"
FLOOR = HASHING
TARGETS = (
    Target("bytes up ≤ 2 average chunks + index", "wire_up_bytes", 1.0, (ALLOWED,)),
    Target("time ≤ 1.5 × hashing it", "changed_s", 1.5, (HASHING,)),
)


def run(bench: Bench) -> None:
    size = bench.pick(1 << 30, 1 << 26)
    with bench.folder() as place, ours().pair(place, nothing) as pair:
        trees.blob(pair.one / "blob", size)
        last = byte_at(pair.one / "blob", size - 1)
        wait_until(lambda: has_byte(pair.two / "blob", size, size - 1, last), "the blob comes", 240.0, 0.02)
        for replica in pair.replicas:
            replica.flush()
        for number in range(bench.pick(3, 1)):
            offset = size // 2 + number * (50 << 20) // 4
            bench.record(HASHING, "changed_s", _hashed_s(pair.one / "blob"))
            changed = bytes((byte_at(pair.one / "blob", offset)[0] ^ 255,))
            before = wire_bytes(pair.hub_url)
            begun = time.perf_counter()
            with open(pair.one / "blob", "r+b") as file:
                file.seek(offset)
                file.write(changed)
            target = pair.two / "blob"
            wait_until(lambda: has_byte(target, size, offset, changed), "the byte comes", 120.0)  # noqa: B023
            bench.record(OURS, "changed_s", time.perf_counter() - begun)
            for replica in pair.replicas:
                replica.flush()
            both_ways = wire_bytes(pair.hub_url) - before
            bench.record(OURS, "wire_both_ways_bytes", both_ways)
            bench.record(OURS, "wire_up_bytes", both_ways / 2)
            chunk = limits.CHUNK_AVERAGE_BYTES
            bench.record(ALLOWED, "wire_up_bytes", 2 * chunk + size / chunk * 36)


def _hashed_s(path: Path) -> float:
    begun = time.perf_counter()
    digest = blake3()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return time.perf_counter() - begun
