"""What the measures of a save share: change one line of a text, and wait for the other disk."""

from __future__ import annotations

import random
import time
from pathlib import Path

from benchmarks.processes import wait_until
from benchmarks.systems.folders import Pair

LOOK_S = 0.0002
"""Between two looks at the other disk: a reader that never rests takes a core from what it measures."""


def text_of(size_bytes: int) -> bytes:
    line = b"x" * 49 + b"\n"
    return line * (size_bytes // len(line))


def arrived(path: Path, wanted: bytes) -> bool:
    try:
        return path.stat().st_size == len(wanted) and path.read_bytes() == wanted
    except FileNotFoundError:
        return False


def first_save(pair: Pair, name: str, size_bytes: int, deadline_s: float = 60.0) -> None:
    """Make the file and wait until it is there."""
    (pair.one / name).parent.mkdir(parents=True, exist_ok=True)
    content = text_of(size_bytes)
    (pair.one / name).write_bytes(content)
    wait_until(lambda: arrived(pair.two / name, content), f"the first save of {name}", deadline_s, 0.01)


def _stamp(path: Path) -> tuple[int, int]:
    """Tells without reading that nothing has happened to the file yet."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def save_ms(pair: Pair, name: str, rng: random.Random, deadline_s: float = 60.0) -> float:
    """Change one line in place, from just before the save to the moment a reader has it on the other disk."""
    source, target = pair.one / name, pair.two / name
    wait_until(source.exists, f"{source} is there", deadline_s)  # some tools take it away for a moment
    lines = source.read_bytes().splitlines(keepends=True)
    lines[rng.randrange(len(lines))] = f"{rng.getrandbits(192):049x}\n".encode()
    wanted = b"".join(lines)
    before = _stamp(target)
    begun = time.perf_counter()
    with open(source, "wb") as file:
        file.write(wanted)
    end = begun + deadline_s
    while _stamp(target) == before or not arrived(target, wanted):
        if time.perf_counter() > end:
            raise TimeoutError(f"the save did not arrive at {target} within {deadline_s:g} s")
        time.sleep(LOOK_S)
    return (time.perf_counter() - begun) * 1000
