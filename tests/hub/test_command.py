"""``crdtsync hub`` as a process: what it prints, how it ends, and what a kill leaves behind."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from crdtsync.cli import hub as command
from crdtsync.cli.hub_options import default_data
from crdtsync.core.wire.control import Cursor
from crdtsync.core.wire.messages import Ack
from tests.hub.client import Client
from tests.hub.material import document, lone_update
from tests.waiting import DEADLINE_S

MAIN = "import sys; from crdtsync.cli.main import main; sys.exit(main())"


class Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            return (await self.process.stdout.readline()).decode()

    async def event(self) -> dict[str, str]:
        record: dict[str, str] = json.loads(await self.line())
        return record

    async def end(self, signal_number: int | None = None) -> tuple[int, str]:
        """Its exit code, and what it wrote to stderr."""
        assert self.process.stderr is not None
        if signal_number is not None:
            self.process.send_signal(signal_number)
        async with asyncio.timeout(DEADLINE_S):
            errors = (await self.process.stderr.read()).decode()
            return await self.process.wait(), errors


@asynccontextmanager
async def running(*arguments: str, **environment: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        MAIN,
        "hub",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path), "HOME": "/nonexistent", **environment},
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_where_it_listens_and_ends_cleanly(tmp_path: Path, number: int) -> None:
    async with running("--port", "0", "--data", str(tmp_path), "--json") as process:
        listening = await process.event()
        assert listening["event"] == "listening"
        assert listening["url"].startswith("ws://127.0.0.1:")
        async with Client(listening["url"]) as client:
            await client.join()
            code, errors = await process.end(number)
            assert (code, errors) == (0, "")
            assert await client.until_closed() == 1001
        assert await process.event() == {"event": "stopped"}


async def test_it_tells_people_how_to_join(tmp_path: Path) -> None:
    async with running("--port", "0", XDG_DATA_HOME=str(tmp_path)) as process:
        first = await process.line()
        assert first.startswith("crdtsync hub is listening at ws://127.0.0.1:")
        url = first.split()[-1]
        assert f"crdtsync join ROOM DIR --hub {url}" in await process.line()
        assert str(tmp_path / "crdtsync" / "hub") in await process.line()
        assert (tmp_path / "crdtsync" / "hub" / "hub.db").exists()


async def test_it_does_not_stand_open_to_others_unless_told_to(tmp_path: Path) -> None:
    everywhere = ("--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path))
    async with running(*everywhere) as process:
        code, errors = await process.end()
        assert code == 1
        assert "crdtsync invite ROOM" in errors and "--open" in errors
    async with running(*everywhere, "--open") as process:
        await process.line()
        assert "--hub ws://THIS-MACHINE:" in await process.line()
        await process.line()
        code, errors = await process.end(signal.SIGTERM)
        assert code == 0
        assert "anyone who can reach" in errors


async def test_a_taken_port_and_a_taken_folder_end_it_with_1(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    async with running("--port", "0", "--data", data, "--json") as first:
        port = (await first.event())["url"].rpartition(":")[2]
        async with running("--port", port, "--data", str(tmp_path / "other")) as second:
            code, errors = await second.end()
            assert code == 1
            assert errors.startswith(f"crdtsync: The hub cannot listen at 127.0.0.1 port {port}")
            assert errors.count("\n") == 1
        async with running("--port", "0", "--data", data, "--json") as third:
            refused = await third.event()
            assert refused["event"] == "error"
            assert f"in use by another hub (pid {first.process.pid})" in refused["message"]
            assert (await third.end())[0] == 1


async def test_a_corrupt_database_is_told_on_both_outputs(tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(b"nonsense" * 1000)
    async with running("--port", "0", "--data", str(tmp_path), "--json") as process:
        notice = await process.event()
        assert (notice["event"], notice["kind"]) == ("notice", "corrupt")
        assert (await process.event())["event"] == "listening"
        _, errors = await process.end(signal.SIGTERM)
        assert "is kept as" in errors


async def test_a_kill_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acked: set[int] = set()
    cursors: list[Cursor] = []

    async def write(url: str, life: int, enough: asyncio.Event, wanted: int) -> None:
        """Push without a pause until the hub is gone; remember what it acknowledged."""
        async with Client(url) as client:
            await client.join()
            assert client.welcome is not None
            for number in range(200):
                index = life * 1000 + number
                await client.push((document(index), lone_update("x" * 50, index + 1)))
            try:
                while True:
                    ack = await client.until(Ack)
                    acked.add(life * 1000 + ack.batch - 1)
                    cursors.append(Cursor(epoch=client.welcome.epoch, sequence=ack.sequence))
                    if len(acked) >= wanted:
                        enough.set()
            except ConnectionClosed:
                return

    for life in range(3):
        async with running("--port", "0", "--data", str(tmp_path), "--json") as process:
            url = (await process.event())["url"]
            enough = asyncio.Event()
            writing = asyncio.create_task(write(url, life, enough, len(acked) + 20))
            async with asyncio.timeout(DEADLINE_S):
                await enough.wait()
            process.process.kill()
            await process.process.wait()
            await writing
    async with running("--port", "0", "--data", str(tmp_path), "--json") as process:
        url = (await process.event())["url"]
        async with Client(url) as reader:
            await reader.join()
            stored = {int(entry.document, 16) for entry in reader.entries}
            assert len(acked) >= 60
            assert acked <= stored
            rows = [(entry.sequence, entry.document) for entry in reader.entries]
            assert [sequence for sequence, _ in rows] == list(range(1, len(rows) + 1))
        for cursor in cursors[:: len(cursors) // 5]:
            async with Client(url) as back:
                await back.join(cursor=cursor)
                assert back.welcome is not None
                assert back.welcome.resume
                assert [(e.sequence, e.document) for e in back.entries] == rows[cursor.sequence :]
        assert (await process.end(signal.SIGTERM))[0] == 0


@pytest.mark.parametrize("port", ["-1", "65536", "x", "٣", ""])
def test_a_port_that_is_none_is_a_usage_error(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    command.register(parser)
    with pytest.raises(SystemExit) as usage:
        parser.parse_args([f"--port={port}"])
    assert usage.value.code == 2
    assert "is not a port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("base", "expected"),
    [("/data", "/data/crdtsync/hub"), ("", "/home/me/.local/share/crdtsync/hub"), ("relative", None)],
)
def test_rooms_are_kept_where_the_system_keeps_such_data(
    base: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", base)
    monkeypatch.setenv("HOME", "/home/me")
    assert default_data() == Path(expected or "/home/me/.local/share/crdtsync/hub")
