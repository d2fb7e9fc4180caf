"""What can be seen of one path on disk: kinds, fingerprints, contents and observations."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias, assert_never

from crdtsync.core.values.digests import Digest
from crdtsync.core.values.late import dataclass


class Kind(StrEnum):
    """What an entry is; never changes during the entry's life."""

    TEXT = "text"
    BLOB = "blob"
    LINK = "link"
    DIR = "dir"


COARSEST_TICK_S: Final = 2.0
"""Of the times of files: that of FAT."""


class Fingerprint(NamedTuple):
    """Tells, without reading it, whether a file is the one that was seen before.

    Times are nanoseconds. A rename changes ``ctime_ns`` on Linux and nothing else.
    """

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    executable: bool

    def outdated(self) -> Fingerprint:
        """Of the same file, for an agreement on what it held before: equal to that of no file that stands."""
        return self._replace(mtime_ns=1, ctime_ns=0)

    @property
    def tells_writes(self) -> bool:
        """Whether any write since would show in it: its mtime is of an earlier tick of the kernel's clock
        than its ctime, and a write makes it at least as new as that.

        Two writes in one tick leave the same mtime. Where the file system keeps whole seconds, or little
        more, nobody can tell one tick from another.
        """
        fine = self.mtime_ns % 1_000_000 != 0 and not self.is_coarse
        return fine and self.mtime_ns < self.ctime_ns

    @property
    def is_coarse(self) -> bool:
        """Whether the file system keeps whole seconds, or little more: a write of the same size, soon after
        another, leaves it as it is. Told by its ctime, which no tool can set."""
        return self.ctime_ns % 1_000_000 == 0

    def may_hide_writes(self, now: float) -> bool:
        """Whether it is of so short a time ago (``now`` in seconds since 1970) that another write of the same
        size may leave it as it is."""
        return self.is_coarse and now - self.ctime_ns / 1e9 < COARSEST_TICK_S

    def unwritten_since(self, then: Fingerprint | None) -> bool:
        """Whether nobody has written to the file, of the same inode, since it was seen so: any write makes it
        newer, but where the file system keeps whole seconds."""
        if then is None or self.is_coarse:
            return False
        return self.mtime_ns <= then.mtime_ns and self.ctime_ns <= then.ctime_ns

    def same_file(self, other: Fingerprint) -> bool:
        """The same inode with the same size and mtime: unchanged, though perhaps renamed."""
        return (self.device, self.inode, self.size_bytes, self.mtime_ns) == (
            other.device,
            other.inode,
            other.size_bytes,
            other.mtime_ns,
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a blob: its digest and length in bytes."""

    digest: Digest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A blob as the list of its chunks, in order; ``digest`` is of the whole content."""

    digest: Digest
    size_bytes: int
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class TextContent:
    text: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class BlobContent:
    """``beginning``: what can be read of a text, if the rest seems cut off by a power cut. ``rest_bytes``: so
    much is there of another text behind it: of the old one, if it was written over that."""

    manifest: Manifest
    beginning: str | None = None
    rest_bytes: int = 0

    @property
    def digest(self) -> Digest:
        return self.manifest.digest


@dataclass(frozen=True, slots=True)
class LinkContent:
    """A symbolic link; ``digest`` is of the target's UTF-8 bytes."""

    target: str
    digest: Digest


Content: TypeAlias = TextContent | BlobContent | LinkContent


def kind_of(content: Content) -> Kind:
    """The kind of entry that holds such a content."""
    match content:
        case TextContent():
            return Kind.TEXT
        case BlobContent():
            return Kind.BLOB
        case LinkContent():
            return Kind.LINK
        case _:
            assert_never(content)


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing is there, and the folders above could be read, so that this is certain.

    ``unmounted``: the file system on which a file had stood there is not there either.
    """

    unmounted: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """A file or a link, with its content."""

    fingerprint: Fingerprint
    content: Content


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory; ``empty`` when it holds nothing but what the system litters."""

    empty: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something may be there but cannot be read; never taken for a deletion. ``reason`` is for a person."""

    reason: str


IGNORED: Final = "ignored"
"""The reason of an Unshareable that nobody needs to be told of."""


@dataclass(frozen=True, slots=True)
class Unshareable:
    """Something that never enters a room: a socket, a FIFO, a device, a link that escapes, a foreign name."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The very file that was read before, as its fingerprint tells for certain; so it was not read again."""

    fingerprint: Fingerprint


Seen: TypeAlias = Absent | Present | Folder | Unreadable | Unshareable | Unchanged
"""What one look at one path found."""
