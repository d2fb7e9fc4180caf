"""Everything a replica's engine can ask for, as values. Effects are carried out in order:
a Persist is complete before any later send, and a step begins only after the Persist before it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from crdtsync.core.replica.records import Record
from crdtsync.core.replica.steps import Step
from crdtsync.core.text.diff import Edit
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Fingerprint, Manifest
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.late import dataclass
from crdtsync.errors import CrdtsyncError


@dataclass(frozen=True, slots=True)
class LookAt:
    """One path to look at. ``known_text``: it is a text now, so the larger size limit holds.

    ``unless`` this still stands there, and tells that nothing was written: then Unchanged is all to be said.
    ``device``: where the file stood, if something else is mounted there than holds most of the folder.
    """

    path: str
    known_text: bool
    unless: Fingerprint | None = None
    device: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """Read these paths; answered by one Looked."""

    paths: tuple[LookAt, ...]


@dataclass(frozen=True, slots=True)
class ScanFolder:
    """Walk the folder ``below`` (``""``: all); answered by a Scanned with the number."""

    number: int
    below: str = ""


@dataclass(frozen=True, slots=True)
class Steps:
    """Disk steps, in order; each is answered in a StepsDone."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class DropDisplaced:
    """The displaced file has been ingested; it need not be kept on its account."""

    token: str


@dataclass(frozen=True, slots=True)
class MakeDurable:
    """Make all that is on disk survive a power cut; answered by MadeDurable."""

    number: int


@dataclass(frozen=True, slots=True)
class Persist:
    """Write these records in one transaction."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a websocket to the hub; answered by Connected or Disconnected."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    reason: str


@dataclass(frozen=True, slots=True)
class SendText:
    data: str


@dataclass(frozen=True, slots=True)
class SendBinary:
    data: bytes


@dataclass(frozen=True, slots=True)
class Upload:
    """Bring the chunks of the file at ``path`` to the hub, those that it lacks."""

    path: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Fetch:
    """Bring a blob into staging. ``index`` None: the blob is a single chunk named by its own digest.

    ``near`` are files on disk that may share chunks with it: earlier versions, same content elsewhere.
    """

    digest: Digest
    size_bytes: int
    index: Digest | None
    near: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CancelTransfer:
    """Nobody wants this blob any more; what has arrived stays for a later resumption."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class AskDiffering:
    """First join of a non-empty folder into a non-empty room: tell, and answer with Decided."""

    identical: int
    only_here: tuple[str, ...]
    only_there: tuple[str, ...]
    differing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flushed:
    """The flush with that number holds."""

    number: int


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop for safety (exit code 3), or because the hub refused for good. ``message`` is for a person."""

    message: str
    denied: bool = False
    mismatch: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person may want to see in the log: ``kind`` is one word."""

    kind: str
    path: str
    message: str


class ForPrograms:
    """Told to programs that have texts open, or tried to."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TextOpened(ForPrograms):
    """From here on the holder is told of every change that it does not make itself, in order."""

    holder: int
    text: EntryId
    path: str
    content: str


@dataclass(frozen=True, slots=True)
class TextRefused(ForPrograms):
    """The text cannot be opened; ``reason`` is for a person."""

    holder: int
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class EditRefused(ForPrograms):
    """Nothing of the edit was made; ``reason`` is for a person."""

    holder: int
    text: EntryId
    reason: str


@dataclass(frozen=True, slots=True)
class TextChanged(ForPrograms):
    """Edits in code points of what the holders were told before: ascending, and apart.

    ``origin``: who else is in the room, this disk, or another program that has the text open here.
    """

    holders: tuple[int, ...]
    text: EntryId
    edits: tuple[Edit, ...]
    origin: Literal["room", "disk", "program"]


@dataclass(frozen=True, slots=True)
class TextMoved(ForPrograms):
    """The file is at another path, or back at one. A text that was deleted comes back with the next edit."""

    holders: tuple[int, ...]
    text: EntryId
    path: str


@dataclass(frozen=True, slots=True)
class CursorsMoved(ForPrograms):
    """Where someone else is in the text, as (anchor, head) in code points; none: no more. ``person`` tells
    people with the same name apart, for as long as they are here."""

    holders: tuple[int, ...]
    text: EntryId
    person: str
    name: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class EntriesChanged(ForPrograms):
    """These may be another than before: elsewhere, of other content, or gone."""

    holders: tuple[int, ...]
    entries: frozenset[EntryId]


@dataclass(frozen=True, slots=True)
class Arranged(ForPrograms):
    """What was asked is done in the room, and will be on disk; or it cannot be, and nothing is."""

    holder: int
    error: CrdtsyncError | None


Effect: TypeAlias = (
    Look
    | ScanFolder
    | Steps
    | DropDisplaced
    | MakeDurable
    | Persist
    | Connect
    | Disconnect
    | SendText
    | SendBinary
    | Upload
    | Fetch
    | CancelTransfer
    | AskDiffering
    | Flushed
    | Halt
    | Notice
    | TextOpened
    | TextRefused
    | EditRefused
    | TextChanged
    | TextMoved
    | CursorsMoved
    | EntriesChanged
    | Arranged
)
