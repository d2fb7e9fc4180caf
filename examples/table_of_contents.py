"""Keeps a table of contents up to date in a shared Markdown file, while others write in it.

python examples/table_of_contents.py ws://127.0.0.1:4747 notes handbook.md

The table stands between the lines ``<!-- contents -->`` and ``<!-- /contents -->``; put them where you want
it. Only what has changed of it is edited, so that nobody's typing is disturbed.
"""

from __future__ import annotations

import asyncio
import re
import sys

import crdtsync

BEGIN, END = "<!-- contents -->\n", "<!-- /contents -->"


def with_contents(text: str) -> str:
    """The text with a table of its headings; the same text if it has no place for one."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        return text
    table = []
    for marks, title in re.findall(r"^(#{2,6}) +(.+?)\s*$", before + after, re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        table.append(f"{'  ' * (len(marks) - 2)}- [{title}](#{anchor})\n")
    return before + begin + "".join(table) + end + after


async def keep_contents(room: crdtsync.Room, path: str) -> None:
    """Never returns by itself; cancel it."""
    async with await room.open(path, create=True) as document:
        changes = document.changes()
        document.set_text(with_contents(document.text))
        async for change in changes:
            if not change.own:
                document.set_text(with_contents(document.text))


async def main(hub: str, name: str, path: str) -> None:
    async with crdtsync.connect(hub, name, name="Contents") as room:
        await keep_contents(room, path)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:4]))
    except KeyboardInterrupt:
        pass
    except crdtsync.CrdtsyncError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
