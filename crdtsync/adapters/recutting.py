"""How large files were cut when they were last read, so that only what changed is searched for cuts again.

Where a chunk ends depends on its own bytes alone. So where a chunk of the earlier version still stands, and
the cut before it is one, the cut after it is one too; to hash it is enough to know that.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import accumulate
from typing import Final

from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.files import Chunk, Manifest
from crdtsync.core.values.manifests import Describes, decode_manifest, encode_manifest

REMEMBERED_MAX_BYTES: Final = 8 * limits.MiB
"""Of encoded manifests, 36 bytes a chunk: enough for some 28 GB of files. The oldest are forgotten."""


class Earlier:
    """The chunks of an earlier version, followed along a newer one."""

    def __init__(self, manifest: Manifest) -> None:
        self._chunks = manifest.chunks
        self._positions = {chunk.digest: position for position, chunk in enumerate(manifest.chunks)}
        self._starts = list(accumulate((chunk.size_bytes for chunk in manifest.chunks), initial=0))
        self._next: int | None = 0
        self._offset = 0
        self._shift = 0
        """How much farther from the start things are in the newer version."""

    def step(self, rest: memoryview, *, at_end: bool) -> Chunk | None:
        """The chunk that ``rest`` begins with, if it is the next one of the earlier version.

        ``at_end``: the newer version ends where ``rest`` does.
        """
        if self._next is None or self._next >= len(self._chunks):
            return None
        chunk = self._chunks[self._next]
        last = self._next == len(self._chunks) - 1  # cut by the end of the file, so it must be there again
        if len(rest) < chunk.size_bytes or (last and not (at_end and len(rest) == chunk.size_bytes)):
            return None
        if digest_of(rest[: chunk.size_bytes]) != chunk.digest:
            return None
        self._next += 1
        self._offset += chunk.size_bytes
        return chunk

    def found(self, chunk: Chunk) -> None:
        """The newer version goes on with this one, which was cut: look where both meet again."""
        self._offset += chunk.size_bytes
        position = self._positions.get(chunk.digest)
        if position is None:
            earlier = self._offset - self._shift
            position = bisect_left(self._starts, earlier)
            self._next = position if self._starts[position : position + 1] == [earlier] else None
        else:
            self._next = position + 1
            self._shift = self._offset - self._starts[self._next]


class Cuts:
    """Manifests of the files read last, by path; from any thread. Forgotten with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._encoded: dict[str, bytes] = {}
        self._size_bytes = 0

    def earlier(self, path: str) -> Earlier | None:
        with self._lock:
            encoded = self._encoded.get(path)
        return None if encoded is None else Earlier(decode_manifest(encoded)[0])

    def remember(self, path: str, manifest: Manifest) -> None:
        """Keep how the file at the path was cut; the oldest go above ``REMEMBERED_MAX_BYTES``."""
        try:
            encoded = encode_manifest(manifest, Describes.CONTENT)
        except ValueError:  # the file is too large for an index, and so to be sent
            return
        with self._lock:
            self._size_bytes += len(encoded) - len(self._encoded.pop(path, b""))
            self._encoded[path] = encoded
            while self._size_bytes > REMEMBERED_MAX_BYTES:
                self._size_bytes -= len(self._encoded.pop(next(iter(self._encoded))))


def digests_of(view: memoryview, spans: list[tuple[int, int, Digest | None]]) -> list[Digest]:
    """Of spans (start, size, the digest if it is known)."""
    return [known or digest_of(view[start : start + size]) for start, size, known in spans]
