"""Binary frames of the replica protocol ⇄ messages; refuses with PeerError what no honest peer sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from crdtsync.core.values import limits
from crdtsync.core.values.ids import ENTRY_ID_BYTES, TREE, DocumentId
from crdtsync.core.wire.lib0 import Reader, varbytes, varuint
from crdtsync.core.wire.messages import (
    Accepted,
    Ack,
    CaughtUp,
    Committed,
    Compare,
    Differ,
    Difference,
    FromHub,
    FromReplica,
    LogEntry,
    Probe,
    Probed,
    Push,
    Relay,
)
from crdtsync.errors import PeerError

PUSH, COMPARE, PROBE = 1, 2, 3
RELAY, ACK, COMMITTED, DIFFER, CAUGHT_UP, PROBED, ACCEPTED = 16, 17, 18, 19, 20, 21, 22


def encode_from_replica(message: FromReplica) -> bytes:
    match message:
        case Push(batch, updates):
            parts = [varuint(PUSH), varuint(batch), varuint(len(updates))]
            for document, update in updates:
                parts += (_document(document), varbytes(update))
        case Compare(last, documents):
            parts = [varuint(COMPARE), varuint(last), varuint(len(documents))]
            for document, state_vector in documents:
                parts += (_document(document), varbytes(state_vector))
        case Probe(number):
            parts = [varuint(PROBE), varuint(number)]
        case _:
            assert_never(message)
    return b"".join(parts)


def encode_from_hub(message: FromHub) -> bytes:
    match message:
        case Relay(entries):
            return encode_relay([encode_log_entry(entry) for entry in entries])
        case Accepted(batch, sequence):
            parts = [varuint(ACCEPTED), varuint(batch), varuint(sequence)]
        case Ack(batch, sequence):
            parts = [varuint(ACK), varuint(batch), varuint(sequence)]
        case Committed(sequence):
            parts = [varuint(COMMITTED), varuint(sequence)]
        case Differ(documents):
            parts = [varuint(DIFFER), varuint(len(documents))]
            for difference in documents:
                parts += (
                    _document(difference.document),
                    varbytes(difference.state_vector),
                    varbytes(difference.update),
                )
        case CaughtUp(sequence):
            parts = [varuint(CAUGHT_UP), varuint(sequence)]
        case Probed(number, sequence):
            parts = [varuint(PROBED), varuint(number), varuint(sequence)]
        case _:
            assert_never(message)
    return b"".join(parts)


def encode_log_entry(entry: LogEntry) -> bytes:
    """One row as it stands within a relay, so that a hub encodes it once for all its readers."""
    return b"".join(
        (varuint(entry.sequence), varuint(entry.at_ms), _document(entry.document), varbytes(entry.update))
    )


def encode_relay(entries: Sequence[bytes]) -> bytes:
    """A Relay frame of rows that ``encode_log_entry`` made."""
    return b"".join((varuint(RELAY), varuint(len(entries)), *entries))


def decode_from_replica(frame: bytes) -> FromReplica:
    """Raises PeerError for anything malformed."""
    reader = Reader(frame)
    message: FromReplica
    match reader.varuint():
        case 1:
            batch = reader.varuint()
            message = Push(
                batch, tuple((_read_document(reader), reader.varbytes()) for _ in range(_count(reader)))
            )
        case 2:
            last = bool(reader.varuint())
            message = Compare(
                last, tuple((_read_document(reader), reader.varbytes()) for _ in range(_count(reader)))
            )
        case 3:
            message = Probe(reader.varuint())
        case kind:
            raise PeerError(f"a frame of the unknown kind {kind}")
    reader.end()
    return message


def decode_from_hub(frame: bytes) -> FromHub:
    """Raises PeerError for anything malformed."""
    reader = Reader(frame)
    message: FromHub
    match reader.varuint():
        case 16:
            message = Relay(tuple(_read_log_entry(reader) for _ in range(_count(reader))))
        case 17:
            message = Ack(reader.varuint(), reader.varuint())
        case 18:
            message = Committed(reader.varuint())
        case 19:
            message = Differ(
                tuple(
                    Difference(_read_document(reader), reader.varbytes(), reader.varbytes())
                    for _ in range(_count(reader))
                )
            )
        case 20:
            message = CaughtUp(reader.varuint())
        case 21:
            message = Probed(reader.varuint(), reader.varuint())
        case 22:
            message = Accepted(reader.varuint(), reader.varuint())
        case kind:
            raise PeerError(f"a frame of the unknown kind {kind}")
    reader.end()
    return message


def _document(document: DocumentId) -> bytes:
    return b"\0" if document == TREE else varbytes(bytes.fromhex(document))


def _read_document(reader: Reader) -> DocumentId:
    name = reader.varbytes()
    if not name:
        return TREE
    if len(name) != ENTRY_ID_BYTES:
        raise PeerError(f"a document name of {len(name)} bytes")
    return DocumentId(name.hex())


def _read_log_entry(reader: Reader) -> LogEntry:
    return LogEntry(reader.varuint(), reader.varuint(), _read_document(reader), reader.varbytes())


def _count(reader: Reader) -> int:
    count = reader.varuint()
    if count > limits.DOCUMENTS_PER_BATCH_MAX:
        raise PeerError(f"a frame of {count} documents, above {limits.DOCUMENTS_PER_BATCH_MAX}")
    return count
