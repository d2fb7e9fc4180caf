"""The link to the hub with a real websocket: what nobody takes is not read from the network."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.server import ServerConnection, serve

from crdtsync.adapters.hub_link import HubLink
from crdtsync.core.values import limits
from crdtsync.errors import CrdtsyncError

FRAME = bytes(16 * limits.KiB)
FRAMES = 1000


async def test_frames_that_nobody_takes_stay_with_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECEIVED_MAX_BYTES", 1 * limits.MiB)
    sent = 0
    stuck = asyncio.Event()

    async def flood(websocket: ServerConnection) -> None:
        nonlocal sent
        for _ in range(FRAMES):
            sending = asyncio.ensure_future(websocket.send(FRAME))
            done, _ = await asyncio.wait({sending}, timeout=0.5)
            if not done:
                stuck.set()
                await sending
            sent += 1
        await websocket.wait_closed()

    received: list[str | bytes] = []
    arrived = asyncio.Event()

    def take(frame: str | bytes) -> None:
        received.append(frame)
        arrived.set()

    ended: list[CrdtsyncError] = []
    async with serve(flood, "127.0.0.1", 0, compression=None, write_limit=1) as server:
        port = server.sockets[0].getsockname()[1]
        link = HubLink(f"ws://127.0.0.1:{port}", lambda: None, take, ended.append)
        link.open()
        async with asyncio.timeout(30):
            await stuck.wait()
        assert sum(map(len, received)) <= limits.RECEIVED_MAX_BYTES + len(FRAME)
        taken = 0
        async with asyncio.timeout(30):
            while taken < FRAMES:
                if taken == len(received):
                    arrived.clear()
                    await arrived.wait()
                assert sum(map(len, received[taken:])) <= limits.RECEIVED_MAX_BYTES + len(FRAME)
                link.taken(received[taken])
                taken += 1
        await link.close()
    assert sent == FRAMES
    assert not ended
