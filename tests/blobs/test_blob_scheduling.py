"""Many transfers and changing files: who goes first, what is told, what is left behind."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from crdtsync.adapters.chunker import manifest_of_bytes
from crdtsync.core.replica.events import Fetched, Uploaded, UploadFailed
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.limits import MiB
from crdtsync.runtime import blob_transfer
from crdtsync.runtime.blob_job import Direction, Transfer
from crdtsync.runtime.workers import Workers
from tests.blobs.harness import Hub, Replica, noise, one_turn, without_threads
from tests.waiting import until


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


async def test_a_small_blob_passes_a_large_one(
    here: Replica, there: Replica, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workers, "acquire", without_threads)
    large, small = noise(31, 32 * MiB), noise(32, 4000)
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
