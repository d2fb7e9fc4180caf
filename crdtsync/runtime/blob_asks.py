"""Requests about single chunks, from the asking to the answer; knows nothing of connections."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from crdtsync.core.values.digests import Digest
from crdtsync.core.wire.blobs import Sealed
from crdtsync.errors import PeerError

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Ask(Generic[T]):
    """One request about one chunk, however many wait for its answer; ``sealed`` is what it sends along."""

    digest: Digest
    answer: asyncio.Future[T]
    sealed: Sealed | None
    waiting: int = 0

    def settle(self, value: T) -> None:
        self.answer.set_result(value)

    def fail(self, error: Exception) -> None:
        self.answer.set_exception(error)
        self.answer.exception()  # all who waited may have gone


@dataclass(eq=False, slots=True)
class Lane(Generic[T]):
    """The requests of one kind: those not sent yet, in order, and those sent and not answered, by number."""

    known: dict[Digest, Ask[T]] = field(default_factory=dict)
    _queued: dict[Digest, Ask[T]] = field(default_factory=dict)
    _flying: dict[int, deque[Ask[T]]] = field(default_factory=dict)

    def join(self, digest: Digest, sealed: Sealed | None = None) -> Ask[T]:
        """Ask, or wait for the answer that another waits for already. Followed by one ``part``."""
        ask = self.known.get(digest)
        if ask is None:
            ask = Ask(digest, asyncio.get_running_loop().create_future(), sealed)
            self.known[digest] = self._queued[digest] = ask
        ask.waiting += 1
        return ask

    def part(self, ask: Ask[T]) -> None:
        """One waits no more; a request that nobody waits for is not sent."""
        ask.waiting -= 1
        if not ask.waiting and self._queued.get(ask.digest) is ask:
            del self._queued[ask.digest], self.known[ask.digest]

    def take(self, number: int, most: int, most_bytes: int) -> list[Ask[T]]:
        """What goes into the next frame, noted under its number; empty when nothing is queued."""
        taken: list[Ask[T]] = []
        total = 0
        for ask in self._queued.values():
            total += len(ask.sealed.data) if ask.sealed is not None else 0
            if len(taken) == most or (taken and total > most_bytes):
                break
            taken.append(ask)
        for ask in taken:
            del self._queued[ask.digest]
        if taken:
            self._flying[number] = deque(taken)
        return taken

    def answered(self, number: int, count: int) -> list[Ask[T]]:
        """The next ``count`` requests of that frame. Raises PeerError if there are not as many."""
        flying = self._flying.get(number, ())
        if not 0 < count <= len(flying):
            raise PeerError(
                f"an answer about {count} chunks to request {number}, which waits for {len(flying)}"
            )
        asks = [self._flying[number].popleft() for _ in range(count)]
        if not flying:
            del self._flying[number]
        for ask in asks:
            del self.known[ask.digest]
        return asks

    def answered_whole(self, number: int) -> list[Ask[T]]:
        """All requests of that frame. Raises PeerError if there is none."""
        return self.answered(number, len(self._flying.get(number, ())))

    def lost(self) -> list[Ask[T]]:
        """All that was sent and not answered, in order; known and queued no more."""
        unanswered = [ask for asks in self._flying.values() for ask in asks]
        self._flying.clear()
        for ask in unanswered:
            del self.known[ask.digest]
        return unanswered

    def send_again(self) -> None:
        """After a lost connection: queue what was sent and is still waited for, before what was not sent."""
        again = {ask.digest: ask for ask in self.lost() if ask.waiting}
        self.known |= again
        self._queued = again | self._queued
