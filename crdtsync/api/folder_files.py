"""Whole files of a joined folder, as a program reads and writes them, once the disk has followed the room."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias

from crdtsync.adapters.filesystem import Blocked, fingerprint_of
from crdtsync.api.content import file_pieces, gather, pieces_of, staging
from crdtsync.api.document import Document
from crdtsync.api.folder_view import FolderView
from crdtsync.api.room import Content
from crdtsync.core.replica.obstacles import kept_off
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import printable
from crdtsync.core.values.paths import check_path
from crdtsync.errors import ContentMissing, FileError, InvalidName, NameTaken, NoSuchFile, NotText, ReadOnly
from crdtsync.runtime.replica import Replica

OpenText: TypeAlias = Callable[[str, bool, str | None], Awaitable[Document]]
"""Opens the text at a path; makes it, with that content, if it may."""


class FolderFiles:
    """Texts go through their documents, all else over the disk."""

    def __init__(self, replica: Replica, view: FolderView, open_text: OpenText) -> None:
        self._replica = replica
        self._view = view
        self._open = open_text

    async def check_free(self, path: str) -> None:
        """Raises NameTaken, InvalidName, and what ended the room."""
        check_path(path)
        state = await self._view.ready(path)
        placed, seen = self._view.at(path), state.disk.get(path)
        if placed is not None or seen is not None or state.view.holds_below(path):
            raise NameTaken(f"{printable(path)} is there already")

    async def read(self, path: str) -> AsyncGenerator[bytes, None]:
        """In pieces, a text as UTF-8. Raises as ``open_file`` does, and InvalidName."""
        check_path(path)
        await self._view.ready()
        fd = await self.open_file(path)
        if fd is None:
            async with await self._open(path, False, None) as document:
                data = document.text.encode()
            for piece in pieces_of(data):
                yield piece
            return
        async with aclosing(file_pieces(fd, path)) as pieces:
            async for piece in pieces:
                yield piece

    async def open_file(self, path: str) -> int | None:
        """The file as it stands on disk; one that the room has and the disk not yet is waited for.

        None where the room has a text. Raises NoSuchFile, NotText, ContentMissing, and FileError with the
        reason if the disk does not take it.
        """
        while True:
            placed = self._view.at(path)
            if placed is not None and placed.kind is Kind.TEXT:
                return None
            if placed is not None and placed.kind is not Kind.BLOB:
                raise NotText(f"{printable(path)} is a link or a folder: it has no content")
            if placed is not None and self._view.state.ignored(path):
                raise FileError(kept_off(self._view.state, path))  # what stands here is one's own
            before = self._view.state.agreed_at(path)
            try:
                fd = await asyncio.to_thread(self._replica.folder.open_file, path)
            except (FileNotFoundError, Blocked):
                pass
            except OSError as error:
                raise FileError(f"{printable(path)} cannot be read: {error.strerror}") from error
            else:
                followed = self._view.state.agreed_at(path) is not before
                if not followed and not self._is_to_go(path, fd):
                    return fd
                os.close(fd)
                if followed:
                    continue  # it may be the file from before that
            await self._awaited(path)

    async def _awaited(self, path: str) -> None:
        """Wait for what the room has at the path to come nearer to the disk; raises why it does not."""
        placed = self._view.at(path)
        if placed is None:
            raise NoSuchFile(f"There is no {printable(path)} in the room")
        if (reason := kept_off(self._view.state, path)) is not None:
            lacking = placed.version is not None and placed.version.digest in self._view.state.missing
            raise (ContentMissing if lacking else FileError)(reason)
        await self._view.something_changed()

    def _is_to_go(self, path: str, fd: int) -> bool:
        """Whether it is still what the room had there before: the disk has yet to follow."""
        agreed, view, status = self._view.state.agreed_at(path), self._view.state.view, os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            return not view.holds_below(path)
        if not stat.S_ISREG(status.st_mode):
            return True
        if agreed is None or agreed.entry == view.at(path) or path in self._view.state.attention:
            return False
        return agreed.fingerprint is not None and agreed.fingerprint.same_file(fingerprint_of(status))

    async def write(self, path: str, content: Content) -> None:
        """As ``Room.write``.

        Raises InvalidName, ReadOnly, FileError, OSError of the disk, and what ended the room.
        """
        check_path(path)
        state = await self._view.ready(path)
        self._check_writable(path)
        placed = self._view.at(path)
        is_text = placed is not None and placed.kind is Kind.TEXT
        with staging(self._replica.folder.staging) as staged:
            gathered = await gather(content, staged.create, known_text=is_text)
            if isinstance(gathered, str) and (is_text or (placed is None and state.disk.get(path) is None)):
                async with await self._open(path, True, gathered) as document:
                    document.set_text(gathered)
                return
            if isinstance(gathered, str):
                gathered = await staged.holding(gathered)
            os.close(gathered)
            await self.put(staged.give(), path)

    async def put(self, staged: str, path: str) -> None:
        """Give a file of that name in staging its place; it is not in staging any more afterwards."""
        try:
            check_path(path)
            await self._view.ready(path)
            self._check_writable(path)
            placed = self._view.at(path)
            if placed is not None and placed.kind is Kind.TEXT:
                await self._written(path)
        except BaseException:
            self._replica.folder.unstage(staged)
            raise
        await asyncio.to_thread(self._replica.folder.put_file, staged, path)
        self._replica.look_again([path])
        await self._taken_in(path)

    def _check_writable(self, path: str) -> None:
        if self._view.state.session.read_only:
            raise ReadOnly("This folder may only read the room: nothing of it is sent")
        if self._view.state.ignored(path):
            raise InvalidName(f"{printable(path)} is ignored in this folder: it is never shared")

    async def _written(self, path: str) -> None:
        """Return once the disk has the text that the room has: what replaces it has seen it then."""
        while (placed := self._view.at(path)) is not None:
            agreed = self._view.state.synced.get(placed.entry)
            if agreed is not None and agreed.digest == self._view.state.room_digest(placed.entry):
                return
            if kept_off(self._view.state, path) is not None:
                return  # it cannot be written: what is said of that is said by the disk
            await self._view.something_changed()

    async def _taken_in(self, path: str) -> None:
        """Return once the room has what stands on disk now; without a hub it gets it later."""
        flushed = asyncio.ensure_future(self._replica.flush())
        try:
            while not flushed.done() and self._view.state.session.live:
                await self._view.something_changed(flushed)
        finally:
            flushed.cancel()
            await asyncio.gather(flushed, return_exceptions=True)
        self._view.check()
