"""Virtual time: one heap of what is to happen, one random stream per concern, one trace to compare.

Nothing else of the simulator knows what time is; one seed gives one run.
"""

from __future__ import annotations

import heapq
import random
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from blake3 import blake3

EPOCH_S = 1_700_000_000.0
"""When a simulation begins, in seconds since 1970."""
TRACE_KEPT_LINES = 400


@dataclass(eq=False, slots=True)
class Timer:
    """Something that will happen once, unless it is cancelled."""

    at_s: float
    action: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """Runs what is due, in the order of time and, within one instant, in the order of asking."""

    def __init__(self) -> None:
        self.now_s = EPOCH_S
        self.handled = 0
        self._until_s = EPOCH_S
        self._heap: list[tuple[float, int, Timer]] = []
        """When each is due, and a number of its own, so that timers themselves are never compared."""
        self._number = 0
        self._before: tuple[int, Callable[[], None]] | None = None

    def after(self, delay_s: float, action: Callable[[], None]) -> Timer:
        self._number += 1
        timer = Timer(self.now_s + max(0.0, delay_s), action)
        heapq.heappush(self._heap, (timer.at_s, self._number, timer))
        return timer

    def after_events(self, count: int, action: Callable[[], None]) -> None:
        """Have that done once so many more things have happened, whenever that is, and the next is due."""
        self._before = self.handled + count, action

    def passes(self, duration_s: float) -> bool:
        """Let time pass, if nothing else is to happen meanwhile; returns whether it has passed."""
        self._drop_cancelled()
        then_s = self.now_s + duration_s
        if then_s > self._until_s or (self._heap and self._heap[0][0] <= then_s):
            return False
        self.now_s = then_s
        return True

    def run_until(self, until_s: float, enough: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass up to ``until_s``, or until ``enough`` holds; returns whether it does."""
        self._until_s = until_s
        while not enough():
            self._drop_cancelled()
            if not self._heap or self._heap[0][0] > until_s:
                self.now_s = max(self.now_s, until_s)
                return enough()
            at_s, _, timer = heapq.heappop(self._heap)
            self.now_s = max(self.now_s, at_s)
            if self._before is not None and self._before[0] <= self.handled:
                (_, action), self._before = self._before, None
                action()
            self.handled += 1
            timer.action()
        return True

    def _drop_cancelled(self) -> None:
        while self._heap and self._heap[0][2].cancelled:
            heapq.heappop(self._heap)

    def end(self) -> None:
        """Nothing more happens; threads that wait are ended, since nobody else would find them."""
        self._heap.clear()


class Streams:
    """Independent random streams, so that a change of one concern leaves what the others draw alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, random.Random] = {}

    def __getitem__(self, concern: str) -> random.Random:
        stream = self._streams.get(concern)
        if stream is None:
            stream = self._streams[concern] = random.Random(f"{self._seed}/{concern}")
        return stream


class Trace:
    """A digest over everything that happened, and the last lines of it for a person.

    Frames count by their length: Yrs writes the keys of a map in an order that differs from run to run.
    """

    def __init__(self, clock: Clock, *, shown: Callable[[str], None] | None = None) -> None:
        self._clock = clock
        self._hasher = blake3()
        self._shown = shown
        self.lines: deque[str] = deque(maxlen=TRACE_KEPT_LINES)

    def note(self, who: str, what: str) -> None:
        line = f"{self._clock.now_s - EPOCH_S:10.4f} {who:>4} {what}"
        self._hasher.update(line.encode("utf-8", "surrogatepass"))
        self.lines.append(line)
        if self._shown is not None:
            self._shown(line)

    @property
    def digest(self) -> str:
        return self._hasher.copy().hexdigest()


def shown(data: bytes) -> str:
    """Bytes for the trace, with the characters that serve as tokens as numbers."""
    return readable(repr(data.decode("utf-8", "backslashreplace")))


def readable(text: str) -> str:
    """``text``, or the repr of one, with tokens as numbers."""
    whole = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return _TOKEN.sub(lambda found: f"<{ord(found[0]) - 0x20000}>", whole)


_ESCAPED = re.compile(r"\\U000([23][0-9a-f]{4})")
_TOKEN = re.compile("[\U00020000-\U0010ffff]")
