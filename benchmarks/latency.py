"""From a save of a 10 kB text on one disk to the other disk: ours, and the naive pipeline, in one run.

Three processes on each side (two replicas and a hub, or relay). The clock runs from just before the save to
the moment a reader sees it on the other disk. Saves of both pipelines alternate: noise hits both.
Run: ``python -m benchmarks.latency [SAVES]``.
"""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.naive import NAME
from tests.processes.harness import Hub, Joined, eventually, settle

SIZE_BYTES = 10_000
PAUSE_S = 0.05
LOOK_S = 0.0002
"""Between two looks at the other disk: a reader that never rests takes a core from what it measures."""


def measure(source: Path, target: Path, rng: random.Random) -> float:
    """Change one line, save in place, and wait for the other disk; returns milliseconds."""
    lines = source.read_text().splitlines(keepends=True)
    lines[rng.randrange(len(lines))] = f"{rng.getrandbits(200):050x}\n"
    wanted = "".join(lines).encode()
    begun = time.perf_counter()
    with open(source, "wb") as file:
        file.write(wanted)
    end = begun + 30
    while target.read_bytes() != wanted:
        assert time.perf_counter() < end, f"the save did not arrive at {target}"
        time.sleep(LOOK_S)
    return (time.perf_counter() - begun) * 1000


@contextlib.contextmanager
def naive(place: Path) -> Iterator[tuple[Path, Path]]:
    """Two folders under the naive pipeline, with one file each."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks.naive", *arguments]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    try:
        port = place / "port"
        start("relay", str(port))
        eventually(port.exists, "the relay listens")
        folders = (place / "one", place / "two")
        for folder in folders:
            folder.mkdir()
            replica = start("replica", f"ws://127.0.0.1:{port.read_text()}", str(folder))
            assert replica.stdout is not None
            replica.stdout.readline()
        (folders[0] / NAME).write_bytes(first_text())
        target = folders[1] / NAME
        eventually(lambda: target.exists() and target.read_bytes() == first_text(), "the file arrives")
        yield folders[0] / NAME, target
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextlib.contextmanager
def ours(place: Path) -> Iterator[tuple[Path, Path]]:
    """Two joined folders, with one file each."""
    with (
        Hub(place / "hub") as hub,
        Joined(hub.url, place / "ann", name="Ann") as ann,
        Joined(hub.url, place / "bob", name="Bob") as bob,
    ):
        for replica in (ann, bob):
            replica.wait_for("state", state="settled")
        (ann.folder / NAME).write_bytes(first_text())
        settle(ann, bob)
        yield ann.folder / NAME, bob.folder / NAME


def first_text() -> bytes:
    line = b"x" * 49 + b"\n"
    return line * (SIZE_BYTES // len(line))


def main() -> None:
    saves = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rng = random.Random(1)
    place = Path(tempfile.mkdtemp(prefix="crdtsync-bench-", dir=os.environ.get("TMPDIR")))
    (place / "naive").mkdir()
    with naive(place / "naive") as theirs, ours(place) as mine:
        took: dict[str, list[float]] = {"naive": [], "crdtsync": []}
        for _ in range(saves):
            for name, pair in (("naive", theirs), ("crdtsync", mine)):
                took[name].append(measure(*pair, rng))
                time.sleep(PAUSE_S)
    for name, times in took.items():
        times.sort()
        p50, p95 = statistics.median(times), times[int(len(times) * 0.95)]
        print(f"{name:10} p50 {p50:6.2f} ms   p95 {p95:6.2f} ms   max {times[-1]:6.2f} ms   ({saves} saves)")
    ratio = statistics.median(took["crdtsync"]) / statistics.median(took["naive"])
    print(f"ratio of the medians: {ratio:.2f}")


if __name__ == "__main__":
    main()
