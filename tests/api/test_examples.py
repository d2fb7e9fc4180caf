"""The programs in ``examples`` do what they say, run as their users would run them."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import crdtsync
from tests.waiting import DEADLINE_S, until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def started(name: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / f"{name}.py"),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    await asyncio.wait_for(process.wait(), DEADLINE_S)


async def test_the_bot_keeps_the_table_up_to_date_while_someone_writes() -> None:
    async with crdtsync.Hub() as hub, crdtsync.connect(hub.url, "notes") as room:
        document = await room.open("book.md", create=True)
        document.set_text("# Book\n<!-- contents -->\n<!-- /contents -->\n## One\n")
        await room.settled()
        bot = await started("table_of_contents", hub.url, "notes", "book.md")
        await until(lambda: "- [One](#one)\n<!-- /contents -->" in document.text)
        document.append("text\n### Größe & Maß\n")
        await until(lambda: "- [One](#one)\n  - [Größe & Maß](#größe--maß)\n" in document.text)
        document.set_text(document.text.replace("## One", "## Two"))
        await until(lambda: "contents -->\n- [Two](#two)\n  - [Größe" in document.text)
        assert document.text.endswith("<!-- /contents -->\n## Two\ntext\n### Größe & Maß\n")
        await ended(bot)


def test_a_text_without_a_place_for_it_is_left_alone() -> None:
    with_contents = example("table_of_contents").with_contents
    assert with_contents("## One\n") == "## One\n"
    assert with_contents("<!-- contents -->\n## One\n") == "<!-- contents -->\n## One\n"


async def test_two_scripts_chat_on_one_document() -> None:
    async with crdtsync.Hub() as hub, crdtsync.connect(hub.url, "notes") as room:
        document = await room.open("chat.txt", create=True)
        await room.settled()  # else Ann may make another file of that name at the same time
        ann = await started("chat", hub.url, "notes", "chat.txt", "--as", "Ann")
        assert ann.stdin is not None and ann.stdout is not None
        ann.stdin.write("hello 🎈\n".encode())
        await until(lambda: document.text == "Ann: hello 🎈\n")
        bob = await started("chat", hub.url, "notes", "chat.txt", "--as", "Bob")
        assert bob.stdin is not None and bob.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            assert await bob.stdout.readline() == "Ann: hello 🎈\n".encode()
            bob.stdin.write(b"hi Ann\n")
            assert await ann.stdout.readline() == b"Bob: hi Ann\n"
            for process in (ann, bob):
                assert process.stdin is not None
                process.stdin.close()
                assert await process.wait() == 0
        assert document.text == "Ann: hello 🎈\nBob: hi Ann\n"


async def test_nothing_typed_is_lost_when_a_chat_ends_at_once() -> None:
    async def typed() -> AsyncIterator[str]:
        for number in range(100):
            yield f"{number}\n"

    async with crdtsync.Hub() as hub, crdtsync.connect(hub.url, "notes") as room:
        async with crdtsync.connect(hub.url, "notes") as other:
            await example("chat").chat(other, "chat.txt", "Ann", typed(), lambda _: None)
        assert await room.read_text("chat.txt") == "".join(f"Ann: {number}\n" for number in range(100))


async def test_the_embedded_hub_tells_who_is_here() -> None:
    process = await started("embedded_hub", "notes")
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        line = (await process.stdout.readline()).decode()
    async with crdtsync.connect(line.split()[-1], "notes", name="Ann") as room:
        document = await room.open("welcome.md", create=True)
        await until(lambda: "- Ann\n" in document.text)
        async with crdtsync.connect(line.split()[-1], "notes", name="Bob"):
            await until(lambda: "- Ann\n- Bob\n" in document.text)
        await until(lambda: "Bob" not in document.text)
    await ended(process)


def test_two_members_are_driven_by_hand() -> None:
    assert set(example("by_hand").main().values()) == {"2 l of milk\nbread\n"}
