"""The hub's end of the blob socket, spoken to frame by frame: what it serves, refuses and bounds."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import zstandard
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from crdtsync.adapters import chunk_store
from crdtsync.adapters.chunk_store import ChunkStore
from crdtsync.adapters.compression import seal
from crdtsync.core.hub.admission import READ_ONLY, Asking, Denied, Granted
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.wire import blobs as wire
from crdtsync.core.wire.blobs import Chunks, Codec, Get, Had, Have, Put, Sealed, Stored, Unstored
from crdtsync.core.wire.control import Hello, Refused, Welcome, decode_control, encode_control
from crdtsync.runtime import hub_blobs
from crdtsync.runtime.hub_blobs import ROOM_FULL
from crdtsync.runtime.hub_gate import Gate
from tests.blobs.harness import Hub, noise, running_hub
from tests.waiting import DEADLINE_S, until


class Member:
    """A websocket to the hub that says and hears single frames."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket

    async def say(self, message: wire.BlobsFromReplica) -> None:
        await self.websocket.send(wire.encode_from_replica(message))

    async def hear(self) -> wire.BlobsFromHub:
        async with asyncio.timeout(DEADLINE_S):
            frame = await self.websocket.recv()
        assert isinstance(frame, bytes), frame
        return wire.decode_from_hub(frame)

    async def refusal(self) -> Refused:
        async with asyncio.timeout(DEADLINE_S):
            frame = await self.websocket.recv()
            assert isinstance(frame, str)
            refused = decode_control(frame)
            assert isinstance(refused, Refused)
            with pytest.raises(ConnectionClosed):
                await self.websocket.recv()
        return refused

    async def put(self, *data: bytes) -> list[Digest]:
        digests = [digest_of(item) for item in data]
        await self.say(Put(1, tuple((digest_of(item), seal(item)) for item in data)))
        assert await self.hear() == Stored((1,))
        return digests


@asynccontextmanager
async def member(hub: Hub, room: str = "room", **fields: object) -> AsyncIterator[Member]:
    async with stranger(hub) as made:
        await made.websocket.send(encode_control(Hello(room=room, replica="r", **fields)))  # type: ignore[arg-type]
        welcome = await made.websocket.recv()
        assert isinstance(welcome, str)
        assert isinstance(decode_control(welcome), Welcome)
        yield made


@asynccontextmanager
async def stranger(hub: Hub) -> AsyncIterator[Member]:
    async with connect(hub.url + wire.BLOBS_PATH, compression=None, max_size=None) as websocket:
        yield Member(websocket)


async def test_chunks_are_stored_known_and_sent_back(hub: Hub) -> None:
    one, two = b"one" * 1000, random.Random(1).randbytes(5000)
    async with member(hub) as speaker:
        digests = (digest_of(one), digest_of(two), digest_of(b"three"))
        await speaker.say(Have(7, digests))
        assert await speaker.hear() == Had(7, (False, False, False))
        await speaker.put(one, two)
        await speaker.say(Have(8, digests))
        assert await speaker.hear() == Had(8, (True, True, False))
        await speaker.say(Get(9, digests))
        assert await speaker.hear() == Chunks(9, (seal(one), seal(two), None))
    assert hub.running.traffic.missing_chunks == 1


async def test_a_member_of_one_room_gets_nothing_of_another(hub: Hub) -> None:
    async with member(hub, "mine") as owner, member(hub, "yours") as other:
        (digest,) = await owner.put(b"secret")
        await other.say(Have(1, (digest,)))
        assert await other.hear() == Had(1, (False,))
        await other.say(Get(2, (digest,)))
        assert await other.hear() == Chunks(2, (None,))


