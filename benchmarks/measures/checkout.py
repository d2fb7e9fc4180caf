"""``git checkout`` of 2,000 changed files in one folder, until the other has them; .git lies outside.

The floor is the checkout itself.
"""

from __future__ import annotations

import subprocess
import time
from functools import partial
from pathlib import Path

from benchmarks import trees
from benchmarks.bench import Bench
from benchmarks.figures import OURS, Target
from benchmarks.processes import wait_until
from benchmarks.systems.folders import FolderSystem, Pair, ours, peers

TITLE = "checkout of 2,000 files"
CHECKOUT = "the checkout alone"
FLOOR = CHECKOUT
TARGETS = (
    Target("settled ≤ 3 × the checkout", "settled_s", 3.0, (CHECKOUT,)),
    Target("against Syncthing", "settled_s", 1.0, ("Syncthing",)),
)


class Repository:
    """Two branches, ``one`` and ``two``, that differ in every file; the work tree is where it is told."""

    def __init__(self, place: Path, files: int) -> None:
        self._place = place
        self._directory = place / "repository"
        work = place / "work"
        work.mkdir()
        subprocess.run(["git", "init", "--quiet", "--bare", self._directory], check=True)
        trees.small_files(work, files)
        self._commit(work, "one")
        for path in work.rglob("*.txt"):
            path.write_text(path.read_text() + f"two: {path.name}\n")
        self._commit(work, "two")
        self.checkout("one", work)

    def checkout(self, branch: str, work: Path) -> float:
        """Returns the seconds."""
        begun = time.perf_counter()
        self._git(work, "checkout", "--quiet", "--force", branch)
        return time.perf_counter() - begun

    def _commit(self, work: Path, branch: str) -> None:
        self._git(work, "checkout", "--quiet", "-B", branch)
        self._git(work, "add", ".")
        self._git(
            work, "-c", "user.name=b", "-c", "user.email=b@localhost", "commit", "--quiet", "-m", branch
        )

    def _git(self, work: Path, *arguments: str) -> None:
        head = ["git", f"--git-dir={self._directory}", f"--work-tree={work}", "-c", "core.bare=false"]
        subprocess.run([*head, *arguments], check=True, cwd=work, capture_output=True)


def run(bench: Bench) -> None:
    bench.rounds({OURS: lambda: _turn(bench, ours(), bench.pick(3, 1))}, 1)
    for peer in peers():
        if peer.name in ("Syncthing", "Unison", "lsyncd + rsync"):
            bench.turn(peer.name, partial(_turn, bench, peer, 1))


def _turn(bench: Bench, system: FolderSystem, checkouts: int) -> None:
    bench.results.options[system.name] = system.options
    if system.missing:
        raise FileNotFoundError(system.missing)
    with bench.folder(system.name) as place:
        repository = Repository(place, bench.pick(2000, 200))
        (place / "pair").mkdir()
        with system.pair(place / "pair", lambda folder: repository.checkout("one", folder)) as pair:
            wait_until(lambda: trees.all_there(pair.one, pair.two), "the first copy", 60.0, 0.05)
            for number in range(checkouts):
                time.sleep(1.0)
                _checkout(bench, system.name, repository, pair, "two" if number % 2 == 0 else "one")


def _checkout(bench: Bench, name: str, repository: Repository, pair: Pair, branch: str) -> None:
    begun = time.perf_counter()
    alone = repository.checkout(branch, pair.one)
    wait_until(lambda: trees.all_there(pair.one, pair.two), "the checkout came over", 90.0, 0.02)
    bench.record(name, "settled_s", time.perf_counter() - begun)
    bench.record(name, "checkout_beside_it_s", alone)
    if name == OURS:
        with bench.folder("alone") as place:
            work = place / "work"
            work.mkdir()
            repository.checkout("two" if branch == "one" else "one", work)
            bench.record(CHECKOUT, "settled_s", repository.checkout(branch, work))
