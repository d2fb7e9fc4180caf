"""A keystroke from one Yjs client to another through the hub, 5 ms apart, one document of a room."""

import asyncio
from functools import partial

from benchmarks.bench import Bench
from benchmarks.figures import Target
from benchmarks.load.patterns import keystrokes_ms
from benchmarks.systems.hubs import FLOOR as FLOOR
from benchmarks.systems.hubs import HubSystem, hub_systems, library_relay, our_hocuspocus_door

TITLE = "keystroke in a Yjs client → other Yjs client through the hub"
TARGETS = (
    Target("p50 ≤ 1.5 × a bare relay", "keystroke_ms", 1.5, (FLOOR,)),
    Target(
        "p50 no more than the best peer",
        "keystroke_ms",
        1.0,
        ("Hocuspocus", "y-websocket", "pycrdt-websocket"),
    ),
)


def run(bench: Bench) -> None:
    systems = (*hub_systems(), library_relay(), our_hocuspocus_door())
    bench.rounds({s.name: partial(_turn, bench, s) for s in systems}, bench.pick(4, 1))


def _turn(bench: Bench, system: HubSystem) -> None:
    bench.results.options[system.name] = system.options
    if system.missing:
        raise FileNotFoundError(system.missing)
    with bench.folder(system.name) as place, system.run(place) as hub:
        took = asyncio.run(keystrokes_ms(hub.port, hub.dialect, "keys", bench.pick(220, 70), 0.005))
        bench.record(system.name, "keystroke_ms", *took[20:])
