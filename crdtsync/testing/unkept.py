"""What is in nobody's keeping but a page's or a program's: with these it is lost, which no tool can help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from crdtsync.testing.oracles import Ledger
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_replica import VirtualReplica

Holders = Callable[[], Iterable[tuple[str, Iterable[str]]]]
"""The names of people whose work is kept by nothing but what they have open, and the texts of that."""


class Unkept:
    def __init__(
        self, room: str, hub: VirtualHub, ledger: Ledger, replicas: Sequence[VirtualReplica]
    ) -> None:
        self._room = room
        self._hub = hub
        self._ledger = ledger
        self._replicas = replicas
        self.holders: list[Holders] = []

    def something_went(self) -> None:
        """A page or a program was closed, or the hub or a replica lost something: what was made in pages and
        programs, and is by now in no place that is safe or still open, is lost."""
        held = [each for holders in self.holders for each in holders()]
        if not held:
            return
        texts = [text.text for _, text in self._hub.store.texts(self._room)]
        texts += [text for replica in self._replicas for text in replica.store.texts()]
        texts += [text for _, mine in held for text in mine]
        there = [data for replica in self._replicas for data in replica.machine.contents()]
        there += [*(text.encode() for text in texts), *self._hub.blobs_of(self._room).values()]
        self._ledger.lost_with_pages({name for name, _ in held}, there)
