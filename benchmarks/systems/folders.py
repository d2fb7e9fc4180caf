"""What keeps two folders the same, one driver each: how it is started, and how it is known that it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import OURS
from benchmarks.processes import free_port, started, wait_until
from benchmarks.systems import annex, syncthing
from benchmarks.systems.naive import NAME as NAME
from tests.processes.harness import Hub, Joined
from tests.waiting import eventually

NAIVE = "naive pipeline"
START_S = 120.0

Fill = Callable[[Path], object]
"""Puts into the first folder what is there before the tool is started."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two folders that are kept the same; ``pids`` by the role of the process."""

    one: Path
    two: Path
    pids: dict[str, int] = field(default_factory=dict)
    replicas: tuple[Joined, ...] = ()
    hub_url: str = ""


@dataclass(frozen=True, slots=True)
class FolderSystem:
    """``pair`` gives running folders, ``two`` not yet filled. ``missing`` tells why it cannot run here."""

    name: str
    options: str
    pair: Callable[[Path, Fill], AbstractContextManager[Pair]]
    missing: str = ""


def nothing(_: Path) -> None:
    """Fill a folder with nothing."""


@contextmanager
def _ours(place: Path, fill: Fill) -> Iterator[Pair]:
    (place / "one").mkdir(parents=True)
    fill(place / "one")
    with (
        Hub(place / "hub") as hub,
        Joined(hub.url, place / "one", name="One") as one,
        Joined(hub.url, place / "two", name="Two") as two,
    ):
        for replica in (one, two):
            replica.wait_for("state", deadline_s=START_S, state="settled")
        pids = {"hub": hub.pid, "replica": two.pid, "first replica": one.pid}
        yield Pair(place / "one", place / "two", pids, (one, two), hub.url)


@contextmanager
def _naive(place: Path, fill: Fill) -> Iterator[Pair]:
    """It knows one file only, which comes over once it is saved."""
    module = [sys.executable, "-m", "benchmarks.systems.naive"]
    with ExitStack() as stack:
        port, pids = place / "port", {}
        relay = started([*module, "relay", port], place / "relay.log")
        pids["relay"] = stack.enter_context(relay).pid
        eventually(port.exists, "the relay listens")
        for name in ("one", "two"):
            (place / name).mkdir()
            log = place / f"{name}.log"
            url = f"ws://127.0.0.1:{port.read_text()}"
            pids[name] = stack.enter_context(started([*module, "replica", url, place / name], log)).pid
            eventually(lambda log=log: "ready" in log.read_text(), "it is ready")  # type: ignore[misc]
        fill(place / "one")
        yield Pair(place / "one", place / "two", pids)


@contextmanager
def _unison(place: Path, fill: Fill) -> Iterator[Pair]:
    one, two = place / "one", place / "two"
    for folder in (one, two):
        folder.mkdir(parents=True)
    fill(one)
    watch = "watch" if shutil.which("unison-fsmonitor") else "1"
    command = ["unison", one, two, "-ui", "text", "-batch", "-auto", "-repeat", watch]
    env = {"UNISON": str(place / "state"), "HOME": str(place)}
    with started(command, place / "unison.log", env) as process:
        yield Pair(one, two, {"unison": process.pid})


@contextmanager
def _lsyncd(place: Path, fill: Fill) -> Iterator[Pair]:
    one, two = place / "one", place / "two"
    for folder in (one, two):
        folder.mkdir(parents=True)
    fill(one)
    command = ["lsyncd", "-nodaemon", "-delay", "0", "-rsync", one, two]
    with started(command, place / "lsyncd.log") as process:
        yield Pair(one, two, {"lsyncd": process.pid})


@contextmanager
def _syncthing(place: Path, fill: Fill) -> Iterator[Pair]:
    (place / "one").mkdir(parents=True)
    fill(place / "one")
    with syncthing.running(place) as pids:
        yield Pair(place / "one", place / "two", pids)


@contextmanager
def _annex(place: Path, fill: Fill) -> Iterator[Pair]:
    (place / "one").mkdir(parents=True)
    with annex.running(place, fill) as pids:
        yield Pair(place / "one", place / "two", pids)


def naive() -> FolderSystem:
    return FolderSystem(NAIVE, "watch, diff, CRDT, websocket, rename; no safety, nothing stored", _naive)


def ours() -> FolderSystem:
    return FolderSystem(OURS, "all safety on: fsync before agreement, exchange then inspect, commit", _ours)


def peers() -> tuple[FolderSystem, ...]:
    return (
        FolderSystem("Syncthing", syncthing.OPTIONS, _syncthing, _without("syncthing")),
        FolderSystem("Unison", "-repeat watch if there is a monitor, else 1 s", _unison, _without("unison")),
        FolderSystem("lsyncd + rsync", "-delay 0; one way only", _lsyncd, _without("lsyncd")),
        FolderSystem("git-annex assistant", annex.OPTIONS, _annex, _without("git-annex")),
    )


def _without(program: str) -> str:
    return "" if shutil.which(program) else f"{program} is not installed: make bench-peers"


@contextmanager
def rsync_daemon(place: Path) -> Iterator[str]:
    """An rsync server on loopback with the folder ``hub``; gives its URL."""
    port = free_port()
    (place / "rsyncd" / "hub").mkdir(parents=True)
    config = place / "rsyncd" / "rsyncd.conf"
    owner = f"uid = {os.getuid()}\ngid = {os.getgid()}\n"
    config.write_text(f"use chroot = no\n{owner}[hub]\npath = {place / 'rsyncd' / 'hub'}\nread only = no\n")
    command = [
        "rsync",
        "--daemon",
        "--no-detach",
        f"--config={config}",
        f"--port={port}",
        "--address=127.0.0.1",
    ]
    with started(command, place / "rsyncd.log"):
        url = f"rsync://127.0.0.1:{port}/hub/"
        wait_until(lambda: _answers(url), "the rsync daemon answers")
        yield url


def _answers(url: str) -> bool:
    return subprocess.run(["rsync", url], capture_output=True, check=False).returncode == 0
