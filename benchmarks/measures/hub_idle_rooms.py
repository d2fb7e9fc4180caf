"""1,000 rooms with one client and a few characters each, all at rest: the hub's growth for each (VmRSS)."""

import asyncio
from functools import partial

from benchmarks.bench import Bench
from benchmarks.figures import Target
from benchmarks.load.patterns import all_closed, idle_rooms
from benchmarks.processes import cpu_s, resident_bytes
from benchmarks.systems.hubs import HubSystem, Running, hub_systems

TITLE = "hub: 1,000 idle rooms"
FLOOR = "bare relay"
TARGETS = (Target("memory per idle room ≤ 50 kB", "per_room_kB", 50),)


def run(bench: Bench) -> None:
    bench.rounds({s.name: partial(_turn, bench, s) for s in hub_systems()}, 1)


def _turn(bench: Bench, system: HubSystem) -> None:
    bench.results.options[system.name] = system.options
    if system.missing:
        raise FileNotFoundError(system.missing)
    with bench.folder(system.name) as place, system.run(place) as hub:
        asyncio.run(_grow(bench, system.name, hub, bench.pick(1000, 100)))


async def _grow(bench: Bench, name: str, hub: Running, rooms: int) -> None:
    await all_closed(await idle_rooms(hub.port, hub.dialect, "warm", 20))
    before = resident_bytes(hub.pid)
    clients = await idle_rooms(hub.port, hub.dialect, "idle", rooms)
    try:
        await asyncio.sleep(bench.pick(4.0, 1.0))
        bench.record(name, "per_room_kB", (resident_bytes(hub.pid) - before) / rooms / 1000)
        begun = cpu_s(hub.pid)
        watched_s = bench.pick(5.0, 2.0)
        await asyncio.sleep(watched_s)
        bench.record(name, "cpu_at_rest_percent", (cpu_s(hub.pid) - begun) / watched_s * 100)
        bench.record(name, "clients_left", sum(not client.closed for client in clients))
    finally:
        await all_closed(clients)
