"""Saves of a 10 kB text, first in quiet, then while a blob of 1 GB goes each way between the same folders."""

from __future__ import annotations

import os
import random
import time

from benchmarks import trees
from benchmarks.bench import Bench
from benchmarks.figures import OURS, Target
from benchmarks.measures.blobs import byte_at, has_byte
from benchmarks.measures.saving import first_save, save_ms
from benchmarks.systems.folders import NAME, nothing, ours

TITLE = "save while a 1 GB blob transfers both ways"
QUIET = "crdtsync in quiet"
FLOOR = QUIET
TARGETS = (Target("p95 ≤ 3 × the quiet figure", "save_ms", 3.0, (QUIET,), "p95"),)
MOST_SAVES = 600


def run(bench: Bench) -> None:
    rng = random.Random(1)
    size = bench.pick(1 << 30, 1 << 26)
    with bench.folder() as place, ours().pair(place, nothing) as pair:
        first_save(pair, NAME, 10_000)
        for number in (1, 2):
            trees.blob(place / f"blob{number}", size, number)
        for _ in range(bench.pick(100, 20)):
            bench.record(QUIET, "save_ms", save_ms(pair, NAME, rng))
            time.sleep(0.05)
        ways = ((place / "blob1", pair.one, pair.two), (place / "blob2", pair.two, pair.one))
        last = {path: byte_at(path, size - 1) for path, _, _ in ways}
        for path, source, _ in ways:
            os.rename(path, source / path.name)
        begun = time.perf_counter()
        saves = 0
        while not all(has_byte(target / path.name, size, size - 1, last[path]) for path, _, target in ways):
            if saves < MOST_SAVES and time.perf_counter() - begun < 180:
                bench.record(OURS, "save_ms", save_ms(pair, NAME, rng))
                saves += 1
            elif time.perf_counter() - begun > 200:
                raise TimeoutError("the blobs did not come over within 200 s")
            time.sleep(0.05)
        bench.record(OURS, "blobs_took_s", time.perf_counter() - begun)
