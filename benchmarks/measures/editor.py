"""A keystroke from one editor to another: two joined folders, an editor at each, 5 ms apart.

``at the socket``: the editor speaks to its replica itself; otherwise through ``crdtsync client``, as plugins
do. The floor is the way to the socket and back with processes that only hand bytes on.
Beside it, in the same run, a keystroke from one Yjs client to another through the same kind of hub.
"""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import OURS, Target
from benchmarks.load.patterns import keystrokes_ms
from benchmarks.systems.hubs import hub_systems
from tests.processes.harness import Hub, Joined
from tests.waiting import eventually

TITLE = "keystroke in an editor → other editor, at two joined folders"
DOOR = "Yjs client → Yjs client"
SOCKET = "at the socket"
CHAIN = "bare processes"
FLOOR = CHAIN
TARGETS = (
    Target("p50 ≤ 2 × a Yjs client's", "editor_ms", 2.0, (DOOR,)),
    Target("p95 ≤ 2 × a Yjs client's", "editor_ms", 2.0, (DOOR,), statistic="p95"),
)
PAUSE_S = 0.005


def run(bench: Bench) -> None:
    turns: dict[str, Callable[[], None]] = {
        DOOR: lambda: _door(bench),
        CHAIN: lambda: _chain(bench),
        SOCKET: lambda: _editors(bench, SOCKET),
        OURS: lambda: _editors(bench, OURS),
    }
    bench.rounds(turns, bench.pick(3, 1))


def _door(bench: Bench) -> None:
    ours = next(system for system in hub_systems() if system.name == OURS)
    with bench.folder("door") as place, ours.run(place) as hub:
        took = asyncio.run(keystrokes_ms(hub.port, hub.dialect, "keys", bench.pick(220, 70), PAUSE_S))
        bench.record(DOOR, "editor_ms", *took[20:])


def _chain(bench: Bench) -> None:
    with bench.folder("chain") as place, ExitStack() as started:
        port_file, sockets = place / "port", [place / "ann", place / "bob"]
        started.enter_context(_bare("hub", port_file))
        eventually(lambda: port_file.exists() and port_file.read_text() != "", "the hub listens")
        for each in sockets:
            started.enter_context(_bare("replica", port_file.read_text(), each))
        eventually(lambda: all(each.exists() for each in sockets), "the replicas listen")
        writer, reader = (started.enter_context(_connected(each)) for each in sockets)
        took = []
        for _ in range(bench.pick(220, 70)):
            begun = time.perf_counter()
            writer.sendall(b"x" * 200)
            reader.recv(200, socket.MSG_WAITALL)
            took.append((time.perf_counter() - begun) * 1000)
            time.sleep(PAUSE_S)
        bench.record(CHAIN, "editor_ms", *took[20:])


@contextmanager
def _bare(*arguments: str | Path) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.systems.bare_chain", *map(str, arguments)])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _editors(bench: Bench, system: str) -> None:
    with (
        bench.folder("editors") as place,
        Hub(place / "hub") as hub,
        Joined(hub.url, place / "ann", name="Ann") as ann,
        Joined(hub.url, place / "bob", name="Bob") as bob,
    ):
        for joined in (ann, bob):
            joined.wait_for("state", state="settled")
        (ann.folder / "a.md").write_text("one\n")
        eventually((bob.folder / "a.md").exists, "the file is at both")
        connect = _socket if system == SOCKET else _client
        with connect(ann.folder) as writer, connect(bob.folder) as reader:
            for each, folder in ((writer, ann.folder), (reader, bob.folder)):
                each.open(folder / "a.md")
            took = [_one(writer, reader, ann.folder / "a.md", n) for n in range(bench.pick(220, 70))]
        bench.record(system, "editor_ms", *took[20:])


def _one(writer: "_Editor", reader: "_Editor", file: Path, number: int) -> float:
    at = {"line": 0, "character": number}
    delta = [{"range": {"start": at, "end": at}, "replacement": "x"}]
    begun = time.perf_counter()
    writer.ask("edit", {"uri": file.as_uri(), "revision": 0, "delta": delta})
    reader.until("method", "edit")
    took_ms = (time.perf_counter() - begun) * 1000
    writer.until("result", "success")
    time.sleep(PAUSE_S)
    return took_ms


class _Editor:
    """Asks, and reads what it is told; ``framed`` as between a plugin and its client."""

    def __init__(
        self, read: Callable[[int], bytes], write: Callable[[bytes], object], *, framed: bool
    ) -> None:
        self._read = read
        self._write = write
        self._framed = framed
        self._bytes = b""
        self._number = 0

    def open(self, file: Path) -> None:
        self.ask("open", {"uri": file.as_uri(), "content": file.read_text()})
        self.until("result", "success")

    def ask(self, method: str, params: object) -> None:
        self._number += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}).encode()
        header = b"Content-Length: %d\r\n\r\n" % len(body) if self._framed else b""
        self._write(header + body + (b"" if self._framed else b"\n"))

    def until(self, key: str, value: str) -> None:
        while self._message().get(key) != value:
            pass

    def _message(self) -> dict[str, object]:
        end = b"\r\n\r\n" if self._framed else b"\n"
        while end not in self._bytes:
            self._more()
        head, _, rest = self._bytes.partition(end)
        if self._framed:
            length = int(head.partition(b":")[2])
            while len(rest) < length:
                self._more()
                rest = self._bytes.partition(end)[2]
            head, rest = rest[:length], rest[length:]
        self._bytes = rest
        message: dict[str, object] = json.loads(head)
        return message

    def _more(self) -> None:
        data = self._read(65536)
        if not data:
            raise EOFError("the other side has ended")
        self._bytes += data


@contextmanager
def _socket(folder: Path) -> Iterator[_Editor]:
    with _connected(folder / ".crdtsync" / "editors") as connection:
        yield _Editor(connection.recv, connection.sendall, framed=False)


@contextmanager
def _connected(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        yield connection


@contextmanager
def _client(folder: Path) -> Iterator[_Editor]:
    command = [sys.executable, "-m", "crdtsync", "client", "--directory", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as client:
        assert client.stdin is not None and client.stdout is not None
        yield _Editor(client.stdout.read, client.stdin.write, framed=True)
        client.stdin.close()
