"""pycrdt-websocket's server on the websockets library, as its documentation shows; in its own venv."""

# mypy: ignore-errors
import asyncio
import os

from pycrdt.websocket import WebsocketServer
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


class Channel:
    """A websocket as that server wants it."""

    def __init__(self, websocket):
        self._websocket = websocket
        self.path = websocket.request.path

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    async def send(self, message):
        await self._websocket.send(message)

    async def recv(self):
        return bytes(await self._websocket.recv())


async def main():
    async with WebsocketServer() as server:

        async def handle(websocket):
            await server.serve(Channel(websocket))

        async with serve(
            handle, os.environ["HOST"], int(os.environ["PORT"]), compression=None, max_size=2**26
        ):
            await asyncio.get_running_loop().create_future()


asyncio.run(main())
