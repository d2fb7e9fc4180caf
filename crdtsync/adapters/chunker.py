"""Cuts content into chunks where the content itself says (FastCDC), and names each; sole user of pyfastcdc.

Knows bytes and open files only; whether a file changed while it was read is for the caller to see.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Protocol, TypeAlias, cast

from blake3 import blake3

from crdtsync.adapters.kernel import Kernel
from crdtsync.adapters.recutting import Earlier, digests_of
from crdtsync.adapters.system_calls import REAL
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.files import Chunk, Manifest
from crdtsync.core.values.manifests import Describes, encode_manifest

NORMALIZATION: Final = 2
"""FastCDC's level 2: fewer chunks at the upper bound than at 1. The sizes and this level decide where every
replica cuts; to change one of them costs one more transfer of each blob that is edited, never correctness."""
WINDOW_BYTES: Final = 4 * limits.MiB
"""Read at once; two are in memory at a time."""


INDEX_WHOLE_MAX_BYTES: Final = 2 * limits.CHUNK_AVERAGE_BYTES
"""An encoded manifest above this is stored in chunks (blobs from about 1 GiB)."""


_Span: TypeAlias = tuple[int, int, Digest | None]
"""Start, size, and the digest if it is known."""


class _Piece(Protocol):
    length: int


class _Cutter(Protocol):
    def cut_buf(self, buf: memoryview) -> Iterator[_Piece]: ...


def manifest_of_bytes(data: bytes | bytearray | memoryview) -> Manifest:
    """The chunks of ``data``; no chunks for no data."""
    view = memoryview(data)
    spans, _ = _cut(_cutter(), view, None, at_end=True)
    digests = digests_of(view, spans)
    whole = digests[0] if len(spans) == 1 else digest_of(view)
    return _manifest(whole, len(view), digests, [size for _, size, _ in spans])


def manifest_of_file(
    fd: int,
    *,
    stopped: Callable[[], bool] = lambda: False,
    calls: Kernel = REAL,
    earlier: Earlier | None = None,
) -> Manifest:
    """The chunks of the file open at ``fd``, read from offset 0 to its end; the file position is not moved.

    Reads and cuts on the calling thread and hashes on another, in at most 10 MiB of memory whatever the size.
    ``earlier``, chunks of a version that is likely to have much in common, makes it faster and no different.
    Raises OSError: as ``pread`` does, EFBIG for more than BLOB_MAX_BYTES, and InterruptedError once
    ``stopped`` says so.
    """
    size_bytes = calls.fstat(fd).st_size
    _check_size(size_bytes)
    capacity = limits.CHUNK_MAX_BYTES + WINDOW_BYTES
    buffer = bytearray(min(size_bytes + 1, capacity))
    filled, at_end = _fill(calls, fd, memoryview(buffer), 0)
    if at_end:
        return manifest_of_bytes(memoryview(buffer)[:filled])
    if len(buffer) < capacity:  # it has grown since the fstat
        buffer = bytearray(capacity)
        filled, at_end = _fill(calls, fd, memoryview(buffer), 0)
    spare = bytearray(capacity)
    cutter = _cutter()
    whole = blake3()
    sizes: list[int] = []
    digests: list[Digest] = []
    hashing: Future[list[Digest]] | None = None
    carried = 0
    offset = filled
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="hash") as hasher:
        while True:
            view = memoryview(buffer)[:filled]
            spans, used = _cut(cutter, view, earlier, at_end=at_end)
            sizes += [size for _, size, _ in spans]
            if hashing is not None:
                digests += hashing.result()
            hashing = hasher.submit(_hash, whole, view, carried, spans)
            if at_end:
                break
            buffer, spare = spare, buffer
            if stopped():
                raise InterruptedError(errno.EINTR, "nobody wants the chunks of this file any more")
            carried = filled - used
            buffer[:carried] = view[used:]
            read, at_end = _fill(calls, fd, memoryview(buffer)[carried:], offset)
            filled = carried + read
            offset += read
            _check_size(offset)
        digests += hashing.result()
    return _manifest(Digest(whole.hexdigest()), offset, digests, sizes)


def index_of(manifest: Manifest) -> tuple[Digest, dict[Digest, bytes]]:
    """What others find the chunks by, and what must be stored for that besides the chunks, by digest.

    A blob of one chunk is its own index. Else the index is the encoded manifest; a large one is stored in
    chunks itself, with a manifest of those as the index, so that a small change of a large blob costs little.
    Raises ValueError for a manifest above MANIFEST_MAX_BYTES.
    """
    if len(manifest.chunks) <= 1:
        return manifest.digest, {}
    encoded = encode_manifest(manifest, Describes.CONTENT)
    stored: dict[Digest, bytes] = {}
    if len(encoded) > INDEX_WHOLE_MAX_BYTES:
        nested = manifest_of_bytes(encoded)
        start = 0
        for chunk in nested.chunks:
            stored[chunk.digest] = encoded[start : start + chunk.size_bytes]
            start += chunk.size_bytes
        encoded = encode_manifest(nested, Describes.MANIFEST)
    index = digest_of(encoded)
    stored[index] = encoded
    return index, stored


def digest_of_file(
    fd: int, *, stopped: Callable[[], bool] = lambda: False, begun: tuple[blake3, int] | None = None
) -> Digest:
    """The digest of the whole file open at ``fd``, in 4 MiB of memory; raises as ``manifest_of_file``.

    ``begun``: the hash of so many bytes of its beginning, which is gone on with.
    """
    whole, offset = (blake3(), 0) if begun is None else (begun[0].copy(), begun[1])
    buffer = memoryview(bytearray(min(os.fstat(fd).st_size - offset + 1, WINDOW_BYTES)))
    while count := os.preadv(fd, [buffer], offset):
        if stopped():
            raise InterruptedError(errno.EINTR, "nobody wants the digest of this file any more")
        whole.update(buffer[:count])
        offset += count
    return Digest(whole.hexdigest())


def read_chunk(fd: int, offset: int, size_bytes: int) -> bytes:
    """The ``size_bytes`` at ``offset``; shorter only when the file ends before. Raises OSError."""
    data = os.pread(fd, size_bytes, offset)
    while len(data) < size_bytes:
        more = os.pread(fd, size_bytes - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def _check_size(size_bytes: int) -> None:
    if size_bytes > limits.BLOB_MAX_BYTES:
        raise OSError(errno.EFBIG, f"larger than {limits.BLOB_MAX_BYTES} bytes")


def _cutter() -> _Cutter:
    from pyfastcdc import FastCDC  # the hub, which stores what others have cut, has no need of it

    cutter = FastCDC(
        limits.CHUNK_AVERAGE_BYTES,
        min_size=limits.CHUNK_MIN_BYTES,
        max_size=limits.CHUNK_MAX_BYTES,
        normalized_chunking=NORMALIZATION,
    )
    return cast(_Cutter, cutter)


def _cut(
    cutter: _Cutter, view: memoryview, earlier: Earlier | None, *, at_end: bool
) -> tuple[list[_Span], int]:
    """Spans of ``view`` and the sum of their sizes; those that more data could still move are left out."""
    if len(view) == 0:
        return [], 0
    last_start = len(view) if at_end else len(view) - limits.CHUNK_MAX_BYTES
    if earlier is not None:
        return _cut_along(cutter, view, earlier, last_start, at_end=at_end)
    spans: list[_Span] = []
    start = 0
    for piece in cutter.cut_buf(view):
        if start > last_start:
            break
        spans.append((start, piece.length, None))
        start += piece.length
    return spans, start


def _cut_along(
    cutter: _Cutter, view: memoryview, earlier: Earlier, last_start: int, *, at_end: bool
) -> tuple[list[_Span], int]:
    """As ``_cut``; searches for cuts only where the earlier version is of no help."""
    spans: list[_Span] = []
    start = 0
    while start <= last_start and start < len(view):
        rest = view[start:]
        chunk = earlier.step(rest, at_end=at_end)
        if chunk is None:
            size_bytes = next(iter(cutter.cut_buf(rest))).length
            chunk = Chunk(digest_of(rest[:size_bytes]), size_bytes)
            earlier.found(chunk)
        spans.append((start, chunk.size_bytes, chunk.digest))
        start += chunk.size_bytes
    return spans, start


def _hash(whole: blake3, view: memoryview, carried: int, spans: list[_Span]) -> list[Digest]:
    """Add what is new in ``view`` to ``whole``; the digests of the spans. BLAKE3 releases the GIL."""
    whole.update(view[carried:])
    return digests_of(view, spans)


def _fill(calls: Kernel, fd: int, view: memoryview, offset: int) -> tuple[int, bool]:
    """Read into ``view`` until it is full or the file ends; how much, and whether the end was reached."""
    filled = 0
    while filled < len(view):
        count = calls.pread_into(fd, view[filled:], offset + filled)
        if count == 0:
            return filled, True
        filled += count
    return filled, False


def _manifest(whole: Digest, size_bytes: int, digests: list[Digest], sizes: list[int]) -> Manifest:
    return Manifest(whole, size_bytes, tuple(map(Chunk, digests, sizes)))
