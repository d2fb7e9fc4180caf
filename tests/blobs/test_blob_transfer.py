"""Blobs from folder to folder through a real hub: what arrives, and how little has to travel for it."""

from __future__ import annotations

import asyncio

import pytest

from crdtsync.adapters import chunker
from crdtsync.adapters.chunker import index_of, manifest_of_bytes
from crdtsync.core.replica.events import Fetched, Uploaded
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.limits import CHUNK_AVERAGE_BYTES, MiB
from crdtsync.core.wire import blobs as wire
from crdtsync.runtime.workers import Workers
from tests.blobs.harness import Hub, Replica, noise, without_threads

INDEX_BYTES_PER_CHUNK = 36


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", noise(1, 5000), bytes(3 * MiB), b"text that repeats " * 100_000, noise(2, 2_000_000)],
    ids=["empty", "one byte", "one chunk", "zeros", "compressible", "several chunks"],
)
async def test_a_blob_arrives_as_it_was(here: Replica, there: Replica, data: bytes) -> None:
    await there.fetch(await here.upload("file", data), data)


async def test_a_blob_whose_index_is_large_arrives_too(
    here: Replica, there: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunker, "INDEX_WHOLE_MAX_BYTES", 100)
    data = noise(3, 4_000_000)
    uploaded = await here.upload("file", data)
    _, stored = index_of(manifest_of_bytes(data))
    assert len(stored) == 2
    await there.fetch(uploaded, data)


async def test_compressible_content_travels_compressed(here: Replica, there: Replica, hub: Hub) -> None:
    data = b"".join(f"line {number} of a log that says little\n".encode() for number in range(100_000))
    uploaded = await here.upload("log", data)
    await there.fetch(uploaded, data)
    assert hub.running.traffic.received_bytes < len(data) / 4
    assert hub.running.traffic.sent_bytes < len(data) / 4


async def test_one_byte_changed_in_64_mb_costs_about_a_chunk_each_way(
    here: Replica, there: Replica, hub: Hub
) -> None:
    old = noise(4, 64 * MiB)
    uploaded = await here.upload("file", old)
    new = old[:40_000_000] + bytes([old[40_000_000] ^ 1]) + old[40_000_001:]
    (there.folder / "file").write_bytes(old)
    traffic = hub.running.traffic
    received, sent = traffic.received_bytes, traffic.sent_bytes
    changed = await here.upload("file", new)
    assert changed != uploaded
    await there.fetch(changed, new, near=("nowhere", "file"))
    chunks = len(manifest_of_bytes(new).chunks)
    questions = 40 * chunks
    allowed = 2 * (CHUNK_AVERAGE_BYTES + 32 * 1024) + INDEX_BYTES_PER_CHUNK * chunks + 1000
    assert traffic.received_bytes - received <= allowed + questions
    assert traffic.sent_bytes - sent <= allowed


async def test_content_that_the_room_had_once_is_never_sent_again(here: Replica, hub: Hub) -> None:
    first, second = noise(5, 3_000_000), noise(6, 3_000_000)
    await here.upload("a", first)
    received = hub.running.traffic.received_bytes
    await here.upload("a copy", first)
    await here.upload("a", second)
    await here.upload("a", first)
    await here.upload("both", first + second)
    assert hub.running.traffic.received_bytes - received < len(second) + 1_000_000


async def test_content_that_repeats_in_a_blob_travels_once(here: Replica, there: Replica, hub: Hub) -> None:
    piece = noise(7, 2_000_000)
    data = piece * 6
    await there.fetch(await here.upload("file", data), data)
    assert hub.running.traffic.received_bytes < 2 * len(piece)
    assert hub.running.traffic.sent_bytes < 2 * len(piece)


