"""The frames of the replica protocol as values: what each says, not how it is encoded or when it is due.

Text frames carry JSON control messages (``control``); binary frames carry the messages below.
"""

from __future__ import annotations

from typing import TypeAlias

from crdtsync.core.values.ids import DocumentId
from crdtsync.core.values.late import dataclass

PROTOCOL_VERSION = 1


@dataclass(frozen=True, slots=True)
class Push:
    """Replica → hub: updates of this replica's own making (or a re-seed), acknowledged as one batch."""

    batch: int
    updates: tuple[tuple[DocumentId, bytes], ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """Replica → hub: state vectors of documents; the hub answers each with a Differ.

    ``last`` ends the comparison of everything that a welcome without resumption asks for.
    """

    last: bool
    documents: tuple[tuple[DocumentId, bytes], ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """Replica → hub: answered in order, after everything that the hub had when it arrived."""

    number: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One row of the room's log; ``at_ms`` is the hub's clock, milliseconds since 1970."""

    sequence: int
    at_ms: int
    document: DocumentId
    update: bytes


@dataclass(frozen=True, slots=True)
class Relay:
    """Hub → replica: rows of the log, in order."""

    entries: tuple[LogEntry, ...]


@dataclass(frozen=True, slots=True)
class Accepted:
    """Hub → replica, in the order of the log among relays: the batch's place in it ends at ``sequence``.

    Of two who made the same change without knowing of each other, exactly one sees the other's relay
    before this answer: the later one, which takes its own change back.
    """

    batch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Ack:
    """Hub → replica: the batch, and the log up to ``sequence``, are durable on the hub."""

    batch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Committed:
    """Hub → replica: the log up to ``sequence`` is durable on the hub."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Difference:
    """``state_vector`` is the hub's; ``update`` is what the replica lacked (``b""`` for nothing)."""

    document: DocumentId
    state_vector: bytes
    update: bytes


@dataclass(frozen=True, slots=True)
class Differ:
    """Hub → replica: the answer to a Compare."""

    documents: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Hub → replica: everything up to ``sequence`` has been sent; from here on the session is live."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Probed:
    """Hub → replica: the answer to a Probe; ``sequence`` is the end of the log."""

    number: int
    sequence: int


FromReplica: TypeAlias = Push | Compare | Probe
FromHub: TypeAlias = Relay | Accepted | Ack | Committed | Differ | CaughtUp | Probed
