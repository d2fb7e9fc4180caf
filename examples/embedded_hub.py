"""A hub inside one's own program, with a file that the program itself keeps: how many have joined its room.

python examples/embedded_hub.py notes

Prints the address to join; everyone who does finds ``welcome.md`` in the folder.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import crdtsync


async def welcome(room: crdtsync.Room) -> None:
    """Keep the file as long as the room is open."""
    async with await room.open("welcome.md", create=True) as document:
        events = room.events()
        while True:
            names = sorted({peer.name for peer in await room.people()})
            here = "\n".join(f"- {name}" for name in names) or "nobody yet"
            document.set_text(f"# Welcome\n\nHere are:\n\n{here}\n")
            async for event in events:
                if event.kind == "people":
                    break


async def main(name: str, ready: Callable[[str], None] = print) -> None:
    async with crdtsync.Hub() as hub, crdtsync.connect(hub.url, name, name="The hub") as room:
        ready(f"crdtsync join {name} FOLDER --hub {hub.url}")
        await welcome(room)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1]))
    except KeyboardInterrupt:
        pass
    except crdtsync.CrdtsyncError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
