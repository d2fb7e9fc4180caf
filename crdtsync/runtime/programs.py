"""The programs that have texts open in a running replica, and how they are told of what becomes of those.

A program is told in the same breath in which the engine decides, before anything is carried out: so what it
says next is about the text as the engine has it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeAlias

from crdtsync.core.replica import effects as ef

Sink: TypeAlias = Callable[[ef.ForPrograms], None]
"""Takes what one program is told. It does not say anything to the replica before it returns."""


class Programs:
    def __init__(self) -> None:
        self._sinks: dict[int, Sink] = {}
        self._last = 0
        self._untold: deque[ef.ForPrograms] = deque()
        self._telling = False

    def come(self, sink: Sink) -> int:
        """The number by which the program is known."""
        self._last += 1
        self._sinks[self._last] = sink
        return self._last

    def go(self, holder: int) -> None:
        self._sinks.pop(holder, None)

    def tell(self, effects: Iterable[ef.Effect]) -> list[ef.Effect]:
        """Tell the programs what is for them; returns the other effects."""
        others: list[ef.Effect] = []
        for effect in effects:
            if isinstance(effect, ef.ForPrograms):
                self._untold.append(effect)
            else:
                others.append(effect)
        if not self._telling:
            self._telling = True
            try:
                while self._untold:
                    self._tell(self._untold.popleft())
            finally:
                self._telling = False
        return others

    def _tell(self, effect: ef.ForPrograms) -> None:
        match effect:
            case (
                ef.TextOpened(holder) | ef.TextRefused(holder) | ef.EditRefused(holder) | ef.Arranged(holder)
            ):
                holders: tuple[int, ...] = (holder,)
            case (
                ef.TextChanged(holders)
                | ef.TextMoved(holders)
                | ef.CursorsMoved(holders)
                | ef.EntriesChanged(holders)
            ):
                pass
            case _:
                raise AssertionError(f"nobody knows whom {effect} is for")
        for holder in holders:
            if (sink := self._sinks.get(holder)) is not None:
                sink(effect)
