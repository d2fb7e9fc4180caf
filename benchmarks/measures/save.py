"""A save of a 10 kB text on one disk, until it is on the other: two replicas and a hub, three processes.

The saves of the naive pipeline, of ours, and of ours in a folder of a 10,000-file tree that nobody touched
lately take turns; the peers, which take a second, follow one after another.
"""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from functools import partial

from benchmarks import trees
from benchmarks.bench import Bench
from benchmarks.figures import OURS, Target
from benchmarks.measures.saving import first_save, save_ms
from benchmarks.systems.folders import NAIVE, NAME, FolderSystem, Pair, naive, nothing, ours, peers

TITLE = "save of a 10 kB text on one disk → on the other"
COLD = "crdtsync, cold corner of 10,000 files"
FLOOR = NAIVE
TARGETS = (
    Target("p50 ≤ 2 × floor", "save_ms", 2.0, (NAIVE,)),
    Target("p50 ≤ 5 ms", "save_ms", 5.0),
    Target("p95 ≤ 4 × floor", "save_ms", 4.0, (NAIVE,), "p95"),
    Target(
        "cold corner of 10,000 files: p50 ≤ 2 × floor", "cold_save_ms", 2.0, (NAIVE,), over_metric="save_ms"
    ),
    Target("cold corner: p95 ≤ 4 × floor", "cold_save_ms", 4.0, (NAIVE,), "p95", over_metric="save_ms"),
    Target("at most 1/100 of Syncthing's p50", "save_ms", 0.01, ("Syncthing",)),
    Target("at most 1/100 of Unison's p50", "save_ms", 0.01, ("Unison",)),
)
SIZE_BYTES = 10_000
PAUSE_S = 0.05
PEER_PAUSE_S = 1.1
"""rsync takes a file of the same size and the same whole second for the same."""


def run(bench: Bench) -> None:
    rng = random.Random(1)
    with ExitStack() as stack:
        place = stack.enter_context(bench.folder("fast"))
        many = bench.pick(10_000, 500)
        names = {NAIVE: NAME, OURS: NAME, COLD: "00/07/bench.txt"}
        pairs: dict[str, Pair] = {}
        for name, system, fill in (
            (NAIVE, naive(), nothing),
            (OURS, ours(), nothing),
            (COLD, ours(), lambda folder: trees.small_files(folder, many)),
        ):
            bench.results.options[name] = system.options
            (place / name.replace(" ", "-")).mkdir()
            pairs[name] = stack.enter_context(system.pair(place / name.replace(" ", "-"), fill))
            first_save(pairs[name], names[name], SIZE_BYTES)
        for number in range(bench.pick(220, 30)):
            for name, pair in pairs.items():
                took = save_ms(pair, names[name], rng)
                if number >= 10:
                    bench.record(name, "save_ms", took)
                    if name == COLD:
                        bench.record(OURS, "cold_save_ms", took)
                time.sleep(PAUSE_S)
    for peer in peers():
        bench.turn(peer.name, partial(_peer, bench, peer, rng))


def _peer(bench: Bench, system: FolderSystem, rng: random.Random) -> None:
    bench.results.options[system.name] = system.options
    if system.missing:
        raise FileNotFoundError(system.missing)
    with bench.folder(system.name) as place, system.pair(place, nothing) as pair:
        first_save(pair, NAME, SIZE_BYTES, 30.0)
        for _ in range(bench.pick(8, 2)):
            time.sleep(PEER_PAUSE_S)
            bench.record(system.name, "save_ms", save_ms(pair, NAME, rng, 30.0))
