"""The control socket of a running replica or hub: one JSON object per line asks, one per line answers.

``{"id": 1, "method": "status", "params": {}}`` is answered by ``{"id": 1, "result": ...}`` or by
``{"id": 1, "error": {"message": ..., "code": ...}}``, where ``code`` names the error's class. What the
methods do is up to their handlers.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from crdtsync.adapters.control_client import SOCKET_NAME
from crdtsync.adapters.local_socket import LocalSocket, lines_of
from crdtsync.core.values.ids import printable
from crdtsync.errors import CrdtsyncError, PeerError

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]

REQUEST_MAX_BYTES: Final = 64 << 10
CONNECTIONS_MAX: Final = 64

_log = logging.getLogger("crdtsync.control")


class ControlServer:
    """Answers requests on ``state_folder/socket`` from ``start`` to ``close``.

    The requests of one connection are answered one after the other, those of several at the same time.
    """

    def __init__(self, state_folder: Path, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._socket = LocalSocket(state_folder, SOCKET_NAME, REQUEST_MAX_BYTES, self._serve)

    async def start(self) -> None:
        """Listen. Raises FolderError. The caller holds the folder's lock."""
        await self._socket.start()

    async def close(self) -> None:
        """Stop listening, end the connections and remove the socket."""
        await self._socket.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._socket.connections) > CONNECTIONS_MAX:
            await _send(writer, _failure(None, PeerError("too many connections; close one")))
            return
        async for line in lines_of(reader):
            await _send(writer, await self._answer(line))

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


async def _send(writer: asyncio.StreamWriter, answer: Mapping[str, Any]) -> None:
    writer.write(json.dumps(answer).encode("ascii") + b"\n")
    await writer.drain()


def _failure(number: object, error: CrdtsyncError) -> dict[str, Any]:
    return {"id": number, "error": {"message": str(error), "code": type(error).__name__}}
