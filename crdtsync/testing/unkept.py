"""What is in nobody's keeping but a page's or a program's: with these it is lost, which no tool can help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from crdtsync.testing.setting import Setting
from crdtsync.testing.virtual_replica import VirtualReplica

Holders = Callable[[], Iterable[tuple[str, Iterable[str]]]]
"""The names of people whose work is kept by nothing but what they have open, and the texts of that."""


class Unkept:
    def __init__(self, setting: Setting, replicas: Sequence[VirtualReplica]) -> None:
        self._setting = setting
        self._replicas = replicas
        self.holders: list[Holders] = []

    def something_went(self) -> None:
        """A page or a program was closed, or the hub or a replica lost something: what was made in pages and
        programs, and is by now in no place that is safe or still open, is lost."""
        held = [each for holders in self.holders for each in holders()]
        if not held:
            return
        texts = [text.text for _, text in self._setting.hub.store.texts(self._setting.room)]
        texts += [text for replica in self._replicas for text in replica.store.texts()]
        texts += [text for _, mine in held for text in mine]
        there = [data for replica in self._replicas for data in replica.machine.contents_to_share()]
        there += [
            *(text.encode() for text in texts),
            *self._setting.hub.blobs_of(self._setting.room).values(),
        ]
        self._setting.ledger.lost_with_pages({name for name, _ in held}, there)
