"""The floor of a hub: every message goes to the others of its room as it came. Nothing is stored."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ROOMS: dict[bytes, set[Member]] = {}


class Member(asyncio.Protocol):
    """One connection; frames are cut, unmasked, and written to the others' sockets at once."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._room: set[Member] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._room is not None:
            self._room.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._room is None and not self._enter():
            return
        frames = []
        while (frame := _take(self._buffer)) is not None:
            if frame[0] & 15 == 8:
                self.transport.abort()
                return
            frames.append(frame)
        if frames and self._room is not None:
            joined = b"".join(frames)
            for member in self._room:
                if member is not self:
                    member.transport.write(joined)

    def _enter(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        request, *headers = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        fields = {
            name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in headers)
        }
        key = base64.b64encode(hashlib.sha1(fields[b"sec-websocket-key"] + GUID).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + key + b"\r\n\r\n"
        )
        self._room = ROOMS.setdefault(request.split(b" ")[1], set())
        self._room.add(self)
        return True


def _take(buffer: bytearray) -> bytes | None:
    """One whole frame off the front of ``buffer``, unmasked, as a server sends it."""
    if len(buffer) < 6:
        return None
    size, start = buffer[1] & 127, 2
    if size == 126:
        size, start = int.from_bytes(buffer[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(buffer[2:10], "big"), 10
    end = start + 4 + size
    if len(buffer) < end:
        return None
    mask = bytes(buffer[start : start + 4])
    payload = bytes(buffer[start + 4 : end])
    if any(mask) and size:
        pattern = (mask * (size // 4 + 1))[:size]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(size, "big")
    head = bytes((buffer[0], buffer[1] & 127)) + bytes(buffer[2:start])
    del buffer[:end]
    return head + payload


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Member, os.environ["HOST"], int(os.environ["PORT"]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
