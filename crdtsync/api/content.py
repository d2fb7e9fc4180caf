"""Contents as a program gives them: gathered, and told apart as texts and binary files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable

from crdtsync.api.room import Content
from crdtsync.core.text.classify import classify
from crdtsync.core.values import limits
from crdtsync.errors import StoreError


async def gather(content: Content, scratch: Callable[[], int], *, known_text: bool) -> str | int:
    """The content as a text, if it is one, or else as an open file, which the caller closes.

    ``scratch`` opens a file to write into. Raises StoreError, and what the content itself raises.
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


async def _pieces(content: Content) -> AsyncIterator[bytes]:
    if isinstance(content, str):
        yield content.encode("utf-8", "replace")
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
