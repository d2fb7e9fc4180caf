"""Contents as a program gives them: gathered, and told apart as texts and binary files."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from crdtsync.adapters.private_folder import PrivateFolder
from crdtsync.adapters.system_calls import REAL
from crdtsync.api.room import Content
from crdtsync.core.text.classify import classify
from crdtsync.core.values import limits
from crdtsync.core.values.ids import printable
from crdtsync.errors import FileError, InvalidEdit, NotText, StoreError

PIECE_BYTES: Final = 256 << 10
"""What a reader is given at a time, at most."""


async def gather(content: Content, scratch: Callable[[], int], *, known_text: bool) -> str | int:
    """The content as a text, if it is one, or else as an open file, which the caller closes.

    ``scratch`` opens a file to write into. Raises InvalidEdit (a str that is no text), StoreError, and
    what the content itself raises.
    """
    limit = limits.TEXT_REMAINS_MAX_BYTES if known_text else limits.TEXT_BECOMES_MAX_BYTES
    held = bytearray()
    fd = -1
    try:
        async for piece in _pieces(content):
            held += piece
            if len(held) > limit:
                fd = scratch() if fd < 0 else fd
                await asyncio.to_thread(_write, fd, bytes(held))
                held.clear()
        if fd < 0:
            text = classify(bytes(held), known_text)
            if text is not None:
                return text
            fd = scratch()
        await asyncio.to_thread(_write, fd, bytes(held))
    except BaseException:
        if fd >= 0:
            os.close(fd)
        raise
    return fd


class Staged:
    """The name of a file to be in a staging folder, which is on the disk of the folder it is for."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"program-{secrets.token_hex(8)}"
        self.given = False

    def create(self) -> int:
        """Raises StoreError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        try:
            with closing(PrivateFolder.at(self.path.parent, REAL)) as place:
                return REAL.open(self.path.name, flags, place.fd, 0o666)
        except OSError as error:
            raise StoreError(f"{printable(str(self.path))} cannot be written: {error.strerror}") from error

    async def holding(self, text: str) -> int:
        """The file, made with that text in it. Raises StoreError."""
        fd = self.create()
        try:
            await asyncio.to_thread(_write, fd, text.encode())
        except BaseException:
            os.close(fd)
            raise
        return fd

    def give(self) -> str:
        """Its name: what becomes of it is the matter of whoever is given it."""
        self.given = True
        return self.path.name


@contextmanager
def staging(folder: Path) -> Iterator[Staged]:
    """A file that is gone afterwards, unless it was given away."""
    staged = Staged(folder)
    try:
        yield staged
    finally:
        if not staged.given:
            staged.path.unlink(missing_ok=True)


def pieces_of(data: bytes) -> Iterator[bytes]:
    """What a reader is given one by one."""
    for at in range(0, len(data), PIECE_BYTES):
        yield data[at : at + PIECE_BYTES]


async def file_pieces(fd: int, path: str) -> AsyncGenerator[bytes, None]:
    """All of an open file, which is closed afterwards. Raises NotText for a folder, and FileError."""
    try:
        offset = 0
        while piece := await asyncio.to_thread(os.pread, fd, PIECE_BYTES, offset):
            offset += len(piece)
            yield piece
    except IsADirectoryError:
        raise NotText(f"{printable(path)} is a folder: it has no content") from None
    except OSError as error:
        raise FileError(f"{printable(path)} cannot be read: {error.strerror}") from error
    finally:
        os.close(fd)


async def _pieces(content: Content) -> AsyncIterator[bytes]:
    if isinstance(content, str):
        try:
            yield content.encode()
        except UnicodeEncodeError:
            raise InvalidEdit(
                "The file was not written: it would hold half of a surrogate pair, which is no text"
            ) from None
    elif isinstance(content, bytes | bytearray | memoryview):
        yield bytes(content)
    elif isinstance(content, AsyncIterable):
        async for piece in content:
            yield piece
    else:
        for piece in content:
            yield piece


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        raise StoreError(f"A content cannot be kept on its way: {error.strerror}") from error
