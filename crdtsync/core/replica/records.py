"""What a replica remembers across restarts, as rows: written by Persist, read back at start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import NamedTuple, Protocol, TypeAlias

from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Fingerprint, Kind
from crdtsync.core.values.ids import DocumentId, EntryId
from crdtsync.core.values.late import dataclass


class Synced(NamedTuple):
    """What disk and room last agreed on for one entry.

    ``state_vector`` (texts): what of the document that content covers; a deletion covers just this.
    ``fingerprint`` is of the file when it held ``digest``; None when it was never seen to (a folder).
    ``provisional``: a later agreement that a power cut may still undo; the disk tells which one holds.
    ``saved_here``: a program on this disk wrote that content; no editor here can have missed it.
    """

    entry: EntryId
    path: str
    kind: Kind
    digest: Digest | None
    executable: bool
    state_vector: bytes
    fingerprint: Fingerprint | None
    provisional: Synced | None = None
    saved_here: bool = False

    def then(self, provisional: Synced | None) -> Synced:
        """The same, with a later agreement; what ``replace`` would make, in a third of its time."""
        if provisional is None and self.provisional is None:
            return self
        return Synced(
            self.entry,
            self.path,
            self.kind,
            self.digest,
            self.executable,
            self.state_vector,
            self.fingerprint,
            provisional,
            self.saved_here,
        )


class Head(NamedTuple):
    """What is known of a document without decoding it.

    ``digest`` is of its text; ``at_ms`` is when the hub last logged a change of it (0: never);
    ``dirty``: it holds updates that the hub has not acknowledged, or may have lost.
    """

    document: DocumentId
    state_vector: bytes
    digest: Digest | None
    size_bytes: int
    at_ms: int
    dirty: bool


@dataclass(frozen=True, slots=True)
class Version:
    """A text that stood on disk once: the base of saves by stale buffers and of late writers."""

    entry: EntryId
    digest: Digest
    text: str
    at_s: float


@dataclass(frozen=True, slots=True)
class AddUpdate:
    """Append a Yjs update to a document's log."""

    document: DocumentId
    update: bytes


@dataclass(frozen=True, slots=True)
class ReplaceUpdates:
    """Replace a document's whole log by these updates (compaction)."""

    document: DocumentId
    updates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PutHead:
    head: Head


@dataclass(frozen=True, slots=True)
class PutSynced:
    synced: Synced


@dataclass(frozen=True, slots=True)
class DropSynced:
    entry: EntryId


@dataclass(frozen=True, slots=True)
class AddVersion:
    version: Version


@dataclass(frozen=True, slots=True)
class DropVersions:
    entry: EntryId
    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class PutMeta:
    """Remember a value under a name; an empty one forgets the name."""

    key: str
    value: str


Record: TypeAlias = (
    AddUpdate | ReplaceUpdates | PutHead | PutSynced | DropSynced | AddVersion | DropVersions | PutMeta
)


@dataclass(frozen=True, slots=True)
class Remembered:
    """All that the engine needs at start; documents and versions are read one by one when needed."""

    meta: Mapping[str, str] = field(default_factory=dict)
    heads: tuple[Head, ...] = ()
    synced: tuple[Synced, ...] = ()


class Recall(Protocol):
    """The reading side of the replica's store, called synchronously by the engine."""

    def updates(self, document: DocumentId) -> Iterable[bytes]:
        """The document's log, oldest first; empty for an unknown document."""
        ...

    def versions(self, entry: EntryId) -> list[Version]:
        """Recent versions of a text, newest first."""
        ...


def chain(row: Synced) -> tuple[Synced, ...]:
    """The agreements that a row remembers, the oldest first; without a first one that never was."""
    agreements: list[Synced] = []
    at: Synced | None = row
    while at is not None:
        if at.digest is not None or at.kind is Kind.DIR or at.provisional is None:
            agreements.append(at.then(None))
        at = at.provisional
    return tuple(agreements)


def confirmed(row: Synced) -> Synced | None:
    """The latest of a row's agreements that did stand on disk; later ones may have been intentions only."""
    if row.provisional is None:
        return row if row.fingerprint is not None or row.kind is Kind.DIR else None
    stood = [each for each in chain(row) if each.fingerprint is not None or each.kind is Kind.DIR]
    return stood[-1] if stood else None
