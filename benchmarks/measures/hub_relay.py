"""One writer and 50 readers in one room: updates per second that reach all, and the latency at a set pace.

The most is taken with 2,000 updates under way; then an open loop sends at 500 a second, and each update's
latency counts from when it was due.
"""

import asyncio
from functools import partial

from benchmarks.bench import Bench
from benchmarks.figures import Target
from benchmarks.load.patterns import fan_out_per_s, scheduled
from benchmarks.systems.hubs import HubSystem, hub_systems, our_hocuspocus_door

PEERS = ("Hocuspocus", "y-websocket", "pycrdt-websocket")
TITLE = "hub: 1 writer, 50 readers"
FLOOR = "bare relay"
TARGETS = (
    Target("updates/s ahead of the best peer", "delivered_per_s", 1.0, PEERS, at_least=True),
    Target("p99 at 500/s no more than the best peer", "latency_at_500_per_s_ms", 1.0, PEERS, "p99"),
)
READERS = 50


def run(bench: Bench) -> None:
    systems = (*hub_systems(), our_hocuspocus_door())
    bench.rounds({s.name: partial(_turn, bench, s) for s in systems}, bench.pick(3, 1))


def _turn(bench: Bench, system: HubSystem) -> None:
    bench.results.options[system.name] = system.options
    if system.missing:
        raise FileNotFoundError(system.missing)
    count = {"pycrdt-websocket": 1500, "y-websocket": 6000}.get(system.name, 20000)
    with bench.folder(system.name) as place, system.run(place) as hub:
        most = fan_out_per_s(hub.port, hub.dialect, "most", READERS, bench.pick(count, count // 10), 2000)
        bench.record(system.name, "delivered_per_s", asyncio.run(most))
        pace = scheduled(hub.port, hub.dialect, "pace", READERS, 500, bench.pick(3.0, 1.0))
        if system.name != "pycrdt-websocket":  # it takes fewer than that
            bench.record(system.name, "latency_at_500_per_s_ms", *asyncio.run(pace).latencies_ms)
        else:
            pace.close()
