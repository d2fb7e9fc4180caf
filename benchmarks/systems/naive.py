"""The naive pipeline that the product is measured against: everything it does, without any safety.

Save → watch → diff → CRDT → websocket → CRDT → write a temporary file and rename it over the target. One
file, no store, no acknowledgements, no settling, no inspection. Run as a module, with a role.
"""

from __future__ import annotations

# ruff: noqa: ASYNC240 - blocking the loop is a part of being naive
import asyncio
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from diff_match_patch import diff_match_patch
from pycrdt import Doc, Text
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

NAME = "bench.txt"
MOST_BYTES = 64 << 20


async def relay(port_file: str) -> None:
    """Hand every frame to everyone else."""
    members: set[ServerConnection] = set()

    async def handle(websocket: ServerConnection) -> None:
        members.add(websocket)
        try:
            async for frame in websocket:
                broadcast(members - {websocket}, frame)
        finally:
            members.discard(websocket)

    async with serve(handle, "127.0.0.1", 0, compression=None, max_size=MOST_BYTES) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        Path(port_file + ".tmp").write_text(str(port))
        os.replace(port_file + ".tmp", port_file)
        await asyncio.get_running_loop().create_future()


async def replica(url: str, folder: str) -> None:
    """Keep one file of a folder the same as everyone else's."""
    path = os.path.join(folder, NAME)
    loop = asyncio.get_running_loop()
    saved = asyncio.Event()
    document: Doc[Text] = Doc()
    text = document.get("content", type=Text)
    differ = diff_match_patch()
    written = ""

    class Handler(FileSystemEventHandler):
        def on_closed(self, event: FileSystemEvent) -> None:
            self._saved(event.src_path)

        def on_moved(self, event: FileSystemEvent) -> None:
            self._saved(event.dest_path)

        def _saved(self, changed: bytes | str) -> None:
            if os.path.basename(os.fsdecode(changed)) == NAME:
                loop.call_soon_threadsafe(saved.set)

    observer = Observer()
    observer.schedule(Handler(), folder)
    observer.start()
    async with connect(url, compression=None, max_size=MOST_BYTES) as websocket:

        async def upload() -> None:
            nonlocal written
            while True:
                await saved.wait()
                saved.clear()
                now = Path(path).read_bytes().decode()
                if now == written:
                    continue
                before = document.get_state()
                position = 0
                with document.transaction():
                    for kind, part in differ.diff_main(str(text), now):
                        size = len(part.encode())
                        if kind == 0:
                            position += size
                        elif kind == 1:
                            text.insert(position, part)
                            position += size
                        else:
                            del text[position : position + size]
                written = now
                await websocket.send(document.get_update(before))

        uploading = asyncio.create_task(upload())
        print("ready", flush=True)
        with suppress(ConnectionClosed):  # the relay ends first
            async for frame in websocket:
                assert isinstance(frame, bytes)
                document.apply_update(frame)
                written = str(text)
                temporary = os.path.join(folder, ".bench.tmp")
                Path(temporary).write_bytes(written.encode())
                os.replace(temporary, path)
        uploading.cancel()
    observer.stop()


if __name__ == "__main__":
    threading.current_thread().name = "naive"
    role, *rest = sys.argv[1:]
    asyncio.run(relay(rest[0]) if role == "relay" else replica(rest[0], rest[1]))
