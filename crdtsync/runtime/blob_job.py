"""What the transfers of a replica share, and what each of them is; knows not how either direction works."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from crdtsync.adapters.blob_staging import Arrived, BlobStaging
from crdtsync.adapters.part_file import PartFile
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Manifest
from crdtsync.runtime.blob_link import BlobLink
from crdtsync.runtime.fair_window import FairWindow, Flow
from crdtsync.runtime.group_commit import GroupCommit
from crdtsync.runtime.workers import Workers

SafeOpener: TypeAlias = Callable[[str], int]
"""Opens a room path for reading, following no link on the way; the caller closes it. Raises OSError."""


class Direction(StrEnum):
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far one transfer is, for a status or a live view. ``path`` is known for uploads only."""

    digest: Digest
    path: str | None
    direction: Direction
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Tools:
    """What all transfers of a replica work with."""

    link: BlobLink
    workers: Workers
    """For what is over in milliseconds: single chunks, small files."""
    long_workers: Workers
    """For what reads a file from start to end, so that no chunk waits behind it."""
    opener: SafeOpener
    staging: BlobStaging
    arrivals: GroupCommit[Arrived]
    outbound: FairWindow
    inbound: FairWindow
    parts: set[PartFile] = field(default_factory=set)
    """Those that are being put together now; one may have what another waits for."""


@dataclass(eq=False, slots=True)
class UploadJob:
    """``paths`` hold, or held, the content; more may be added while it runs."""

    manifest: Manifest
    paths: list[str]
    done_bytes: int = 0
    flow: Flow = field(default_factory=Flow)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def digest(self) -> Digest:
        return self.manifest.digest

    @property
    def size_bytes(self) -> int:
        return self.manifest.size_bytes

    def progress(self) -> Transfer:
        return Transfer(self.digest, self.paths[0], Direction.UP, self.done_bytes, self.size_bytes)


@dataclass(eq=False, slots=True)
class FetchJob:
    """``index`` None: a single chunk. ``near`` are paths that may share chunks with it."""

    digest: Digest
    size_bytes: int
    index: Digest | None
    near: tuple[str, ...]
    lacked: Digest | None = None
    """A chunk that the hub did not have at the last attempt: to ask for it first costs next to nothing."""
    done: Callable[[], int] = lambda: 0
    flow: Flow = field(default_factory=Flow)
    stopped: threading.Event = field(default_factory=threading.Event)

    def progress(self) -> Transfer:
        return Transfer(self.digest, None, Direction.DOWN, self.done(), self.size_bytes)


Job: TypeAlias = UploadJob | FetchJob


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error that led to the others."""
    error = group.exceptions[0]
    return first_error(error) if isinstance(error, BaseExceptionGroup) else error
