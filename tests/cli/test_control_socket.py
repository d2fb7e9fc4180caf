"""The control socket: what it answers to good, bad and endless requests, and who may ask."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from crdtsync.adapters import control_socket
from crdtsync.adapters.control_client import call, find_joined
from crdtsync.adapters.control_socket import ControlServer
from crdtsync.errors import (
    AccessDenied,
    CrdtsyncError,
    FolderError,
    HubUnreachable,
    PeerError,
    RootGone,
)
from tests.cli.served import fails, joined_folder, served
from tests.waiting import DEADLINE_S


async def echo(params: Mapping[str, Any]) -> Any:
    return dict(params)


async def broken(_: Mapping[str, Any]) -> Any:
    raise RuntimeError("a bug")


HANDLERS = {"echo": echo, "broken": broken}


@asynccontextmanager
async def listening(
    folder: Path, handlers: Mapping[str, control_socket.Handler] = HANDLERS
) -> AsyncIterator[ControlServer]:
    server = ControlServer(folder, handlers)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def ask(self, line: bytes) -> dict[str, Any]:
        self.writer.write(line + b"\n")
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            answer: dict[str, Any] = json.loads(await self._reader.readline())
        return answer

    async def ended(self) -> bool:
        async with asyncio.timeout(DEADLINE_S):
            return await self._reader.read() == b""


@asynccontextmanager
async def connection(folder: Path) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_unix_connection(folder / "socket", limit=1 << 24)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_request_is_answered_under_its_own_id(tmp_path: Path) -> None:
    async with listening(tmp_path), connection(tmp_path) as peer:
        for number in (1, "two", None):
            request = {"id": number, "method": "echo", "params": {"path": "a\nb\udcff"}}
            answer = await peer.ask(json.dumps(request).encode())
            assert answer == {"id": number, "result": {"path": "a\nb\udcff"}}
        assert await peer.ask(b'{"id": 4, "method": "echo"}') == {"id": 4, "result": {}}


@pytest.mark.parametrize(
    ("line", "number", "message"),
    [
        (b"", None, "not JSON"),
        (b"{", None, "not JSON"),
        (b"\xff\xfe", None, "not JSON"),
        (b"[" * 50_000, None, "not JSON"),
        (b"[1]", None, "not a JSON object"),
        (b'{"id": 7}', 7, "no method 'None', only: broken, echo"),
        (b'{"id": 7, "method": ["echo"]}', 7, "no method"),
        (b'{"id": 7, "method": "e\\u001b[31m"}', 7, "no method 'e\N{REPLACEMENT CHARACTER}[31m'"),
        (b'{"id": 7, "method": "echo", "params": [1]}', 7, "params"),
        (b'{"id": 7, "method": "echo", "params": "' + b"x" * (64 << 10) + b'"}', None, "longer than 65536"),
        (b"x" * 1_000_000, None, "longer than 65536"),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_bad_request_is_answered_with_an_error_and_the_connection_goes_on(
    tmp_path: Path, line: bytes, number: int | None, message: str
) -> None:
    async with listening(tmp_path), connection(tmp_path) as peer:
        answer = await peer.ask(line)
        assert answer["id"] == number
        assert message in answer["error"]["message"]
        assert answer["error"]["code"] == "PeerError"
        assert await peer.ask(b'{"id": 8, "method": "echo"}') == {"id": 8, "result": {}}


async def test_a_method_with_a_bug_does_not_take_the_others_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(tmp_path), connection(tmp_path) as peer:
        answer = await peer.ask(b'{"id": 1, "method": "broken"}')
        assert answer["error"]["code"] == "CrdtsyncError"
        assert "a bug" in caplog.text
        assert (await peer.ask(b'{"id": 2, "method": "echo"}'))["id"] == 2


async def test_a_slow_method_keeps_no_other_connection_waiting(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Mapping[str, Any]) -> str:
        begun.set()
        await go_on.wait()
        return "done"

    async with (
        listening(tmp_path, {"slow": slow, "echo": echo}),
        connection(tmp_path) as first,
        connection(tmp_path) as second,
    ):
        waiting = asyncio.create_task(first.ask(b'{"id": 1, "method": "slow"}'))
        await begun.wait()
        assert (await second.ask(b'{"id": 2, "method": "echo"}'))["id"] == 2
        assert not waiting.done()
        go_on.set()
        assert await waiting == {"id": 1, "result": "done"}


async def test_one_that_stops_writing_is_still_answered(tmp_path: Path) -> None:
    async with listening(tmp_path), connection(tmp_path) as peer:
        peer.writer.write(b'{"id": 1, "method": "echo"}\n')
        peer.writer.write_eof()
        assert await peer.answer() == {"id": 1, "result": {}}
        assert await peer.ended()


async def test_too_many_connections_are_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_socket, "CONNECTIONS_MAX", 1)
    async with listening(tmp_path), connection(tmp_path) as first:
        assert "result" in await first.ask(b'{"id": 1, "method": "echo"}')
        async with connection(tmp_path) as second:
            assert "too many connections" in (await second.answer())["error"]["message"]
            assert await second.ended()
        assert "result" in await first.ask(b'{"id": 1, "method": "echo"}')


async def test_closing_ends_connections_even_of_those_who_never_read(tmp_path: Path) -> None:
    called = asyncio.Event()

    async def large(_: Mapping[str, Any]) -> str:
        called.set()
        return "x" * 10_000_000

    server = ControlServer(tmp_path, {"large": large})
    await server.start()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(tmp_path / "socket"))
        silent.sendall(b'{"id": 1, "method": "large"}\n')
        async with asyncio.timeout(DEADLINE_S):
            await called.wait()
            await server.close()
    assert os.listdir(tmp_path) == []


async def test_nobody_else_may_ask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with listening(tmp_path):
            assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o600
    finally:
        os.umask(before)


async def test_the_socket_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "socket"))
    async with listening(tmp_path), connection(tmp_path) as peer:
        assert "result" in await peer.ask(b'{"id": 1, "method": "echo"}')


async def test_closing_leaves_the_socket_of_a_successor_alone(tmp_path: Path) -> None:
    first = ControlServer(tmp_path, HANDLERS)
    await first.start()
    async with listening(tmp_path):
        await first.close()
        async with connection(tmp_path) as peer:
            assert "result" in await peer.ask(b'{"id": 1, "method": "echo"}')


async def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="No such file or directory"):
        await ControlServer(tmp_path / "gone", HANDLERS).start()


# -- the asking side --------------------------------------------------------------------------------------


def test_a_result_comes_back_whole(tmp_path: Path) -> None:
    folder = joined_folder(tmp_path / "notes")
    large = [{"path": f"ordner/ä{number}\n"} for number in range(50_000)]
    with served(folder, {"list": lambda params: [params, large]}) as asked:
        assert call(folder, "list", depth=3) == [{"depth": 3}, large]
    assert asked == [("list", {"depth": 3})]


def test_the_joined_folder_is_found_from_below(tmp_path: Path) -> None:
    folder = joined_folder(tmp_path / "notes")
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "link").symlink_to(below)
    for start in (folder, below, tmp_path / "link", folder / ".crdtsync"):
        assert find_joined(start) == folder
    with served(folder, {"echo": dict}):
        assert call(below, "echo") == {}


def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    folder = joined_folder(tmp_path / ("long" * 40) / ("longer" * 30))
    with served(folder, {"echo": dict}):
        assert call(folder, "echo", a=1) == {"a": 1}
    assert list((folder / ".crdtsync").iterdir()) == []


def left_by_a_killed_process(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(folder / ".crdtsync" / "socket"))


@pytest.mark.parametrize("prepare", [lambda folder: None, left_by_a_killed_process])
def test_a_folder_without_a_replica_is_told_with_the_command_to_start_one(
    tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    folder = joined_folder(tmp_path / "my notes")
    prepare(folder)
    with pytest.raises(FolderError) as caught:
        call(folder, "status")
    assert str(caught.value) == f"no replica runs for {folder}; start one with: crdtsync join ROOM '{folder}'"


def test_a_folder_that_is_not_joined_is_told(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"not in a joined folder.*crdtsync join ROOM DIR"):
        call(tmp_path, "status")
    with pytest.raises(FolderError, match="missing does not exist"):
        call(tmp_path / "missing", "status")


@pytest.mark.parametrize(
    "error", [HubUnreachable("away"), AccessDenied("no"), RootGone("gone"), CrdtsyncError("other")], ids=repr
)
def test_an_error_comes_back_as_the_class_it_had(tmp_path: Path, error: CrdtsyncError) -> None:
    folder = joined_folder(tmp_path / "notes")
    with served(folder, {"flush": fails(error)}), pytest.raises(CrdtsyncError) as caught:
        call(folder, "flush")
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)


@pytest.mark.parametrize("code", ["annotations", "Unknown", "__name__", ""])
def test_an_error_of_another_version_is_still_one_of_ours(tmp_path: Path, code: str) -> None:
    answer = json.dumps({"id": 1, "error": {"message": "told", "code": code}}).encode() + b"\n"
    assert said(tmp_path, answer) == (CrdtsyncError, "told")


@pytest.mark.parametrize("answer", [b"junk\n", b"[]\n", b"{}\n", b'{"error": 1}\n'])
def test_an_answer_that_is_none_is_told(tmp_path: Path, answer: bytes) -> None:
    kind, message = said(tmp_path, answer)
    assert kind is PeerError
    assert "cannot be understood" in message


@pytest.mark.parametrize("answer", [b"", b'{"id": 1, "resu'])
def test_a_replica_that_ends_before_it_answers_is_told(tmp_path: Path, answer: bytes) -> None:
    kind, message = said(tmp_path, answer)
    assert kind is FolderError
    assert "ended before it answered" in message


def said(tmp_path: Path, answer: bytes) -> tuple[type, str]:
    """Which error ``call`` raises when the other side sends ``answer`` and ends."""
    folder = joined_folder(tmp_path / "notes")

    def serve(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(1 << 16)
            peer.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / ".crdtsync" / "socket"))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        with pytest.raises(CrdtsyncError) as caught:
            call(folder, "status")
        thread.join(DEADLINE_S)
    return type(caught.value), str(caught.value)


def test_a_replica_that_does_not_answer_is_told(tmp_path: Path) -> None:
    folder = joined_folder(tmp_path / "notes")
    with socket.socket(socket.AF_UNIX) as stopped:
        stopped.bind(str(folder / ".crdtsync" / "socket"))
        stopped.listen()
        with pytest.raises(FolderError, match=r"did not answer within 0\.05 s"):
            call(folder, "status", answer_within_s=0.05)
