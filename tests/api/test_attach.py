"""A folder that another program keeps joined: ``crdtsync.attach``."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import crdtsync
from crdtsync import TextEdit, blocking, errors
from crdtsync.adapters.control_client import PROGRAMS_SOCKET
from tests.waiting import DEADLINE_S, until


@pytest.fixture
async def hub() -> AsyncIterator[crdtsync.Hub]:
    async with crdtsync.Hub() as running:
        yield running


@pytest.fixture
async def folder(hub: crdtsync.Hub, tmp_path: Path) -> AsyncIterator[Path]:
    """A folder that is joined, with one text in it."""
    (tmp_path / "todo.md").write_text("milk\n")
    async with crdtsync.join(hub.url, "notes", directory=tmp_path, name="Ann") as joined:
        await joined.settled()
        yield tmp_path


async def test_a_text_is_shared_with_the_disk_the_room_and_other_programs(
    hub: crdtsync.Hub, folder: Path
) -> None:
    async with (
        crdtsync.attach(folder) as room,
        crdtsync.attach(folder) as other,
        crdtsync.connect(hub.url, "notes", name="Bob") as bob,
    ):
        assert (room.name, room.hub, room.directory) == ("notes", hub.url, folder)
        mine, second, theirs = (
            await room.open("todo.md"),
            await other.open("todo.md"),
            await bob.open("todo.md"),
        )
        changes = mine.changes()
        mine.edit([TextEdit(0, 0, "# To buy 🛒\n")])
        assert mine.text == "# To buy 🛒\nmilk\n"
        await until(lambda: second.text == theirs.text == mine.text)
        second.append("eggs\n")
        await until(lambda: theirs.text == mine.text and mine.text.endswith("eggs\n"))
        theirs.append("tea\n")
        await until(lambda: mine.text.endswith("tea\n"))
        await room.settled()
        file = folder / "todo.md"
        assert file.read_text() == mine.text
        file.write_text(file.read_text() + "bread\n")
        await until(
            lambda: mine.text == second.text == theirs.text == "# To buy 🛒\nmilk\neggs\ntea\nbread\n"
        )
        origins = [(await anext(changes)).origin.kind for _ in range(4)]
        assert origins == ["self", "program", "room", "disk"]
        assert mine.undo() and mine.text == "milk\neggs\ntea\nbread\n"
        await until(lambda: second.text == theirs.text == mine.text)


async def test_programs_that_type_at_once_end_with_one_text(hub: crdtsync.Hub, folder: Path) -> None:
    dice = random.Random(7)
    async with AsyncExitStack() as stack:
        rooms: list[crdtsync.Room] = [
            await stack.enter_async_context(crdtsync.attach(folder)) for _ in range(3)
        ]
        rooms.append(await stack.enter_async_context(crdtsync.connect(hub.url, "notes")))
        documents = [await room.open("todo.md") for room in rooms]
        tokens = []
        for number in range(400):
            document = dice.choice(documents)
            at = dice.randint(0, len(document.text))
            tokens.append(f"<{number}>")
            document.edit([TextEdit(at, at, tokens[-1])])
            if dice.random() < 0.1:
                start = dice.randint(0, len(document.text))
                document.set_cursor(start, min(len(document.text), start + 3))
            if dice.random() < 0.2:
                await dice.choice(rooms).entry("todo.md")
        for room in rooms:
            await room.settled()
        await until(lambda: len({document.text for document in documents}) == 1)
        # what is inserted in the middle of another's token splits it: characters are what counts
        assert sorted(documents[0].text) == sorted("milk\n" + "".join(tokens))
        await rooms[0].settled()
        assert (folder / "todo.md").read_text() == documents[0].text


async def test_cursors_are_seen_and_follow_the_text(folder: Path) -> None:
    async with crdtsync.attach(folder) as room, crdtsync.attach(folder) as other:
        mine, theirs = await room.open("todo.md"), await other.open("todo.md")
        mine.set_cursor(2, 4)
        await until(lambda: [(c.start, c.end) for c in theirs.cursors] == [(2, 4)])
        theirs.insert(0, "oat ")
        await until(lambda: mine.cursor == (6, 8))
        assert [(c.start, c.end) for c in theirs.cursors] == [(6, 8)]


async def test_a_program_that_is_gone_leaves_no_cursor_and_no_open_text(folder: Path) -> None:
    async with crdtsync.attach(folder) as room:
        mine = await room.open("todo.md")
        other = crdtsync.attach(folder)
        await other.__aenter__()
        theirs = await other.open("todo.md")
        theirs.set_cursor(2)
        await until(lambda: len(mine.cursors) == 1)
        other._link._writer.transport.abort()  # as when it is killed
        await until(lambda: mine.cursors == [])
        with pytest.raises(errors.Closed):
            theirs.append("x")
        await other.__aexit__(None, None, None)


async def test_files_are_listed_made_moved_read_and_deleted(folder: Path) -> None:
    async with crdtsync.attach(folder) as room:
        watch, events = room.watch(), room.events()
        await room.write("a/b.bin", b"\0\1")
        assert (folder / "a" / "b.bin").read_bytes() == b"\0\1"
        assert await room.read_bytes("a/b.bin") == b"\0\1"
        large = bytes(range(256)) * 40_000
        await room.write("large.bin", (large[at : at + 100_000] for at in range(0, len(large), 100_000)))
        assert await room.read_bytes("large.bin") == large
        await room.create("note.md", "text\n")
        assert await room.read_text("note.md") == "text\n"
        with pytest.raises(errors.NameTaken):
            await room.create("note.md", b"\0")
        with pytest.raises(errors.NameTaken):
            await room.create("note.md")
        await room.move("a/b.bin", "c.bin")
        await room.make_folder("empty")
        await room.settled()
        assert (folder / "c.bin").read_bytes() == b"\0\1"
        paths = [entry.path for entry in await room.list()]
        assert paths == ["c.bin", "empty", "large.bin", "note.md", "todo.md"]
        entry = await room.entry("large.bin")
        assert entry is not None and entry.kind == "blob" and entry.size_bytes == len(large)
        await room.delete("c.bin")
        assert await room.entry("c.bin") is None
        with pytest.raises(errors.NoSuchFile):
            await room.read_bytes("c.bin")
        async with asyncio.timeout(DEADLINE_S):
            first = await anext(watch)
            assert (first.kind, first.path) == ("created", "large.bin")  # what came and went is left out
            assert (await anext(events)).kind
        assert not list((folder / ".crdtsync" / "staging").glob("program-*"))
        with pytest.raises(errors.NoSuchFile):
            await room.open("missing.md")
        with pytest.raises(errors.NotText):
            await room.open("large.bin")
        with pytest.raises(errors.InvalidEdit, match="surrogate"):
            await room.write("half.txt", "\ud83d")
        assert await room.entry("half.txt") is None
        with pytest.raises(errors.InvalidName):
            await room.open("../todo.md")
        assert (
            (await room.status()).connected and await room.conflicts() == [] and await room.transfers() == []
        )


async def test_a_document_follows_its_file(folder: Path) -> None:
    async with crdtsync.attach(folder) as room:
        document = await room.open("todo.md")
        await room.move("todo.md", "done.md")
        await until(lambda: document.path == "done.md")
        await room.delete("done.md")
        await until(lambda: not document.exists)
        document.append("again\n")
        await until(lambda: document.exists)
        await room.settled()
        assert (folder / "done.md").read_text() == document.text


async def test_a_folder_that_nobody_keeps_joined_says_how_to_join(tmp_path: Path) -> None:
    with pytest.raises(errors.FolderError, match="no folder"):
        async with crdtsync.attach("a\0b"):
            pass
    with pytest.raises(errors.FolderError, match="crdtsync join"):
        async with crdtsync.attach(tmp_path):
            pass
    (tmp_path / ".crdtsync").mkdir()
    with pytest.raises(errors.FolderError, match="no replica runs"):
        async with crdtsync.attach(tmp_path):
            pass


async def test_the_room_ends_with_the_replica(hub: crdtsync.Hub, tmp_path: Path) -> None:
    (tmp_path / "todo.md").write_text("milk\n")
    async with AsyncExitStack() as stack:
        joined = await stack.enter_async_context(crdtsync.join(hub.url, "notes", directory=tmp_path))
        await joined.settled()
        async with crdtsync.attach(tmp_path) as room:
            document, watch = await room.open("todo.md"), room.watch()
            waiting = asyncio.ensure_future(anext(watch))
            await stack.aclose()
            async with asyncio.timeout(DEADLINE_S):
                await room.closed()
            with pytest.raises(StopAsyncIteration):
                await waiting
            with pytest.raises(errors.Closed):
                document.append("x")
            with pytest.raises(errors.Closed):
                document.set_cursor(0)
            with pytest.raises(errors.Closed):
                await room.status()


async def test_what_is_waited_for_may_be_cancelled_and_a_program_may_leave_at_any_moment(
    folder: Path,
) -> None:
    async with crdtsync.attach(folder) as room:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await room.settled()
        document = await room.open("todo.md")
        document.append("last words\n")
    async with crdtsync.attach(folder) as room:
        assert await room.read_text("todo.md") == "milk\nlast words\n"
        document = await room.open("todo.md")
        document.close()
        with pytest.raises(errors.Closed):
            document.append("x")


async def test_a_program_without_a_loop_may_attach(folder: Path) -> None:
    def run() -> str:
        with blocking.attach(folder) as room, room.open("todo.md") as document:
            return document.update(lambda text: text + "bread\n")

    assert await asyncio.to_thread(run) == "milk\nbread\n"


HELLO = {"id": 1, "method": "hello", "params": {"protocol": 1}}


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ([b"nonsense"], "ended"),
        ([{"id": 1, "method": "status"}], "ended"),
        ([HELLO, {"id": "x", "method": "status"}], "ended"),
        ([HELLO, {"method": "edit", "params": {"document": 1, "taken": -1}}], "ended"),
        ([HELLO, {"method": "watch", "params": {}}], "ended"),
        ([{"id": 2, "method": "hello", "params": {"protocol": 99}}], "ProtocolMismatch"),
        ([HELLO, {"id": 2, "method": "explode"}], "PeerError"),
        ([HELLO, {"id": 2, "method": "list", "params": {"folder": 7}}], "PeerError"),
        (
            [HELLO, {"id": 2, "method": "write", "params": {"path": "a", "staged": "../../passwd"}}],
            "PeerError",
        ),
        ([HELLO, {"id": 2, "method": "write", "params": {"path": "a"}}], "PeerError"),
        ([HELLO, {"id": 2, "method": "write", "params": {"path": "../a", "text": ""}}], "InvalidName"),
        ([HELLO, {"id": 2, "method": "open", "params": {"document": 1, "path": "../x"}}], "InvalidName"),
        ([HELLO, {"id": 2, "method": "read", "params": {"path": "../x"}}], "InvalidName"),
        ([HELLO, {"method": "explode"}, {"id": 2, "method": "bye"}], None),
    ],
)
async def test_what_makes_no_sense_is_answered_and_harms_nobody_else(
    folder: Path, said: list[Any], answer: str | None
) -> None:
    async with crdtsync.attach(folder) as room:
        reader, writer = await asyncio.open_unix_connection(str(folder / ".crdtsync" / PROGRAMS_SOCKET))
        for each in said:
            writer.write((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n")
        async with asyncio.timeout(DEADLINE_S):
            while (told := json.loads(await reader.readline())).get("id") == 1:
                pass
        if answer == "ended":
            assert told["method"] == "ended" and await reader.read() == b""
        else:
            assert told["id"] == 2 and told.get("error", {}).get("code") == answer
        writer.close()
        document = await room.open("todo.md")
        document.append("still here\n")
        await room.settled()
        assert (folder / "todo.md").read_text() == "milk\nstill here\n"


async def test_edits_that_do_not_fit_end_the_connection_and_harm_nothing(folder: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(folder / ".crdtsync" / PROGRAMS_SOCKET))
    opening = {"id": 2, "method": "open", "params": {"document": 1, "path": "todo.md"}}
    writer.write(json.dumps(HELLO).encode() + b"\n" + json.dumps(opening).encode() + b"\n")
    async with asyncio.timeout(DEADLINE_S):
        while b'"id":2' not in await reader.readline():
            pass
        edit = {"method": "edit", "params": {"document": 1, "taken": 0, "edits": [[900, 2, "x"]]}}
        writer.write(json.dumps(edit).encode() + b"\n")
        told = json.loads(await reader.readline())
        assert told["method"] == "closed" and told["params"]["code"] == "InvalidEdit"
    writer.close()
    assert (folder / "todo.md").read_text() == "milk\n"


async def test_a_read_only_folder_refuses_what_is_written(hub: crdtsync.Hub, tmp_path: Path) -> None:
    async with crdtsync.connect(hub.url, "notes") as bob:
        await bob.create("todo.md", "milk\n")
        await bob.settled()
    async with (
        crdtsync.join(hub.url, "notes", directory=tmp_path, read_only=True) as joined,
        crdtsync.attach(tmp_path) as room,
    ):
        await joined.settled()
        document = await room.open("todo.md")
        document.append("bread\n")  # it cannot be known here
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(errors.ReadOnly):
                async for _ in document.changes():
                    pass
        with pytest.raises(errors.ReadOnly):
            document.append("more\n")
        with pytest.raises(errors.ReadOnly):
            await room.write("x.bin", b"\0")


async def test_the_command_lets_programs_attach_and_a_killed_one_ends_their_rooms(
    hub: crdtsync.Hub, tmp_path: Path
) -> None:
    (tmp_path / "todo.md").write_text("milk\n")
    command = [sys.executable, "-m", "crdtsync", "join", "notes", str(tmp_path), "--hub", hub.url]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        socket = tmp_path / ".crdtsync" / PROGRAMS_SOCKET
        await until(socket.exists)
        async with crdtsync.attach(tmp_path) as room:
            await room.settled()
            with pytest.raises(errors.AlreadyJoined, match="end that one first"):
                async with crdtsync.join(hub.url, "notes", directory=tmp_path):
                    pass
            document = await room.open("todo.md")
            document.append("bread\n")
            await room.settled()
            assert (tmp_path / "todo.md").read_text() == "milk\nbread\n"
            os.kill(process.pid, signal.SIGKILL)
            async with asyncio.timeout(DEADLINE_S):
                await room.closed()
            with pytest.raises(errors.Closed, match="has ended"):
                document.append("x")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
