"""One life of a replica's process: its time, and its effects, carried out in order until it ends.

While the store cannot be written all waits, events too, but for what programs say. What an effect is, and
how a life ends, is left to ``virtual_replica``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import get_args

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.together import together
from crdtsync.errors import StoreError
from crdtsync.testing.clock import Clock, Timer

PERSIST_RETRY_S = 1.0
SAID = get_args(ev.Said)
"""What programs say is taken at once, whatever waits to be carried out."""


class VirtualLife:
    """``ahead_s``: how far the machine's clock is ahead as it begins; from there its own is steady.

    ``handle`` is called with events that waited, ``one`` with each effect, ``tell`` with what programs are
    told; ``deadline`` is asked for when all is carried out; ``failed`` hears why ``one`` raised StoreError.
    """

    def __init__(
        self,
        clock: Clock,
        ahead_s: float,
        handle: Callable[[ev.Event], None],
        one: Callable[[ef.Effect], None],
        tell: Callable[[ef.ForPrograms], None],
        deadline: Callable[[], float | None],
        failed: Callable[[StoreError], None],
    ) -> None:
        self.ended = False
        self._clock = clock
        self._ahead_s = ahead_s
        self._handle = handle
        self._one = one
        self._tell_programs = tell
        self._deadline = deadline
        self._failed = failed
        self._owed: deque[ef.Effect] = deque()
        self._untold: deque[ef.ForPrograms] = deque()
        self._telling = False
        self._waiting: deque[ev.Event] = deque()
        """What comes while the store cannot be written."""
        self._stuck = False
        self._ends_after: tuple[int, Callable[[], None]] | None = None
        self._timer: Timer | None = None

    def end(self) -> None:
        """Nothing more is done."""
        self.ended = True
        self._owed.clear()
        self._untold.clear()
        self._waiting.clear()
        self._unset_timer()

    def end_within_effects(self, count: int, kill: Callable[[], None]) -> None:
        """``kill`` is called before the effect that comes after so many more."""
        self._ends_after = count, kill

    # -- its time ---------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        return self._clock.now_s + self._ahead_s

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do it unless this life has ended by then."""
        self._clock.after(delay_s, lambda: None if self.ended else action())

    def _set_timer(self) -> None:
        self._unset_timer()
        deadline = None if self.ended else self._deadline()
        if deadline is not None:
            delay_s = max(deadline - self.now_s, 0) + 1e-5
            self._timer = self._clock.after(delay_s, lambda: self._handle(ev.Tick()))

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- events and effects -----------------------------------------------------------------------------

    def takes(self, event: ev.Event) -> bool:
        """Whether it is to be handled now; else it waits, and is handed to ``handle`` again."""
        if self._stuck and not isinstance(event, SAID):
            self._waiting.append(event)
            return False
        return True

    def carry_out(self, effects: Iterable[ef.Effect]) -> None:
        """What programs are told is told before anything else is carried out, and at once."""
        for effect in effects:
            if isinstance(effect, ef.ForPrograms):
                self._untold.append(effect)
            else:
                self._owed.append(effect)
        self._tell()
        if not self._stuck:
            self._pay()

    def _tell(self) -> None:
        """One after the other, also where one answers while it is told."""
        if self._telling:
            return
        self._telling = True
        while self._untold:
            self._tell_programs(self._untold.popleft())
        self._telling = False

    def _pay(self) -> None:
        """Carry out what is owed, in order. A store that cannot be written is tried again, and all waits."""
        while self._owed and not self.ended:
            if self._ends_after is not None:
                left, kill = self._ends_after
                if not left:
                    kill()
                    return
                self._ends_after = left - 1, kill
            effect = self._owed.popleft()
            try:
                self._one(effect)
            except StoreError as error:
                self._owed.appendleft(effect)
                self._failed(error)
                self._stuck = True
                self.later(PERSIST_RETRY_S, self._try_again)
                return
        self._set_timer()

    def _try_again(self) -> None:
        self._stuck = False
        self._pay()
        while self._waiting and not self._stuck:
            waiting, self._waiting = deque(together(self._waiting)), deque()
            while waiting and not self._stuck:
                self._handle(waiting.popleft())
            self._waiting.extendleft(reversed(waiting))
