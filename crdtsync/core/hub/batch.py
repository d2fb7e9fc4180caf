"""Rows on their way out: each is encoded once, and the frame that most members get is made once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from crdtsync.core.values import limits
from crdtsync.core.wire.codec import encode_log_entry, encode_relay
from crdtsync.core.wire.messages import LogEntry

ROW_EXTRA_BYTES: Final = 32
"""Of an encoded row beside its update: at most three numbers of 8 bytes, a name of 13."""


class Outgoing:
    """A row with its encoding in a relay. ``author``: the member that made it, which needs no copy of it."""

    __slots__ = ("_encoded", "author", "entry", "size_bytes")

    def __init__(self, author: int, entry: LogEntry) -> None:
        self.author = author
        self.entry = entry
        self.size_bytes = len(entry.update) + ROW_EXTRA_BYTES
        """Roughly of the encoding, which is made once somebody wants it: Yjs clients do not."""
        self._encoded: bytes | None = None

    @property
    def encoded(self) -> bytes:
        if self._encoded is None:
            self._encoded = encode_log_entry(self.entry)
        return self._encoded


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
        size = row.size_bytes
        if part and (
            size_bytes + size > limits.FRAME_BATCH_BYTES or len(part) >= limits.DOCUMENTS_PER_BATCH_MAX
        ):
            yield Batch(part)
            part, size_bytes = [], 0
        part.append(row)
        size_bytes += size
    if part:
        yield Batch(part)
