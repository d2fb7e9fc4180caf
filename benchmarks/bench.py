"""One measure while it runs: where its folders are, how much it does, what it has recorded, who failed.

The systems take turns, so that the noise of the machine hits all alike; one that fails drops out with its
reason, and the others go on.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from benchmarks.figures import Results

WHOLE = "the measure"
"""Stands for a system where the measure as a whole fails."""
Amount = TypeVar("Amount", int, float)


class Bench:
    """``quick`` is a smoke test: it takes the small amounts, and its figures say so."""

    def __init__(
        self, results: Results, place: Path, *, quick: bool, only: frozenset[str] = frozenset()
    ) -> None:
        self.results = results
        self.quick = quick
        self._place = place
        self._only = only

    def pick(self, full: Amount, quick: Amount) -> Amount:
        return quick if self.quick else full

    def wanted(self, system: str) -> bool:
        return not self._only or system in self._only

    @contextmanager
    def folder(self, name: str = "at") -> Iterator[Path]:
        """A new folder on the measured file system, removed afterwards."""
        path = Path(
            tempfile.mkdtemp(prefix=f"{self.results.measure}-{name.replace(' ', '-')}-", dir=self._place)
        )
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def record(self, system: str, metric: str, *values: float) -> None:
        self.results.add(system, metric, values)

    def say(self, text: str) -> None:
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {self.results.measure}: {text}\n")

    def rounds(self, turns: Mapping[str, Callable[[], None]], repetitions: int) -> None:
        """Let every system have its turn, so many times."""
        for _ in range(repetitions):
            for system, turn in turns.items():
                self.turn(system, turn)

    def turn(self, system: str, work: Callable[[], None]) -> None:
        """Do one system's work, unless it failed before; a failure is noted with its reason."""
        if system in self.results.failures or not (system == WHOLE or self.wanted(system)):
            return
        begun = time.monotonic()
        try:
            work()
        except (Exception, ExceptionGroup) as error:
            reason = f"{type(error).__name__}: {error}"[:300]
            self.results.failures[system] = reason
            self.say(f"{system} failed after {time.monotonic() - begun:.0f} s: {reason}")
        else:
            self.say(f"{system} {time.monotonic() - begun:.1f} s")
