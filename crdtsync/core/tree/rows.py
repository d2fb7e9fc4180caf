"""The facts that the tree document holds of one entry, and the operations that change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.late import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """One live content of a blob or a link. ``at_ms`` is the writer's clock, only ever shown.

    ``index``: the digest of the blob's encoded manifest; None for a blob of one chunk.
    ``target``: where a link points; None for a blob.
    """

    digest: Digest
    size_bytes: int
    by: str
    at_ms: int
    index: Digest | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Who made an entry, when (their clock, only ever shown), and of what it is a conflict copy."""

    by: str = ""
    at_ms: int = 0
    copy_of: EntryId | None = None


NO_VERSIONS: Final[Mapping[Digest, Version]] = MappingProxyType({})
NO_ORIGIN: Final = Origin()


class Named(Protocol):
    """Whoever keeps the identity and the path of an entry."""

    @property
    def entry(self) -> EntryId: ...

    @property
    def path(self) -> str: ...


@dataclass(slots=True)
class Row:
    """What the columns say of one entry; any of it may be missing while updates are under way."""

    path: str | None = None
    kind: Kind | None = None
    executable: bool = False
    gone: bytes | None = None
    origin: Origin = NO_ORIGIN
    versions: Mapping[Digest, Version] = field(default_factory=lambda: NO_VERSIONS)


@dataclass(frozen=True, slots=True)
class Create:
    """Make an entry. A blob or link needs its version."""

    entry: EntryId
    kind: Kind
    path: str
    executable: bool
    origin: Origin
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class SetPath:
    entry: EntryId
    path: str
    copy_of: EntryId | None = None
    """Set when the move makes it a conflict copy of that entry."""


@dataclass(frozen=True, slots=True)
class SetExecutable:
    entry: EntryId
    executable: bool


@dataclass(frozen=True, slots=True)
class PutVersion:
    """Replace the versions that the writer had seen by its own."""

    entry: EntryId
    version: Version
    seen: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class DropVersions:
    """Delete the versions that the deleter had seen."""

    entry: EntryId
    seen: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class SetGone:
    """Delete a text as far as ``state_vector`` covers it, or an empty folder (``b""``)."""

    entry: EntryId
    state_vector: bytes


Operation: TypeAlias = Create | SetPath | SetExecutable | PutVersion | DropVersions | SetGone
