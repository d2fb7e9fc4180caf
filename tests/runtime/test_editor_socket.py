"""Editors at the socket of a running replica: slow ones, hostile ones, many of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import crdtsync
from crdtsync.core.values import limits
from crdtsync.runtime.editor_socket import SOCKET_NAME
from tests.waiting import DEADLINE_S, until


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """A folder that is joined, with one text in it."""
    (tmp_path / "todo.md").write_text("milk\n")
    async with (
        crdtsync.Hub() as hub,
        crdtsync.join(hub.url, "notes", directory=tmp_path, name="Ann") as joined,
    ):
        await joined.settled()
        yield tmp_path


class Editor:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uri: str) -> None:
        self.reader = reader
        self.writer = writer
        self.uri = uri
        self.number = 0

    def ask(self, method: str, **params: Any) -> None:
        self.number += 1
        message = {"id": self.number, "method": method, "params": {"uri": self.uri, **params}}
        self.writer.write(json.dumps(message).encode() + b"\n")

    def insert(self, text: str) -> None:
        at = {"line": 0, "character": 0}
        delta = [{"range": {"start": at, "end": at}, "replacement": text}]
        self.ask("edit", revision=0, delta=delta)

    async def answer(self) -> dict[str, Any]:
        """The next answer; what it is told beside is skipped."""
        async with asyncio.timeout(DEADLINE_S):
            message: dict[str, Any] = {"method": ""}
            while "method" in message:
                message = json.loads(await self.reader.readline())
            return message


async def connected(folder: Path) -> Editor:
    path = str(folder / ".crdtsync" / SOCKET_NAME)
    return Editor(*await asyncio.open_unix_connection(path, limit=1 << 26), (folder / "todo.md").as_uri())


async def opened(folder: Path) -> Editor:
    editor = await connected(folder)
    editor.ask("open", content="milk\n")
    assert (await editor.answer())["result"] == "success"
    return editor


async def test_a_message_above_the_limit_is_answered_and_the_next_one_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = await opened(folder)
    piece = b"x" * (1 << 20)
    for _ in range(limits.EDITOR_LINE_MAX_BYTES // len(piece) + 2):
        editor.writer.write(piece)
        await editor.writer.drain()
    editor.writer.write(b"\n")
    assert "above" in (await editor.answer())["error"]["message"]
    editor.insert("bread and ")
    assert (await editor.answer())["result"] == "success"
    await until(lambda: (folder / "todo.md").read_text() == "bread and milk\n")
    editor.writer.close()


@pytest.mark.parametrize(
    "said",
    [b"\xff\xfe", b"{", b"[1, 2]", b'"x"', b'{"method":7}', b'{"id":1,"method":"explode"}', b"[" * 90_000],
)
async def test_what_is_no_message_is_answered_and_ends_nothing(folder: Path, said: bytes) -> None:
    editor = await opened(folder)
    editor.writer.write(said + b"\n")
    assert (await editor.answer())["error"]["message"]
    editor.insert("bread and ")
    assert (await editor.answer())["result"] == "success"
    editor.writer.close()


async def test_an_editor_that_does_not_read_is_dropped_and_holds_up_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EDITOR_QUEUE_MAX_BYTES", 100_000)
    slow, quick = await opened(folder), await opened(folder)
    slow.reader._transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(60):
        quick.insert("y" * 20_000)
        assert (await quick.answer())["result"] == "success"
    slow.reader._transport.resume_reading()  # type: ignore[attr-defined]
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            while True:
                await slow.reader.readuntil()
    quick.insert("last ")
    assert (await quick.answer())["result"] == "success"
    await until(lambda: (folder / "todo.md").read_text().startswith("last yyy"))
    for editor in (slow, quick):
        editor.writer.close()


async def test_an_editor_that_never_answers_to_edits_is_dropped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EDITS_UNTAKEN_MAX", 50)
    silent, typing = await opened(folder), await opened(folder)
    for _ in range(60):
        typing.insert("y")
        assert (await typing.answer())["result"] == "success"
    told = []
    async with asyncio.timeout(DEADLINE_S):
        while line := await silent.reader.readline():
            told.append(json.loads(line)["method"])
    assert told.count("edit") == 50
    for editor in (silent, typing):
        editor.writer.close()


async def test_one_editor_too_many_is_told_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EDITOR_CONNECTIONS_MAX", 2)
    editors = [await opened(folder) for _ in range(2)]
    third = await connected(folder)
    assert "too many editors" in (await third.answer())["error"]["message"]
    assert await third.reader.read() == b""
    for editor in (*editors, third):
        editor.writer.close()


async def test_one_file_too_many_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EDITOR_FILES_MAX", 1)
    editor = await opened(folder)
    editor.uri = (folder / "other.md").as_uri()
    editor.ask("open", content="")
    assert "open already" in (await editor.answer())["error"]["message"]
    editor.writer.close()