async def test_small_chunks_share_frames_and_large_ones_do_not_wait_for_all(hub: Hub) -> None:
    rng = random.Random(2)
    small = [rng.randbytes(1000) for _ in range(600)]
    async with member(hub) as speaker:
        for start in range(0, 600, 200):
            await speaker.put(*small[start : start + 200])
        await speaker.say(Get(1, tuple(map(digest_of, small))))
        answers: list[Chunks] = []
        while sum(len(answer.chunks) for answer in answers) < 600:
            answer = await speaker.hear()
            assert isinstance(answer, Chunks)
            answers.append(answer)
        assert len(answers) == 2
        assert [chunk for answer in answers for chunk in answer.chunks] == [seal(item) for item in small]


async def test_no_frame_is_above_its_bound_whatever_follows_a_batch_that_is_nearly_full(hub: Hub) -> None:
    rng = random.Random(4)
    chunks = [rng.randbytes(wire.BLOB_BATCH_BYTES - 1), rng.randbytes(limits.CHUNK_MAX_BYTES)]
    async with member(hub) as speaker:
        for data in chunks:
            await speaker.put(data)
        await speaker.say(Get(1, tuple(map(digest_of, chunks))))
        assert await speaker.hear() == Chunks(1, tuple(map(seal, chunks)))


@pytest.mark.parametrize(
    ("digest_content", "sealed", "why"),
    [
        (b"this", Sealed(Codec.RAW, b"that"), "something else"),
        (bytes(1 << 28), Sealed(Codec.ZSTD, zstandard.ZstdCompressor().compress(bytes(1 << 28))), "above"),
        (b"this", Sealed(Codec.ZSTD, b"this"), "damaged"),
        (b"x" * 600_000, Sealed(Codec.RAW, b"x" * 600_000), "above"),
    ],
    ids=["mismatch", "bomb", "no zstd", "too large"],
)
async def test_what_is_not_a_chunk_with_its_name_is_refused_and_not_stored(
    hub: Hub, digest_content: bytes, sealed: Sealed, why: str
) -> None:
    digest = digest_of(digest_content)
    async with member(hub) as speaker:
        await speaker.say(Put(1, ((digest, sealed),)))
        refused = await speaker.refusal()
        assert refused.code == "protocol"
        assert why in refused.message
    async with member(hub) as speaker:
        await speaker.say(Have(1, (digest,)))
        assert await speaker.hear() == Had(1, (False,))


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b"", "ends within"),
        (b"\x63", "unknown kind 99"),
        ("{}", "text message"),
        (b"\x10\x00\x00", "unknown kind"),
    ],
)
async def test_a_member_that_breaks_the_protocol_is_refused(hub: Hub, frame: bytes | str, why: str) -> None:
    async with member(hub) as speaker:
        await speaker.websocket.send(frame)
        refused = await speaker.refusal()
        assert refused.code == "protocol"
        assert why in refused.message


async def test_a_message_above_the_bound_ends_the_connection_before_it_is_received(hub: Hub) -> None:
    async with member(hub) as speaker:
        with pytest.raises(ConnectionClosed) as raised:
            await speaker.websocket.send(bytes(wire.BLOB_FRAME_MAX_BYTES + 1))
            async with asyncio.timeout(DEADLINE_S):
                await speaker.websocket.recv()
        assert raised.value.rcvd is not None
        assert raised.value.rcvd.code == 1009


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (b"\x01\x01\x00", "protocol"),
        ("hello", "protocol"),
        ('{"type": "left", "member": 1}', "protocol"),
        (encode_control(Hello(room="room", replica="r", version=99)), "version"),
        (encode_control(Hello(room="../etc", replica="r")), "room"),
        (encode_control(Hello(room="", replica="r")), "room"),
    ],
)
async def test_a_stranger_is_refused_with_a_reason(hub: Hub, first: str | bytes, code: str) -> None:
    async with stranger(hub) as speaker:
        await speaker.websocket.send(first)
        assert (await speaker.refusal()).code == code
    assert not any(path.name != "tmp" for path in hub.root.iterdir())