async def test_transfers_at_once_of_one_chunk_share_it(
    here: Replica, there: Replica, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workers, "acquire", without_threads)
    common = noise(8, 3_000_000)
    blobs = [common + noise(seed, 1000) for seed in range(9, 12)]
    uploads = [await here.upload(f"file{number}", data) for number, data in enumerate(blobs)]
    for uploaded, data in zip(uploads, blobs, strict=True):
        there.ask(uploaded, len(data))
    for uploaded in uploads:
        assert await there.outcome(uploaded.digest) == Fetched(uploaded.digest)
    assert hub.running.traffic.sent_bytes < 1.1 * len(common)


async def test_a_chunk_that_came_and_is_not_put_anywhere_yet_is_not_asked_for_again(
    here: Replica, there: Replica, hub: Hub
) -> None:
    uploaded = await here.upload("file", b"once")
    link = there.transfers.link
    first = link.ask_for(uploaded.digest)
    await asyncio.wait([first.answer])
    second = link.ask_for(uploaded.digest)
    assert second is first
    assert hub.running.traffic.sent_chunks == 1
    link.no_more(first)
    assert link.ask_for(uploaded.digest) is first
    link.no_more(first)
    link.no_more(second)
    again = link.ask_for(uploaded.digest)
    assert again is not first
    await asyncio.wait([again.answer])
    link.no_more(again)


async def test_content_that_is_nearby_is_not_fetched(here: Replica, there: Replica, hub: Hub) -> None:
    small, large = noise(12, 50_000), noise(13, 3_000_000)
    for path, data in (("small", small), ("large", large)):
        uploaded = await here.upload(path, data)
        (there.folder / path).write_bytes(data)
        sent = hub.running.traffic.sent_bytes
        await there.fetch(uploaded, data, near=("missing", path))
        assert hub.running.traffic.sent_bytes - sent < 2000


async def test_a_near_file_that_is_not_what_it_was_does_no_harm(here: Replica, there: Replica) -> None:
    data = noise(14, 3_000_000)
    uploaded = await here.upload("file", data)
    (there.folder / "other").write_bytes(noise(15, 1_000_000) + data[500_000:])
    (there.folder / "link").symlink_to("other")
    (there.folder / "folder").mkdir()
    await there.fetch(uploaded, data, near=("link", "folder", "other"))


async def test_many_small_blobs_share_round_trips(
    here: Replica, there: Replica, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = 0
    real = wire.decode_from_replica

    def count(frame: bytes) -> wire.BlobsFromReplica:
        nonlocal frames
        frames += 1
        return real(frame)

    monkeypatch.setattr(Workers, "acquire", without_threads)
    monkeypatch.setattr(wire, "decode_from_replica", count)
    blobs = [noise(seed, 4000) for seed in range(600)]
    for number, data in enumerate(blobs):
        here.transfers.upload(f"file{number}", here.write(f"file{number}", data))
    await here.until(lambda: len(here.outcomes) == len(blobs))
    assert all(isinstance(outcome, Uploaded) for outcome in here.outcomes)
    assert frames < 200
    frames = 0
    for data in blobs:
        there.transfers.fetch(digest_of(data), len(data), None, ())
    await there.until(lambda: len(there.outcomes) == len(blobs))
    assert all(isinstance(outcome, Fetched) for outcome in there.outcomes)
    assert frames < 200


async def test_many_blobs_of_a_few_chunks_arrive_side_by_side(here: Replica, there: Replica) -> None:
    blobs = [noise(seed, 300_000) for seed in range(120)]
    for number, data in enumerate(blobs):
        here.transfers.upload(f"file{number}", here.write(f"file{number}", data))
    await here.until(lambda: len(here.outcomes) == len(blobs))
    for outcome in here.outcomes:
        assert isinstance(outcome, Uploaded), outcome
        there.ask(outcome, 300_000)
    await there.until(lambda: len(there.outcomes) == len(blobs))
    assert [outcome for outcome in there.outcomes if not isinstance(outcome, Fetched)] == []
    assert {path.name for path in there.staging.iterdir()} == {f"blob-{digest_of(data)}" for data in blobs}
