"""Blobs from folder to folder through a real hub: what travels, what is found nearby, what a loss costs."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from crdtsync.adapters import chunker
from crdtsync.adapters.chunk_store import room_folder
from crdtsync.adapters.chunker import index_of, manifest_of_bytes
from crdtsync.core.replica.events import Fetched, FetchFailed, Uploaded, UploadFailed
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.limits import CHUNK_AVERAGE_BYTES, MiB
from crdtsync.core.wire import blobs as wire
from crdtsync.core.wire.control import Hello, Refused
from crdtsync.runtime import blob_transfer
from crdtsync.runtime.blob_job import Direction, Transfer
from tests.blobs.harness import Hub, Replica, one_turn, replica, running_hub, until

INDEX_BYTES_PER_CHUNK = 36


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(tmp_path / "chunks") as made:
        yield made


@pytest.fixture
async def here(tmp_path: Path, hub: Hub) -> AsyncIterator[Replica]:
    async with replica(tmp_path / "here", hub) as made:
        yield made


@pytest.fixture
async def there(tmp_path: Path, hub: Hub) -> AsyncIterator[Replica]:
    async with replica(tmp_path / "there", hub) as made:
        yield made


def noise(seed: int, size_bytes: int) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


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


async def test_two_transfers_of_one_chunk_share_it(here: Replica, there: Replica, hub: Hub) -> None:
    common = noise(8, 3_000_000)
    blobs = [common + noise(seed, 1000) for seed in range(9, 12)]
    uploads = [await here.upload(f"file{number}", data) for number, data in enumerate(blobs)]
    for uploaded, data in zip(uploads, blobs, strict=True):
        there.ask(uploaded, len(data))
    for uploaded in uploads:
        assert await there.outcome(uploaded.digest) == Fetched(uploaded.digest)
    assert hub.running.traffic.sent_bytes < 1.5 * len(common)


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


@pytest.mark.parametrize("direction", Direction)
async def test_a_cut_connection_costs_no_more_than_what_was_under_way(
    here: Replica, there: Replica, hub: Hub, monkeypatch: pytest.MonkeyPatch, direction: Direction
) -> None:
    window = here.transfers._tools.outbound if direction is Direction.UP else there.transfers._tools.inbound
    window._most_bytes = MiB
    data = noise(16, 24 * MiB)
    manifest = here.write("file", data)
    traffic = hub.running.traffic
    if direction is Direction.UP:
        here.transfers.upload("file", manifest)
        await cut_twice(hub, lambda: traffic.received_bytes)
        outcome = await here.outcome(manifest.digest)
        assert isinstance(outcome, Uploaded)
        assert traffic.received_bytes < len(data) + 2 * 2 * MiB
    else:
        uploaded = await here.upload("file", data)
        there.ask(uploaded, len(data))
        await cut_twice(hub, lambda: traffic.sent_bytes)
        assert await there.outcome(manifest.digest) == Fetched(manifest.digest)
        assert traffic.sent_bytes < len(data) + 2 * 2 * MiB


async def cut_twice(hub: Hub, moved_bytes: Callable[[], int]) -> None:
    await until(lambda: moved_bytes() > 8 * MiB)
    hub.cut()
    await until(lambda: moved_bytes() > 16 * MiB)
    hub.cut()


@pytest.mark.parametrize("direction", Direction)
async def test_a_hub_that_restarts_is_found_again(
    here: Replica, there: Replica, hub: Hub, direction: Direction
) -> None:
    data = noise(17, 24 * MiB)
    here.transfers._tools.outbound._most_bytes = MiB
    there.transfers._tools.inbound._most_bytes = MiB
    manifest = here.write("file", data)
    uploaded = Uploaded(manifest.digest, index_of(manifest)[0])
    if direction is Direction.DOWN:
        await here.upload("file", data)
        there.ask(uploaded, len(data))
        await until(lambda: hub.running.traffic.sent_bytes > 12 * MiB)
    else:
        here.transfers.upload("file", manifest)
        await until(lambda: hub.running.traffic.received_bytes > 12 * MiB)
    await hub.stop()
    await hub.start()
    speaker = there if direction is Direction.DOWN else here
    outcome = await speaker.outcome(manifest.digest)
    assert outcome == (Fetched(manifest.digest) if direction is Direction.DOWN else uploaded)
    moved = hub.running.traffic.sent_bytes + hub.running.traffic.received_bytes
    assert moved < len(data) - 8 * MiB, "what arrived before the restart is not sent again"


async def test_what_arrived_before_a_restart_of_the_replica_is_not_fetched_again(
    here: Replica, there: Replica, hub: Hub
) -> None:
    data = noise(18, 24 * MiB)
    uploaded = await here.upload("file", data)
    there.ask(uploaded, len(data))
    await until(lambda: hub.running.traffic.sent_bytes > 12 * MiB)
    await there.transfers.close()
    assert there.outcomes == []
    before = hub.running.traffic.sent_bytes
    there.start()
    await there.fetch(uploaded, data)
    assert hub.running.traffic.sent_bytes - before < len(data) - 6 * MiB


async def test_a_blob_that_arrived_before_a_restart_is_ready_at_once(
    here: Replica, there: Replica, hub: Hub
) -> None:
    data = noise(19, 2_000_000)
    uploaded = await here.upload("file", data)
    await there.fetch(uploaded, data)
    sent = hub.running.traffic.sent_bytes
    await there.transfers.close()
    there.start()
    await there.fetch(uploaded, data)
    assert hub.running.traffic.sent_bytes == sent


async def test_a_newer_version_takes_over_what_has_arrived_of_an_older_one(
    here: Replica, there: Replica, hub: Hub
) -> None:
    old = noise(20, 16 * MiB)
    new = old[:1_000_000] + b"edited" + old[1_000_000:]
    first, second = await here.upload("file", old), await here.upload("file", new)
    there.transfers._tools.inbound._most_bytes = MiB
    there.ask(first, len(old))
    await until(lambda: hub.running.traffic.sent_bytes > 10 * MiB)
    there.transfers.cancel(first.digest)
    sent = hub.running.traffic.sent_bytes
    await there.fetch(second, new)
    assert hub.running.traffic.sent_bytes - sent < len(new) - 8 * MiB
    assert there.outcomes == []


async def test_transfers_wait_for_the_hub_and_then_go_on(here: Replica, there: Replica, hub: Hub) -> None:
    data = noise(21, 500_000)
    manifest = here.write("file", data)
    await hub.stop()
    here.transfers.upload("file", manifest)
    there.transfers.fetch(digest_of(b"wanted"), 6, None, ())
    await until(lambda: here.transfers.link.trouble is not None and there.transfers.link.trouble is not None)
    assert "No hub runs at" in str(here.transfers.link.trouble)
    assert not here.transfers.link.connected
    assert here.outcomes == there.outcomes == []
    await hub.start()
    here.transfers.network_changed()
    assert isinstance(await here.outcome(manifest.digest), Uploaded)
    assert here.transfers.link.trouble is None
    there.transfers.network_changed()
    failed = await there.outcome(digest_of(b"wanted"))
    assert isinstance(failed, FetchFailed)
    assert failed.missing


async def test_an_idle_connection_is_closed_and_opened_again(tmp_path: Path, hub: Hub) -> None:
    async with replica(tmp_path / "idle", hub, idle_s=0.01) as speaker:
        for number in range(3):
            await speaker.upload(f"file{number}", noise(number, 1000))
            await until(lambda: hub.running.traffic.connections == 0)
            assert not speaker.transfers.link.connected


async def test_a_chunk_that_is_damaged_on_the_hub_is_missing_until_it_is_sent_again(
    here: Replica, there: Replica, hub: Hub
) -> None:
    data = noise(22, 2_000_000)
    uploaded = await here.upload("file", data)
    damaged = manifest_of_bytes(data).chunks[3].digest
    path = hub.root / room_folder("room") / damaged[:2] / damaged[2:]
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    failed = await there.failed_fetch(uploaded, len(data))
    assert failed.missing
    assert damaged[:12] in failed.reason
    sent = hub.running.traffic.received_bytes
    assert await here.upload("file", data) == uploaded
    assert hub.running.traffic.received_bytes - sent < 600_000
    await there.fetch(uploaded, data)


async def test_a_blob_of_another_room_is_missing(tmp_path: Path, here: Replica, hub: Hub) -> None:
    small, large = noise(23, 1000), noise(24, 2_000_000)
    async with replica(tmp_path / "elsewhere", hub, room="elsewhere") as other:
        for path, data in (("small", small), ("large", large)):
            uploaded = await here.upload(path, data)
            assert (await other.failed_fetch(uploaded, len(data))).missing
        received = hub.running.traffic.received_bytes
        await other.upload("large", large)
        assert hub.running.traffic.received_bytes - received > len(large)


async def test_a_file_that_changes_while_it_is_sent_is_told_apart_from_other_failures(
    here: Replica, hub: Hub
) -> None:
    data = noise(25, 8 * MiB)
    manifest = here.write("file", data)
    here.transfers._tools.outbound._most_bytes = MiB
    here.transfers.upload("file", manifest)
    await until(lambda: hub.running.traffic.received_bytes > MiB)
    (here.folder / "file").write_bytes(data[: 7 * MiB] + b"changed" + data[7 * MiB + 7 :])
    failed = await here.outcome(manifest.digest)
    assert isinstance(failed, UploadFailed)
    assert failed.changed
    assert failed.reason.startswith("file changed while it was sent")


@pytest.mark.parametrize("change", ["gone", "shorter", "link", "folder"])
async def test_a_file_that_is_another_when_it_is_read_has_changed(here: Replica, change: str) -> None:
    manifest = here.write("file", noise(26, 1_000_000))
    path = here.folder / "file"
    match change:
        case "gone":
            path.unlink()
        case "shorter":
            path.write_bytes(b"short")
        case "link":
            path.rename(here.folder / "elsewhere")
            path.symlink_to("elsewhere")
        case "folder":
            path.unlink()
            path.mkdir()
    assert (await here.failed_upload("file", manifest)).changed


async def test_a_file_that_cannot_be_read_now_has_not_changed(
    here: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = here.write("file", b"\0 private")
    here.denied.add("file")
    failed = await here.failed_upload("file", manifest)
    assert not failed.changed
    assert "Permission denied" in failed.reason


async def test_a_file_that_is_replaced_by_rename_is_sent_to_its_end(here: Replica, hub: Hub) -> None:
    data = noise(27, 8 * MiB)
    manifest = here.write("file", data)
    here.transfers._tools.outbound._most_bytes = MiB
    here.transfers.upload("file", manifest)
    await until(lambda: hub.running.traffic.received_bytes > MiB)
    (here.folder / "new").write_bytes(b"another file")
    os.replace(here.folder / "new", here.folder / "file")
    assert isinstance(await here.outcome(manifest.digest), Uploaded)


async def test_another_file_with_the_same_content_stands_in_for_one_that_is_gone(here: Replica) -> None:
    data = noise(28, 1_000_000)
    manifest = here.write("copy", data)
    here.transfers.upload("gone", manifest)
    here.transfers.upload("copy", manifest)
    here.transfers.upload("copy", manifest)
    assert isinstance(await here.outcome(manifest.digest), Uploaded)
    assert here.opened == ["gone", "copy"]
    assert here.outcomes == []


async def test_nothing_is_read_when_the_hub_has_it_all(here: Replica) -> None:
    data = noise(29, 1_000_000)
    await here.upload("file", data)
    here.opened.clear()
    await here.upload("file", data)
    assert here.opened == []


async def test_a_wish_that_is_repeated_is_answered_once(here: Replica, there: Replica) -> None:
    data = noise(30, 1_000_000)
    uploaded = await here.upload("file", data)
    for _ in range(3):
        there.ask(uploaded, len(data))
    await there.outcome(uploaded.digest)
    await there.fetch(await here.upload("other", b"\0 other"), b"\0 other")
    assert there.outcomes == []


async def test_a_small_blob_passes_a_large_one(here: Replica, there: Replica, hub: Hub) -> None:
    large, small = noise(31, 48 * MiB), noise(32, 4000)
    first, second = await here.upload("large", large), await here.upload("small", small)
    there.ask(first, len(large))
    await until(lambda: hub.running.traffic.sent_bytes > 4 * MiB)
    there.ask(second, len(small))
    await there.outcome(second.digest)
    (running,) = there.transfers.progress()
    assert running.digest == first.digest
    assert running.done_bytes < len(large) - 8 * MiB
    await there.outcome(first.digest)


async def test_of_many_waiting_blobs_the_smallest_start_first_and_the_oldest_are_not_forgotten(
    here: Replica, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_transfer, "ACTIVE_MAX", 1)
    await hub.stop()
    manifests = [here.write(f"file{size}", noise(33, size)) for size in (10, 900, 800, 700, 600, 500, 400)]
    for manifest in manifests:
        here.transfers.upload(f"file{manifest.size_bytes}", manifest)
    await hub.start()
    here.transfers.network_changed()
    await here.until(lambda: len(here.outcomes) == len(manifests))
    sizes = {manifest.digest: manifest.size_bytes for manifest in manifests}
    assert [sizes[outcome.digest] for outcome in here.outcomes] == [10, 400, 500, 900, 600, 700, 800]


async def test_progress_names_what_runs_and_what_waits(
    here: Replica, there: Replica, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise(34, 8 * MiB)
    manifest = here.write("file", data)
    here.transfers._tools.outbound._most_bytes = MiB
    here.transfers.upload("file", manifest)
    await until(lambda: here.transfers.progress()[0].done_bytes > 2 * MiB)
    (transfer,) = here.transfers.progress()
    assert transfer == Transfer(manifest.digest, "file", Direction.UP, transfer.done_bytes, len(data))
    assert transfer.done_bytes < len(data)
    uploaded = await here.outcome(manifest.digest)
    assert isinstance(uploaded, Uploaded)
    assert here.transfers.progress() == []

    monkeypatch.setattr(blob_transfer, "ACTIVE_MAX", 1)
    there.transfers._tools.inbound._most_bytes = MiB
    there.ask(uploaded, len(data))
    there.transfers.fetch(digest_of(b"later"), 5, None, ())
    await until(lambda: there.transfers.progress()[0].done_bytes > 2 * MiB)
    running, waiting = there.transfers.progress()
    assert (running.digest, running.path, running.direction) == (manifest.digest, None, Direction.DOWN)
    assert waiting == Transfer(digest_of(b"later"), None, Direction.DOWN, 0, 5)


async def test_a_cancelled_fetch_keeps_what_arrived_and_can_be_asked_for_again_at_once(
    here: Replica, there: Replica, hub: Hub
) -> None:
    data = noise(35, 24 * MiB)
    uploaded = await here.upload("file", data)
    there.ask(uploaded, len(data))
    await until(lambda: hub.running.traffic.sent_bytes > 8 * MiB)
    for _ in range(3):
        there.transfers.cancel(uploaded.digest)
        assert there.transfers.progress() == []
        there.ask(uploaded, len(data))
        await one_turn()
    there.transfers.cancel(uploaded.digest)
    there.transfers.cancel(uploaded.digest)
    await there.fetch(uploaded, data)
    assert there.outcomes == []
    assert hub.running.traffic.sent_bytes < len(data) + 12 * MiB


async def test_a_cancel_is_about_fetches_alone(here: Replica) -> None:
    manifest = here.write("file", noise(36, 3_000_000))
    here.transfers.upload("file", manifest)
    await one_turn()
    here.transfers.cancel(manifest.digest)
    assert isinstance(await here.outcome(manifest.digest), Uploaded)


async def test_a_replica_that_closes_leaves_no_open_file_and_no_task(
    here: Replica, there: Replica, hub: Hub
) -> None:
    data = noise(37, 16 * MiB)
    uploaded = await here.upload("file", data)
    (there.folder / "near").write_bytes(data[: 4 * MiB])
    manifest = here.write("other", noise(38, 16 * MiB))
    for turns in (0, 1, 3, 10, 50, 200, 500):
        there.ask(uploaded, len(data), near=("near",))
        here.transfers.upload("other", manifest)
        for _ in range(turns):
            await one_turn()
        await there.transfers.close()
        await here.transfers.close()
        mine = [path for path in open_files() if str(there.folder) in path or str(here.folder) in path]
        assert mine == []
        there.start()
        here.start()
    await there.fetch(uploaded, data)
    await until(lambda: hub.running.traffic.connections <= 2)


def open_files() -> list[str]:
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            continue
    return found


async def test_a_refused_member_waits_and_says_why(tmp_path: Path) -> None:
    allowed = False

    def admit(hello: Hello) -> Refused | None:
        return None if allowed else Refused(code="denied", message="The token is wrong")

    async with running_hub(tmp_path / "chunks", admit=admit) as hub, replica(tmp_path / "a", hub) as speaker:
        manifest = speaker.write("file", b"\0 data")
        speaker.transfers.upload("file", manifest)
        await until(lambda: speaker.transfers.link.trouble == "The token is wrong")
        assert speaker.outcomes == []
        allowed = True
        speaker.transfers.network_changed()
        assert isinstance(await speaker.outcome(manifest.digest), Uploaded)


@pytest.mark.parametrize("count", [2, 5])
async def test_the_loop_is_never_kept_waiting_for_the_disk(
    here: Replica, there: Replica, hub: Hub, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Every call that touches a file is made in a worker thread."""
    loop_thread = threading.get_ident()
    on_the_loop: list[str] = []
    for name in ("open", "pread", "pwrite", "preadv", "rename", "unlink", "fsync", "copy_file_range"):
        real = getattr(os, name)

        def watched(*args: object, real: object = real, name: str = name, **kwargs: object) -> object:
            if threading.get_ident() == loop_thread:
                on_the_loop.append(name)
            return real(*args, **kwargs)  # type: ignore[operator]

        monkeypatch.setattr(os, name, watched)
    blobs = [noise(seed, 700_000 * seed) for seed in range(count)]
    manifests = [manifest_of_bytes(data) for data in blobs]
    await asyncio.to_thread(lambda: [here.write(f"{n}", data) for n, data in enumerate(blobs)])
    on_the_loop.clear()
    for number, manifest in enumerate(manifests):
        here.transfers.upload(f"{number}", manifest)
    await here.until(lambda: len(here.outcomes) == count)
    for outcome, data in ((one, data) for one in here.outcomes for data in blobs):
        if isinstance(outcome, Uploaded) and outcome.digest == digest_of(data):
            there.ask(outcome, len(data))
    await there.until(lambda: len(there.outcomes) == count)
    assert all(isinstance(outcome, Fetched) for outcome in there.outcomes)
    assert on_the_loop == []
