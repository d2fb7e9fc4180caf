"""A real hub on a real socket: joining, relaying, resuming, limits, what HTTP tells, and how it ends."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from crdtsync.core.hub import bounds
from crdtsync.core.hub.admission import Denied
from crdtsync.core.hub.effects import Notice
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.values import limits
from crdtsync.core.wire.control import Cursor, Hello, Presence, encode_control
from crdtsync.core.wire.messages import CaughtUp, Committed, Compare, Differ, Probe, Probed
from crdtsync.errors import CrdtsyncError, StoreError, StoreInUse
from crdtsync.runtime.hub import HubServer
from crdtsync.runtime.hub_access import AccessOptions
from crdtsync.runtime.hub_gate import Gate
from tests.hub.client import Client
from tests.hub.material import NOTES, TASKS, Author, document, lone_update, text_of, v2_update
from tests.hub.test_store import damage
from tests.waiting import DEADLINE_S


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubServer]:
    async with HubServer("127.0.0.1", 0, tmp_path / "data") as server:
        yield server


async def get(hub: HubServer, path: str, *headers: str) -> tuple[int, str, str]:
    """Status, headers and body of a plain HTTP request."""
    host, port = hub.url.removeprefix("ws://").split(":")
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection(host, int(port))
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    return int(head.split()[1]), head, body


# -- members ------------------------------------------------------------------------------------------


async def test_two_members_share_a_room(hub: HubServer) -> None:
    async with Client(hub.url) as ann, Client(hub.url) as bob:
        await ann.join(name="ann")
        await bob.join(name="bob")
        writer = Author()
        await ann.store((NOTES, writer.type("hello")))
        await bob.store((NOTES, writer.type(" world")))
        assert (
            text_of([entry.update for entry in [*bob.entries, *await ann.until_entries(1)]]) == "hello world"
        )
        await ann.send(Probe(5))
        assert await ann.until(Probed) == Probed(5, 2)
        await bob.send(Presence(name="bob", editing=("todo.md",)))
        told = await ann.until(Presence, lambda presence: bool(presence.editing))
        assert told.editing == ("todo.md",)
    async with Client(hub.url) as carl:
        await carl.join()
        assert text_of([entry.update for entry in carl.entries]) == "hello world"


async def test_a_returning_member_is_given_what_it_missed(hub: HubServer) -> None:
    async with Client(hub.url) as ann:
        await ann.join()
        ack = await ann.store((NOTES, lone_update("one", 1)))
        assert ann.welcome is not None
        cursor = Cursor(epoch=ann.welcome.epoch, sequence=ack.sequence)
        await ann.store((TASKS, lone_update("two", 2)))
    async with Client(hub.url) as back:
        await back.join(cursor=cursor)
        assert back.welcome is not None
        assert back.welcome.resume
        assert [entry.document for entry in back.entries] == [TASKS]


async def test_a_large_room_is_caught_up_with_while_others_write(hub: HubServer) -> None:
    async with Client(hub.url) as ann, Client(hub.url) as bob:
        await ann.join()
        for number in range(40):
            await ann.store((document(number), lone_update("x" * 100_000, number + 1)))
        hello = asyncio.create_task(bob.join())
        for number in range(40, 80):
            await ann.store((document(number), lone_update("x" * 100_000, number + 1)))
        await hello
        entries = await bob.until_entries(80)
        assert sorted({entry.sequence for entry in entries}) == list(range(1, 81))


async def test_one_update_of_many_megabytes_reaches_the_others(hub: HubServer) -> None:
    async with Client(hub.url) as ann, Client(hub.url) as bob:
        await ann.join()
        await bob.join()
        update = lone_update("x" * (bounds.UPDATE_MAX_BYTES - 100))
        await ann.store((NOTES, update))
        assert (await bob.until_entries(1))[0].update == update


async def test_a_member_that_does_not_read_is_bounded_and_catches_up(hub: HubServer) -> None:
    async with Client(hub.url) as ann, Client(hub.url) as slow:
        await ann.join()
        await slow.join()
        slow.websocket.transport.pause_reading()
        count = 0
        while not hub.counts.fell_behind:
            count += 1
            await ann.store((document(count), lone_update("x" * 500_000, count)))
            assert count < 200
        count += 1
        await ann.store((NOTES, lone_update("last", 999)))
        slow.websocket.transport.resume_reading()
        entries = await slow.until_entries(count)
        assert [entry.sequence for entry in entries] == list(range(1, count + 1))
        if not any(isinstance(message, Committed) and message.sequence == count for message in slow.got):
            await slow.until(Committed, lambda committed: committed.sequence == count)


@pytest.mark.parametrize(
    "frame",
    [b"", b"\x63", b"\x01\x01", b"\xff" * 40, "{}", "no json", encode_control(Presence())],
    ids=["empty", "unknown", "short", "huge number", "no type", "no json", "presence before hello"],
)
async def test_a_malformed_first_frame_is_refused(hub: HubServer, frame: str | bytes) -> None:
    async with Client(hub.url) as client:
        await client.websocket.send(frame)
        assert await client.until_closed() == 1002
        assert client.refused.code == "protocol"


@pytest.mark.parametrize(
    "update", [b"\xff\xff\xff", b"\x01\x01\x00\x00", v2_update(), lone_update()[:-1]], ids=str
)
async def test_an_update_that_cannot_be_applied_ends_only_its_sender(hub: HubServer, update: bytes) -> None:
    async with Client(hub.url) as bad, Client(hub.url) as good:
        await bad.join()
        await good.join()
        await bad.push((NOTES, update))
        assert await bad.until_closed() == 1002
        assert NOTES in bad.refused.message
        await good.store((NOTES, lone_update()))
        assert good.entries == []


async def test_a_message_larger_than_allowed_ends_its_sender(hub: HubServer) -> None:
    async with Client(hub.url) as bad, Client(hub.url) as good:
        await bad.join()
        await good.join()
        size = (limits.FRAME_MAX_BYTES + 1).to_bytes(8, "big")
        bad.websocket.transport.write(b"\x82\xff" + size + b"mask")  # the header of a frame says enough
        assert await bad.until_closed() == 1009
        await good.store((NOTES, lone_update()))


async def test_before_its_hello_nobody_may_send_much(hub: HubServer) -> None:
    async with Client(hub.url) as client:
        await client.websocket.send("x" * (limits.CONTROL_MAX_BYTES + 1))
        assert await client.until_closed() == 1009


async def test_a_room_that_nobody_can_have_is_refused_for_a_person(hub: HubServer) -> None:
    async with Client(hub.url) as client:
        await client.websocket.send(encode_control(Hello(room="a/b", replica="r")))
        assert await client.until_closed() == 1008
        assert client.refused.code == "room"
        assert "a/b" in client.refused.message


async def test_connections_without_a_hello_are_bounded(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_BEFORE_HELLO_MAX", 1)
    async with Client(hub.url):
        with pytest.raises(InvalidStatus) as caught:
            async with Client(hub.url):
                pass
        assert caught.value.response.status_code == 429


async def test_a_silent_connection_is_let_go(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELLO_TIMEOUT_S", 0.1)
    async with Client(hub.url) as client:
        assert await client.until_closed() == 1002
        assert "hello" in client.refused.message


async def test_who_is_not_admitted_is_refused(tmp_path: Path) -> None:
    gate = Gate(lambda asking: Denied("You need a token."))
    async with HubServer("127.0.0.1", 0, tmp_path, gate=gate) as hub, Client(hub.url) as client:
        await client.websocket.send(encode_control(Hello(room="notes", replica="r")))
        assert await client.until_closed() == 1008
        assert client.refused.message == "You need a token."


async def test_a_long_document_is_compacted_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", 50)
    writer = Author()
    async with HubServer("127.0.0.1", 0, tmp_path) as hub, Client(hub.url) as ann:
        await ann.join()
        while not hub.counts.compactions:
            await ann.store((NOTES, writer.type("word ")))
    async with HubServer("127.0.0.1", 0, tmp_path) as hub, Client(hub.url) as bob:
        await bob.join()
        assert len(bob.entries) < 50
        assert text_of([entry.update for entry in bob.entries]) == str(writer)


# -- the data folder ----------------------------------------------------------------------------------


async def test_a_hub_restored_from_a_backup_compares(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    kept, lost = lone_update("kept", 1), lone_update("lost", 2)
    async with HubServer("127.0.0.1", 0, data) as hub, Client(hub.url) as ann:
        await ann.join()
        await ann.store((NOTES, kept))
    shutil.copytree(data, backup)
    async with HubServer("127.0.0.1", 0, data) as hub, Client(hub.url) as ann:
        await ann.join()
        ack = await ann.store((TASKS, lost))
        assert ann.welcome is not None
        cursor = Cursor(epoch=ann.welcome.epoch, sequence=ack.sequence)
    async with HubServer("127.0.0.1", 0, backup) as hub, Client(hub.url) as ann, Client(hub.url) as bob:
        await bob.join()
        welcome = await ann.hello(cursor=cursor)
        assert not welcome.resume
        await ann.send(Compare(True, ((NOTES, b"\1\1\4"), (TASKS, b"\1\2\4"))))
        differ = await ann.until(Differ)
        assert [difference.state_vector for difference in differ.documents] == [b"\1\1\4", b"\0"]
        await ann.until(CaughtUp)
        await ann.store((TASKS, lost))
        assert (await bob.until_entries(2))[-1].update == lost


async def test_a_second_hub_on_one_folder_is_refused(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(StoreInUse, match=r"in use by another hub \(pid \d+\)"):
        async with HubServer("127.0.0.1", 0, tmp_path / "data"):
            pass
    async with Client(hub.url) as client:
        await client.join()


async def test_a_taken_port_is_told_and_the_folder_let_go(hub: HubServer, tmp_path: Path) -> None:
    port = int(hub.url.rpartition(":")[2])
    with pytest.raises(CrdtsyncError, match=f"cannot listen at 127.0.0.1 port {port}.*--port"):
        async with HubServer("127.0.0.1", port, tmp_path / "other"):
            pass
    async with HubServer("127.0.0.1", 0, tmp_path / "other") as other:
        assert other.url != hub.url


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [("127.0.0.1", 99999, "no such port"), ("a..b", 0, "no machine can have that name")],
)
async def test_an_address_that_cannot_be_is_told(tmp_path: Path, host: str, port: int, told: str) -> None:
    with pytest.raises(CrdtsyncError, match=told):
        async with HubServer(host, port, tmp_path, access=AccessOptions(open=True)):
            pass


async def test_a_host_without_an_address_is_told(tmp_path: Path) -> None:
    with pytest.raises(CrdtsyncError, match="--host"):
        async with HubServer("203.0.113.7", 0, tmp_path, access=AccessOptions(open=True)):
            pass


async def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        async with HubServer("127.0.0.1", 0, tmp_path / "file" / "data"):
            pass


async def test_a_corrupt_database_is_kept_aside_and_replicas_seed_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(b"not a database " * 1000)
    notices: list[Notice] = []
    async with (
        HubServer("127.0.0.1", 0, tmp_path, noticed=notices.append) as hub,
        Client(hub.url) as ann,
    ):
        (notice,) = notices
        assert notice.kind == "corrupt"
        (aside,) = put_aside(tmp_path)
        assert str(aside) in notice.message
        assert aside.read_bytes().startswith(b"not a database")
        welcome = await ann.hello(cursor=Cursor(epoch="of the lost store", sequence=10))
        assert not welcome.resume
        await ann.send(Compare(True, ((NOTES, b"\1\1\5"),)))
        await ann.until(CaughtUp)
        await ann.store((NOTES, lone_update()))


async def test_damage_found_while_it_runs_begins_a_new_store_too(tmp_path: Path) -> None:
    async with HubServer("127.0.0.1", 0, tmp_path) as hub, Client(hub.url) as ann:
        await ann.join()
        for number in range(60):
            await ann.store((document(number), lone_update("x" * 30_000, number + 1)))
    damage(tmp_path / "hub.db")
    notices: list[Notice] = []
    told = asyncio.Event()

    def noticed(notice: Notice) -> None:
        notices.append(notice)
        told.set()

    async with HubServer("127.0.0.1", 0, tmp_path, noticed=noticed) as hub:
        async with Client(hub.url) as bob:
            await bob.hello()
            assert await bob.until_closed() == 1012
        async with asyncio.timeout(DEADLINE_S):
            await told.wait()
        async with Client(hub.url) as bob:
            await bob.join()
            assert bob.entries == []
            await bob.store((NOTES, lone_update()))
        assert [notice.kind for notice in notices] == ["corrupt"]
        assert len(put_aside(tmp_path)) == 1


async def test_a_full_disk_acknowledges_nothing_and_passes(tmp_path: Path) -> None:
    notices: list[Notice] = []
    async with HubServer("127.0.0.1", 0, tmp_path, noticed=notices.append) as hub:
        async with Client(hub.url) as ann, Client(hub.url) as bob:
            await ann.join()
            await bob.join()
            await ann.store((NOTES, lone_update("one", 1)))
            with full(hub):
                await ann.push((TASKS, lone_update("y" * 200_000, 2)))
                assert await ann.until_closed() == 1013
                assert await bob.until_closed() == 1013
                status, _, body = await get(hub, "/healthz")
                assert status == 503
                assert json.loads(body)["status"] == "degraded"
                assert "full" in json.loads(body)["trouble"]
        assert notices[0].kind == "store"
        async with Client(hub.url) as ann:
            await ann.join()
            assert [entry.document for entry in ann.entries] == [NOTES]
            await ann.store((TASKS, lone_update("y" * 200_000, 2)))
        assert (await get(hub, "/healthz"))[0] == 200


def put_aside(folder: Path) -> list[Path]:
    return list(folder.glob("hub.db.corrupt-*Z"))


class full:
    """The hub's disk takes no more, as SQLite tells it."""

    def __init__(self, hub: HubServer) -> None:
        self._write: sqlite3.Connection = hub._store._write

    def __enter__(self) -> None:
        pages = self._write.execute("PRAGMA page_count").fetchone()[0]
        self._write.execute(f"PRAGMA max_page_count = {pages}")

    def __exit__(self, *_: object) -> None:
        self._write.execute("PRAGMA max_page_count = 4294967294")


