"""A folder that this process keeps joined, as a program uses it: a room over a running replica."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from crdtsync.adapters.filesystem import Blocked, fingerprint_of
from crdtsync.api.content import file_pieces, gather, pieces_of, staging
from crdtsync.api.document import Document, Shown, TextPort
from crdtsync.api.entries import entries_below, entry_of
from crdtsync.api.joined_text import JoinedText
from crdtsync.api.room import Content, Room
from crdtsync.api.values import Entry, Event, TreeChange
from crdtsync.api.watching import Watch
from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.obstacles import is_leaving, kept_off, obstacle
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.status import Conflict, Status
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import printable
from crdtsync.core.values.paths import check_path
from crdtsync.errors import (
    Closed,
    ContentMissing,
    CrdtsyncError,
    FileError,
    InvalidName,
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
        self._waiting: set[asyncio.Future[None]] = set()
        self._texts: set[JoinedText[Any]] = set()
        self._holder = 0
        self._arranged: CrdtsyncError | None = None

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
        view = (await self._ready()).view
        return entries_below(folder, view.placements.values(), view.holds_below)

    async def entry(self, path: str) -> Entry | None:
        await self._ready()
        return entry_of(self._at(path), self._state.view.holds_below)

    def watch(self) -> AsyncIterator[TreeChange]:
        view = self._state.view
        watch = Watch(view.placements.values(), view.get)
        self._watches.add(watch)
        self._end_if_over(watch)
        return watch

    async def open(self, path: str, *, create: bool = False) -> Document:
        return await self._open(path, create, Document)

    async def _open(
        self, path: str, create: bool, make: Callable[[TextPort, str, str], S], content: str | None = None
    ) -> S:
        check_path(path)
        await self._ready(path if create else None)
        text = JoinedText(self._replica, self._check, self._texts.discard, make)
        self._texts.add(text)
        try:
            return await text.open(path, create=create, content=content)
        except FileError as refused:
            raise self._why_not(path, create, refused) from None

    def _why_not(self, path: str, create: bool, refused: FileError) -> CrdtsyncError:
        """The engine says why for a person; which of our errors that is tells the state."""
        placed, seen = self._at(path), self._state.disk.get(path)
        stands = placed or seen
        if stands is not None and stands.kind is not Kind.TEXT:
            return NotText(str(refused))
        if self._state.view.holds_below(path):
            return NameTaken(str(refused)) if create else NotText(str(refused))
        if create and obstacle(self._state, path) is not None:
            return NameTaken(str(refused))
        if stands is not None:
            return refused
        if not create:
            return NoSuchFile(str(refused))
        return ReadOnly(str(refused)) if self._state.session.read_only else refused

    async def create(self, path: str, content: Content = "") -> None:
        await self._check_free(path)
        await self.write(path, content)

    async def _check_free(self, path: str) -> None:
        check_path(path)
        state = await self._ready(path)
        if self._at(path) is not None or state.view.holds_below(path) or state.disk.get(path) is not None:
            raise NameTaken(f"{printable(path)} is there already")

    async def make_folder(self, path: str) -> None:
        await self._arrange(lambda: ev.MakeFolder(self._holder, path), path)

    async def move(self, path: str, to: str) -> None:
        await self._arrange(lambda: ev.MoveFiles(self._holder, path, to), to)

    async def delete(self, path: str) -> None:
        await self._arrange(lambda: ev.DeleteFiles(self._holder, path))

    async def _arrange(self, event: Callable[[], ev.Arrange], place: str | None = None) -> None:
        await self._ready(place)
        self._arranged = Closed("The replica is about to end")
        self._replica.say(event())
        arranged, self._arranged = self._arranged, None
        if arranged is not None:
            raise arranged

    async def read(self, path: str) -> AsyncGenerator[bytes, None]:
        check_path(path)
        await self._ready()
        fd = await self._open_file(path)
        if fd is None:
            async with await self.open(path) as document:
                data = document.text.encode()
            for piece in pieces_of(data):
                yield piece
            return
        async with aclosing(file_pieces(fd, path)) as pieces:
            async for piece in pieces:
                yield piece

    async def _open_file(self, path: str) -> int | None:
        """The file as it stands on disk; one that the room has and the disk not yet is waited for.

        None where the room has a text. Raises NoSuchFile, NotText, ContentMissing, and FileError with the
        reason if the disk does not take it.
        """
        while True:
            placed = self._at(path)
            if placed is not None and placed.kind is Kind.TEXT:
                return None
            if placed is not None and placed.kind is not Kind.BLOB:
                raise NotText(f"{printable(path)} is a link or a folder: it has no content")
            if placed is not None and self._state.ignored(path):
                raise FileError(kept_off(self._state, path))  # what stands here is one's own
            before = self._state.agreed_at(path)
            try:
                fd = await asyncio.to_thread(self._replica.folder.open_file, path)
            except (FileNotFoundError, Blocked):
                pass
            except OSError as error:
                raise FileError(f"{printable(path)} cannot be read: {error.strerror}") from error
            else:
                followed = self._state.agreed_at(path) is not before
                if not followed and not self._is_to_go(path, fd):
                    return fd
                os.close(fd)
                if followed:
                    continue  # it may be the file from before that
            await self._awaited(path)

    async def _awaited(self, path: str) -> None:
        """Wait for what the room has at the path to come nearer to the disk; raises why it does not."""
        placed = self._at(path)
        if placed is None:
            raise NoSuchFile(f"There is no {printable(path)} in the room")
        if (reason := kept_off(self._state, path)) is not None:
            lacking = placed.version is not None and placed.version.digest in self._state.missing
            raise (ContentMissing if lacking else FileError)(reason)
        await self._something_changed()

    def _is_to_go(self, path: str, fd: int) -> bool:
        """Whether it is still what the room had there before: the disk has yet to follow."""
        agreed, view, status = self._state.agreed_at(path), self._state.view, os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            return not view.holds_below(path)
        if not stat.S_ISREG(status.st_mode):
            return True
        if agreed is None or agreed.entry == view.at(path) or path in self._state.attention:
            return False
        return agreed.fingerprint is not None and agreed.fingerprint.same_file(fingerprint_of(status))

    async def write(self, path: str, content: Content) -> None:
        check_path(path)
        state = await self._ready(path)
        self._check_writable(path)
        placed = self._at(path)
        is_text = placed is not None and placed.kind is Kind.TEXT
        with staging(self._replica.folder.staging) as staged:
            gathered = await gather(content, staged.create, known_text=is_text)
            if isinstance(gathered, str) and (is_text or (placed is None and state.disk.get(path) is None)):
                async with await self._open(path, True, Document, gathered) as document:
                    document.set_text(gathered)
                return
            if isinstance(gathered, str):
                gathered = await staged.holding(gathered)
            os.close(gathered)
            await self._put(staged.give(), path)

    async def _put(self, staged: str, path: str) -> None:
        """Give a file of that name in staging its place; it is not in staging any more afterwards."""
        try:
            check_path(path)
            await self._ready(path)
            self._check_writable(path)
            placed = self._at(path)
            if placed is not None and placed.kind is Kind.TEXT:
                await self._written(path)
        except BaseException:
            self._replica.folder.unstage(staged)
            raise
        await asyncio.to_thread(self._replica.folder.put_file, staged, path)
        self._replica.look_again([path])
        await self._taken_in(path)

    def _check_writable(self, path: str) -> None:
        if self._state.session.read_only:
            raise ReadOnly("This folder may only read the room: nothing of it is sent")
        if self._state.ignored(path):
            raise InvalidName(f"{printable(path)} is ignored in this folder: it is never shared")

    async def _written(self, path: str) -> None:
        """Return once the disk has the text that the room has: what replaces it has seen it then."""
        while (placed := self._at(path)) is not None:
            agreed = self._state.synced.get(placed.entry)
            if agreed is not None and agreed.digest == self._state.room_digest(placed.entry):
                return
            if kept_off(self._state, path) is not None:
                return  # it cannot be written: what is said of that is said by the disk
            await self._something_changed()

    async def _taken_in(self, path: str) -> None:
        """Return once the room has what stands on disk now; without a hub it gets it later."""
        flushed = asyncio.ensure_future(self._replica.flush())
        try:
            while not flushed.done() and self._state.session.live:
                await self._something_changed(flushed)
        finally:
            flushed.cancel()
            await asyncio.gather(flushed, return_exceptions=True)
        self._check()

    # -- for the replica --------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._holder = self._replica.attach(self._told)
        self._replica.say(ev.WatchFiles(self._holder))

    @property
    def _over(self) -> Exception | None:
        return self._end

    @property
    def _state(self) -> ReplicaState:
        engine = self._replica.engine
        if engine is None:
            raise Closed("The folder is not joined: use it inside of ``async with``")
        return engine.state

    async def _ready(self, place: str | None = None) -> ReplicaState:
        """Once the room is here, whole, and what it has no longer at ``place`` has left that on disk."""
        self._check()
        state = self._state
        while not state.running or state.catching_up or (place is not None and is_leaving(state, place)):
            await self._something_changed()
        return state

    def _at(self, path: str) -> Placement | None:
        entry = self._state.view.at(path)
        return None if entry is None else self._state.view.get(entry)

    async def _something_changed(self, other: asyncio.Future[None] | None = None) -> None:
        """Wait for the replica to have done something, or for ``other``. Raises what ended the room."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            futures = {future} if other is None else {future, other}
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(future)
            future.cancel()
        self._check()

    def changed(self) -> None:
        """The replica has done something."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

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
        self.changed()
