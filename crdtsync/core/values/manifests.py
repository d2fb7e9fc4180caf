"""The binary form of a Manifest, whose digest is a blob's index; knows nothing of where it is stored.

Version 1, big-endian, of fixed width, so that a manifest has one encoding only::

    u8 version, u8 describes, 32 bytes digest of the whole, u64 size, u32 count of chunks
    count times: 32 bytes digest, u32 size
"""

from __future__ import annotations

import struct
from enum import IntEnum

from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Chunk, Manifest
from crdtsync.errors import PeerError

VERSION = 1
_HEAD = struct.Struct(">BB32sQI")
_CHUNK = struct.Struct(">32sI")
INDEX_BYTES_PER_CHUNK = _CHUNK.size


class Describes(IntEnum):
    """What the chunks of an encoded manifest make up."""

    CONTENT = 0
    MANIFEST = 1
    """The encoded manifest of the content: one level of nesting, for large blobs."""


def encode_manifest(manifest: Manifest, describes: Describes) -> bytes:
    """Raises ValueError when the result would be above MANIFEST_MAX_BYTES."""
    size_bytes = _HEAD.size + len(manifest.chunks) * _CHUNK.size
    if size_bytes > limits.MANIFEST_MAX_BYTES:
        raise ValueError(
            f"a blob of {len(manifest.chunks)} chunks has an index of {size_bytes} bytes, "
            f"above {limits.MANIFEST_MAX_BYTES}"
        )
    parts = [
        _HEAD.pack(
            VERSION, describes, bytes.fromhex(manifest.digest), manifest.size_bytes, len(manifest.chunks)
        )
    ]
    parts += [_CHUNK.pack(bytes.fromhex(chunk.digest), chunk.size_bytes) for chunk in manifest.chunks]
    return b"".join(parts)


def decode_manifest(data: bytes) -> tuple[Manifest, Describes]:
    """Raises PeerError for whatever ``encode_manifest`` could not have made of a blob within the limits.

    That the chunks really make up the whole shows only once they are put together and hashed.
    """
    if len(data) > limits.MANIFEST_MAX_BYTES:
        raise PeerError(f"an index of {len(data)} bytes, above {limits.MANIFEST_MAX_BYTES}")
    if len(data) < _HEAD.size:
        raise PeerError(f"an index of {len(data)} bytes is cut short")
    version, describes, digest, size_bytes, count = _HEAD.unpack_from(data)
    if version != VERSION:
        raise PeerError(f"an index of the unknown version {version}; update crdtsync")
    if describes not in (Describes.CONTENT, Describes.MANIFEST):
        raise PeerError(f"an index of the unknown kind {describes}")
    if len(data) != _HEAD.size + count * _CHUNK.size:
        raise PeerError(f"an index of {count} chunks that is {len(data)} bytes long")
    largest = limits.BLOB_MAX_BYTES if describes == Describes.CONTENT else limits.MANIFEST_MAX_BYTES
    if size_bytes > largest:
        raise PeerError(f"an index of {size_bytes} bytes of content, above {largest}")
    chunks = tuple(
        Chunk(Digest(name.hex()), size) for name, size in _CHUNK.iter_unpack(memoryview(data)[_HEAD.size :])
    )
    if any(not 0 < chunk.size_bytes <= limits.CHUNK_MAX_BYTES for chunk in chunks):
        raise PeerError(f"an index with an empty chunk, or one above {limits.CHUNK_MAX_BYTES} bytes")
    total = sum(chunk.size_bytes for chunk in chunks)
    if total != size_bytes:
        raise PeerError(f"an index of {size_bytes} bytes whose chunks are {total} bytes")
    return Manifest(Digest(digest.hex()), size_bytes, chunks), Describes(describes)