async def test_an_error_that_nobody_foresaw_starts_over_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with HubServer("127.0.0.1", 0, tmp_path) as hub:
        async with Client(hub.url) as ann:
            await ann.join()
            await ann.store((NOTES, lone_update("one", 1)))
            with monkeypatch.context() as patch:
                patch.setattr(HubEngine, "_flush", lambda engine, now: 1 // 0)
                await ann.push((NOTES, lone_update("two", 2)))
                assert await ann.until_closed() == 1012
        async with Client(hub.url) as bob:
            await bob.join()
            assert [entry.update for entry in bob.entries] == [lone_update("one", 1)]
            await bob.store((NOTES, lone_update("two", 2)))
    assert "ZeroDivisionError" in caplog.text


# -- HTTP ---------------------------------------------------------------------------------------------


async def test_health_and_metrics_are_told_over_http(hub: HubServer) -> None:
    async with Client(hub.url) as ann, Client(hub.url) as bob:
        await ann.join()
        await bob.join()
        await ann.store((NOTES, lone_update()))
        async with Client(hub.url) as bad:
            await bad.websocket.send(b"\x63")
            await bad.until_closed()
        status, head, body = await get(hub, "/healthz")
        assert status == 200
        assert "application/json" in head
        health = json.loads(body)
        assert (health["status"], health["rooms"], health["members"]) == ("ok", 1, 2)
        status, head, body = await get(hub, "/metrics?x=1")
        assert status == 200
        assert "text/plain; version=0.0.4" in head
        metrics = dict(line.rsplit(" ", 1) for line in body.splitlines() if not line.startswith("#"))
        assert float(metrics["crdtsync_hub_members"]) == 2
        assert float(metrics["crdtsync_hub_updates_total"]) == 1
        assert float(metrics["crdtsync_hub_update_bytes_total"]) == len(lone_update())
        assert float(metrics["crdtsync_hub_commit_seconds_count"]) == 1
        assert float(metrics['crdtsync_hub_refusals_total{code="protocol"}']) == 1


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/rooms", "/healthz/", "/yjs", "/hocuspocus/x"])
async def test_there_is_nothing_at_other_paths(hub: HubServer, path: str) -> None:
    assert (await get(hub, path))[0] == 404
    with pytest.raises(InvalidStatus) as refused:
        await connect(hub.url + path)
    assert refused.value.response.status_code == 404


async def test_a_socket_path_wants_a_websocket(hub: HubServer) -> None:
    assert (await get(hub, "/v1/room"))[0] == 426


@pytest.mark.parametrize("path", ["/v1/room", "/v1/blobs"])
async def test_a_web_page_cannot_join_behind_its_readers_back(hub: HubServer, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(hub.url + path, origin="https://example.org")  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403


# -- the end ------------------------------------------------------------------------------------------


async def test_a_stopped_hub_has_stored_what_it_took_and_says_goodbye(tmp_path: Path) -> None:
    async with HubServer("127.0.0.1", 0, tmp_path) as hub:
        ann = await Client(hub.url).__aenter__()
        await ann.join()
        silent = await Client(hub.url).__aenter__()
        blobs = await Client(hub.url, "/v1/blobs").__aenter__()
        for number in range(100):
            await ann.push((document(number), lone_update("x", number + 1)))
        await ann.send(Probe(1))
        await ann.until(Probed)
        hub.stop()
        codes = [await client.until_closed() for client in (ann, silent, blobs)]
        assert codes == [1001, 1001, 1001]
        assert ann.refused.code == "shutdown"
        await hub.wait()
        with pytest.raises(OSError):
            await connect(hub.url + "/v1/room")
    async with HubServer("127.0.0.1", 0, tmp_path) as hub, Client(hub.url) as bob:
        await bob.join()
        assert len(bob.entries) == 100


async def test_a_stop_does_not_wait_for_those_who_do_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtsync.runtime.hub.STOP_TIMEOUT_S", 0.5)
    async with HubServer("127.0.0.1", 0, tmp_path) as hub:
        ann = await Client(hub.url).__aenter__()
        slow = await Client(hub.url).__aenter__()
        await ann.join()
        await slow.join()
        slow.websocket.transport.pause_reading()
        count = 0
        while not hub.counts.fell_behind:
            count += 1
            await ann.store((document(count), lone_update("x" * 500_000, count)))
    async with asyncio.timeout(DEADLINE_S):
        await ann.until_closed()
        slow.websocket.transport.abort()
        await slow.websocket.wait_closed()


async def test_a_port_is_free_again_at_once(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for _ in range(3):
        async with HubServer("127.0.0.1", port, tmp_path) as hub, Client(hub.url) as client:
            assert hub.url == f"ws://127.0.0.1:{port}"
            await client.join()
