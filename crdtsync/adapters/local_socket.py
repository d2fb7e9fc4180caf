"""A unix socket in a private folder that other programs of the same user connect to.

Knows how it is made, found anew and removed; what is said on it is its server's matter.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from crdtsync.adapters.control_client import socket_address
from crdtsync.core.values.ids import printable
from crdtsync.errors import FolderError

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class LocalSocket:
    """Listens on ``folder/name`` from ``start`` to ``close``; ``serve`` runs once for each connection."""

    def __init__(self, folder: Path, name: str, limit_bytes: int, serve: Serve) -> None:
        self._folder = folder
        self._name = name
        self._limit_bytes = limit_bytes
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._identity: tuple[int, int] | None = None
        self.connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, in place of a socket that a killed process left. Raises FolderError.

        The caller holds the folder's lock: a socket that is there already belongs to nobody.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            (self._folder / self._name).unlink(missing_ok=True)
            with socket_address(self._folder, self._name) as address:
                listener.bind(address)
                os.chmod(address, 0o600)
                self._identity = _identity(address)
            listener.setblocking(False)
            self._server = await asyncio.start_unix_server(
                self._connected, sock=listener, limit=self._limit_bytes
            )
        except OSError as problem:
            listener.close()
            shown = printable(str(self._folder / self._name))
            raise FolderError(f"The socket {shown} cannot be made: {problem.strerror}") from problem

    async def close(self) -> None:
        """Stop listening, end the connections and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self.connections:
            task.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)
        with suppress(OSError):
            path = self._folder / self._name
            if _identity(path) == self._identity:
                path.unlink()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._served(reader, writer))
        self.connections.add(task)
        task.add_done_callback(self.connections.discard)

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except ConnectionError:
            pass  # whoever asked has left; there is nobody to tell
        except asyncio.CancelledError:
            writer.transport.abort()  # whoever asked may never read what is still to be sent
            raise
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def lines_of(reader: asyncio.StreamReader) -> AsyncIterator[bytes | None]:
    """Line by line until the end; None for one that is too long."""
    too_long = False
    while True:
        try:
            line = await reader.readuntil()
        except asyncio.LimitOverrunError as overrun:
            await reader.readexactly(overrun.consumed)
            too_long = True
            continue
        except asyncio.IncompleteReadError:
            return
        yield None if too_long else line
        too_long = False


def _identity(path: str | Path) -> tuple[int, int]:
    """Device and inode of the socket; another process may have put its own there since."""
    status = os.lstat(path)
    if not stat.S_ISSOCK(status.st_mode):
        raise FileNotFoundError(path)
    return status.st_dev, status.st_ino