async def test_who_is_not_admitted_sees_nothing(tmp_path: Path) -> None:
    def admit(asking: Asking) -> Granted | Denied:
        return Granted() if asking.token == "right" else Denied("wrong token")

    async with running_hub(tmp_path / "chunks", admit=admit) as hub:
        async with member(hub, token="right") as speaker:
            await speaker.put(b"data")
        async with stranger(hub) as speaker:
            await speaker.websocket.send(encode_control(Hello(room="room", replica="r", token="wrong")))
            assert await speaker.refusal() == Refused(code="denied", message="wrong token")


async def test_a_reader_gets_chunks_and_stores_none(tmp_path: Path) -> None:
    def admit(asking: Asking) -> Granted | Denied:
        return Granted(read_only=asking.token == "reader")

    async with running_hub(tmp_path / "chunks", admit=admit) as hub, member(hub) as writer:
        await writer.put(b"data")
        async with member(hub, token="reader") as reader:
            await reader.say(Get(1, (digest_of(b"data"),)))
            assert await reader.hear() == Chunks(1, (seal(b"data"),))
            await reader.say(Put(2, ((digest_of(b"mine"), seal(b"mine")),)))
            assert await reader.refusal() == Refused(code="denied", message=READ_ONLY)
        await writer.say(Have(3, (digest_of(b"mine"), digest_of(b"data"))))
        assert await writer.hear() == Had(3, (False, True))


async def test_who_is_let_out_is_told_and_given_nothing_more(tmp_path: Path) -> None:
    holds = True

    def problem(granted: Granted) -> str | None:
        return None if holds else "This invite was revoked."

    gate = Gate(problem=problem)
    async with running_hub(tmp_path / "chunks", gate=gate) as hub, member(hub) as speaker:
        await speaker.put(b"data")
        assert gate.look_again() == 0
        holds = False
        assert gate.look_again() == 1
        assert await speaker.refusal() == Refused(code="denied", message="This invite was revoked.")
    assert gate.look_again() == 0


