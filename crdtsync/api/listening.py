"""Where commands, editors and programs of this machine reach a running replica; what they say is for others.

What serves a program is imported when the first one comes: most joins never see any.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from crdtsync.adapters.control_client import PROGRAMS_SOCKET
from crdtsync.adapters.control_socket import ControlServer
from crdtsync.adapters.local_socket import LocalSocket
from crdtsync.core.values import limits
from crdtsync.errors import PeerError
from crdtsync.runtime.control import Control
from crdtsync.runtime.editor_socket import EditorSocket
from crdtsync.runtime.replica import Replica

if TYPE_CHECKING:
    from crdtsync.api.served import Session


async def listen(replica: Replica, extras: AsyncExitStack) -> None:
    """Let commands, editors and programs of this machine use the folder. Raises FolderError.

    The folder is ours: called once the replica has opened it. What listens is closed by ``extras``.
    """
    control = ControlServer(replica.folder.state_folder, Control(replica).handlers)
    for server in (control, EditorSocket(replica), ProgramSocket(replica)):
        extras.push_async_callback(server.close)
        await server.start()


class ProgramSocket:
    """Serves programs on ``.crdtsync/programs`` from ``start`` to ``close``."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._sessions: set[Session] = set()
        self._socket = LocalSocket(
            replica.folder.state_folder, PROGRAMS_SOCKET, limits.PROGRAM_LINE_MAX_BYTES, self._serve
        )

    async def start(self) -> None:
        """Raises FolderError. The caller holds the folder's lock."""
        await self._socket.start()

    async def close(self) -> None:
        for session in self._sessions:
            session.farewell()
        await self._socket.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from crdtsync.api.served import Session

        writer.transport.set_write_buffer_limits(high=limits.PROGRAM_QUEUE_MAX_BYTES)
        session = Session(self._replica, reader, writer)
        if len(self._socket.connections) > limits.PROGRAM_CONNECTIONS_MAX:
            session.end_with(PeerError("too many programs use this folder; close one"))
            return
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
