"""One line changed in a text of 3 MB, until the other disk has it; the naive pipeline does the same."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack

from benchmarks.bench import Bench
from benchmarks.figures import OURS, Target
from benchmarks.measures.saving import first_save, save_ms
from benchmarks.systems.folders import NAIVE, NAME, naive, nothing, ours

TITLE = "3 MB text, one line changed"
FLOOR = NAIVE
TARGETS = (
    Target("≤ 50 ms to the other disk", "save_ms", 50.0),
    Target("against the naive pipeline", "save_ms", 4.0, (NAIVE,)),
)
SIZE_BYTES = 3_000_000


def run(bench: Bench) -> None:
    rng = random.Random(1)
    with ExitStack() as stack:
        place = stack.enter_context(bench.folder("pair"))
        pairs = {}
        for name, system in ((NAIVE, naive()), (OURS, ours())):
            bench.results.options[name] = system.options
            (place / name.replace(" ", "-")).mkdir()
            pairs[name] = stack.enter_context(system.pair(place / name.replace(" ", "-"), nothing))
            first_save(pairs[name], NAME, SIZE_BYTES)
        for number in range(bench.pick(40, 5)):
            for name, pair in pairs.items():
                took = save_ms(pair, NAME, rng)
                if number >= 2:
                    bench.record(name, "save_ms", took)
                time.sleep(0.1)
