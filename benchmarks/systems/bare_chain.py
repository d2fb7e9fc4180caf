"""The floor of editors at joined folders: bytes through the same processes, which do nothing with them.

``python -m benchmarks.systems.bare_chain hub PORT_FILE`` passes what one connection says to the others;
``... replica PORT SOCKET`` passes what comes at a unix socket to a hub, and back.
"""

import asyncio
import sys
from pathlib import Path


class _Company:
    """Connections, each of which hears what the others say; what one says alone waits for the next."""

    def __init__(self) -> None:
        self.pipes: set[_Pipe] = set()
        self.waiting = b""

    def pipe(self) -> "_Pipe":
        return _Pipe(self)


class _Pipe(asyncio.Protocol):
    def __init__(self, company: _Company) -> None:
        self._company = company
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._company.pipes.add(self)
        if len(self._company.pipes) == 2:
            transport.write(self._company.waiting)

    def data_received(self, data: bytes) -> None:
        others = self._company.pipes - {self}
        for other in others:
            other.transport.write(data)
        if not others:
            self._company.waiting += data

    def connection_lost(self, error: Exception | None) -> None:
        self._company.pipes.discard(self)


async def _hub(port_file: Path) -> None:
    server = await asyncio.get_running_loop().create_server(_Company().pipe, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.to_thread(port_file.write_text, str(port))
    await server.serve_forever()


async def _replica(port: int, socket: str) -> None:
    loop = asyncio.get_running_loop()
    company = _Company()
    await loop.create_connection(company.pipe, "127.0.0.1", port)
    server = await loop.create_unix_server(company.pipe, socket)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "hub":
        asyncio.run(_hub(Path(sys.argv[2])))
    else:
        asyncio.run(_replica(int(sys.argv[2]), sys.argv[3]))
