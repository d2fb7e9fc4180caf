"""``kill -9`` of hub and replicas under load: every line that anyone appended is there, exactly once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.processes.harness import Hub, Joined, assert_same, settle, tree
from tests.waiting import eventually

KILLS = 20
FILES = 6


class Writer:
    """A person who appends lines and drops new files, one after the other, as fast as the disk takes them."""

    def __init__(self, name: str, folder: Path, seed: int) -> None:
        self.name = name
        self._folder = folder
        self._rng = random.Random(seed)
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.lines: list[str] = []
        self.blobs: dict[str, bytes] = {}

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._enough.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._enough.wait(0.002):
            number = len(self.lines)
            line = f"{self.name} wrote line {number}\n"
            if number % 25 == 24:
                name = f"{self.name}-{number}.bin"
                self.blobs[name] = b"\0" + self._rng.randbytes(2000)
                (self._folder / name).write_bytes(self.blobs[name])
            path = self._folder / f"{self._rng.randrange(FILES)}.txt"
            with open(path, "a") as file:
                file.write(line)
            self.lines.append(line)


def have_written(writers: list[Writer], lines: int) -> bool:
    return sum(len(writer.lines) for writer in writers) >= lines


def is_back(replica: Joined) -> bool:
    return bool(replica.status()["connected"])


@pytest.mark.parametrize("victim", ["hub", "replica"])
def test_twenty_kills_under_load_lose_nothing(victim: str, tmp_path: Path) -> None:
    rng = random.Random(victim)
    folders = {"ann": tmp_path / "ann", "bob": tmp_path / "bob"}
    hub = Hub(tmp_path / "hub")
    port = hub.port
    replicas = {name: Joined(hub.url, folder, name=name) for name, folder in folders.items()}
    writers = [Writer(name, folder, seed) for seed, (name, folder) in enumerate(folders.items())]
    try:
        for name, replica in replicas.items():
            replica.wait_for("state", state="settled")
            for number in range(FILES):
                (folders[name] / f"{number}.txt").touch()
        settle(*replicas.values())
        for writer in writers:
            writer.start()
        for _ in range(KILLS):
            goal = sum(len(writer.lines) for writer in writers) + rng.randrange(20, 200)
            eventually(partial(have_written, writers, goal), "people write on")
            if victim == "hub":
                hub.kill()
                hub = Hub(tmp_path / "hub", port)
            else:
                name = rng.choice(sorted(folders))
                replicas[name].kill()
                replicas[name] = Joined(hub.url, folders[name], name=name)
        for writer in writers:
            writer.stop()
        for replica in replicas.values():
            replica.wait_for("joining")
            eventually(partial(is_back, replica), "it is back")
        settle(*replicas.values())
        assert_same(*folders.values())
        found = tree(folders["ann"])
        counted = Counter(
            line
            for name, content in found.items()
            if name.endswith(".txt") and isinstance(content, bytes)
            for line in content.decode().splitlines(keepends=True)
        )
        written = [line for writer in writers for line in writer.lines]
        assert [line for line in written if counted[line] == 0] == [], "lost"
        assert [line for line in counted if counted[line] > 1] == [], "doubled"
        for writer in writers:
            for name, content in writer.blobs.items():
                assert found[name] == content
    finally:
        for writer in writers:
            writer.stop()
        for process in (hub, *replicas.values()):
            process.__exit__(None, None, None)
