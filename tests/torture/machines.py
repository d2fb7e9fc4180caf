"""A hub or a replica as a process that ends and comes back, may be held still, and whose every log is kept.

Knows how a process is started and how it ended; what goes wrong on the way is up to ``scenarios``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.waiting import eventually

START_S: Final = 60.0
"""As long as a process may take to be there, on a machine that has much else to do."""
POLL_MS: Final = 5


@dataclass(slots=True)
class Machine:
    """One command of the product. ``around`` stands before it, ``env`` is added to its environment."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    """Of all its runs, one after the other; ``out`` beside it has the lines of JSON."""
    around: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    """The exit codes of all runs so far, negative for a signal."""
    hands: threading.RLock = field(default_factory=threading.RLock)
    """Held while the process is held still: it is not started meanwhile."""
    _process: subprocess.Popen[bytes] | None = None
    _seen_bytes: int = 0

    @property
    def out(self) -> Path:
        return self.log.with_suffix(".out")

    @property
    def pid(self) -> int | None:
        """Of the run at hand, if there is one."""
        process = self._process
        return None if process is None or self._ended(process) else process.pid

    @property
    def running(self) -> bool:
        return self.pid is not None

    def start(self, traced: Sequence[str] = ()) -> None:
        """Start it, with ``traced`` (a tracer's command line) between what is around and the command."""
        with self.hands:
            assert not self.running, f"{self.name} runs already"
            self._seen_bytes = self.out.stat().st_size if self.out.exists() else 0
            with open(self.out, "ab") as out, open(self.log, "ab") as log:
                self._process = subprocess.Popen(
                    [*self.around, *traced, sys.executable, "-m", "crdtsync", *self.arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=log,
                    env={**os.environ, **self.env},
                )

    def events(self) -> list[dict[str, Any]]:
        """What the run at hand has printed; a last line that a kill has cut is left out."""
        return self._printed(self._seen_bytes)

    def last_words(self) -> list[str]:
        """Why its runs ended by themselves."""
        return [str(each.get("message")) for each in self._printed(0) if each.get("event") == "error"]

    def _printed(self, from_byte: int) -> list[dict[str, Any]]:
        data = self.out.read_bytes()[from_byte:] if self.out.exists() else b""
        found = []
        for line in data.split(b"\n")[:-1]:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def up(self, event: str, deadline_s: float = START_S) -> dict[str, Any] | None:
        """Wait for an event of that name; None when the process ends before."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [each for each in self.events() if each.get("event") == event]
            return bool(found) or not self.running

        eventually(there, f"{self.name} says {event}", deadline_s)
        return found[0] if found else None

    def kill(self) -> None:
        with self.hands:
            if self._process is not None:
                self._process.kill()
                self.wait()

    def stop(self) -> None:
        """SIGTERM, and wait."""
        with self.hands:
            if self.running and self._process is not None:
                self._process.send_signal(signal.SIGTERM)
                self.wait()

    def wait(self) -> int:
        assert self._process is not None
        code = self._process.wait(START_S)
        self._ended(self._process)
        return code

    def ended_within(self, seconds: float) -> bool:
        """Whether it ends by itself before so much time has passed."""
        process = self._process
        assert process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return self._ended(process)

    def _ended(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is None:
            return False
        if process is self._process:
            self.ends.append(process.returncode)
            self._process = None
        return True

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Nothing of the process moves meanwhile, so that what is read is what is then changed."""
        with self.hands:
            pid = self.pid
            if pid is None:
                yield
                return
            eventually(lambda: self._stopped(pid), f"{pid} stops")
            try:
                yield
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _stopped(self, pid: int) -> bool:
        """Whether it stands still; asked each time, since a tracer that lets go may let a thread go on."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        return not self.running or set(_states(pid).values()) <= set("TtZX")

    def threads(self) -> list[int]:
        """Of the run at hand, all but the first."""
        pid = self.pid
        return [] if pid is None else sorted(_states(pid).keys() - {pid})

    def errors(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def _states(pid: int) -> Mapping[int, str]:
    """The state of every thread, as one letter of ps."""
    found = {}
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{pid}/task/{thread}/stat").read_text()
                found[int(thread)] = stat.rpartition(")")[2].split()[0]
    return found


def pause(seconds: float, enough: threading.Event | None = None) -> None:
    """Let others act for so long, or until there is enough."""
    (enough or threading.Event()).wait(seconds)


def clock_s() -> float:
    return time.monotonic()
