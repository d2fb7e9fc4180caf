"""Everything that can happen to a replica, as values: the only input of its engine besides ``now``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum, StrEnum, auto
from typing import TypeAlias

from crdtsync.core.replica.steps import Displaced, Outcome, Stood
from crdtsync.core.text.diff import Edit
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Fingerprint, Seen
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.late import dataclass


class HintKind(Enum):
    """What a watcher believes to have happened; only ever a reason to look, never a fact."""

    CLOSED = auto()
    """A writer closed the file, or a rename put it there: it is whole now."""
    MODIFIED = auto()
    CREATED = auto()
    DELETED = auto()


@dataclass(frozen=True, slots=True)
class Hint:
    path: str
    kind: HintKind


@dataclass(frozen=True, slots=True)
class HintsLost:
    """The watcher's queue overflowed or a watch was lost: everything must be looked at."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The answer to a Look: what is at each path."""

    seen: tuple[tuple[str, Seen], ...]


@dataclass(frozen=True, slots=True)
class ScannedFolder:
    empty: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """One walk over the whole folder: names and fingerprints, no contents.

    ``unreadable`` names files, and folders of which nothing below is known; ``unshareable`` names what never
    enters a room. Both map to a reason for a person.
    """

    files: Mapping[str, Fingerprint] = field(default_factory=dict)
    links: Mapping[str, Fingerprint] = field(default_factory=dict)
    folders: Mapping[str, ScannedFolder] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    unshareable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scanned:
    """The answer to a ScanFolder with the same number."""

    number: int
    scan: Scan


@dataclass(frozen=True, slots=True)
class StepsDone:
    """The outcomes of disk steps by their numbers, of as many as were carried out together."""

    outcomes: tuple[tuple[int, Outcome], ...]


@dataclass(frozen=True, slots=True)
class DisplacedChanged:
    """A writer went on writing to a file that we had replaced."""

    displaced: Displaced


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a start found in what the former run left; said before the first look, or it is too late."""

    displaced: tuple[Displaced, ...]
    stood: tuple[Stood, ...]


@dataclass(frozen=True, slots=True)
class MadeDurable:
    """The answer to MakeDurable: all that was on disk when it was asked survives a power cut."""

    number: int


@dataclass(frozen=True, slots=True)
class RootLost:
    """The folder was removed, unmounted or replaced. Nothing seen since may be believed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Connected:
    """A websocket to the hub is open; nothing has been said on it."""


@dataclass(frozen=True, slots=True)
class TextFrame:
    data: str


@dataclass(frozen=True, slots=True)
class BinaryFrame:
    data: bytes


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection ended, or an attempt failed. ``reason`` is for a person."""

    reason: str


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """An address or route changed: a waiting reconnect is worth trying now."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """All chunks of the blob are durable on the hub."""

    digest: Digest
    index: Digest
    """The digest of the encoded manifest, by which others find the chunks."""


@dataclass(frozen=True, slots=True)
class UploadFailed:
    digest: Digest
    reason: str
    changed: bool
    """The file is no longer what it was when it was hashed: look again. Otherwise: try again later."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The blob stands complete and verified in staging, ready for a WriteFile."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class FetchFailed:
    digest: Digest
    reason: str
    missing: bool
    """The hub does not have all chunks (yet)."""


class Differing(StrEnum):
    """What a first join does with files that differ on both sides."""

    BOTH = "both"
    HUB = "hub"
    MINE = "mine"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class Decided:
    """The answer to AskDiffering."""

    differing: Differing


@dataclass(frozen=True, slots=True)
class FlushRequested:
    """``since_start``: of what was on disk at the start, which is scanned anyway, rather than now."""

    number: int
    since_start: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmRequested:
    """Send the deletions that were held."""


@dataclass(frozen=True, slots=True)
class RestoreRequested:
    """Bring the files of the deletions that were held back."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Which edit of a program it is, remembered together with what it made.

    A program that lost the connection learns from it what was taken. ``number`` grows.
    """

    program: str
    number: int


@dataclass(frozen=True, slots=True)
class FromProgram:
    """Said by a program that edits texts as they are typed; its ``holder`` is a number that it was given."""

    holder: int


@dataclass(frozen=True, slots=True)
class OpenText(FromProgram):
    """``create``: make the file if there is none. ``writes``: the program saves the file itself, and is not
    to be surprised by others who do. ``content`` is what an editor shows: the text of a new file, or a save
    that the room lacks while the hub is away. Answered by TextOpened or TextRefused.
    """

    path: str
    create: bool = True
    writes: bool = False
    content: str | None = None


@dataclass(frozen=True, slots=True)
class EditText(FromProgram):
    """Edits in code points of the text as it is now: ascending, and apart. They are made at once.

    What does not fit is answered by EditRefused. ``shown`` is what an editor shows, which may lack
    what others did in the last instant.
    """

    text: EntryId
    edits: tuple[Edit, ...]
    shown: str | None = None
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class PlaceCursors(FromProgram):
    """Where the person at that program is in the text, as (anchor, head) in code points; none: nowhere."""

    text: EntryId
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class HolderGone(FromProgram):
    """The program has ended, or let go of everything."""


@dataclass(frozen=True, slots=True)
class WatchFiles(FromProgram):
    """From here on the program is told, by EntriesChanged, which entries may be another than before."""


@dataclass(frozen=True, slots=True)
class MoveFiles(FromProgram):
    """A file, or a folder with all that is in it. Answered by Arranged, as those below."""

    path: str
    to: str


@dataclass(frozen=True, slots=True)
class DeleteFiles(FromProgram):
    """A file, or a folder with all that is in it: as far as it is here now."""

    path: str


@dataclass(frozen=True, slots=True)
class MakeFolder(FromProgram):
    """An empty one; those of files are made with them."""

    path: str


Arrange: TypeAlias = MoveFiles | DeleteFiles | MakeFolder
Said: TypeAlias = OpenText | EditText | PlaceCursors | WatchFiles | Arrange | HolderGone


@dataclass(frozen=True, slots=True)
class Tick:
    """The time asked for by ``ReplicaEngine.deadline`` has come."""


Joinable: TypeAlias = (
    Hint | StepsDone | DisplacedChanged | BinaryFrame | Uploaded | UploadFailed | Fetched | FetchFailed
)
"""What comes in numbers."""


@dataclass(frozen=True, slots=True)
class Several:
    """They waited together, and are taken in one after the other: planning, most of the work of each, is for
    all of them at once, and so is the transaction."""

    events: tuple[Joinable, ...]


One: TypeAlias = (
    Joinable
    | HintsLost
    | Looked
    | Scanned
    | Recovered
    | MadeDurable
    | RootLost
    | Connected
    | TextFrame
    | Disconnected
    | NetworkChanged
    | Decided
    | FlushRequested
    | ConfirmRequested
    | RestoreRequested
    | Said
    | Tick
)
Event: TypeAlias = One | Several
