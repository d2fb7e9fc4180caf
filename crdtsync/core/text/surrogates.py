"""Keeps characters outside the basic plane whole, which JavaScript counts as two (a surrogate pair).
 A careless JavaScript editor may delete or insert between the halves. Yjs then puts U+FFFD for both; Yrs
0.28 breaks the document: the state that it encodes lacks a clock, and what comes later is doubled or never
arrives. So before an update is applied, a cut inside a pair is moved to the end or the start of the pair.
All who know the pair do the same; whoever made the cut sees U+FFFD there until the character is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import replace

from crdtsync.core.text.cursor import Cursor
from crdtsync.core.text.update import (
    GC,
    HAS_ORIGIN,
    HAS_RIGHT_ORIGIN,
    Struct,
    UpdateShape,
    check_update,
    encode_update,
    read_structs,
)
from crdtsync.core.wire.lib0 import varuint

_MAY_HOLD_PAIRS = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}")


class Pairs:
    """The surrogate pairs of a document, by the clocks of their second halves."""

    __slots__ = ("_halves",)

    def __init__(self) -> None:
        self._halves: dict[int, set[int]] = {}

    def learn(self, shape: UpdateShape) -> None:
        for client, halves in shape.halves.items():
            self._halves.setdefault(client, set()).update(halves)

    def learn_state(self, state: bytes) -> None:
        """Of a whole document. Reads it only if it may hold pairs. Raises MalformedUpdate."""
        if _MAY_HOLD_PAIRS.search(state):
            self.learn(check_update(state))

    def are_cut_by(self, shape: UpdateShape) -> bool:
        halves = self._halves
        return bool(halves) and any(clock in halves.get(client, ()) for client, clock in shape.cuts)

    def outside(self, clocks: Mapping[int, int]) -> Mapping[int, int]:
        """The clocks, those inside a pair moved before it."""
        halves = self._halves
        return {client: clock - (clock in halves.get(client, ())) for client, clock in clocks.items()}

    def mended(self, update: bytes) -> bytes:
        """The update without cuts inside pairs."""
        structs, deletes = read_structs(update)
        return encode_update(
            {
                client: [_mended(client, struct, self._halves) for struct in queue]
                for client, queue in structs.items()
            },
            {
                client: tuple(_widened(start, end, self._halves.get(client, set())) for start, end in ranges)
                for client, ranges in deletes.items()
            },
        )


def _widened(start: int, end: int, halves: Set[int]) -> tuple[int, int]:
    return start - (start in halves), end + (end in halves)


def _mended(author: int, struct: Struct, halves: Mapping[int, Set[int]]) -> Struct:
    info = struct.encoded[0]
    if struct.gap or not info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN):
        return struct
    cursor = Cursor(struct.encoded)
    cursor.byte()
    origins = b""
    moved = False
    if info & HAS_ORIGIN:
        client, clock = cursor.uint(), cursor.uint()
        moved = clock + 1 in halves.get(client, ())
        if moved and client == author and clock + 1 >= struct.start:
            # two different things under one ID, the other of which is the pair
            return replace(struct, encoded=bytes((GC,)) + varuint(struct.end - struct.start))
        origins = varuint(client) + varuint(clock + moved)
    if info & HAS_RIGHT_ORIGIN:
        client, clock = cursor.uint(), cursor.uint()
        if clock not in halves.get(client, ()):
            origins += varuint(client) + varuint(clock)
        elif moved:
            info &= ~HAS_RIGHT_ORIGIN  # it goes behind the pair, and what follows there is not known
        else:
            origins += varuint(client) + varuint(clock - 1)
    return replace(struct, encoded=bytes((info,)) + origins + struct.encoded[cursor.at :])
