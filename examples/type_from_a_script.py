"""Adds a line to a file of a room through pycrdt's own Yjs provider, without a folder.

python examples/type_from_a_script.py ws://127.0.0.1:4747 notes/todo.md "milk"
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from urllib.parse import quote

from pycrdt import Channel, Doc, Provider, Text
from websockets.asyncio.client import ClientConnection, connect


class Socket(Channel):
    """pycrdt's channel over a websocket."""

    def __init__(self, websocket: ClientConnection, path: str) -> None:
        self._websocket = websocket
        self._path = path

    @property
    def path(self) -> str:
        return self._path

    async def send(self, message: bytes) -> None:
        await self._websocket.send(message)

    async def recv(self) -> bytes:
        message = await self._websocket.recv()
        assert isinstance(message, bytes)
        return message

    async def __anext__(self) -> bytes:
        return await self.recv()


async def add_line(hub: str, file: str, line: str) -> str:
    """Returns the file's text afterwards."""
    doc: Doc[Any] = Doc()
    content = doc.get("content", type=Text)
    async with (
        connect(f"{hub}/yjs/{quote(file)}", compression=None) as websocket,
        Provider(doc, Socket(websocket, file)) as provider,
    ):
        await provider.synced.wait()
        content += f"{line}\n"
        return str(content)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    print(asyncio.run(add_line(*sys.argv[1:4])), end="")
