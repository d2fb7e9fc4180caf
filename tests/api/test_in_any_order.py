"""Whatever a program does to a room, without waiting for the disk, it finds as if that were done at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

import crdtsync
from crdtsync import Room, errors
from crdtsync.core.values.paths import is_below, parents
from tests.waiting import DEADLINE_S

PATHS = ("a", "b.md", "c.bin", "d/e", "d/f", "d/g/h", "b.md/x", "d", "i")
ACTIONS = ("write", "create", "read", "delete", "move", "make_folder", "edit", "list")
STEPS = 40


class Model:
    """What must stand in the room: files, and folders that were made, whatever is in them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = set()

    def below(self, path: str) -> list[str]:
        return [each for each in (*self.files, *self.folders) if is_below(each, path)]

    def at(self, path: str) -> list[str]:
        return [each for each in (*self.files, *self.folders) if each == path or is_below(each, path)]

    def is_free(self, path: str) -> bool:
        return not self.at(path) and not any(above in self.files for above in parents(path))

    def move(self, path: str, to: str) -> None:
        for each in self.at(path):
            there = to + each[len(path) :]
            if each in self.files:
                self.files[there] = self.files.pop(each)
            else:
                self.folders.remove(each)
                self.folders.add(there)

    def listed(self) -> list[str]:
        return sorted([*self.files, *(folder for folder in self.folders if not self.below(folder))])


class Program:
    """Does something, and checks that it is answered as the model says."""

    def __init__(self, room: Room, rng: Random) -> None:
        self.room = room
        self.rng = rng
        self.model = Model()
        self.done: list[str] = []

    async def act(self) -> None:
        action, path = self.rng.choice(ACTIONS), self.rng.choice(PATHS)
        self.done.append(f"{action} {path}")
        text = f"text {self.rng.randrange(3)}\n"
        content = self.rng.choice((text, f"\0{text}".encode()))
        await getattr(self, f"_{action}")(path, content)

    async def _write(self, path: str, content: str | bytes) -> None:
        if path not in self.model.files and not self.model.is_free(path):
            with pytest.raises(errors.NameTaken):
                await self.room.write(path, content)
            return
        await self.room.write(path, content)
        self.model.files[path] = content.encode() if isinstance(content, str) else content

    async def _create(self, path: str, content: str | bytes) -> None:
        if self.model.is_free(path):
            await self._write(path, content)
            return
        with pytest.raises(errors.NameTaken):
            await self.room.create(path, content)

    async def _make_folder(self, path: str, _: object) -> None:
        if self.model.is_free(path):
            await self.room.make_folder(path)
            self.model.folders.add(path)
            return
        with pytest.raises(errors.NameTaken):
            await self.room.make_folder(path)

    async def _delete(self, path: str, _: object) -> None:
        there = self.model.at(path)
        if not there:
            with pytest.raises(errors.NoSuchFile):
                await self.room.delete(path)
            return
        await self.room.delete(path)
        for each in there:
            self.model.files.pop(each, None)
            self.model.folders.discard(each)

    async def _move(self, path: str, _: object) -> None:
        to = self.rng.choice(PATHS)
        self.done[-1] += f" {to}"
        refused: type[errors.CrdtsyncError] | None = None
        if not self.model.at(path):
            refused = errors.NoSuchFile
        elif is_below(to, path):
            refused = errors.InvalidName
        elif to != path and not self.model.is_free(to):
            refused = errors.NameTaken
        if refused is not None:
            with pytest.raises(refused):
                await self.room.move(path, to)
            return
        await self.room.move(path, to)
        self.model.move(path, to)

    async def _read(self, path: str, _: object) -> None:
        held = self.model.files.get(path)
        if held is not None:
            assert await self.room.read_bytes(path) == held
            return
        with pytest.raises(errors.NotText if self.model.at(path) else errors.NoSuchFile):
            await self.room.read_bytes(path)

    async def _edit(self, path: str, _: object) -> None:
        held = self.model.files.get(path, b"\0")
        if b"\0" in held:
            return
        async with await self.room.open(path) as document:
            assert document.text.encode() == held
            document.append("edited\n")
            self.model.files[path] = document.text.encode()

    async def _list(self, path: str, _: object) -> None:
        assert [entry.path for entry in await self.room.list()] == self.model.listed()


def files_in(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and ".crdtsync" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@asynccontextmanager
async def joined(hub: crdtsync.Hub, folder: Path, door: str) -> AsyncIterator[Room]:
    async with crdtsync.join(hub.url, "room", directory=folder) as room:
        if door == "join":
            yield room
            return
        other = crdtsync.attach(folder) if door == "attach" else crdtsync.connect(hub.url, "room")
        async with other as program:
            yield program
        await room.settled()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("door", ["join", "attach", "connect"])
async def test_a_program_finds_what_it_did_itself(tmp_path: Path, door: str, seed: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        async with crdtsync.Hub() as hub, joined(hub, tmp_path, door) as room:
            program = Program(room, Random(seed))
            for _ in range(STEPS):
                try:
                    await program.act()
                except BaseException as error:
                    error.add_note(f"after {program.done}")
                    raise
            await room.settled()
            model = program.model
    assert files_in(tmp_path) == model.files
