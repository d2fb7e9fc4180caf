"""The editors of one running replica: a unix socket in the state folder, one JSON object a line.

Carries lines to a session of the editor protocol and back; decides nothing but when an editor is too slow.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Final

from crdtsync.adapters.local_socket import LocalSocket, lines_of
from crdtsync.adapters.woken import let_run
from crdtsync.core.values import limits
from crdtsync.runtime.replica import Replica

SOCKET_NAME: Final = "editors"
BEHIND_S: Final = 0.05

_log = logging.getLogger("crdtsync.editors")


class EditorSocket:
    """Serves editors on ``.crdtsync/editors`` from ``start`` to ``close``."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        folder = replica.folder.state_folder
        self._root = os.path.realpath(folder.parent)
        self._socket = LocalSocket(folder, SOCKET_NAME, limits.EDITOR_LINE_MAX_BYTES, self._serve)

    async def start(self) -> None:
        """Raises FolderError. The caller holds the folder's lock."""
        await self._socket.start()

    async def close(self) -> None:
        await self._socket.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Most joins never see an editor.
        from crdtsync.core.editor import answers
        from crdtsync.core.editor.session import EditorSession

        replica = self._replica
        writer.transport.set_write_buffer_limits(high=limits.EDITOR_QUEUE_MAX_BYTES)

        def send(line: str) -> None:
            if writer.transport.is_closing():
                return
            writer.write(line.encode("utf-8", "replace") + b"\n")
            if writer.transport.get_write_buffer_size() > limits.EDITOR_QUEUE_MAX_BYTES:
                drop("it does not read what it is told")
            let_run(len(line))

        def drop(reason: str) -> None:
            _log.warning("an editor is dropped: %s", reason)
            writer.transport.abort()
            reader.feed_eof()

        if len(self._socket.connections) > limits.EDITOR_CONNECTIONS_MAX:
            send(answers.error(None, answers.REFUSED, "too many editors are connected; close one"))
            return
        session = EditorSession(
            self._root,
            os.path.realpath,
            replica.attach,
            replica.detach,
            replica.say,
            send,
            drop,
            replica.taken,
        )
        try:
            async for line in lines_of(reader):
                if line is None:
                    limit = limits.EDITOR_LINE_MAX_BYTES
                    send(answers.error(None, answers.NO_REQUEST, f"a message is above {limit} bytes"))
                elif line.strip():
                    session.receive(line)
                if replica.behind:
                    await asyncio.sleep(BEHIND_S)  # and what it writes meanwhile waits in its own pipe
        finally:
            session.end()
