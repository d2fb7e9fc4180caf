"""A folder that another process keeps joined, as a program uses it: ``crdtsync.attach``."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pydantic import BaseModel

from crdtsync.adapters.control_client import find_joined
from crdtsync.adapters.filesystem import Blocked, Tree, split
from crdtsync.adapters.system_calls import REAL
from crdtsync.api import program_messages as messages
from crdtsync.api.attached_text import AttachedText
from crdtsync.api.content import file_pieces, gather, pieces_of, staging
from crdtsync.api.document import Document
from crdtsync.api.program_link import ProgramLink
from crdtsync.api.pulled import PulledStream
from crdtsync.api.room import Content, Room
from crdtsync.api.values import Entry, Event, TreeChange
from crdtsync.core.replica.status import Conflict, Status
from crdtsync.core.values.ids import printable
from crdtsync.core.values.paths import check_path
from crdtsync.core.values.reserved import STATE_FOLDER
from crdtsync.errors import Closed, CrdtsyncError, FileError, FolderError
from crdtsync.runtime.blob_job import Transfer

LEAVE_TIMEOUT_S: Final = 5.0


def attach(directory: str | os.PathLike[str]) -> AttachedRoom:
    """The room of a folder that is joined: ``async with attach("notes") as room``.

    By a running ``crdtsync join``, or by another program. Several programs may be attached to one folder at a
    time. ``directory`` may be a folder inside of it. The room ends with the replica: by Closed, or by what
    ended that.

    Entering raises FolderError when nobody keeps the folder joined, or when it is somebody else's, and
    ProtocolMismatch when that is of another version.
    """
    return AttachedRoom(Path(directory).expanduser())


class AttachedRoom(Room):
    """See ``attach``."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._given = directory
        self._link: ProgramLink
        self._folder = directory
        self._welcome = messages.Welcome(protocol=0, room="", hub="")
        self._texts: dict[int, AttachedText] = {}
        self._numbers = itertools.count(1)
        self._end: Exception | None = None
        self._ended_event = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._folder = await asyncio.to_thread(find_joined, self._given)
        self._link = await ProgramLink.open(self._folder, self._told, self._ended)
        try:
            told = await self._ask("hello", messages.Hello(protocol=messages.PROTOCOL))
            self._welcome = messages.params(messages.Welcome, told)
        except BaseException:
            await self._link.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        over = self._end
        try:
            if over is None:
                async with asyncio.timeout(LEAVE_TIMEOUT_S):
                    await self._link.ask("bye", {})  # what was edited last has been taken
        except (TimeoutError, CrdtsyncError) as problem:
            if error is None:
                raise FolderError(
                    f"The replica of {self._shown} did not confirm the last edits: {problem or 'it is busy'}"
                ) from problem
        finally:
            self._ended(Closed(f"{self._shown} has been left"))
            await self._link.close()
        if error is None and over is not None and not isinstance(over, Closed):
            raise type(over)(str(over))

    # -- the room -------------------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """The folder that is joined, with links resolved."""
        return self._folder

    @property
    def name(self) -> str:
        return self._welcome.room

    @property
    def hub(self) -> str:
        return self._welcome.hub

    async def status(self) -> Status:
        return messages.value(messages.STATUS, await self._link.ask("status", {}))

    async def settled(self) -> None:
        await self._link.ask("settled", {})

    async def closed(self) -> None:
        await self._ended_event.wait()
        with suppress(Closed):
            self._check()

    async def conflicts(self) -> list[Conflict]:
        return messages.value(messages.CONFLICTS, await self._link.ask("conflicts", {}))

    async def transfers(self) -> list[Transfer]:
        return messages.value(messages.TRANSFERS, await self._link.ask("transfers", {}))

    async def confirm(self) -> None:
        """Send the deletions of very many files that were held for safety; ``status`` tells of them."""
        await self._link.ask("confirm", {})

    async def restore(self) -> None:
        """Bring the files of held deletions back."""
        await self._link.ask("restore", {})

    def events(self) -> AsyncIterator[Event]:
        stream = PulledStream(self._link, "events", messages.EVENTS, next(self._numbers))
        self._streams.add(stream)
        self._end_if_over(stream)
        return stream

    # -- its files ------------------------------------------------------------------------------------

    async def list(self, folder: str = "") -> list[Entry]:
        told = await self._ask("list", messages.OfFolder(folder=folder))
        return messages.value(messages.ENTRIES, told)

    async def entry(self, path: str) -> Entry | None:
        return messages.value(messages.ENTRY, await self._ask("entry", messages.OfPath(path=path)))

    def watch(self) -> AsyncIterator[TreeChange]:
        watch = PulledStream(self._link, "watch", messages.TREE_CHANGES, next(self._numbers))
        self._watches.add(watch)
        self._end_if_over(watch)
        return watch

    async def open(self, path: str, *, create: bool = False) -> Document:
        check_path(path)
        number = next(self._numbers)
        text = self._texts[number] = AttachedText(number, self._link, self._check, self._texts.pop)
        try:
            await self._ask("open", messages.OpenText(document=number, path=path, create=create))
            return text.document
        except BaseException:
            text.close()
            raise

    async def create(self, path: str, content: Content = "") -> None:
        await self._write(path, content, new=True)

    async def make_folder(self, path: str) -> None:
        await self._ask("make_folder", messages.OfPath(path=path))

    async def move(self, path: str, to: str) -> None:
        await self._ask("move", messages.Move(path=path, to=to))

    async def delete(self, path: str) -> None:
        await self._ask("delete", messages.OfPath(path=path))

    async def read(self, path: str) -> AsyncGenerator[bytes, None]:
        check_path(path)
        while True:
            content = messages.params(messages.Content, await self._ask("read", messages.OfPath(path=path)))
            if content.text is not None:
                for piece in pieces_of(content.text.encode()):
                    yield piece
                return
            try:
                fd = await asyncio.to_thread(self._open_file, path)
            except (FileNotFoundError, Blocked):
                continue  # it was there a moment ago: it may have moved, or somebody deleted it
            except OSError as error:
                raise FileError(f"{printable(path)} cannot be read: {error.strerror}") from error
            async with aclosing(file_pieces(fd, path)) as pieces:
                async for piece in pieces:
                    yield piece
            return

    def _open_file(self, path: str) -> int:
        """Following no link on the way. Raises OSError."""
        root_fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            above, name = split(path)
            with Tree(root_fd, REAL).folder(above) as fd:
                return REAL.open_file(name, fd)
        finally:
            os.close(root_fd)

    async def write(self, path: str, content: Content) -> None:
        await self._write(path, content, new=False)

    async def _write(self, path: str, content: Content, *, new: bool) -> None:
        entry = await self.entry(path)
        with staging(self._folder / STATE_FOLDER / "staging") as staged:
            is_text = entry is not None and entry.kind == "text"
            gathered = await gather(content, staged.create, known_text=is_text)
            if isinstance(gathered, str):
                await self._ask("write", messages.Write(path=path, new=new, text=gathered))
                return
            os.close(gathered)
            await self._ask("write", messages.Write(path=path, new=new, staged=staged.give()))

    # -- for the link -----------------------------------------------------------------------------------

    @property
    def _over(self) -> Exception | None:
        return self._end

    @property
    def _shown(self) -> str:
        return printable(str(self._folder))

    async def _ask(self, method: str, params: BaseModel) -> Any:
        return await self._link.ask(method, params.model_dump())

    def _told(self, method: str, params: object) -> None:
        """Raises PeerError for what cannot be."""
        model = messages.OF_A_TEXT.get(method)
        if model is None:
            return  # a newer replica may say more
        told = messages.params(model, params)
        if (text := self._texts.get(told.document)) is not None:
            text.take(told)

    def _ended(self, error: CrdtsyncError) -> None:
        """The link is no more, or the room is."""
        if self._end is not None:
            return
        self._end = error
        for text in list(self._texts.values()):
            text.ended(error)
        self._texts.clear()
        self._end_streams(None if isinstance(error, Closed) else error)
        self._ended_event.set()
