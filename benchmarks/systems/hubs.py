"""The hubs, one driver each: how it is started, what it speaks, which options it has."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import OURS
from benchmarks.load.wire import Bare, Dialect, Hocuspocus, YWebsocket
from benchmarks.processes import free_port, listens, started, wait_until
from tests.processes.harness import Hub

HERE = Path(__file__).resolve().parent
PEERS = Path(os.environ.get("CRDTSYNC_PEERS", Path(__file__).resolve().parents[2] / "build" / "peers"))
"""Where ``make bench-peers`` installs what comes from npm and pip."""
FLOOR = "bare relay"


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    pid: int
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class HubSystem:
    """``missing`` tells why it cannot run here, or is empty."""

    name: str
    options: str
    run: Callable[[Path], AbstractContextManager[Running]]
    missing: str = ""


@contextmanager
def _ours(place: Path) -> Iterator[Running]:
    with Hub(place / "hub") as hub:
        yield Running(hub.port, hub.pid, YWebsocket(prefix="/yjs/", suffix="/bench.txt"))


@contextmanager
def _ours_hocuspocus(place: Path) -> Iterator[Running]:
    with Hub(place / "hub") as hub:
        yield Running(hub.port, hub.pid, Hocuspocus(path="/hocuspocus", suffix="/bench.txt"))


@contextmanager
def _process(
    place: Path, dialect: Dialect, *arguments: str | Path, cwd: Path | None = None
) -> Iterator[Running]:
    port = free_port()
    env = {"HOST": "127.0.0.1", "PORT": str(port), "BENCH_DATABASE": str(place / "hub.sqlite")}
    log = place / "hub.log"
    with started(arguments, log, env, cwd) as process:
        wait_until(lambda: listens(port) or process.poll() is not None, f"{arguments} listens")
        if process.poll() is not None:
            raise ChildProcessError(f"{arguments} ended: {log.read_text(errors='replace')[-300:]}")
        yield Running(port, process.pid, dialect)


def _bare(place: Path) -> AbstractContextManager[Running]:
    return _process(place, Bare(), sys.executable, "-m", "benchmarks.systems.bare_relay")


def _hocuspocus(place: Path) -> AbstractContextManager[Running]:
    program = PEERS / "node" / "hocuspocus.mjs"
    program.write_text((HERE / "hocuspocus.mjs").read_text())  # node finds packages beside the program only
    return _process(place, Hocuspocus(), "node", program)


def _y_websocket(place: Path) -> AbstractContextManager[Running]:
    return _process(place, YWebsocket(), "node", PEERS / "node/node_modules/y-websocket/bin/server.cjs")


def _pycrdt(place: Path) -> AbstractContextManager[Running]:
    return _process(place, YWebsocket(), PEERS / "pycrdt/bin/python", HERE / "pycrdt_websocket.py")


def _unless(path: str) -> str:
    return "" if (PEERS / path).exists() else f"{PEERS / path} is not there: make bench-peers"


def hub_systems() -> tuple[HubSystem, ...]:
    """The floor, ours, and the peers."""
    return (
        HubSystem(FLOOR, "Python, raw sockets; stores, checks and merges nothing", _bare),
        HubSystem(
            OURS, "y-websocket door; every update checked and in SQLite (WAL, synchronous=FULL)", _ours
        ),
        HubSystem(
            "Hocuspocus",
            "extension-sqlite, its defaults: the whole document is stored 2 s after an edit, 10 s at most",
            _hocuspocus,
            _unless("node/node_modules/@hocuspocus/extension-sqlite"),
        ),
        HubSystem(
            "y-websocket", "its server, in memory", _y_websocket, _unless("node/node_modules/y-websocket/bin")
        ),
        HubSystem("pycrdt-websocket", "its server, in memory", _pycrdt, _unless("pycrdt/bin/python")),
    )


@contextmanager
def _library(place: Path) -> Iterator[Running]:
    port = place / "port"
    command = [sys.executable, "-m", "benchmarks.systems.naive", "relay", port]
    with started(command, place / "hub.log") as process:
        wait_until(port.exists, "the relay listens")
        yield Running(int(port.read_text()), process.pid, Bare())


def library_relay() -> HubSystem:
    """Knows one room only."""
    return HubSystem("relay on a library", "Python's websockets package; else as the bare relay", _library)


def our_hocuspocus_door() -> HubSystem:
    return HubSystem("crdtsync, Hocuspocus door", "as crdtsync; each update acknowledged", _ours_hocuspocus)
