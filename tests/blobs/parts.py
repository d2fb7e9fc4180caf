"""Blobs with plain cuts, for tests of how their parts are put together."""

from __future__ import annotations

from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Chunk, Manifest


def cut(data: bytes, size: int = 10_000) -> Manifest:
    """Plain cuts, so that tests can say which chunk is where."""
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return Manifest(
        digest_of(data), len(data), tuple(Chunk(digest_of(piece), len(piece)) for piece in pieces)
    )


def never() -> bool:
    return False
