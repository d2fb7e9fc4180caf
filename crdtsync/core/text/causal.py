"""Decides which parts of an update a Yjs document can integrate now; the rest waits here for what it needs.

Yrs 0.28 integrates past a gap in a client's clocks and then drops what fills it, so nothing that comes too
early may reach it. Knows clocks only; whoever owns the document applies what is handed out, in that order.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from crdtsync.core.text.first import FirstText
from crdtsync.core.text.places import Places
from crdtsync.core.text.statevector import decode
from crdtsync.core.text.surrogates import Pairs
from crdtsync.core.text.update import (
    EMPTY_UPDATE,
    Ranges,
    Struct,
    UpdateShape,
    check_update,
    encode_update,
    read_structs,
)
from crdtsync.core.values.late import dataclass
from crdtsync.errors import MalformedUpdate


@dataclass(frozen=True, slots=True)
class Taken:
    """``ready``: updates to apply now, in order, first what could be taken of the one that came.

    ``waits``: a part of the one that came waits now, and did not wait before. ``inserts``: the first of
    ``ready`` inserts what the document lacked.
    """

    ready: list[bytes]
    waits: bool
    inserts: bool


class CausalBuffer:
    """What a document holds, and what still waits.

    ``known``: for each client the first clock that the document lacks (its state vector). ``states``: the
    updates that the document was made from, if it was not made by what this buffer handed out.
    ``plain``: they are known to hold characters of the text and nothing else.
    ``values_only``: nothing else ever comes in, so that nobody can misplace an item.
    """

    __slots__ = (
        "_in_lists",
        "_inserted",
        "_order",
        "_pairs",
        "_places",
        "_waiting",
        "_waiting_updates",
        "known",
    )

    def __init__(
        self,
        known: Mapping[int, int] | None = None,
        states: Iterable[bytes] = (),
        *,
        values_only: bool = False,
        plain: bool = False,
    ) -> None:
        self._in_lists = not values_only
        self.known: dict[int, int] = dict(known or {})
        self._pairs = Pairs()
        states = tuple(states)
        self._places = Places(() if plain else states)
        for state in states:
            self._pairs.learn_state(state)
        self._waiting: dict[int, list[tuple[int, int, bytes]]] = {}
        """By the client missed: a heap of (clock needed, order of arrival, update)."""
        self._waiting_updates: set[bytes] = set()
        self._order = 0
        self._inserted = False
        """Something was learned since this was last set to False."""

    @property
    def pending(self) -> tuple[bytes, ...]:
        """Updates that wait, in the order of their arrival."""
        if not self._waiting:
            return ()
        entries = [(order, update) for heap in self._waiting.values() for _, order, update in heap]
        return tuple(update for _, update in sorted(entries))

    def take(self, update: bytes, shape: UpdateShape | None = None) -> Taken:
        """Take in an update, and wake those that it completes.

        Raises MalformedUpdate, changing nothing. ``shape`` spares reading the update again.
        """
        if shape is None:
            shape = check_update(update)
        for client, halves in shape.halves.items():
            if self.known.get(client, 0) in halves:
                raise MalformedUpdate(
                    f"what client {client} inserted before ends inside a character of the update"
                )
        self._inserted = False
        if is_ready(shape, self.known):
            ready, waits = [self._accepted(update, shape)], False
        else:
            ready, waits = self._divide(update)
        inserts = self._inserted
        if ready and self._waiting:
            ready += self._woken()
        return Taken(ready, waits, inserts)

    def mends(self, shape: UpdateShape) -> bool:
        """Whether an update of this shape may be applied as something else than it is."""
        return not self._places.is_plain or self._pairs.are_cut_by(shape)

    def may_type_on(self, client: int, start: int) -> bool:
        """Whether characters that a client types at the end of what it typed before can be taken in, and that
        is all there is to be seen to."""
        return self.known.get(client) == start and not self._waiting and self._places.is_plain

    def type_on(self, client: int, start: int, end: int) -> bool:
        """Take in characters that a client types at the end of what it typed before.

        False, changing nothing, unless that is all there is to be seen to.
        """
        if not self.may_type_on(client, start):
            return False
        self.known[client] = end
        return True

    def learn(self, shape: UpdateShape) -> None:
        """The document now holds what this update inserts."""
        if shape.halves:
            self._pairs.learn(shape)
        if shape.types:
            self._places.learn(shape)
        known = self.known
        for client, ranges in shape.inserts.items():
            end = ranges[-1][1]
            if end > known.get(client, 0):
                known[client] = end
                self._inserted = True

    def whole_characters(self, clocks: Mapping[int, int]) -> Mapping[int, int]:
        """The clocks, none of them inside a character."""
        return self._pairs.outside(clocks)

    def _accepted(self, update: bytes, shape: UpdateShape) -> bytes:
        """The update as it may be applied, now that all that it needs is there."""
        self.learn(shape)
        if self._in_lists:
            update = self._places.mended(update, shape)
        return self._pairs.mended(update) if self._pairs.are_cut_by(shape) else update

    def _divide(self, update: bytes) -> tuple[list[bytes], bool]:
        """What of the update is ready, and whether the rest, which waits now, did not wait before."""
        ready, rests = split(update, self.known)
        waits = False
        for rest in rests:
            if rest.update not in self._waiting_updates:
                self._waiting_updates.add(rest.update)
                heapq.heappush(
                    self._waiting.setdefault(rest.client, []), (rest.clock, self._order, rest.update)
                )
                self._order += 1
                waits = True
        return [] if ready == EMPTY_UPDATE else [self._accepted(ready, check_update(ready))], waits

    def _woken(self) -> list[bytes]:
        """Those that no longer wait, after the document learned something."""
        ready: list[bytes] = []
        woken = self._wake()
        while woken:
            for update in woken:
                ready += self._divide(update)[0]
            woken = self._wake()
        return ready

    def _wake(self) -> list[bytes]:
        woken = []
        for client, heap in list(self._waiting.items()):
            while heap and heap[0][0] <= self.known.get(client, 0):
                _, order, update = heapq.heappop(heap)
                self._waiting_updates.remove(update)
                woken.append((order, update))
            if not heap:
                del self._waiting[client]
        return [update for _, update in sorted(woken)]


def is_news(shape: UpdateShape, known: Mapping[int, int]) -> bool:
    """Whether the update inserts something that a document lacks which holds ``known``."""
    for client, ranges in shape.inserts.items():  # noqa: SIM110  (twice as fast, for every keystroke)
        if ranges[-1][1] > known.get(client, 0):
            return True
    return False


def is_ready(shape: UpdateShape, known: Mapping[int, int]) -> bool:
    """Whether a document that holds ``known`` can integrate the whole update now."""
    have = {}
    for client, ranges in shape.inserts.items():
        end = known.get(client, 0)
        for start, after in ranges:
            if start > end:
                return False
            end = max(end, after)
        have[client] = end
    for client, clock in shape.needs.items():
        if clock > (have[client] if client in have else known.get(client, 0)):
            return False
    for client, ranges in shape.deletes.items():
        if ranges[-1][1] > (have[client] if client in have else known.get(client, 0)):
            return False
    return True


@dataclass(frozen=True, slots=True)
class Rest:
    """A part of an update that waits until the document holds all clocks of ``client`` below ``clock``."""

    client: int
    clock: int
    update: bytes


def split(update: bytes, known: Mapping[int, int]) -> tuple[bytes, list[Rest]]:
    """Cut an update in what a document can integrate now and, client by client, what must wait."""
    structs, deletes = read_structs(update)
    have = dict(known)
    at = dict.fromkeys(structs, 0)
    lacking: dict[int, tuple[int, int]] = {}
    progress = True
    while progress:
        progress = False
        lacking.clear()
        for client, queue in structs.items():
            while at[client] < len(queue):
                struct = queue[at[client]]
                lack = _lack(client, struct, have)
                if lack is not None:
                    lacking[client] = lack
                    break
                have[client] = max(have.get(client, 0), struct.end)
                at[client] += 1
                progress = True
    rests = [
        Rest(*lack, encode_update({client: structs[client][at[client] :]}, {}))
        for client, lack in lacking.items()
    ]
    now: dict[int, Ranges] = {}
    for client, ranges in deletes.items():
        bound = have.get(client, 0)
        now[client] = tuple((start, min(end, bound)) for start, end in ranges if start < bound)
        later = tuple((max(start, bound), end) for start, end in ranges if end > bound)
        if later:
            rests.append(Rest(client, later[0][0] + 1, encode_update({}, {client: later})))
    return encode_update({client: queue[: at[client]] for client, queue in structs.items()}, now), rests


def _lack(client: int, struct: Struct, have: Mapping[int, int]) -> tuple[int, int] | None:
    needed = struct.end if struct.gap else struct.start
    if needed > have.get(client, 0):
        return client, needed
    for other, clock in struct.needs.items():
        if clock > have.get(other, 0):
            return other, clock
    return None


def buffer_of_first(first: FirstText, update: bytes) -> CausalBuffer:
    """Of a document that holds just what ``update`` inserts."""
    states = () if first.text.isascii() else (update,)  # else there may be pairs of surrogates
    return CausalBuffer(decode(first.state_vector), states, plain=True)
