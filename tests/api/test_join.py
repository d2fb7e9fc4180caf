"""A joined folder inside a program: ``crdtsync.join``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import crdtsync
from crdtsync import TextEdit, blocking, errors
from crdtsync.adapters.disk_writer import DiskWriter
from crdtsync.core.replica.steps import Step, WriteFile
from crdtsync.core.values.files import TextContent
from tests.waiting import DEADLINE_S, until


@pytest.fixture
async def hub() -> AsyncIterator[crdtsync.Hub]:
    async with crdtsync.Hub() as running:
        yield running


async def test_a_document_is_shared_with_the_disk_and_the_others(hub: crdtsync.Hub, tmp_path: Path) -> None:
    file = tmp_path / "todo.md"
    file.write_text("milk\n")
    async with (
        crdtsync.join(hub.url, "notes", directory=tmp_path, name="Ann") as room,
        crdtsync.connect(hub.url, "notes", name="Bob") as bob,
    ):
        await room.settled()
        document = await room.open("todo.md")
        assert document.text == "milk\n"
        changes = document.changes()
        document.edit([TextEdit(0, 0, "# To buy 🛒\n")])
        await until(lambda: file.read_text() == "# To buy 🛒\nmilk\n")
        file.write_text("# To buy 🛒\nmilk\nbread\n")
        await until(lambda: document.text.endswith("bread\n"))
        await bob.settled()
        theirs = await bob.open("todo.md")
        theirs.append("eggs\n")
        await until(lambda: file.read_text() == document.text == "# To buy 🛒\nmilk\nbread\neggs\n")
        kinds = [(await anext(changes)).origin.kind for _ in range(3)]
        assert kinds == ["self", "disk", "room"]
        assert document.undo() and document.text == "milk\nbread\neggs\n"


async def test_files_are_made_moved_and_deleted_on_disk(hub: crdtsync.Hub, tmp_path: Path) -> None:
    async with crdtsync.join(hub.url, "notes", directory=tmp_path / "new") as room:
        folder = tmp_path / "new"
        watch = room.watch()
        await room.write("a/b.bin", b"\0\1")
        assert (folder / "a" / "b.bin").read_bytes() == b"\0\1"
        assert await room.read_bytes("a/b.bin") == b"\0\1"
        await room.write("a/b.bin", b"\0\2")
        await room.create("note.md", "text\n")
        with pytest.raises(errors.NameTaken):
            await room.create("note.md")
        await room.move("a/b.bin", "c.bin")
        await room.settled()
        assert (folder / "c.bin").read_bytes() == b"\0\2" and (folder / "note.md").read_text() == "text\n"
        await room.delete("c.bin")
        await room.settled()
        assert not (folder / "c.bin").exists()
        assert [entry.path for entry in await room.list()] == ["note.md"]
        async with asyncio.timeout(DEADLINE_S):
            assert (await anext(watch)).path
        with pytest.raises(errors.NoSuchFile):
            await room.open("missing.md")
        with pytest.raises(errors.NotText):
            await room.write("x.bin", b"\0")
            await room.open("x.bin")


def held_up(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The disk follows the room only once that is set."""
    follows, perform = threading.Event(), DiskWriter.perform

    def waiting(*arguments: Any) -> Any:
        assert follows.wait(DEADLINE_S)
        return perform(*arguments)

    monkeypatch.setattr(DiskWriter, "perform", waiting)
    return follows


async def _is_gone(room: crdtsync.Room, path: str) -> bool:
    return await room.entry(path) is None


async def test_what_was_deleted_or_moved_away_is_not_read_though_the_disk_has_it_still(
    hub: crdtsync.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        crdtsync.join(hub.url, "notes", directory=tmp_path) as room,
        crdtsync.connect(hub.url, "notes") as bob,
        asyncio.timeout(DEADLINE_S),
    ):
        for path in ("gone.bin", "here.bin", "new.bin"):
            await room.write(path, path.encode() + b"\0")
        await bob.settled()
        follows = held_up(monkeypatch)
        await room.delete("gone.bin")
        await bob.move("here.bin", "there.bin")
        await bob.move("new.bin", "here.bin")
        await until(lambda: _is_gone(room, "new.bin"))
        with pytest.raises(errors.NoSuchFile):
            await room.read_bytes("gone.bin")
        reading = asyncio.ensure_future(room.read_bytes("here.bin"))
        with pytest.raises(errors.NoSuchFile):
            await room.read_bytes("new.bin")
        (tmp_path / "gone.bin").write_bytes(b"saved\0")
        assert await room.read_bytes("gone.bin") == b"saved\0"
        assert not reading.done()
        follows.set()
        assert await reading == b"new.bin\0"
        assert await room.read_bytes("there.bin") == b"here.bin\0"


