"""Twice the most that the hub delivers to 50 readers, for seconds: is it still there, and when is it well?

Meanwhile someone types in another room: the time of those keystrokes shows how long the hub is away.
Well again is: five of those in a row take under 50 ms; every reader that was not let go has everything. What
came in 3 s at twice the limit takes another 3 s at the limit, if nothing is merged or left out.
"""

import asyncio
from functools import partial

from benchmarks.bench import Bench
from benchmarks.figures import Target
from benchmarks.load.patterns import fan_out_per_s, scheduled
from benchmarks.systems.hubs import FLOOR, HubSystem, Running, hub_systems

TITLE = "hub at twice its limit"
TARGETS = (
    Target("another room is served within 50 ms again 5 s after", "responsive_again_s", 5.0, statistic="max"),
    Target("all readers have all 10 s after", "drained_s", 10.0, statistic="max"),
    Target("another room's keystroke, p95 ≤ 100 ms", "elsewhere_ms", 100.0, statistic="p95"),
    Target(
        "at half its limit another room waits ≤ 20 ms (p99)", "elsewhere_at_half_ms", 20.0, statistic="p99"
    ),
)
READERS = 50
RECOVER_S = 20.0


def run(bench: Bench) -> None:
    systems = [system for system in hub_systems() if system.name != FLOOR]  # it has no limit worth the name
    bench.rounds({s.name: partial(_turn, bench, s) for s in systems}, 1)


def _turn(bench: Bench, system: HubSystem) -> None:
    bench.results.options[system.name] = system.options
    if system.missing:
        raise FileNotFoundError(system.missing)
    with bench.folder(system.name) as place, system.run(place) as hub:
        asyncio.run(_overload(bench, system.name, hub))


async def _overload(bench: Bench, name: str, hub: Running) -> None:
    count = {"pycrdt-websocket": 800, "y-websocket": 4000}.get(name, 12000)
    most = await fan_out_per_s(hub.port, hub.dialect, "most", READERS, bench.pick(count, count // 8), 2000)
    bench.record(name, "limit_per_s", most)
    seconds = bench.pick(3.0, 1.0)
    half = await scheduled(hub.port, hub.dialect, "half", READERS, most / 2, seconds, 5.0)
    bench.record(name, "elsewhere_at_half_ms", *half.elsewhere_ms)
    twice = await scheduled(hub.port, hub.dialect, "twice", READERS, most * 2, seconds, RECOVER_S)
    bench.record(name, "elsewhere_ms", *twice.elsewhere_ms)
    bench.record(name, "latency_ms", *twice.latencies_ms)
    bench.record(name, "responsive_again_s", twice.responsive_s)
    bench.record(name, "drained_s", twice.drained_s)
    bench.record(name, "delivered_share", twice.delivered_share)
    bench.record(name, "readers_let_go", twice.dropped)
