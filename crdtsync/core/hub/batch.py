"""Rows on their way out: each is encoded once, and the frame that most members get is made once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from crdtsync.core.values import limits
from crdtsync.core.wire.codec import encode_relay
from crdtsync.core.wire.messages import LogEntry


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A row with its encoding in a relay. ``author``: the member that made it, which needs no copy of it."""

    author: int
    entry: LogEntry
    encoded: bytes


Rows: TypeAlias = list[tuple[int, bytes | None]]
"""Rows for one member: the sequence, and the encoding or None for a row of its own making."""


class Batch:
    """Consecutive rows that go out to every live member at once."""

    __slots__ = ("_relay", "last", "rows")

    def __init__(self, rows: Sequence[Outgoing]) -> None:
        self.rows = rows
        self.last = rows[-1].entry.sequence
        self._relay: bytes | None = None

    @property
    def relay(self) -> bytes:
        """The frame for those who made none of the rows; the same object each time."""
        if self._relay is None:
            self._relay = encode_relay([row.encoded for row in self.rows])
        return self._relay

    def rows_for(self, member: int) -> Rows:
        return [(row.entry.sequence, None if row.author == member else row.encoded) for row in self.rows]


def batches(rows: Iterable[Outgoing]) -> Iterator[Batch]:
    """Cut rows so that no frame is far above FRAME_BATCH_BYTES, unless a single row is."""
    part: list[Outgoing] = []
    size_bytes = 0
    for row in rows:
        size = len(row.encoded)
        if part and (
            size_bytes + size > limits.FRAME_BATCH_BYTES or len(part) >= limits.DOCUMENTS_PER_BATCH_MAX
        ):
            yield Batch(part)
            part, size_bytes = [], 0
        part.append(row)
        size_bytes += size
    if part:
        yield Batch(part)
