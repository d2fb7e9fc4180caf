"""Carries out the effects of a replica's engine, in order: those of the loop's events and of programs.

What an effect does is its owner's matter, but for ``Persist``: nothing after it is carried out before that is
written, except that files are read. While a large one is written beside the loop, the engine may take in its
next events, up to the first that leads to another ``Persist``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from crdtsync.adapters.replica_store import StoreCorrupt
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica.records import Record
from crdtsync.errors import StoreError

PERSIST_RETRY_S: Final = 1.0
OWED_MAX: Final = 1000
"""Effects; a keystroke has three or so."""
FOLLOWING_MAX: Final = 1000
"""Effects of events that lead to no Persist, and wait for one that is being written."""


class Carrying:
    """``one`` carries out what need not be waited for. ``persist`` writes at once, or by the end of what it
    returns. ``failed`` is told once when the store cannot be written, as while the disk is full, and ``ends``
    tells whether to give up then. ``foreseen`` is told of steps that wait for a write to the store: what
    nobody sees of them may be done meanwhile. ``wake`` is called when ``out`` would raise, and should be."""

    def __init__(
        self,
        one: Callable[[ef.Effect], None],
        persist: Callable[[Sequence[Record]], Future[None] | None],
        failed: Callable[[StoreError], None],
        ends: Callable[[StoreError], bool],
        foreseen: Callable[[ef.Steps], None],
        wake: Callable[[], None],
    ) -> None:
        self._one = one
        self._persist = persist
        self._failed = failed
        self._ends = ends
        self._foreseen = foreseen
        self._wake = wake
        self._owed: list[ef.Effect] = []
        """Effects that have to wait for what is under way: of what programs said, and of the loop's event."""
        self._rest: asyncio.Task[None] | None = None
        """Writes what is written beside the loop, and carries out what comes after it."""
        self._following: list[ef.Effect] = []
        """What that task carries out, from its Persist on."""
        self.busy = False
        """Whether effects are being carried out, so that others have to wait."""

    @property
    def behind(self) -> bool:
        """Whether much waits to be carried out: who types should wait."""
        return len(self._owed) > OWED_MAX

    @property
    def owes(self) -> bool:
        """Whether something could not be carried out at once: ``out`` has to, before anything else."""
        return bool(self._owed)

    async def out(self, effects: Sequence[ef.Effect]) -> None:
        """Carry them out, after all that went before. Raises StoreError, also for what went before.

        What comes after a large ``Persist`` may still have to be carried out when this returns.
        """
        if self._rest is not None:
            effects = self._read_at_once(effects)
            if self._may_follow(effects):
                self._following += effects
                return
        self._owed += effects  # what programs say from now on comes after them
        await self.done()
        owed, self._owed = self._owed, []
        failed = self._some(owed)
        if failed is not None:
            self._begin_rest(failed[0], None, failed[1])
            await self.done()

    async def finish(self, effects: Sequence[ef.Effect]) -> None:
        """As ``out``, and wait until all is carried out. Raises StoreError."""
        await self.out(effects)
        await self.done()

    async def done(self) -> None:
        """Wait until all is carried out. Raises StoreError."""
        while (rest := self._rest) is not None:
            await asyncio.wait([rest])
            if self._rest is rest:  # else it went well, and a program has begun another
                self._rest = None
                self.busy = False
                rest.result()

    async def close(self) -> None:
        """Nothing more is carried out."""
        if self._rest is not None:
            self._rest.cancel()
            await asyncio.gather(self._rest, return_exceptions=True)

    def at_once(self, effects: Sequence[ef.Effect]) -> None:
        """Carry out what can be without waiting; the rest comes before what ``out`` is given next."""
        self._owed += effects
        if self.busy:
            return
        owed, self._owed = self._owed, []
        failed = self._some(owed)
        if failed is not None:
            self._owed = failed[0] + self._owed  # the loop tries again, and tells

    async def persist(self, records: Sequence[Record]) -> None:
        """Nothing goes on before this is written: a full disk is waited for, and told. Raises StoreError."""
        await self._persisted(records, None, None)

    def _some(self, effects: list[ef.Effect]) -> tuple[list[ef.Effect], StoreError] | None:
        """Carry out all of them, or begin to; returns what is left when the first of that could not be
        written."""
        self.busy = True
        try:
            for index, effect in enumerate(effects):
                if not isinstance(effect, ef.Persist):
                    self._one(effect)
                    continue
                self._foresee(effects[index + 1 :])
                try:
                    writing = self._persist(effect.records)
                except StoreError as error:
                    return effects[index:], error
                if writing is not None:
                    self._begin_rest(self._read_at_once(effects[index:]), writing, None)
                    break
        finally:
            self.busy = self._rest is not None
        return None

    def _begin_rest(
        self, effects: list[ef.Effect], writing: Future[None] | None, failed: StoreError | None
    ) -> None:
        self._following = effects  # which ``out`` may make longer meanwhile
        self._rest = asyncio.create_task(self._go_on(effects, writing, failed))

    async def _go_on(
        self, effects: list[ef.Effect], writing: Future[None] | None, failed: StoreError | None
    ) -> None:
        """Carry out all of them; the first is written already, or failed to be."""
        self.busy = True
        try:
            for index, effect in enumerate(effects):
                if isinstance(effect, ef.Persist):
                    if index:
                        self._foresee(effects[index + 1 :])
                    await self._persisted(effect.records, writing, failed)
                    writing = failed = None
                else:
                    self._one(effect)
        except BaseException:
            self._wake()  # nothing else is carried out before ``done`` has raised it
            raise
        self._rest = None
        self.busy = False

    def _read_at_once(self, effects: Sequence[ef.Effect]) -> list[ef.Effect]:
        """Have files read, which need not wait for what is written; returns the other effects."""
        for effect in effects:
            if isinstance(effect, ef.Look):
                self._one(effect)
        return [effect for effect in effects if not isinstance(effect, ef.Look)]

    def _may_follow(self, effects: Sequence[ef.Effect]) -> bool:
        """Whether these may wait while the engine goes on, since it can recall nothing of them."""
        return (
            self._rest is not None
            and not self._rest.done()
            and not self._owed
            and len(self._following) + len(effects) <= FOLLOWING_MAX
            and not any(isinstance(effect, ef.Persist) for effect in effects)
        )

    def _foresee(self, effects: Sequence[ef.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, ef.Persist):
                return
            if isinstance(effect, ef.Steps):
                self._foreseen(effect)

    async def _persisted(
        self, records: Sequence[Record], writing: Future[None] | None, failed: StoreError | None
    ) -> None:
        """Until it is written, if it is not: ``writing`` is under way, or ``failed`` is why it was not."""
        told = False
        while True:
            if failed is None:
                try:
                    writing = writing or self._persist(records)
                    if writing is not None:
                        await asyncio.shield(asyncio.wrap_future(writing))
                    return
                except StoreError as error:
                    failed, writing = error, None
            if isinstance(failed, StoreCorrupt):
                raise failed  # waiting mends nothing
            if not told:
                told = True
                self._failed(failed)
            if self._ends(failed):
                raise failed
            await asyncio.sleep(PERSIST_RETRY_S)
            failed = None
