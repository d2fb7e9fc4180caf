"""Lines on standard output that hold nothing up: a reader that is slow, stuck or gone costs lines only."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable

LINES_WAITING_MAX = 10_000
"""Beyond this many lines that nobody reads, further ones are counted instead of kept."""
STOP_WAITS_S = 2.0
GATHERED_S = 0.005
"""For so long lines gather after one was written: of thousands at once each would have this thread woken, and
every thread that is woken holds up the others."""


class LineWriter:
    """Writes lines from a thread of its own. ``skipped`` makes the line that tells how many were left out."""

    def __init__(self, skipped: Callable[[int], str]) -> None:
        self._skipped = skipped
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._left_out = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write, name="crdtsync-lines", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Write a line soon; returns at once."""
        if self._lines.qsize() >= LINES_WAITING_MAX:
            self._left_out += 1
            return
        if self._left_out:
            left_out, self._left_out = self._left_out, 0
            self._lines.put(self._skipped(left_out))
        self._lines.put(line)

    @property
    def idle(self) -> bool:
        """Whether no line waits to be written."""
        return self._lines.empty()

    def close(self) -> None:
        """Write what waits, unless nobody reads it."""
        self._lines.put(None)
        self._closing.set()
        self._thread.join(STOP_WAITS_S)

    def _write(self) -> None:
        line: str | None = ""
        while line is not None:
            gathered = []
            while (line := self._lines.get()) is not None:
                gathered.append(line + "\n")
                if self._lines.empty() or len(gathered) >= LINES_WAITING_MAX:
                    break
            try:
                sys.stdout.write("".join(gathered))
                sys.stdout.flush()
            except (OSError, ValueError):
                break  # the reader is gone; who joins a folder goes on all the same
            self._closing.wait(GATHERED_S)
        while line is not None:
            line = self._lines.get()
