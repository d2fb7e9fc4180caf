"""Carries out a replica's effects in order, also those of what programs say while others are under way.

What an effect does is its owner's matter, but for ``Persist``: nothing goes on before that is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from crdtsync.adapters.replica_store import StoreCorrupt
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica.records import Record
from crdtsync.errors import StoreError

PERSIST_RETRY_S: Final = 1.0
OWED_MAX: Final = 1000
"""Effects; a keystroke has three or so."""


class Carrying:
    """``one`` carries out what need not be waited for. ``failed`` is told once when the store cannot be
    written, as while the disk is full, and ``ends`` tells whether to give up then. ``foreseen`` is told of
    steps that wait for a write to the store: what nobody sees of them may be done meanwhile."""

    def __init__(
        self,
        one: Callable[[ef.Effect], None],
        persist: Callable[[Sequence[Record]], None],
        failed: Callable[[StoreError], None],
        ends: Callable[[StoreError], bool],
        foreseen: Callable[[ef.Steps], None],
    ) -> None:
        self._one = one
        self._foreseen = foreseen
        self._persist = persist
        self._failed = failed
        self._ends = ends
        self._owed: list[ef.Effect] = []
        """Effects of what programs said, which are carried out before those of anything else."""
        self.busy = False
        """Whether effects are being carried out, so that others have to wait."""

    @property
    def behind(self) -> bool:
        """Whether much waits to be carried out: who types should wait."""
        return len(self._owed) > OWED_MAX

    async def out(self, effects: Sequence[ef.Effect]) -> None:
        """Carry them out; only what must be complete before the next one is waited for. Raises StoreError."""
        owed, self._owed = self._owed, []
        self.busy = True
        try:
            waiting = (*owed, *effects)
            for index, effect in enumerate(waiting):
                if isinstance(effect, ef.Persist):
                    self._foresee(waiting[index + 1 :])
                    await self.persist(effect.records)
                else:
                    self._one(effect)
        finally:
            self.busy = False

    def at_once(self, effects: Sequence[ef.Effect]) -> None:
        """Carry out what can be without waiting; the rest comes before what ``out`` is given next."""
        self._owed += effects
        if self.busy:
            return
        owed, self._owed = self._owed, []
        self.busy = True
        try:
            for index, effect in enumerate(owed):
                if isinstance(effect, ef.Persist):
                    self._foresee(owed[index + 1 :])
                    try:
                        self._persist(effect.records)
                    except StoreError:
                        self._owed = owed[index:] + self._owed  # the loop tries again, and tells
                        return
                else:
                    self._one(effect)
        finally:
            self.busy = False

    def _foresee(self, effects: Sequence[ef.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, ef.Persist):
                return
            if isinstance(effect, ef.Steps):
                self._foreseen(effect)

    async def persist(self, records: Sequence[Record]) -> None:
        """Nothing goes on before this is written: a full disk is waited for, and told. Raises StoreError."""
        told = False
        while True:
            try:
                self._persist(records)
            except StoreCorrupt:
                raise  # waiting mends nothing
            except StoreError as error:
                if not told:
                    told = True
                    self._failed(error)
                if self._ends(error):
                    raise
                await asyncio.sleep(PERSIST_RETRY_S)
            else:
                return
