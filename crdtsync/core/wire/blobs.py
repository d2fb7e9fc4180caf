"""The binary frames of the blob socket (``/v1/blobs``) ⇄ messages: what each says, not when it is due.

The socket opens with the control messages Hello and Welcome (or Refused), in text; all that follows is
binary. Every request carries a number of the replica's choosing, which the answer repeats. All requests are
idempotent, so that after a lost connection they are simply sent again.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, TypeAlias, assert_never

from crdtsync.core.values import limits
from crdtsync.core.values.digests import DIGEST_BYTES, Digest
from crdtsync.core.values.late import dataclass
from crdtsync.core.wire.lib0 import Reader, varbytes, varuint
from crdtsync.errors import PeerError

BLOBS_PATH: Final = "/v1/blobs"
BLOB_FRAME_MAX_BYTES: Final = 1 * limits.MiB
"""The largest message on this socket: one chunk of CHUNK_MAX_BYTES, or a batch of small ones, and room."""
PUTS_PER_FRAME_MAX_BYTES: Final = 960 * limits.KiB
"""Chunks share a frame up to this size, since much of what a chunk costs is the message around it."""
BLOB_BATCH_BYTES: Final = 480 * limits.KiB
"""The hub sends so much or more at a time: with one more of CHUNK_MAX_BYTES behind it a frame is still within
its bound."""
DIGESTS_PER_FRAME_MAX: Final = 1024
REASON_MAX_BYTES: Final = 1024

HAVE, PUT, GET = 1, 2, 3
HAD, STORED, UNSTORED, CHUNKS = 16, 17, 18, 19
_MISSING: Final = 2
"""Stands in place of a codec: the hub does not have that chunk."""


class Codec(IntEnum):
    RAW = 0
    ZSTD = 1


@dataclass(frozen=True, slots=True)
class Sealed:
    """A chunk as it travels and as the hub keeps it: compressed, where that helps."""

    codec: Codec
    data: bytes | memoryview
    """A part of the frame that it came in, or bytes of its own."""


@dataclass(frozen=True, slots=True)
class Have:
    """Replica → hub: which of these chunks are stored? Answered by Had."""

    request: int
    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Put:
    """Replica → hub: store these chunks. Answered by Stored or Unstored."""

    request: int
    chunks: tuple[tuple[Digest, Sealed], ...]


@dataclass(frozen=True, slots=True)
class Get:
    """Replica → hub: send these chunks. Answered by one or more Chunks, in the order asked for."""

    request: int
    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Had:
    """Hub → replica: for each digest of the Have, whether the chunk is stored durably."""

    request: int
    stored: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """Hub → replica: all chunks of these Puts survive a power cut."""

    requests: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unstored:
    """Hub → replica: these Puts could not be stored, for a reason that may pass (a full disk)."""

    requests: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Chunks:
    """Hub → replica: the next chunks of the Get; None for one that the hub does not have."""

    request: int
    chunks: tuple[Sealed | None, ...]


BlobsFromReplica: TypeAlias = Have | Put | Get
BlobsFromHub: TypeAlias = Had | Stored | Unstored | Chunks


def encode_from_replica(message: BlobsFromReplica) -> bytes:
    parts: list[bytes | memoryview]
    match message:
        case Have(request, digests):
            parts = [varuint(HAVE), varuint(request), *_digests(digests)]
        case Put(request, chunks):
            parts = [varuint(PUT), varuint(request), varuint(len(chunks))]
            for digest, sealed in chunks:
                parts += (
                    bytes.fromhex(digest),
                    varuint(sealed.codec),
                    varuint(len(sealed.data)),
                    sealed.data,
                )
        case Get(request, digests):
            parts = [varuint(GET), varuint(request), *_digests(digests)]
        case _:
            assert_never(message)
    return b"".join(parts)


def encode_from_hub(message: BlobsFromHub) -> bytes:
    parts: list[bytes | memoryview]
    match message:
        case Had(request, stored):
            parts = [varuint(HAD), varuint(request), varuint(len(stored)), _bitmap(stored)]
        case Stored(requests):
            parts = [varuint(STORED), varuint(len(requests)), *map(varuint, requests)]
        case Unstored(requests, reason):
            shown = reason.encode("utf-8", "replace")[:REASON_MAX_BYTES]
            parts = [varuint(UNSTORED), varuint(len(requests)), *map(varuint, requests), varbytes(shown)]
        case Chunks(request, chunks):
            parts = [varuint(CHUNKS), varuint(request), varuint(len(chunks))]
            for sealed in chunks:
                if sealed is None:
                    parts.append(varuint(_MISSING))
                else:
                    parts += (varuint(sealed.codec), varuint(len(sealed.data)), sealed.data)
        case _:
            assert_never(message)
    return b"".join(parts)


def decode_from_replica(frame: bytes) -> BlobsFromReplica:
    """Raises PeerError for anything malformed."""
    reader = _reader(frame)
    message: BlobsFromReplica
    match reader.varuint():
        case 1:
            message = Have(reader.varuint(), _read_digests(reader))
        case 2:
            message = Put(
                reader.varuint(),
                tuple((_read_digest(reader), _read_sealed(reader)) for _ in range(_count(reader))),
            )
        case 3:
            message = Get(reader.varuint(), _read_digests(reader))
        case kind:
            raise PeerError(f"a frame of the unknown kind {kind}")
    reader.end()
    return message


def decode_from_hub(frame: bytes) -> BlobsFromHub:
    """Raises PeerError for anything malformed."""
    reader = _reader(frame)
    message: BlobsFromHub
    match reader.varuint():
        case 16:
            message = Had(reader.varuint(), _read_bitmap(reader))
        case 17:
            message = Stored(_read_requests(reader))
        case 18:
            message = Unstored(_read_requests(reader), reader.varbytes().decode("utf-8", "replace"))
        case 19:
            message = Chunks(
                reader.varuint(), tuple(_read_sealed_or_missing(reader) for _ in range(_count(reader)))
            )
        case kind:
            raise PeerError(f"a frame of the unknown kind {kind}")
    reader.end()
    return message


def _digests(digests: tuple[Digest, ...]) -> tuple[bytes, bytes]:
    return varuint(len(digests)), bytes.fromhex("".join(digests))


def _bitmap(flags: tuple[bool, ...]) -> bytes:
    """One bit each, lowest first."""
    number = sum(1 << position for position, flag in enumerate(flags) if flag)
    return number.to_bytes((len(flags) + 7) // 8, "little")


def _reader(frame: bytes) -> Reader:
    if len(frame) > BLOB_FRAME_MAX_BYTES:
        raise PeerError(f"a frame of {len(frame)} bytes, above {BLOB_FRAME_MAX_BYTES}")
    return Reader(frame)


def _count(reader: Reader) -> int:
    count = reader.varuint()
    if count > DIGESTS_PER_FRAME_MAX:
        raise PeerError(f"a frame of {count} items, above {DIGESTS_PER_FRAME_MAX}")
    return count


def _read_digest(reader: Reader) -> Digest:
    return Digest(reader.take(DIGEST_BYTES).hex())


def _read_digests(reader: Reader) -> tuple[Digest, ...]:
    return tuple(_read_digest(reader) for _ in range(_count(reader)))


def _read_requests(reader: Reader) -> tuple[int, ...]:
    return tuple(reader.varuint() for _ in range(_count(reader)))


def _read_bitmap(reader: Reader) -> tuple[bool, ...]:
    count = _count(reader)
    number = int.from_bytes(reader.take((count + 7) // 8), "little")
    if number >> count:
        raise PeerError("a bitmap with bits beyond its end")
    return tuple(bool(number >> position & 1) for position in range(count))


def _read_sealed(reader: Reader) -> Sealed:
    sealed = _read_sealed_or_missing(reader)
    if sealed is None:
        raise PeerError("a chunk without data")
    return sealed


def _read_sealed_or_missing(reader: Reader) -> Sealed | None:
    codec = reader.varuint()
    if codec == _MISSING:
        return None
    if codec not in (Codec.RAW, Codec.ZSTD):
        raise PeerError(f"a chunk in the unknown codec {codec}")
    return Sealed(Codec(codec), reader.view(reader.varuint()))
