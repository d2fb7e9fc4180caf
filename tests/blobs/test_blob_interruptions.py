"""Transfers whose line, hub or replica goes away: what is kept, what is sent again, what is waited for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crdtsync.adapters.chunk_store import room_folder
from crdtsync.adapters.chunker import index_of, manifest_of_bytes
from crdtsync.core.hub.admission import Asking, Denied, Granted
from crdtsync.core.replica.events import Fetched, FetchFailed, Uploaded
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.limits import MiB
from crdtsync.runtime.blob_job import Direction
from tests.blobs.harness import Hub, Replica, noise, replica, running_hub
from tests.waiting import until


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


async def test_a_refused_member_waits_and_says_why(tmp_path: Path) -> None:
    allowed = False

    def admit(asking: Asking) -> Granted | Denied:
        return Granted() if allowed else Denied("The token is wrong")

    async with running_hub(tmp_path / "chunks", admit=admit) as hub, replica(tmp_path / "a", hub) as speaker:
        manifest = speaker.write("file", b"\0 data")
        speaker.transfers.upload("file", manifest)
        await until(lambda: speaker.transfers.link.trouble == "The token is wrong")
        assert speaker.outcomes == []
        allowed = True
        speaker.transfers.network_changed()
        assert isinstance(await speaker.outcome(manifest.digest), Uploaded)
