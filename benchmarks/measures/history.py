"""automerge-paper, 260,000 recorded edits of one text, as a Yjs document with all its history.

Opening it in memory (ours checks it, the floor is pycrdt alone), opening it as a new Yjs client of each hub,
and one edit of such a client until a joined folder has it on disk.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

from pycrdt import Doc, Text

from benchmarks.bench import Bench
from benchmarks.figures import OURS, Target
from benchmarks.load.client import opened
from benchmarks.load.wire import Dialect, masked_frame
from benchmarks.systems.hubs import FLOOR as BARE
from benchmarks.systems.hubs import HubSystem, hub_systems
from crdtsync.core.text.document import TextDocument
from tests.processes.harness import Joined
from tests.traces import recording

TITLE = "a text with a real history (automerge-paper, 260k edits)"
PYCRDT = "pycrdt alone"
PEERS = ("Hocuspocus", "y-websocket", "pycrdt-websocket")
FLOOR = PYCRDT
TARGETS = (
    Target("open ≤ 20 ms", "open_ms", 20.0),
    Target("edit to disk ≤ 10 ms", "edit_to_disk_ms", 10.0),
    Target("history kept ≤ 4 × the text", "state_over_text", 4.0),
    Target("new client no slower than the best peer", "new_client_ms", 1.0, PEERS),
)
ROOM = "paper"
LOOK_S = 0.0002


def run(bench: Bench) -> None:
    document, text = _recorded(bench.pick(1.0, 0.05))
    state = document.get_update()
    plain = str(text)
    bench.record(OURS, "state_over_text", len(state) / len(plain.encode()))
    turns = {PYCRDT: lambda: _apply(bench, state), OURS: lambda: _open(bench, state, plain)}
    bench.rounds(turns, bench.pick(20, 3))
    for system in hub_systems():
        if system.name != BARE:
            bench.turn(system.name, partial(_hub, bench, system, state))


def _recorded(share: float) -> tuple[Doc[Text], Text]:
    """The recording is ASCII, so its positions are also those of pycrdt."""
    document: Doc[Text] = Doc()
    text = document.get("content", type=Text)
    transactions = recording("automerge-paper").transactions
    for begin in range(0, int(len(transactions) * share), 500):
        with document.transaction():
            for transaction in transactions[begin : begin + 500]:
                for patch in transaction.patches:
                    if patch.deleted:
                        del text[patch.position : patch.position + patch.deleted]
                    text.insert(patch.position, patch.inserted)
    return document, text


def _apply(bench: Bench, state: bytes) -> None:
    begun = time.perf_counter()
    document: Doc[Text] = Doc()
    document.get("content", type=Text)
    document.apply_update(state)
    bench.record(PYCRDT, "open_ms", (time.perf_counter() - begun) * 1000)


def _open(bench: Bench, state: bytes, plain: str) -> None:
    begun = time.perf_counter()
    document = TextDocument(7, (state,))
    text = document.text
    bench.record(OURS, "open_ms", (time.perf_counter() - begun) * 1000)
    if text != plain:
        raise AssertionError("the opened text differs")


def _hub(bench: Bench, system: HubSystem, state: bytes) -> None:
    bench.results.options[system.name] = system.options
    if system.missing:
        raise FileNotFoundError(system.missing)
    with bench.folder(system.name) as place, system.run(place) as hub:
        took = asyncio.run(_new_clients(hub.port, hub.dialect, state, bench.pick(15, 3)))
        bench.record(system.name, "new_client_ms", *took)
        if system.name == OURS:
            url = f"ws://127.0.0.1:{hub.port}"
            with Joined(url, place / "one", ROOM, name="One") as replica:
                replica.wait_for("state", state="settled")
                edits = asyncio.run(
                    _edits(hub.port, hub.dialect, state, place / "one/bench.txt", bench.pick(40, 5))
                )
                bench.record(OURS, "edit_to_disk_ms", *edits)


async def _new_clients(port: int, dialect: Dialect, state: bytes, count: int) -> list[float]:
    """From connecting to the last byte of the document, for one client after another."""
    writer = await opened(port, dialect, ROOM)
    writer.send((masked_frame(dialect.update(ROOM, state)),))
    await asyncio.sleep(1.0)
    took: list[float] = []
    for _ in range(count):
        begun = time.perf_counter()
        client = await opened(port, dialect, ROOM)
        took.append((time.perf_counter() - begun) * 1000)
        if client.opened_bytes < len(state) // 2:
            raise AssertionError(f"a new client was sent {client.opened_bytes} bytes of {len(state)}")
        client.close()
        await asyncio.sleep(0.05)
    writer.close()
    return took


async def _edits(port: int, dialect: Dialect, state: bytes, path: Path, count: int) -> list[float]:
    document: Doc[Text] = Doc()
    text = document.get("content", type=Text)
    document.apply_update(state)
    writer = await opened(port, dialect, ROOM)
    took: list[float] = []
    for number in range(count):
        before = document.get_state()
        text.insert(1000 + 97 * number, "edited")
        frame = masked_frame(dialect.update(ROOM, document.get_update(before)))
        size = len(str(text))
        begun = time.perf_counter()
        writer.send((frame,))
        while path.stat().st_size != size:  # noqa: ASYNC240
            await asyncio.sleep(LOOK_S)
            if time.perf_counter() - begun > 30:
                raise TimeoutError(f"edit {number} did not reach {path}")
        took.append((time.perf_counter() - begun) * 1000)
        await asyncio.sleep(0.1)
    writer.close()
    return took
