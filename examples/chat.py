"""A chat of any number of terminals on one shared document: each line that you type is added at its end.

python examples/chat.py ws://127.0.0.1:4747 notes chat.txt --as Ann

The document is a file like any other: it is the log, and whoever has joined the room finds it on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable

import crdtsync


async def chat(
    room: crdtsync.Room,
    path: str,
    name: str,
    typed: AsyncIterator[str],
    show: Callable[[str], None],
) -> None:
    """Return when nothing more is typed and all of it is on the hub."""
    async with await room.open(path, create=True) as document, asyncio.TaskGroup() as tasks:
        changes = document.changes()
        show(document.text)

        async def listen() -> None:
            async for change in changes:
                if not change.own:
                    show("".join(edit.text for edit in change.edits))

        listening = tasks.create_task(listen())
        async for line in typed:
            document.append(f"{name}: {line.rstrip()}\n")
        await room.settled()
        listening.cancel()


async def typed_lines() -> AsyncIterator[str]:
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line


async def main() -> None:
    parser = argparse.ArgumentParser(description="Chat in a file of a room.")
    parser.add_argument("hub", help="the hub's address, or an invite")
    parser.add_argument("room")
    parser.add_argument("path")
    parser.add_argument("--as", dest="name", default="someone")
    options = parser.parse_args()
    async with crdtsync.connect(options.hub, options.room, name=options.name) as room:
        await chat(
            room, options.path, options.name, typed_lines(), lambda text: print(text, end="", flush=True)
        )


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
    except crdtsync.CrdtsyncError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
