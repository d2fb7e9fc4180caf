"""A folder that this process keeps joined, as a program uses it: a room over a running replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from crdtsync.api.document import Document, Shown, TextPort
from crdtsync.api.entries import entries_below, entry_of
from crdtsync.api.folder_files import FolderFiles
from crdtsync.api.folder_view import FolderView
from crdtsync.api.joined_text import JoinedText
from crdtsync.api.room import Content, Room
from crdtsync.api.values import Entry, Event, TreeChange
from crdtsync.api.watching import Watch
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.obstacles import obstacle
from crdtsync.core.replica.status import Conflict, Status
from crdtsync.core.values.files import Kind
from crdtsync.core.values.paths import check_path
from crdtsync.errors import (
    Closed,
    CrdtsyncError,
    FileError,
    NameTaken,
    NoSuchFile,
    NotText,
    ReadOnly,
)
from crdtsync.runtime.blob_job import Transfer
from crdtsync.runtime.replica import Replica

S = TypeVar("S", bound=Shown)


class FolderRoom(Room):
    """Entered once the replica has its folder; leaving it leaves that running."""

    def __init__(self, replica: Replica) -> None:
        super().__init__()
        self._replica = replica
        self._ended_event = asyncio.Event()
        self._end: Exception | None = None
        self._texts: set[JoinedText[Any]] = set()
        self._holder = 0
        self._arranged: CrdtsyncError | None = None
        self._view = FolderView(replica, self._check)
        self._files = FolderFiles(replica, self._view, self._open_document)

    async def __aenter__(self) -> Self:
        self._begin()
        self._replica.observers.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        texts = list(self._texts)
        self._replica.observers.discard(self)
        self._ended(Closed("The folder has been left"))
        for text in texts:
            text.close()
        self._replica.detach(self._holder)

    # -- the room -------------------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """The folder."""
        return self._replica.options.directory

    @property
    def name(self) -> str:
        return self._replica.options.room

    @property
    def hub(self) -> str:
        return self._replica.hub

    async def status(self) -> Status:
        self._check()
        status = self._replica.status
        assert status is not None
        return status

    async def settled(self) -> None:
        self._check()
        try:
            await self._replica.flush()
        except CrdtsyncError:
            self._check()
            raise

    async def closed(self) -> None:
        await self._ended_event.wait()
        with suppress(Closed):
            self._check()

    async def conflicts(self) -> list[Conflict]:
        self._check()
        return self._replica.conflicts

    async def transfers(self) -> list[Transfer]:
        self._check()
        return self._replica.transfers

    async def confirm(self) -> None:
        """Send the deletions of very many files that were held for safety; ``status`` tells of them."""
        self._check()
        self._replica.confirm()

    async def restore(self) -> None:
        """Bring the files of held deletions back."""
        self._check()
        self._replica.restore()

    # -- its files ------------------------------------------------------------------------------------

    async def list(self, folder: str = "") -> list[Entry]:
        view = (await self._view.ready()).view
        return entries_below(folder, view.placements.values(), view.holds_below)

    async def entry(self, path: str) -> Entry | None:
        await self._view.ready()
        return entry_of(self._view.at(path), self._view.state.view.holds_below)

    def watch(self) -> AsyncIterator[TreeChange]:
        view = self._view.state.view
        watch = Watch(view.placements.values(), view.get)
        self._watches.add(watch)
        self._end_if_over(watch)
        return watch

    async def open(self, path: str, *, create: bool = False) -> Document:
        return await self._open(path, create, Document)

    async def _open_document(self, path: str, create: bool, content: str | None) -> Document:
        return await self._open(path, create, Document, content)

    async def _open(
        self, path: str, create: bool, make: Callable[[TextPort, str, str], S], content: str | None = None
    ) -> S:
        check_path(path)
        await self._view.ready(path if create else None)
        text = JoinedText(self._replica, self._check, self._texts.discard, make)
        self._texts.add(text)
        try:
            return await text.open(path, create=create, content=content)
        except FileError as refused:
            raise self._why_not(path, create, refused) from None

    def _why_not(self, path: str, create: bool, refused: FileError) -> CrdtsyncError:
        """The engine says why for a person; which of our errors that is tells the state."""
        placed, seen = self._view.at(path), self._view.state.disk.get(path)
        stands = placed or seen
        if stands is not None and stands.kind is not Kind.TEXT:
            return NotText(str(refused))
        if self._view.state.view.holds_below(path):
            return NameTaken(str(refused)) if create else NotText(str(refused))
        if create and obstacle(self._view.state, path) is not None:
            return NameTaken(str(refused))
        if stands is not None:
            return refused
        if not create:
            return NoSuchFile(str(refused))
        return ReadOnly(str(refused)) if self._view.state.session.read_only else refused

    async def create(self, path: str, content: Content = "") -> None:
        await self._files.check_free(path)
        await self.write(path, content)

    async def make_folder(self, path: str) -> None:
        await self._arrange(lambda: ev.MakeFolder(self._holder, path), path)

    async def move(self, path: str, to: str) -> None:
        await self._arrange(lambda: ev.MoveFiles(self._holder, path, to), to)

    async def delete(self, path: str) -> None:
        await self._arrange(lambda: ev.DeleteFiles(self._holder, path))

    async def _arrange(self, event: Callable[[], ev.Arrange], place: str | None = None) -> None:
        await self._view.ready(place)
        self._arranged = Closed("The replica is about to end")
        self._replica.say(event())
        arranged, self._arranged = self._arranged, None
        if arranged is not None:
            raise arranged

    def read(self, path: str) -> AsyncGenerator[bytes, None]:
        return self._files.read(path)

    async def write(self, path: str, content: Content) -> None:
        await self._files.write(path, content)

    # -- for the replica --------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._holder = self._replica.attach(self._told)
        self._replica.say(ev.WatchFiles(self._holder))

    @property
    def _over(self) -> Exception | None:
        return self._end

    def changed(self) -> None:
        """The replica has done something."""
        self._view.changed()

    def notice(self, kind: str, path: str, message: str) -> None:
        self._tell(Event(kind, path, message))

    async def ask(self, question: ef.AskDiffering) -> ev.Differing:
        return self._replica.options.differing or ev.Differing.BOTH

    def _told(self, effect: ef.ForPrograms) -> None:
        match effect:
            case ef.EntriesChanged(_, entries):
                for text in list(self._texts):
                    text.entries_changed(entries)
                for watch in list(self._watches):
                    assert isinstance(watch, Watch)
                    watch.touch(entries)
            case ef.Arranged(_, error):
                self._arranged = error
            case _:
                raise AssertionError(f"not for the folder as a whole: {effect}")

    def _ended(self, end: Exception) -> None:
        self._end = end
        told = None if isinstance(end, Closed) else end
        for text in list(self._texts):
            text.ended(end)
        self._texts.clear()
        self._end_streams(told)
        self._ended_event.set()
        self._view.changed()
