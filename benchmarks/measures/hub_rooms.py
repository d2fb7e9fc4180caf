"""200 rooms of one writer and one reader each: updates per second through all, 20 under way in each room."""

import asyncio

from benchmarks.bench import Bench
from benchmarks.figures import Target
from benchmarks.load.patterns import pairs_per_s
from benchmarks.systems.hubs import FLOOR, HubSystem, hub_systems, our_hocuspocus_door

TITLE = "hub: 200 rooms × 2"
TARGETS = (
    Target(
        "updates/s ahead of the best peer",
        "delivered_per_s",
        1.0,
        ("Hocuspocus", "y-websocket", "pycrdt-websocket"),
        at_least=True,
    ),
    Target("updates/s against a bare relay", "delivered_per_s", 0.5, (FLOOR,), at_least=True),
)


def run(bench: Bench) -> None:
    systems = (*hub_systems(), our_hocuspocus_door())
    bench.rounds({s.name: lambda s=s: _turn(bench, s) for s in systems}, bench.pick(3, 1))  # type: ignore[misc]


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
