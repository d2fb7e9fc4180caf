"""A file of the room that the disk does not take: who asks for its content is told why, and does not wait."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import crdtsync
from crdtsync import blocking, errors
from crdtsync.adapters.disk_writer import DiskWriter
from crdtsync.adapters.failures import failed
from crdtsync.core.replica.steps import Outcome, Step, WriteFile
from tests.waiting import DEADLINE_S, until

PATH = "d/x.bin"


@pytest.fixture
async def hub() -> AsyncIterator[crdtsync.Hub]:
    async with crdtsync.Hub() as running:
        yield running


def _pipe(directory: Path) -> None:
    os.mkfifo(directory / "d")


def _pipe_itself(directory: Path) -> None:
    (directory / "d").mkdir()
    os.mkfifo(directory / PATH)


def _link(directory: Path) -> None:
    (directory / "d").symlink_to(directory.parent)


def _private_folder(directory: Path) -> None:
    (directory / PATH / ".git").mkdir(parents=True)
    (directory / PATH / ".git" / "HEAD").write_text("mine\n")


def _ignored(directory: Path) -> None:
    (directory / ".crdtsyncignore").write_text("x.bin\n")
    (directory / "d").mkdir()
    (directory / PATH).write_bytes(b"\0mine")


@pytest.mark.parametrize(
    ("prepare", "cause"),
    [
        (_pipe, "d: a named pipe"),
        (_pipe_itself, "d/x.bin: a named pipe"),
        (_link, "d: a link that leads out"),
        (_private_folder, "d/x.bin is in the way"),
        (_ignored, "ignored in this folder"),
    ],
)
async def test_what_stands_in_the_way_is_named(
    hub: crdtsync.Hub, tmp_path: Path, prepare: Callable[[Path], None], cause: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    prepare(folder)
    async with (
        asyncio.timeout(DEADLINE_S),
        crdtsync.connect(hub.url, "notes") as other,
        crdtsync.join(hub.url, "notes", directory=folder) as room,
        crdtsync.attach(folder) as program,
    ):
        await other.write(PATH, b"\0theirs")
        await until(lambda: room.entry(PATH))
        for each in (room, program):
            with pytest.raises(errors.FileError, match=cause) as told:
                await each.read_bytes(PATH)
            assert str(told.value).startswith(PATH)
            with pytest.raises(errors.FileError, match=cause):
                async for _ in each.read(PATH):
                    pass
        assert (await other.read_bytes(PATH)) == b"\0theirs"


async def test_what_has_made_room_is_read(hub: crdtsync.Hub, tmp_path: Path) -> None:
    _pipe(tmp_path)
    async with (
        asyncio.timeout(DEADLINE_S),
        crdtsync.connect(hub.url, "notes") as other,
        crdtsync.join(hub.url, "notes", directory=tmp_path) as room,
    ):
        await other.write(PATH, b"\0theirs")
        await other.write("d/y.txt", "theirs\n")
        await until(lambda: room.entry("d/y.txt"))
        with pytest.raises(errors.FileError, match="d: a named pipe"):
            await room.open("d/y.txt")
        with pytest.raises(errors.NameTaken):
            await room.write("d/y.txt", b"\0mine")  # bytes are put where a text stands on disk
        (tmp_path / "d").unlink()
        await room.settled()
        assert await room.read_bytes(PATH) == b"\0theirs"
        assert await room.read_text("d/y.txt") == "theirs\n"


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.EROFS, "the file system is read-only; mount it"),
        (errno.ENAMETOOLONG, "too long for this file system; rename it"),
        (errno.ENOSPC, "the disk is full; free some space"),
    ],
)
async def test_what_the_disk_says_is_told(
    hub: crdtsync.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, cause: str
) -> None:
    def refuse(writer: DiskWriter, step: Step, *rest: object) -> Outcome:
        assert isinstance(step, WriteFile)
        return failed(OSError(number, os.strerror(number)), step.path, "written")

    monkeypatch.setattr(DiskWriter, "_outcome", refuse)
    async with (
        asyncio.timeout(DEADLINE_S),
        crdtsync.connect(hub.url, "notes") as other,
        crdtsync.join(hub.url, "notes", directory=tmp_path) as room,
    ):
        await other.write(PATH, b"\0theirs")
        await other.write("a.txt", "theirs\n")
        await until(lambda: room.entry("a.txt"))
        with pytest.raises(errors.FileError, match=rf"^d/x\.bin could not be written: .*{cause}"):
            await room.read_bytes(PATH)
        assert await room.read_text("a.txt") == "theirs\n"  # of a text all is known without the disk


async def test_content_that_the_hub_has_lost_is_not_waited_for(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_S), crdtsync.Hub(data=tmp_path / "hub") as hub:
        async with crdtsync.connect(hub.url, "notes") as other:
            await other.write(PATH, b"\0theirs")
        shutil.rmtree(tmp_path / "hub" / "chunks")
        (tmp_path / "hub" / "chunks").mkdir()
        async with crdtsync.join(hub.url, "notes", directory=tmp_path / "folder") as room:
            with pytest.raises(
                errors.ContentMissing, match=r"^d/x\.bin is not on this disk: .*once someone sends"
            ):
                await room.read_bytes(PATH)


def test_a_program_without_a_loop_is_told_too(tmp_path: Path) -> None:
    _pipe(tmp_path)
    with (
        blocking.Hub() as hub,
        blocking.connect(hub.url, "notes") as other,
        blocking.join(hub.url, "notes", directory=tmp_path) as room,
    ):
        other.write(PATH, b"\0theirs")
        room.settled(DEADLINE_S)
        with pytest.raises(errors.FileError, match="d: a named pipe"):
            room.read_bytes(PATH)


async def test_what_was_deleted_here_and_is_held_is_not_waited_for(hub: crdtsync.Hub, tmp_path: Path) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        crdtsync.connect(hub.url, "notes") as other,
        crdtsync.join(hub.url, "notes", directory=tmp_path) as room,
    ):
        for number in range(6):
            await other.write(f"{number}.bin", b"\0")
        await room.settled()
        for number in range(6):
            (tmp_path / f"{number}.bin").unlink()
        with pytest.raises(errors.FileError, match="'crdtsync restore'"):
            await room.read_bytes("0.bin")
        await room.restore()
        assert await room.read_bytes("0.bin") == b"\0"


async def test_what_is_only_here_is_refused_to_who_may_only_read(hub: crdtsync.Hub, tmp_path: Path) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        crdtsync.connect(hub.url, "notes") as other,
        crdtsync.join(hub.url, "notes", directory=tmp_path, read_only=True) as room,
    ):
        await other.write("theirs.bin", b"\0")
        await room.settled()
        (tmp_path / "mine.txt").write_text("mine\n")
        (tmp_path / "mine.bin").write_bytes(b"\0mine")
        (tmp_path / "theirs.bin").unlink()
        for create in (False, True):
            with pytest.raises(errors.FileError, match=r"mine\.txt is only here"):
                await room.open("mine.txt", create=create)
            with pytest.raises(errors.NotText):
                await room.open("mine.bin", create=create)
        assert await room.read_text("mine.txt") == "mine\n"
        with pytest.raises(errors.FileError, match=r"theirs\.bin was deleted on this disk"):
            await room.read_bytes("theirs.bin")


async def test_what_was_deleted_here_without_a_hub_is_not_waited_for(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_S):
        async with crdtsync.Hub() as hub, crdtsync.connect(hub.url, "notes") as other:
            await other.write("x.bin", b"\0")
            room = crdtsync.join(hub.url, "notes", directory=tmp_path)
            await room.__aenter__()
            await room.settled()
        try:
            (tmp_path / "x.bin").unlink()
            with pytest.raises(errors.FileError, match=r"x\.bin was deleted on this disk: the hub"):
                await room.read_bytes("x.bin")
        finally:
            await room.__aexit__(None, None, None)
