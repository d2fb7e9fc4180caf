"""Transfers that meet full disks, liars and damage: told with a reason, and nothing good is thrown away."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from crdtsync.adapters import blob_staging, part_file
from crdtsync.adapters.chunk_store import ChunkStore, room_folder
from crdtsync.adapters.chunker import index_of, manifest_of_bytes
from crdtsync.adapters.compression import seal
from crdtsync.core.replica.events import Fetched, FetchFailed, Uploaded
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.files import Manifest
from crdtsync.core.values.limits import MiB
from crdtsync.core.values.manifests import Describes, encode_manifest
from crdtsync.core.wire import blobs as wire
from crdtsync.core.wire.blobs import Codec, Sealed, Stored
from crdtsync.errors import PeerError
from crdtsync.runtime import blob_transfer
from tests.blobs.harness import Hub, Replica, noise, replica, running_hub
from tests.waiting import DEADLINE_S, until


async def test_a_full_disk_of_the_hub_is_told_and_later_overcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 3 * MiB
    store = ChunkStore(tmp_path / "chunks", free_min_bytes=3 * MiB, free=lambda _: free)
    async with running_hub(tmp_path / "chunks", store=store) as hub, replica(tmp_path / "a", hub) as speaker:
        data = noise(1, 3 * MiB)
        failed = await speaker.failed_upload("file", speaker.write("file", data))
        assert not failed.changed
        assert failed.reason == "the hub's disk is full"
        free = 100 * MiB
        monkeypatch.setattr(blob_transfer, "UPLOAD_AGAIN_S", 0.0)
        await speaker.upload("file", data)


async def test_an_upload_that_failed_does_not_begin_again_at_once(
    here: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_transfer, "UPLOAD_AGAIN_S", 3600.0)
    manifest = here.write("file", b"\0 private")
    here.denied.add("file")
    await here.failed_upload("file", manifest)
    here.denied.clear()
    here.opened.clear()
    here.transfers.upload("file", manifest)
    assert [transfer.path for transfer in here.transfers.progress()] == ["file"]
    await here.upload("other", b"\0 other")
    assert here.opened == ["other"]
    assert here.outcomes == []
    pauses: list[float] = []
    loop = asyncio.get_running_loop()
    later = loop.call_later

    def call_now(pause_s: float, call: Callable[..., object], *args: object) -> asyncio.TimerHandle:
        if call == here.transfers._enqueue:  # others wait for other things
            pauses.append(pause_s)
            pause_s = 0
        return later(pause_s, call, *args)

    monkeypatch.setattr(loop, "call_later", call_now)
    here.denied.add("again")
    manifest = here.write("again", b"\0 again")
    await here.failed_upload("again", manifest)
    here.denied.clear()
    here.transfers.upload("again", manifest)
    assert isinstance(await here.outcome(manifest.digest), Uploaded)
    assert [3000 < pause_s <= 3600 for pause_s in pauses] == [True]


async def test_to_try_again_what_the_hub_still_lacks_costs_one_question(
    here: Replica, there: Replica, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise(11, 4 * MiB)
    uploaded = await here.upload("file", data)
    chunk = manifest_of_bytes(data).chunks[5].digest
    (hub.root / room_folder("room") / chunk[:2] / chunk[2:]).unlink()
    (there.folder / "near").write_bytes(noise(12, MiB))
    there.ask(uploaded, len(data), near=("near",))
    assert isinstance(await there.outcome(uploaded.digest), FetchFailed)

    async def try_again() -> int:
        """Returns how many bytes that cost."""
        sent = hub.running.traffic.sent_bytes
        there.ask(uploaded, len(data), near=("near",))
        failed = await there.outcome(uploaded.digest)
        assert isinstance(failed, FetchFailed)
        assert failed.missing
        return hub.running.traffic.sent_bytes - sent

    async with asyncio.timeout(DEADLINE_S):
        while await try_again() >= 100:
            pass  # the other chunks were still on their way when the first try failed
    there.opened.clear()
    assert sum([await try_again() for _ in range(3)]) < 100
    assert there.opened == []
    await here.upload("file", data)
    await there.fetch(uploaded, data, near=("near",))


async def test_a_blob_that_does_not_fit_is_not_begun(
    here: Replica, there: Replica, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise(2, 4 * MiB)
    uploaded = await here.upload("file", data)
    monkeypatch.setattr(part_file, "free_bytes", lambda _: MiB)
    failed = await there.failed_fetch(uploaded, len(data))
    assert not failed.missing
    assert failed.reason.startswith(f"the disk is full ({len(data)} bytes are needed and {MiB} are free)")
    assert hub.running.traffic.sent_bytes < 10_000
    monkeypatch.undo()
    await there.fetch(uploaded, data)


async def test_a_disk_that_fills_up_in_mid_fetch_keeps_what_arrived(
    here: Replica, there: Replica, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise(3, 12 * MiB)
    uploaded = await here.upload("file", data)
    there.transfers._tools.inbound._most_bytes = MiB
    left = 8 * MiB
    real = os.pwrite

    def fills_up(fd: int, part: memoryview, offset: int) -> int:
        nonlocal left
        left -= len(part)
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, part, offset)

    monkeypatch.setattr(os, "pwrite", fills_up)
    failed = await there.failed_fetch(uploaded, len(data))
    assert not failed.missing
    assert failed.reason.startswith("the disk is full (No space left on device)")
    monkeypatch.undo()
    sent = hub.running.traffic.sent_bytes
    await there.fetch(uploaded, data)
    assert hub.running.traffic.sent_bytes - sent < 6 * MiB


async def test_small_blobs_that_do_not_fit_are_told(
    here: Replica, there: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded = await here.upload("file", b"\0 small")

    def full(path: str, *_: bytes) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), path)

    monkeypatch.setattr(blob_staging, "write_new_file", full)
    assert "the disk is full" in (await there.failed_fetch(uploaded, 7)).reason
    monkeypatch.undo()
    await there.fetch(uploaded, b"\0 small")


async def publish(here: Replica, *pieces: bytes) -> None:
    """Put chunks on the hub that no honest replica would."""
    for piece in pieces:
        await here.transfers.link.put(digest_of(piece), seal(piece))


async def test_an_index_whose_chunks_do_not_make_up_the_blob_is_found_out(
    here: Replica, there: Replica
) -> None:
    data = noise(4, MiB)
    honest = manifest_of_bytes(data)
    await here.upload("file", data)
    claimed = digest_of(b"what it claims to be")
    lie = encode_manifest(Manifest(claimed, honest.size_bytes, honest.chunks), Describes.CONTENT)
    await publish(here, lie)
    failed = await there.failed_fetch(Uploaded(claimed, digest_of(lie)), honest.size_bytes)
    assert not failed.missing
    assert failed.reason == "its index lists chunks that do not make it up"
    assert not list(there.staging.glob(f"*{claimed}"))


@pytest.mark.parametrize("lie", ["another blob", "another size", "no index", "nested twice", "huge"])
async def test_an_index_that_is_not_the_blobs_is_refused(here: Replica, there: Replica, lie: str) -> None:
    data = noise(5, MiB)
    manifest = manifest_of_bytes(data)
    encoded = encode_manifest(manifest, Describes.CONTENT)
    size_bytes = manifest.size_bytes
    match lie:
        case "another blob":
            other = manifest_of_bytes(noise(6, MiB))
            encoded = encode_manifest(other, Describes.CONTENT)
        case "another size":
            size_bytes += 1
        case "no index":
            encoded = noise(7, 500)
        case "nested twice":
            inner = encode_manifest(manifest_of_bytes(encoded), Describes.MANIFEST)
            await publish(here, encoded, inner)
            encoded = encode_manifest(manifest_of_bytes(inner), Describes.MANIFEST)
        case "huge":
            chunk = manifest_of_bytes(bytes(limits.CHUNK_MAX_BYTES)).chunks[0]
            await publish(here, bytes(limits.CHUNK_MAX_BYTES))
            encoded = encode_manifest(
                Manifest(manifest.digest, 64 * chunk.size_bytes, (chunk,) * 64), Describes.MANIFEST
            )
    await publish(here, encoded)
    failed = await there.failed_fetch(Uploaded(manifest.digest, digest_of(encoded)), size_bytes)
    assert not failed.missing
    assert "index" in failed.reason
    assert not list(there.staging.iterdir())


@pytest.mark.parametrize(
    "wrong",
    [
        Sealed(Codec.RAW, b"something else"),
        Sealed(Codec.ZSTD, zstandard.ZstdCompressor().compress(bytes(1 << 26))),
        Sealed(Codec.ZSTD, b"damaged"),
    ],
    ids=["something else", "bomb", "damaged"],
)
@pytest.mark.parametrize("size_bytes", [5000, MiB])
async def test_a_chunk_that_is_wrong_when_it_arrives_is_not_kept(
    here: Replica, there: Replica, hub: Hub, monkeypatch: pytest.MonkeyPatch, wrong: Sealed, size_bytes: int
) -> None:
    data = noise(8, size_bytes)
    uploaded = await here.upload("file", data)
    chunks = {chunk.digest for chunk in manifest_of_bytes(data).chunks}
    store = hub.running.store
    real = store.read

    def read(room: str, digests: list[Digest], enough_bytes: int) -> list[Sealed | None]:
        if digests[0] in chunks:
            return [wrong]
        return real(room, digests, enough_bytes)

    monkeypatch.setattr(store, "read", read)
    failed = await there.failed_fetch(uploaded, len(data))
    assert not failed.missing
    staged = there.staging / f"blob-{uploaded.digest}"
    assert not staged.exists()
    monkeypatch.undo()
    async with asyncio.timeout(30):
        there.ask(uploaded, len(data))
        while isinstance(await there.outcome(uploaded.digest), FetchFailed):
            there.ask(uploaded, len(data))  # wrong chunks were still on their way
    assert staged.read_bytes() == data


async def test_a_size_that_the_room_states_wrongly_is_refused(here: Replica, there: Replica) -> None:
    small = await here.upload("small", b"\0 small blob")
    there.transfers.fetch(small.digest, 5, None, ())
    failed = await there.outcome(small.digest)
    assert isinstance(failed, FetchFailed)
    assert "another size" in failed.reason
    for digest, size_bytes in ((digest_of(b"x"), 0), (digest_of(b"y"), limits.CHUNK_MAX_BYTES + 1)):
        there.transfers.fetch(digest, size_bytes, None, ())
        assert isinstance(await there.outcome(digest), FetchFailed)


async def test_a_hub_that_answers_what_nobody_asked_is_left_and_tried_again(
    here: Replica, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = wire.encode_from_hub
    monkeypatch.setattr(wire, "encode_from_hub", lambda _: real(Stored((12345,))))
    manifest = here.write("file", b"\0 data")
    here.transfers.upload("file", manifest)
    await until(lambda: here.transfers.link.trouble is not None)
    assert "an answer" in str(here.transfers.link.trouble)
    monkeypatch.undo()
    here.transfers.network_changed()
    assert isinstance(await here.outcome(manifest.digest), Uploaded)


async def test_requests_that_the_hub_refuses_fail_instead_of_coming_back_for_ever(
    here: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: bytes) -> wire.BlobsFromReplica:
        raise PeerError("not understood")

    monkeypatch.setattr(wire, "decode_from_replica", refuse)
    failed = await here.failed_upload("file", here.write("file", b"\0 data"))
    assert not failed.changed
    assert failed.reason == "the hub refuses: not understood"


async def test_a_blob_with_too_many_chunks_for_an_index_is_told(
    here: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise(9, MiB)
    manifest = here.write("file", data)
    monkeypatch.setattr(limits, "MANIFEST_MAX_BYTES", 200)
    failed = await here.failed_upload("file", manifest)
    assert not failed.changed
    assert "has an index of" in failed.reason


async def test_an_error_that_nobody_foresaw_is_told_as_a_failure(
    here: Replica, there: Replica, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    uploaded = await here.upload("file", b"\0 data")

    def broken(*_: object, **__: object) -> bool:
        raise RuntimeError("a bug")

    monkeypatch.setattr(blob_staging.BlobStaging, "is_complete", broken)
    failed = await there.failed_fetch(uploaded, 6)
    assert failed.reason == "RuntimeError: a bug"
    assert "not foreseen" in caplog.text


async def test_the_hub_forgets_a_chunk_between_question_and_fetch(
    here: Replica, there: Replica, hub: Hub
) -> None:
    """A hub restored from a backup: what was uploaded is missing, and comes once it is uploaded again."""
    data = noise(10, MiB)
    uploaded = await here.upload("file", data)
    index, stored = index_of(manifest_of_bytes(data))
    for path in hub.root.glob("*/*/*"):
        if path.parent.name + path.name in stored:
            path.unlink()
    failed = await there.failed_fetch(uploaded, len(data))
    assert failed.missing
    assert index[:12] in failed.reason
    await here.upload("file", data)
    there.ask(uploaded, len(data))
    assert await there.outcome(uploaded.digest) == Fetched(uploaded.digest)
