"""What a program does with a room, whether it has a folder or not: one set of verbs for all kinds."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import Self, TypeAlias

from crdtsync.api.document import Document
from crdtsync.api.streams import Events, Stream
from crdtsync.api.values import Entry, Event, TreeChange
from crdtsync.core.replica.status import Conflict, Peer, Status
from crdtsync.errors import Closed, NotText
from crdtsync.runtime.blob_job import Transfer

Content: TypeAlias = bytes | str | Iterable[bytes] | AsyncIterable[bytes]
"""What a file is to hold: bytes, or a text (as UTF-8), or bytes that come in pieces."""


class Room(ABC):
    """A room that is joined or connected to; see ``join`` and ``connect``.

    Paths are relative to the room, with ``/`` between names. Everything that waits may be cancelled. What is
    asked after the end raises ``Closed``, or the error that ended the room: ``AccessDenied`` (the invite was
    revoked, or ran out), ``ProtocolMismatch``, or, with a folder, ``RootGone`` and ``StoreError``. A hub that
    cannot be reached ends nothing.
    """

    def __init__(self) -> None:
        self._streams: weakref.WeakSet[Stream[Event]] = weakref.WeakSet()
        self._watches: weakref.WeakSet[Stream[TreeChange]] = weakref.WeakSet()

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    # -- the room -------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def name(self) -> str:
        """The room's name."""

    @property
    @abstractmethod
    def hub(self) -> str:
        """The hub's address, ``ws://`` or ``wss://``."""

    @abstractmethod
    async def status(self) -> Status:
        """Is it connected, what is pending, who is here, what needs attention."""

    @abstractmethod
    async def settled(self) -> None:
        """Return once nothing is left to send, to receive or to write.

        The hub then has, durably, all that was done here before the call, and all that the hub had by then is
        here. Waits as long as the hub is away: put ``asyncio.timeout`` around it if you would not.
        """

    @abstractmethod
    async def closed(self) -> None:
        """Return when the room is closed; raise what ended it, if that was an error."""

    async def people(self) -> tuple[Peer, ...]:
        """Who else is in the room, and which files they edited within the last minute."""
        return (await self.status()).peers

    @abstractmethod
    async def conflicts(self) -> list[Conflict]:
        """The conflict copies that still exist, by path."""

    @abstractmethod
    async def transfers(self) -> list[Transfer]:
        """Binary files that are on their way now, and how far they are, in bytes."""

    def events(self) -> AsyncIterator[Event]:
        """What happens from now on, for a log or a person.

        A reader who falls behind by more than 1000 misses the oldest. Ends with the room; raises the error
        that ended it, if one did.
        """
        stream = Events()
        self._streams.add(stream)
        self._end_if_over(stream)
        return stream

    # -- its files ------------------------------------------------------------------------------------

    @abstractmethod
    async def list(self, folder: str = "") -> list[Entry]:
        """All files below ``folder`` ("": all), and its empty folders, by path."""

    @abstractmethod
    async def entry(self, path: str) -> Entry | None:
        """What stands at ``path``; None for nothing, and for a folder that is not empty."""

    @abstractmethod
    def watch(self) -> AsyncIterator[TreeChange]:
        """How the files change from now on, by whomever.

        A reader who falls behind is told how they differ from what it was told before, so nothing piles up:
        what was created and deleted meanwhile is left out. Ends with the room; raises what ended it.
        """

    @abstractmethod
    async def open(self, path: str, *, create: bool = False) -> Document:
        """Open a text. ``create``: make an empty one if nothing stands there.

        Raises NoSuchFile, NotText, InvalidName; with ``create`` NameTaken and ReadOnly, too.
        """

    @abstractmethod
    async def create(self, path: str, content: Content = "") -> None:
        """Make a file where nothing stands; raises NameTaken, InvalidName, ReadOnly, and as ``write``."""

    @abstractmethod
    async def make_folder(self, path: str) -> None:
        """Make an empty folder; the folders of a file need not be made. Raises as ``create``."""

    @abstractmethod
    async def move(self, path: str, to: str) -> None:
        """Give a file, or a folder with all that is in it, another path. Open documents follow.

        Raises NoSuchFile, NameTaken, InvalidName, ReadOnly.
        """

    @abstractmethod
    async def delete(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it.

        It covers what is here now: a text that someone edits meanwhile survives. Raises NoSuchFile, ReadOnly.
        """

    @abstractmethod
    def read(self, path: str) -> AsyncGenerator[bytes, None]:
        """What a file holds, in pieces; of a text its UTF-8. Verified before the first piece is given.

        Raises, at the first piece, NoSuchFile, NotText (for a link or folder), ContentMissing, and FileError
        where the disk of a joined folder does not take it, or where it was deleted and that is held.
        """

    @abstractmethod
    async def write(self, path: str, content: Content) -> None:
        """Make a file hold that, as a save would, whatever stood there; a folder is not replaced.

        What is valid UTF-8 without NUL and at most 4 MiB becomes a text, or edits of the text that is there;
        all else becomes a binary file, which is there for the others once this returns. Raises NameTaken,
        InvalidName, InvalidEdit (a str with half of a surrogate pair), ReadOnly, StoreError (no space for
        what passes through), CrdtsyncError (the hub is full).
        """

    async def read_bytes(self, path: str) -> bytes:
        """All that a file holds; raises as ``read``."""
        return b"".join([piece async for piece in self.read(path)])

    async def read_text(self, path: str) -> str:
        """The text of a file; raises NotText for what is not UTF-8, and as ``read``."""
        try:
            return (await self.read_bytes(path)).decode("utf-8")
        except UnicodeDecodeError:
            raise NotText(f"{path} is no text: it is not UTF-8") from None

    # -- for those who implement it --------------------------------------------------------------------

    @property
    @abstractmethod
    def _over(self) -> Exception | None:
        """What ended the room, Closed if it was closed; None as long as it goes on."""

    def _check(self) -> None:
        if self._over is not None:
            raise type(self._over)(str(self._over))

    def _end_if_over(self, stream: Stream[Event] | Stream[TreeChange]) -> None:
        if self._over is not None:
            stream.end(None if isinstance(self._over, Closed) else self._over)

    def _tell(self, event: Event) -> None:
        for stream in list(self._streams):
            assert isinstance(stream, Events)
            stream.put(event)

    def _end_streams(self, error: Exception | None) -> None:
        for stream in list(self._streams):
            stream.end(error)
        for watch in list(self._watches):
            watch.end(error)
