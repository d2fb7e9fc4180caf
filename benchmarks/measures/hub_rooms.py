"""200 rooms of one writer and one reader each: the most that goes through, and the latency at a set pace.

The most is taken with 20 updates under way in each room; then an open loop sends 2,000 a second in all.
"""

import asyncio
from functools import partial

from benchmarks.bench import Bench
from benchmarks.figures import Target
from benchmarks.load.patterns import pairs_per_s, pairs_scheduled_ms
from benchmarks.systems.hubs import HubSystem, hub_systems, our_hocuspocus_door

PEERS = ("Hocuspocus", "y-websocket", "pycrdt-websocket")
TITLE = "hub: 200 rooms × 2"
FLOOR = "bare relay"
TARGETS = (
    Target(
        "updates/s ahead of the best peer",
        "delivered_per_s",
        1.0,
        PEERS,
        at_least=True,
    ),
    Target("p99 at 2,000/s no more than the best peer", "latency_at_2000_per_s_ms", 1.0, PEERS, "p99"),
)


def run(bench: Bench) -> None:
    systems = (*hub_systems(), our_hocuspocus_door())
    bench.rounds({s.name: partial(_turn, bench, s) for s in systems}, bench.pick(2, 1))


def _turn(bench: Bench, system: HubSystem) -> None:
    bench.results.options[system.name] = system.options
    if system.missing:
        raise FileNotFoundError(system.missing)
    rooms, each = bench.pick(200, 20), bench.pick(150, 20)
    with bench.folder(system.name) as place, system.run(place) as hub:
        bench.record(
            system.name,
            "delivered_per_s",
            asyncio.run(pairs_per_s(hub.port, hub.dialect, "pair", rooms, each, 20)),
        )
        pace = pairs_scheduled_ms(hub.port, hub.dialect, "pace", rooms, 2000, bench.pick(3.0, 1.0))
        bench.record(system.name, "latency_at_2000_per_s_ms", *asyncio.run(pace))