async def test_a_name_that_was_given_up_can_be_used_again_at_once(
    hub: crdtsync.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with crdtsync.join(hub.url, "notes", directory=tmp_path) as room, asyncio.timeout(DEADLINE_S):
        for path in ("made", "written", "opened", "moved", "folder/file", "source"):
            await room.write(path, f"{path}\n")
        follows = held_up(monkeypatch)
        for path in ("made", "written", "opened", "moved", "folder"):
            await room.delete(path)
        using = [
            asyncio.ensure_future(each)
            for each in (
                room.create("made", "anew\n"),
                room.write("written", "written\n"),  # what stood there is written once more
                room.open("opened", create=True),
                room.move("source", "moved"),
                room.write("folder", b"\0"),
            )
        ]
        asyncio.get_running_loop().call_soon(follows.set)  # once all of them have begun
        await asyncio.gather(*using)
        await room.settled()
        assert await room.read_text("made") == "anew\n"
        assert await room.read_text("written") == "written\n"
        assert await room.read_text("opened") == ""
        assert await room.read_text("moved") == "source\n"
        assert await room.read_bytes("folder") == b"\0"
        paths = [entry.path for entry in await room.list()]
        assert paths == ["folder", "made", "moved", "opened", "written"]


async def test_a_new_text_is_whole_from_the_first_on(
    hub: crdtsync.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    perform = DiskWriter.perform

    def noting(writer: DiskWriter, steps: Sequence[Step], *arguments: Any) -> Any:
        files = [step.content for step in steps if isinstance(step, WriteFile)]
        written.extend(content.text for content in files if isinstance(content, TextContent))
        return perform(writer, steps, *arguments)

    monkeypatch.setattr(DiskWriter, "perform", noting)
    async with crdtsync.join(hub.url, "notes", directory=tmp_path) as room:
        await room.create("note.md", "text\n")
        await room.settled()
    assert written == ["text\n"]


async def test_bytes_may_replace_a_text_that_was_just_written(hub: crdtsync.Hub, tmp_path: Path) -> None:
    async with crdtsync.join(hub.url, "notes", directory=tmp_path) as room, asyncio.timeout(DEADLINE_S):
        for number in range(5):
            await room.write("a", f"text {number}\n")
            await room.write("a", bytes([0, number]))
            assert await room.read_bytes("a") == bytes([0, number])
            await room.delete("a")
            await room.settled()
        assert await room.list() == [] and await room.conflicts() == []


async def test_nothing_is_made_where_no_folder_can_be(hub: crdtsync.Hub, tmp_path: Path) -> None:
    (tmp_path / "joined").mkdir()
    (tmp_path / "joined" / "out").symlink_to(tmp_path)
    async with (
        crdtsync.join(hub.url, "notes", directory=tmp_path / "joined") as room,
        asyncio.timeout(DEADLINE_S),
    ):
        await room.settled()
        await room.write("file.md", "text\n")
        for path in ("out/evil.txt", "file.md/x.md"):
            with pytest.raises(errors.NameTaken):
                await room.write(path, "x")
            with pytest.raises(errors.NameTaken):
                await room.open(path, create=True)
        await room.settled()
    assert not (tmp_path / "evil.txt").exists()


async def test_a_folder_that_is_joined_by_another_is_refused(hub: crdtsync.Hub, tmp_path: Path) -> None:
    async with crdtsync.join(hub.url, "notes", directory=tmp_path):
        with pytest.raises(errors.AlreadyJoined):
            async with crdtsync.join(hub.url, "notes", directory=tmp_path):
                pass


async def test_what_is_done_offline_is_on_disk_and_goes_out_later(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with crdtsync.Hub(data=data) as first:
        url, port = first.url, int(first.url.rpartition(":")[2])
        async with crdtsync.join(first.url, "notes", directory=tmp_path / "ann") as room:
            document = await room.open("a.txt", create=True)
            await room.settled()
    async with crdtsync.join(url, "notes", directory=tmp_path / "ann") as room:
        document = await room.open("a.txt")
        document.append("offline\n")
        await until(lambda: (tmp_path / "ann" / "a.txt").read_text() == "offline\n")
        async with crdtsync.Hub(port=port, data=data) as again, asyncio.timeout(DEADLINE_S):
            await room.settled()
            async with crdtsync.connect(again.url, "notes") as other:
                assert await other.read_text("a.txt") == "offline\n"


async def test_a_folder_that_goes_away_ends_the_room(hub: crdtsync.Hub, tmp_path: Path) -> None:
    folder = tmp_path / "ann"
    with pytest.raises(errors.RootGone):
        async with crdtsync.join(hub.url, "notes", directory=folder) as room:
            await room.settled()
            folder.rename(tmp_path / "elsewhere")
            async with asyncio.timeout(DEADLINE_S):
                await room.closed()


async def test_who_may_only_read_is_told_so(hub: crdtsync.Hub, tmp_path: Path) -> None:
    async with crdtsync.connect(hub.url, "notes") as other:
        await other.write("a.txt", "theirs\n")
        await other.settled()
        async with crdtsync.join(hub.url, "notes", directory=tmp_path, read_only=True) as room:
            await room.settled()
            document = await room.open("a.txt")
            with pytest.raises(errors.ReadOnly):
                document.append("mine\n")
            with pytest.raises(errors.ReadOnly):
                await room.write("b.txt", "mine\n")
            assert document.text == await other.read_text("a.txt") == "theirs\n"


async def test_nothing_is_left_running(hub: crdtsync.Hub, tmp_path: Path) -> None:
    async with crdtsync.join(hub.url, "notes", directory=tmp_path / "warm") as room:
        await room.settled()
    tasks, threads = len(asyncio.all_tasks()), set(threading.enumerate())
    async with crdtsync.join(hub.url, "notes", directory=tmp_path / "ann") as room:
        document = await room.open("a.txt", create=True)
        document.append("x")
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    await until(lambda: all(t.name.startswith("asyncio_") for t in set(threading.enumerate()) - threads))
    with pytest.raises(errors.Closed):
        document.append("y")


def test_a_folder_is_joined_without_asyncio(tmp_path: Path) -> None:
    with (
        blocking.Hub() as hub,
        blocking.join(hub.url, "notes", directory=tmp_path) as room,
        room.open("a.txt", create=True) as document,
    ):
        document.append("x\n")
        room.settled(DEADLINE_S)
        assert (tmp_path / "a.txt").read_text() == "x\n"


async def test_what_is_ignored_and_what_is_a_folder_is_not_written_over(
    hub: crdtsync.Hub, tmp_path: Path
) -> None:
    (tmp_path / ".crdtsyncignore").write_text("*.log\n")
    (tmp_path / "day.log").write_text("mine\n")
    async with crdtsync.join(hub.url, "notes", directory=tmp_path) as room:
        await room.write("docs/a.md", "a\n")
        await room.settled()
        for write in (room.write, room.create):
            with pytest.raises(errors.InvalidName, match="ignored"):
                await write("day.log", "theirs\n")
            with pytest.raises(errors.InvalidName):
                await write("../x", "out\n")
            with pytest.raises(errors.NameTaken):
                await write("docs", b"\0")
            with pytest.raises(errors.NameTaken):
                await write("docs/a.md/b.bin", b"\0")
        assert await room.read_text("day.log") == "mine\n"  # it may be read: it is one's own
        with pytest.raises(errors.NotText):
            await room.read_text("docs")
        with pytest.raises(errors.InvalidName):
            await room.read_bytes("../x")
        assert (tmp_path / "docs" / "a.md").read_text() == "a\n"
        assert not list((tmp_path / ".crdtsync" / "staging").glob("program-*"))