async def test_a_room_whose_files_are_full_takes_no_more_and_others_do(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with member(hub) as speaker, member(hub, room="other") as neighbour:
        await speaker.put(b"a" * 100)
        monkeypatch.setattr(limits, "ROOM_CHUNKS_MAX_BYTES", 150)
        noise_chunk = noise(77, 200)
        await speaker.say(Put(8, ((digest_of(noise_chunk), seal(noise_chunk)),)))
        assert await speaker.hear() == Unstored((8,), ROOM_FULL)
        await neighbour.put(b"b" * 100)
        await speaker.say(Have(9, (digest_of(b"a" * 100), digest_of(noise_chunk))))
        assert await speaker.hear() == Had(9, (True, False))


async def test_who_says_nothing_is_not_waited_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELLO_TIMEOUT_S", 0.01)
    async with stranger(hub) as speaker:
        assert "no hello" in (await speaker.refusal()).message


async def test_a_full_disk_is_told_and_the_connection_goes_on(tmp_path: Path) -> None:
    free = 0
    store = ChunkStore(tmp_path / "chunks", free_min_bytes=1000, free=lambda _: free)
    async with running_hub(tmp_path / "chunks", store=store) as hub, member(hub) as speaker:
        await speaker.say(Put(5, ((digest_of(b"data"), seal(b"data")),)))
        assert await speaker.hear() == Unstored((5,), "the hub's disk is full")
        free = 10_000
        await speaker.put(b"data")


async def test_a_failing_disk_is_told_and_the_hub_goes_on(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with member(hub) as speaker:
        monkeypatch.setattr(chunk_store, "write_new_file", fails)
        await speaker.say(Put(5, ((digest_of(b"data"), seal(b"data")),)))
        assert await speaker.hear() == Unstored((5,), "the hub's disk fails: Input/output error")
        monkeypatch.undo()
        (digest,) = await speaker.put(b"data")
        monkeypatch.setattr(chunk_store, "read_chunk", lambda *_: os.open("/", os.O_WRONLY))
        await speaker.say(Get(6, (digest,)))
        assert (await speaker.refusal()).code == "limit"
        monkeypatch.undo()
    async with member(hub) as speaker:
        await speaker.say(Get(7, (digest,)))
        assert await speaker.hear() == Chunks(7, (seal(b"data"),))


async def test_puts_of_many_members_share_commits(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    real, all_there = hub.running.store.write, threading.Event()

    def write(batch: list[chunk_store.NewChunk]) -> None:
        batches.append(len(batch))
        assert all_there.wait(DEADLINE_S)
        real(batch)

    monkeypatch.setattr(hub.running.commits, "_write", write)
    rng = random.Random(3)
    async with member(hub) as one, member(hub, "other") as two:
        for request in range(100):
            for speaker in (one, two):
                data = rng.randbytes(500)
                await speaker.say(Put(request, ((digest_of(data), seal(data)),)))
        await until(lambda: sum(batches) + len(hub.running.commits._next) == 200)
        all_there.set()
        for speaker in (one, two):
            stored: set[int] = set()
            while len(stored) < 100:
                answer = await speaker.hear()
                assert isinstance(answer, Stored)
                stored |= set(answer.requests)
    assert sum(batches) == 200
    assert len(batches) <= 2


async def test_a_member_that_does_not_read_makes_the_hub_keep_little(hub: Hub) -> None:
    chunk = random.Random(4).randbytes(500_000)
    asked = 400
    async with member(hub) as speaker:
        (digest,) = await speaker.put(chunk)
        assert hub.server is not None
        (connection,) = hub.server.connections
        kept: list[int] = []

        def buffered() -> int:
            kept.append(connection.transport.get_write_buffer_size())
            return kept[-1]

        speaker.websocket.transport.pause_reading()
        for request in range(asked):
            await speaker.say(Get(request, (digest,)))
        await until(lambda: buffered() > 0)
        for _ in range(2000):
            buffered()
            await asyncio.sleep(0)
        sent = hub.running.traffic.sent_chunks
        assert sent < asked // 2
        speaker.websocket.transport.resume_reading()
        for request in range(asked):
            buffered()
            assert await speaker.hear() == Chunks(request, (seal(chunk),))
        assert max(kept) < 3 * len(chunk)


async def test_a_member_that_sends_faster_than_the_disk_is_slowed_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is received and not stored stays within the bound, however much is sent."""
    monkeypatch.setattr(hub_blobs, "PUTS_MAX_BYTES", 300_000)
    rng = random.Random(5)
    most = 0
    async with running_hub(tmp_path / "chunks") as hub:
        real = hub.running.store.write

        def write(batch: list[chunk_store.NewChunk]) -> None:
            nonlocal most
            most = max(most, sum(len(chunk.sealed.data) for chunk in batch))
            real(batch)

        monkeypatch.setattr(hub.running.commits, "_write", write)
        async with member(hub) as speaker:
            data = [rng.randbytes(100_000) for _ in range(60)]
            for request, item in enumerate(data):
                await speaker.say(Put(request, ((digest_of(item), seal(item)),)))
            stored: set[int] = set()
            while len(stored) < len(data):
                answer = await speaker.hear()
                assert isinstance(answer, Stored)
                stored |= set(answer.requests)
    assert 0 < most <= 300_000


async def test_a_connection_that_breaks_in_mid_put_leaves_the_hub_in_order(hub: Hub) -> None:
    data = [random.Random(seed).randbytes(200_000) for seed in range(20)]
    for _ in range(5):
        async with member(hub) as speaker:
            for request, item in enumerate(data):
                await speaker.say(Put(request, ((digest_of(item), seal(item)),)))
            speaker.websocket.transport.abort()
    await until(lambda: hub.running.traffic.connections == 0)
    assert hub.running.puts._inside_bytes == 0
    async with member(hub) as speaker:
        await speaker.put(*data[:3])
