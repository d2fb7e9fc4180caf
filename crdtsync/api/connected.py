"""A room without a folder, as a program uses it: ``crdtsync.connect``."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from crdtsync.adapters.login import own_name
from crdtsync.api.address import Address, address_of
from crdtsync.api.content import gather, pieces_of
from crdtsync.api.document import Document
from crdtsync.api.entries import entries_below, entry_of
from crdtsync.api.room import Content, Room
from crdtsync.api.values import Entry, Event, Origin, TextEdit, TreeChange
from crdtsync.api.watching import Watch
from crdtsync.core.replica.cursors import Ranges
from crdtsync.core.replica.status import Conflict, Status
from crdtsync.core.room.effects import CursorsMoved, EntriesChanged, TextChanged
from crdtsync.core.values.digests import Digest, encode_text
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId, printable
from crdtsync.errors import Closed, CrdtsyncError, HubUnreachable, NameTaken, NoSuchFile, NotText
from crdtsync.runtime.blob_job import Transfer
from crdtsync.runtime.room import ConnectOptions, RoomRunner
from crdtsync.runtime.room_blobs import RoomBlobs

LEAVE_TIMEOUT_S: Final = 10.0
"""How long a clean end waits for the hub to take what was done last."""
LEAVE_HURRIED_S: Final = 1.0
"""The same when an error or a cancellation ends it."""


def connect(
    hub: str,
    room: str | None = None,
    *,
    token: str | None = None,
    name: str | None = None,
    ca: str | os.PathLike[str] | None = None,
    read_only: bool = False,
    timeout_s: float | None = 10.0,
) -> ConnectedRoom:
    """A room of a hub, without a folder: ``async with connect("ws://127.0.0.1:4747", "notes") as room``.

    The whole tree and all texts are kept in memory as long as the room is open, and nowhere else; binary
    files are brought when they are read. Entering returns once all of it is here. From then on a connection
    that is lost is made again by itself, and what is changed meanwhile goes out with the next one. Leaving
    waits up to 10 s for the hub to have it all, and raises HubUnreachable if it has not by then.

    ``hub``: the address, or an invite (``crdtsync+wss://...``), which names room and token, too. ``token``:
    where the hub asks for one. ``name``: what the others see; the login name if None. ``ca``: a PEM file of
    the authorities to trust for ``wss``, and no others. ``read_only``: change nothing. ``timeout_s``: how
    long entering may take, in seconds; None: for ever.

    Raises InvalidName for an unusable room or address; entering raises HubUnreachable,
    AccessDenied and ProtocolMismatch.
    """
    address = address_of(hub, room, token)
    return ConnectedRoom(address, own_name(name), None if ca is None else Path(ca), read_only, timeout_s)


class ConnectedRoom(Room):
    """See ``connect``."""

    def __init__(
        self, address: Address, name: str, ca: Path | None, read_only: bool, timeout_s: float | None
    ) -> None:
        super().__init__()
        options = ConnectOptions(address.room, address.hub, name, address.token, ca, read_only)
        self._runner = RoomRunner(options, self)
        self._engine = self._runner.engine
        self._blobs = RoomBlobs(self._runner, self._want)
        self._timeout_s = timeout_s
        self._ready = asyncio.Event()
        self._ended_event = asyncio.Event()
        self._documents: dict[int, tuple[EntryId, Document]] = {}
        self._holders = itertools.count(1)

    async def __aenter__(self) -> Self:
        self._runner.start()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._ready.wait()
            self._runner.check()
        except TimeoutError:
            why = self._runner.unreachable
            await self._runner.close()
            raise HubUnreachable(
                f"The room {self.name} is not here after {self._timeout_s:g} s: "
                f"{why or f'the hub at {self.hub} is busy'}"
            ) from None
        except BaseException:
            await self._runner.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        over = self._over
        try:
            await self._leave(hurried=error is not None)
        finally:
            await self._runner.close()
            await self._blobs.close()
        if error is None and over is not None:
            raise type(over)(str(over))

    async def _leave(self, *, hurried: bool) -> None:
        """What was done last reaches the hub before the end."""
        unsent = self._engine.status.pending.send
        if self._over is not None or not unsent:
            return
        try:
            async with asyncio.timeout(LEAVE_HURRIED_S if hurried else LEAVE_TIMEOUT_S):
                await self._runner.settled()
        except (TimeoutError, CrdtsyncError) as problem:
            if not hurried:
                why = self._runner.unreachable or problem or "it did not answer in time"
                raise HubUnreachable(
                    f"The room {self.name} was closed before the hub had the changes of {unsent} files: {why}"
                ) from None

    # -- the room -------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._runner.options.room

    @property
    def hub(self) -> str:
        return self._runner.hub

    async def status(self) -> Status:
        self._check()
        return self._engine.status

    async def settled(self) -> None:
        await self._runner.settled()

    async def closed(self) -> None:
        await self._ended_event.wait()
        with suppress(Closed):
            self._check()

    async def conflicts(self) -> list[Conflict]:
        self._check()
        return self._engine.conflicts

    async def transfers(self) -> list[Transfer]:
        return self._blobs.progress()

    # -- its files ------------------------------------------------------------------------------------

    async def list(self, folder: str = "") -> list[Entry]:
        self._check()
        files = self._engine.files
        return entries_below(folder, files, files.holds_below)

    async def entry(self, path: str) -> Entry | None:
        self._check()
        files = self._engine.files
        return entry_of(files.at(path), files.holds_below)

    def watch(self) -> AsyncIterator[TreeChange]:
        watch = Watch(self._engine.files, self._engine.get)
        self._watches.add(watch)
        self._end_if_over(watch)
        return watch

    async def open(self, path: str, *, create: bool = False) -> Document:
        files = self._engine.files
        self._check()
        if create and files.at(path) is None:
            self._runner.act(lambda: files.make_text(path, ""))
        entry = files.text_at(path)
        text = self._runner.act(lambda: self._engine.open(entry))
        holder = next(self._holders)
        document = Document(_Port(self, entry, holder), path, text)
        self._documents[holder] = entry, document
        for moved in self._engine.cursors(entry):
            document._cursors_moved(moved.person, moved.name, moved.ranges)
        return document

    async def create(self, path: str, content: Content = "") -> None:
        self._check()
        if self._engine.files.at(path) is not None or self._engine.files.is_folder(path):
            raise NameTaken(f"{printable(path)} is there already")
        await self.write(path, content)

    async def make_folder(self, path: str) -> None:
        self._runner.act(lambda: self._engine.files.make_folder(path))

    async def move(self, path: str, to: str) -> None:
        self._runner.act(lambda: self._engine.files.move(path, to))

    async def delete(self, path: str) -> None:
        self._runner.act(lambda: self._engine.files.delete(path))

    async def read(self, path: str) -> AsyncGenerator[bytes, None]:
        self._check()
        files = self._engine.files
        placed = files.at(path)
        if placed is None and files.holds_below(path):
            raise NotText(f"{printable(path)} is a folder: it has no content")
        if placed is None:
            raise NoSuchFile(f"There is no {printable(path)} in the room")
        if placed.kind is Kind.TEXT:
            data = encode_text(self._engine.files.text(placed.entry))
            for piece in pieces_of(data):
                yield piece
            return
        if placed.kind is not Kind.BLOB or placed.version is None:
            raise NotText(f"{printable(path)} is a link or a folder: it has no content")
        async with aclosing(self._blobs.read(placed.version)) as pieces:
            async for piece in pieces:
                yield piece

    async def write(self, path: str, content: Content) -> None:
        engine = self._engine
        self._check()
        engine.check_writable()
        placed = engine.files.at(path)
        known_text = placed is not None and placed.kind is Kind.TEXT
        gathered = await gather(content, self._blobs.scratch, known_text=known_text)
        if isinstance(gathered, str):
            text = gathered
            self._runner.act(lambda: engine.write_text(path, text))
            return
        try:
            stored = await self._blobs.store(gathered)
        finally:
            os.close(gathered)
        version = engine.files.version(stored.digest, stored.size_bytes, stored.index)
        self._runner.act(lambda: engine.files.put_blob(path, version))

    # -- for the runner -------------------------------------------------------------------------------

    @property
    def _over(self) -> Exception | None:
        return self._runner.end

    def text_changed(self, change: TextChanged) -> None:
        for holder, (entry, document) in list(self._documents.items()):
            if entry == change.entry and holder != change.holder:
                document._changed(change.edits, Origin("program" if change.ours else "room", change.by))

    def cursors_moved(self, moved: CursorsMoved) -> None:
        for holder, (entry, document) in list(self._documents.items()):
            if entry == moved.entry and holder != moved.holder:
                document._cursors_moved(moved.person, moved.name, moved.ranges)

    def entries_changed(self, change: EntriesChanged) -> None:
        for entry, document in self._documents.values():
            if entry in change.entries:
                placed = self._engine.get(entry)
                document._stands(None if placed is None else placed.path)
        for watch in list(self._watches):
            assert isinstance(watch, Watch)
            watch.touch(change.entries)

    def people_changed(self) -> None:
        self._tell(Event("people", "", "who is here, or what they edit, has changed"))

    def notice(self, kind: str, path: str, message: str) -> None:
        if kind == "connected":
            self._ready.set()
        self._tell(Event(kind, path, message))

    def ended(self, error: CrdtsyncError | None) -> None:
        self._ready.set()
        self._ended_event.set()
        for _, document in list(self._documents.values()):
            document._ended(error or Closed(f"The room {self.name} has been closed"))
        self._documents.clear()
        self._end_streams(error)

    def _want(self, digests: tuple[Digest, ...]) -> None:
        if self._over is None:
            self._runner.act(lambda: self._engine.want(digests))


class _Port:
    """One document's way to the engine."""

    def __init__(self, room: ConnectedRoom, entry: EntryId, holder: int) -> None:
        self._room = room
        self._entry = entry
        self._holder = holder

    def edit(self, edits: tuple[TextEdit, ...]) -> None:
        room = self._room
        room._runner.act(lambda: room._engine.edit(self._entry, edits, self._holder))

    def place(self, ranges: Ranges) -> None:
        self._room._runner.act(lambda: self._room._engine.place(self._entry, ranges, self._holder))

    def close(self) -> None:
        if self._room._documents.pop(self._holder, None) is not None and self._room._over is None:
            self._room._runner.act(lambda: self._room._engine.close(self._entry, self._holder))
