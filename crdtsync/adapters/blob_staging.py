"""The replica's staging folder, as far as blobs go: what has arrived, what is on its way, what is left over.

``part-<digest>`` is being put together and ``index-<digest>`` is its manifest; ``blob-<digest>`` is complete,
verified and on the disk itself. Other names in the folder belong to others.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from crdtsync.adapters.chunker import digest_of_file, read_chunk
from crdtsync.adapters.durability import make_durable, write_new_file
from crdtsync.adapters.part_file import PartFile
from crdtsync.adapters.private_folder import PrivateFolder
from crdtsync.adapters.system_calls import REAL
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Manifest
from crdtsync.core.values.late import dataclass
from crdtsync.core.values.manifests import Describes, decode_manifest, encode_manifest
from crdtsync.errors import PeerError

KEPT_S: Final = 7 * 24 * 3600.0
"""What nobody came back for is deleted after this long."""
NEIGHBOURS_MAX: Final = 8
"""So many other parts are looked into for chunks, the newest first."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A blob to be put under its final name: ``data`` (verified), or None when its part is complete."""

    digest: Digest
    data: bytes | memoryview | None


class BlobStaging:
    """All methods block on the disk, may be called from any thread, and raise OSError."""

    def __init__(self, folder: Path) -> None:
        self._place = PrivateFolder.at(folder, REAL)
        self._folder = f"/proc/self/fd/{self._place.fd}"
        """The very folder that is open, whatever its path leads to by now."""

    def close(self) -> None:
        self._place.close()

    def blob_path(self, digest: Digest) -> str:
        return f"{self._folder}/blob-{digest}"

    def tidy(self, now_s: float) -> None:
        """Delete parts and blobs that are older than KEPT_S, and indexes without a part."""
        found = self._changed_s()
        for name, changed_s in found.items():
            kind, _, digest = name.partition("-")
            if kind in ("part", "blob") and now_s - changed_s > KEPT_S:
                self._unlink(name)
            if kind == "index" and f"part-{digest}" not in found:
                self._unlink(name)

    def is_complete(self, digest: Digest, size_bytes: int, *, stopped: Callable[[], bool]) -> bool:
        """Whether the blob arrived earlier. What has its name and is something else is deleted."""
        try:
            fd = os.open(self.blob_path(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            if os.fstat(fd).st_size == size_bytes and digest_of_file(fd, stopped=stopped) == digest:
                return True
        finally:
            os.close(fd)
        self._unlink(f"blob-{digest}")
        return False

    def open_part(self, manifest: Manifest, stopped: Callable[[], bool]) -> PartFile:
        """The blob's part, new or with what an earlier attempt left in it; its manifest is kept beside it.

        Raises OSError, ENOSPC when the blob will not fit, InterruptedError once ``stopped`` says so.
        """
        self._place.stand()
        digest = manifest.digest
        if self.index(digest) != manifest:
            self._unlink(f"index-{digest}")
            write_new_file(f"{self._folder}/index-{digest}", encode_manifest(manifest, Describes.CONTENT))
        part = PartFile(f"{self._folder}/part-{digest}", manifest, stopped)
        try:
            part.check_space()
            part.resume()
        except OSError:
            part.close()
            raise
        return part

    def drop_part(self, digest: Digest) -> None:
        """Forget a part whose chunks do not make up the blob."""
        self._unlink(f"part-{digest}")
        self._unlink(f"index-{digest}")

    def index(self, digest: Digest) -> Manifest | None:
        """The manifest that is kept for the blob, if there is a usable one."""
        try:
            fd = os.open(f"{self._folder}/index-{digest}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            encoded = read_chunk(fd, 0, limits.MANIFEST_MAX_BYTES)
        finally:
            os.close(fd)
        try:
            manifest, describes = decode_manifest(encoded)
        except PeerError:  # a process was killed while it wrote it
            return None
        return manifest if describes is Describes.CONTENT and manifest.digest == digest else None

    def take_from_neighbours(self, part: PartFile, digest: Digest) -> None:
        """Give ``part`` what other parts have of its chunks: those of an older version, given up half-way."""
        others = sorted(
            ((changed_s, name) for name, changed_s in self._changed_s("index-").items()), reverse=True
        )
        for _, name in others[:NEIGHBOURS_MAX]:
            other = Digest(name.removeprefix("index-"))
            if other == digest:
                continue
            wanted = {chunk.digest for chunk in part.missing()}
            manifest = self.index(other) if wanted else None
            if manifest is None or wanted.isdisjoint(chunk.digest for chunk in manifest.chunks):
                continue
            with contextlib.suppress(FileNotFoundError):
                fd = os.open(f"{self._folder}/part-{other}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    part.take(fd, offsets_of(manifest))
                finally:
                    os.close(fd)

    def finish(self, batch: Sequence[Arrived]) -> None:
        """Give these their final names, durably, as one batch."""
        self._place.stand()
        parts = [f"{self._folder}/part-{arrived.digest}" for arrived in batch]
        for part, arrived in zip(parts, batch, strict=True):
            if arrived.data is not None:
                self._unlink(f"part-{arrived.digest}")
                write_new_file(part, arrived.data)
        make_durable(self._place.fd, parts)
        for part, arrived in zip(parts, batch, strict=True):
            os.rename(part, self.blob_path(arrived.digest))
            if arrived.data is None:
                self._unlink(f"index-{arrived.digest}")

    def _changed_s(self, prefix: str = "") -> dict[str, float]:
        """When each file of such a name was changed last; other threads add and remove some meanwhile."""
        found: dict[str, float] = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(prefix):
                    with contextlib.suppress(FileNotFoundError):
                        found[entry.name] = entry.stat(follow_symlinks=False).st_mtime
        return found

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._folder}/{name}")


def offsets_of(manifest: Manifest) -> dict[Digest, int]:
    """Where each chunk starts, in bytes; the first place of one that is repeated."""
    offsets: dict[Digest, int] = {}
    offset = 0
    for chunk in manifest.chunks:
        offsets.setdefault(chunk.digest, offset)
        offset += chunk.size_bytes
    return offsets
