"""The replica's websocket for blobs: as the library's, but large messages are read with fewer copies."""

from __future__ import annotations

import asyncio
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from crdtsync.adapters.large_frames import BETWEEN_BYTES, LargeFrames


class BlobSocket(ClientConnection, asyncio.BufferedProtocol):
    """Made by ``connect(create_connection=...)``."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._buffer = memoryview(bytearray(BETWEEN_BYTES))
        self._large: LargeFrames | None = None

    def read_large_frames(self, max_bytes: int) -> None:
        """From here on; to be called after the handshake."""
        if not self.protocol.reader.buffer:
            self._large = LargeFrames(
                max_bytes, masked=False, deliver=self._take_large, others=super().data_received
            )

    def get_buffer(self, sizehint: int) -> memoryview:
        room = None if self._large is None else self._large.room
        return self._buffer if room is None else room

    def buffer_updated(self, nbytes: int) -> None:
        if self._large is None:
            self.data_received(bytes(self._buffer[:nbytes]))
        elif self._large.room is not None:
            self._large.filled(nbytes)
        else:
            self._large.take(self._buffer[:nbytes])

    def _take_large(self, message: bytes) -> None:
        if self.protocol.state is State.OPEN:
            self.process_event(Frame(Opcode.BINARY, message))
