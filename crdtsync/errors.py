"""The errors that crdtsync raises to its callers; every message names what, why and the next step.

CrdtsyncError                 base of all
├── InvalidName               a name or address that cannot be used
├── FolderError               the folder cannot be joined (a file in its place, nested, ...)
│   ├── AlreadyJoined         joined to another room, or by a running process
│   └── RootGone              removed, unmounted or replaced while joined: halted for safety
├── HubUnreachable            nobody answers at the hub's address
├── ProtocolMismatch          something else answers, or another version of the protocol
├── AccessDenied              the hub refuses this member
│   └── ReadOnly              ... what it wants to change: it may only read
├── FileError                 what a program asks of a file of the room cannot be done
│   ├── NoSuchFile            nothing stands at that path
│   ├── NameTaken             something else stands there
│   ├── NotText               it is no text, or would be none
│   └── ContentMissing        the hub does not have its content (yet)
├── Closed                    the room or document is closed
├── PeerError                 the other side broke the protocol
│   └── MalformedUpdate       a Yjs update that cannot be applied
├── InvalidEdit               an edit that does not fit the text, or may not be made
└── StoreError                the state on disk cannot be used
    └── StoreInUse            another process holds it
"""

from __future__ import annotations


class CrdtsyncError(Exception):
    """Base of every error that crdtsync raises on purpose; ``str(error)`` is fit for a person."""


class InvalidName(CrdtsyncError, ValueError):
    """A name of a room, person, path or folder, or an address, that cannot be used."""


class FolderError(CrdtsyncError):
    """The folder cannot be joined."""


class AlreadyJoined(FolderError):
    """The folder is joined to another room, or by a process that runs now."""


class RootGone(FolderError):
    """The joined folder was removed, unmounted or replaced: nothing is sent, nothing is deleted."""


class HubUnreachable(CrdtsyncError):
    """Nobody answers at the hub's address."""


class ProtocolMismatch(CrdtsyncError):
    """What answers is not a hub, or speaks another version of the protocol."""


class AccessDenied(CrdtsyncError):
    """The hub refuses this member."""


class ReadOnly(AccessDenied):
    """This member may only read: nothing that it changes reaches the others."""


class FileError(CrdtsyncError):
    """What a program asks of a file of the room cannot be done."""


class NoSuchFile(FileError):
    """Nothing stands at the path."""


class NameTaken(FileError):
    """Something else stands at the path, or in the way to it."""


class NotText(FileError):
    """What stands at the path is no text, or what should be written is none."""


class ContentMissing(FileError):
    """The hub does not have the content; it comes when someone who has it connects."""


class InvalidEdit(CrdtsyncError, ValueError):
    """Edits that do not fit the text, or may not be made; nothing is changed then."""


class Closed(CrdtsyncError):
    """The room or document has been closed."""


class PeerError(CrdtsyncError):
    """The other side broke the protocol; the connection ends, nothing is lost."""


class MalformedUpdate(PeerError, ValueError):
    """A Yjs update that pycrdt, or another Yjs client, could not apply."""


class StoreError(CrdtsyncError):
    """State on disk cannot be used."""


class StoreInUse(StoreError):
    """Another process holds the state."""


def class_named(name: str) -> type[CrdtsyncError]:
    """The error of that name, as another process told it; the base of all for one of another version."""
    found = globals().get(name)
    return found if isinstance(found, type) and issubclass(found, CrdtsyncError) else CrdtsyncError
