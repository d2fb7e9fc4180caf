"""Judges what is brought to a hub, so much of it in one event: the rest waits for the next ones.

Knows of which texts a hub lacked something; what it has and is sent is left to ``hub_side``.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from crdtsync.core.replica.bringing import Bringing, Judgement, only_deletes, tells
from crdtsync.core.text.needs import with_needed
from crdtsync.core.values.ids import EntryId

_ASKED_MAX: Final = 16
"""Of updates of one text; whoever has its history brings that at their return."""
_COST_MAX: Final = 256
"""Of judgements in one event, before they wait for the next one; 0.1 s where the text has 100 kB."""


class Judging:
    def __init__(self) -> None:
        self._bringing: dict[EntryId, Bringing] = {}
        """Of texts of which a hub lacked something: what is on its way to it."""
        self.waiting: deque[tuple[EntryId, Judgement]] = deque()
        """What has yet to be judged."""
        self._cost = 0
        self._asked: Counter[EntryId] = Counter()
        """How often others brought something of texts that only a file had left."""

    def begin(self) -> None:
        """Another event begins."""
        self._cost = 0

    def tired(self) -> bool:
        """Whether nothing more should be judged in this event, so that others are heard in between."""
        return self._cost >= _COST_MAX

    def bring(self, entry: EntryId, bringing: Bringing, own: Collection[bytes] = ()) -> None:
        """The text is on its way, and some of it the hub may have already, by another; ``own`` is judged."""
        self._bringing[entry] = bringing
        self.waiting += ((entry, each) for each in bringing.held(own))

    def bring_judged(self, entry: EntryId, bringing: Bringing, own: Collection[bytes]) -> list[bytes]:
        """As ``bring``, with what takes that out: to be brought with the text."""
        self._bringing[entry] = bringing
        return [again for each in bringing.held(own) if (again := self._judge(each))]

    def came(self, entry: EntryId, update: bytes, own: Collection[bytes], *, ours: bool) -> None:
        """The hub has given an update a place: what we bring stands twice if it came later."""
        if entry in self._bringing:
            bringing = self._bringing[entry]
            self.waiting += ((entry, each) for each in bringing.place(update, own, ours=ours))
            if bringing.ended:
                del self._bringing[entry]

    def may_have(self, entry: EntryId, came: bytes) -> bool:
        """Whether others bring so much of a text that it may be what only its file had left of it."""
        return tells(came) and self._asked[entry] < _ASKED_MAX

    def again(self, entry: EntryId, update: bytes, came: bytes, log: Sequence[bytes]) -> None:
        """Others brought something of a text; the update is what its file had left of what others had made.

        Nothing is judged if they had that update: then they made something else. What they have taken out
        again is nowhere but in the file.
        """
        self._asked[entry] += 1
        others = with_needed(log, [came])
        if update in log and update not in others:
            others += (each for each in log if only_deletes(each))
            self.waiting.append((entry, Judgement(update, others, log, again=True)))

    def advance(self) -> Iterator[tuple[EntryId, bytes]]:
        """What takes out of texts what stands there twice by now, as far as it could be judged."""
        while self.waiting and not self.tired():
            entry, judgement = self.waiting.popleft()
            if again := self._judge(judgement):
                yield entry, again

    def away(self) -> None:
        """The connection is gone, with what was on its way; what had its place is judged nevertheless."""
        self._bringing.clear()

    def _judge(self, judgement: Judgement) -> bytes:
        self._cost += judgement.cost
        return judgement.twice()
