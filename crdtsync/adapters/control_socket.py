"""The control socket of a running replica or hub: one JSON object per line asks, one per line answers.

``{"id": 1, "method": "status", "params": {}}`` is answered by ``{"id": 1, "result": ...}`` or by
``{"id": 1, "error": {"message": ..., "code": ...}}``, where ``code`` names the error's class. What the
methods do is up to their handlers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from crdtsync.adapters.control_client import SOCKET_NAME, socket_address
from crdtsync.core.values.ids import printable
from crdtsync.errors import CrdtsyncError, FolderError, PeerError

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]

REQUEST_MAX_BYTES: Final = 64 << 10
CONNECTIONS_MAX: Final = 64

_log = logging.getLogger("crdtsync.control")


class ControlServer:
    """Answers requests on ``state_folder/socket`` from ``start`` to ``close``.

    The requests of one connection are answered one after the other, those of several at the same time.
    """

    def __init__(self, state_folder: Path, handlers: Mapping[str, Handler]) -> None:
        self._folder = state_folder
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._identity: tuple[int, int] | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, in place of a socket that a killed process left. Raises FolderError.

        The caller holds the folder's lock: a socket that is there already belongs to nobody.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            (self._folder / SOCKET_NAME).unlink(missing_ok=True)
            with socket_address(self._folder) as address:
                listener.bind(address)
                os.chmod(address, 0o600)
                self._identity = _identity(address)
            listener.setblocking(False)
            self._server = await asyncio.start_unix_server(
                self._connected, sock=listener, limit=REQUEST_MAX_BYTES
            )
        except OSError as problem:
            listener.close()
            shown = printable(str(self._folder / SOCKET_NAME))
            raise FolderError(f"The control socket {shown} cannot be made: {problem.strerror}") from problem

    async def close(self) -> None:
        """Stop listening, end the connections and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        with suppress(OSError):
            path = self._folder / SOCKET_NAME
            if _identity(path) == self._identity:
                path.unlink()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(self._connections) > CONNECTIONS_MAX:
                await _send(writer, _failure(None, PeerError("too many connections; close one")))
                return
            async for line in _lines(reader):
                await _send(writer, await self._answer(line))
        except ConnectionError:
            pass  # whoever asked has left; there is nobody to tell
        except asyncio.CancelledError:
            writer.transport.abort()  # whoever asked may never read what is still to be sent
            raise
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, line: bytes | None) -> dict[str, Any]:
        if line is None:
            return _failure(None, PeerError(f"a request is longer than {REQUEST_MAX_BYTES} bytes"))
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _failure(None, PeerError("a request is not JSON"))
        if not isinstance(request, dict):
            return _failure(None, PeerError("a request is not a JSON object"))
        number, method, params = request.get("id"), request.get("method"), request.get("params", {})
        handler = self._handlers.get(method) if isinstance(method, str) else None
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            return _failure(
                number, PeerError(f"there is no method {printable(str(method))!r}, only: {known}")
            )
        if not isinstance(params, dict):
            return _failure(number, PeerError("params is not a JSON object"))
        try:
            return {"id": number, "result": await handler(params)}
        except CrdtsyncError as error:
            return _failure(number, error)
        except Exception:
            # One method's bug must not take the others away from a person who wants to know what is wrong.
            _log.exception("the control method %s failed", method)
            return _failure(number, CrdtsyncError(f"{method} failed inside; the log tells more"))


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes | None]:
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


async def _send(writer: asyncio.StreamWriter, answer: Mapping[str, Any]) -> None:
    writer.write(json.dumps(answer).encode("ascii") + b"\n")
    await writer.drain()


def _failure(number: object, error: CrdtsyncError) -> dict[str, Any]:
    return {"id": number, "error": {"message": str(error), "code": type(error).__name__}}


def _identity(path: str | Path) -> tuple[int, int]:
    """Device and inode of the socket; another process may have put its own there since."""
    status = os.lstat(path)
    if not stat.S_ISSOCK(status.st_mode):
        raise FileNotFoundError(path)
    return status.st_dev, status.st_ino
