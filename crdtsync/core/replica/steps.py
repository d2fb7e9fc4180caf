"""The disk steps a replica asks for, and how each can end; the disk writer carries them out.

Every step names what it expects to find, so that a save that races it is noticed and never lost.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Content, Fingerprint, Present, Seen
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.late import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    """What a step expects at its path."""

    fingerprint: Fingerprint
    digest: Digest


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Put ``content`` at ``path``. ``expected`` None: nothing may be there.

    Text is written from memory; a blob must stand in staging since a Fetched; a link is made. A missing
    folder above is made. With ``trash`` the replaced file goes to the trash, for that reason.
    """

    step: int
    entry: EntryId
    path: str
    content: Content
    executable: bool
    expected: Expected | None
    trash: str | None


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Move the file at ``path`` to the trash; folders above that this leaves empty stay."""

    step: int
    entry: EntryId
    path: str
    expected: Expected
    trash: str


@dataclass(frozen=True, slots=True)
class MoveFile:
    """Rename; nothing may be at ``target``. A missing folder above it is made."""

    step: int
    entry: EntryId
    path: str
    target: str
    expected: Expected


@dataclass(frozen=True, slots=True)
class SwapFiles:
    """Exchange what is at two paths (renames that form a cycle)."""

    step: int
    path: str
    other: str


@dataclass(frozen=True, slots=True)
class SetExecutable:
    step: int
    path: str
    executable: bool
    expected: Expected


@dataclass(frozen=True, slots=True)
class MakeFolder:
    step: int
    path: str


@dataclass(frozen=True, slots=True)
class RemoveFolder:
    """Remove the folder if it is empty (or holds only what the system itself litters, like .DS_Store).

    On a disk that takes names for one it may be there in another spelling; ``exact``: then it stays.
    """

    step: int
    path: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class KeepCopy:
    """Give a displaced file a name of its own in the folder; nothing may be at ``path``."""

    step: int
    token: str
    path: str


Step: TypeAlias = (
    WriteFile | RemoveFile | MoveFile | SwapFiles | SetExecutable | MakeFolder | RemoveFolder | KeepCopy
)


def paths_of(step: Step) -> tuple[str, ...]:
    """The paths at which the step may change something."""
    match step:
        case MoveFile(path=path, target=other) | SwapFiles(path=path, other=other):
            return path, other
        case _:
            return (step.path,)


@dataclass(frozen=True, slots=True)
class Displaced:
    """A save that landed while we replaced the file at ``path``: safe in staging under ``token``.

    ``replaced`` is the digest of the version that the save replaced, so the base of its edits.
    """

    token: str
    entry: EntryId
    path: str
    replaced: Digest
    seen: Present


@dataclass(frozen=True, slots=True)
class Stood:
    """A former run put the text ``digest`` where ``replaced`` stood: by what came out, that was done."""

    entry: EntryId
    replaced: Digest
    digest: Digest


@dataclass(frozen=True, slots=True)
class Done:
    """The step was carried out. ``fingerprint`` is of the file now at the step's path (or target).

    With ``displaced`` a save raced the step; it is safe, and must be ingested.
    """

    fingerprint: Fingerprint | None = None
    displaced: Displaced | None = None


@dataclass(frozen=True, slots=True)
class Raced:
    """Not carried out: at ``path`` is something else than expected, and it stays there."""

    path: str
    seen: Seen


class Cause(StrEnum):
    """Why a step failed; decides what a person is told and when it is tried again."""

    NO_SPACE = "no space"
    DENIED = "access denied"
    READ_ONLY = "read-only"
    NAME = "name impossible here"
    BLOCKED = "a file stands where a folder must be"
    NOT_EMPTY = "folder not empty"
    OTHER = "input/output error"


@dataclass(frozen=True, slots=True)
class Failed:
    """Not carried out, and nothing changed. ``message`` is for a person."""

    cause: Cause
    message: str


Outcome: TypeAlias = Done | Raced | Failed
