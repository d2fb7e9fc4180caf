"""The loads: one who types, one to many, many pairs, more than the hub can take, rooms that do nothing.

All run on one loop in the benchmark's process, on the other core than the hub, and are bounded in count and
time. Latency counts from the moment at which an update was due, not from when it could be sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.load.client import Client, Progress, opened, typed_updates
from benchmarks.load.wire import Dialect, masked_frame

LOOK_S = 0.001
STILL_S = 15.0
"""A hub from which nothing comes for so long has stopped."""


def frames_of(dialect: Dialect, room: str, count: int, first: int = 0) -> list[bytes]:
    return [masked_frame(dialect.update(room, update)) for update in typed_updates(count, first)]


async def all_closed(clients: Iterable[Client]) -> None:
    for client in clients:
        client.close()
    await asyncio.sleep(0.05)


async def keystrokes_ms(port: int, dialect: Dialect, room: str, count: int, pause_s: float) -> list[float]:
    """One types, one reads: each keystroke's time from the one to the other."""
    arrived: asyncio.Queue[float] = asyncio.Queue()
    reader = await opened(port, dialect, room, lambda _before, _now, at: arrived.put_nowait(at))
    writer = await opened(port, dialect, room)
    took: list[float] = []
    try:
        for frame in frames_of(dialect, room, count):
            begun = time.perf_counter()
            writer.send((frame,))
            async with asyncio.timeout(STILL_S):
                took.append((await arrived.get() - begun) * 1000)
            await asyncio.sleep(pause_s)
    finally:
        await all_closed((reader, writer))
    return took


async def fan_out_per_s(
    port: int, dialect: Dialect, room: str, readers: int, count: int, window: int
) -> float:
    """Updates per second that reach all readers, with at most ``window`` not yet with the slowest."""
    members = [await opened(port, dialect, room) for _ in range(readers)]
    writer = await opened(port, dialect, room)
    frames = frames_of(dialect, room, count)
    sent = 0
    slowest, moved = -1, time.perf_counter()
    begun = time.perf_counter()
    try:
        while slowest < count - 1:
            now = time.perf_counter()
            last = min(member.last for member in members)
            if last > slowest:
                slowest, moved = last, now
            elif now - moved > STILL_S:
                raise TimeoutError(f"stopped at update {slowest} of {count}")
            upto = min(count, slowest + 1 + window)
            if upto > sent:
                writer.send(frames[sent:upto])
                sent = upto
            await asyncio.sleep(LOOK_S)
        return count / (time.perf_counter() - begun)
    finally:
        await all_closed((*members, writer))


async def pairs_per_s(port: int, dialect: Dialect, room: str, rooms: int, each: int, window: int) -> float:
    """Updates per second through ``rooms`` rooms of one writer and one reader."""
    pairs: list[tuple[Client, Client, list[bytes]]] = []
    for number in range(rooms):
        name = f"{room}{number}"
        reader = await opened(port, dialect, name)
        pairs.append((reader, await opened(port, dialect, name), frames_of(dialect, name, each)))
    sent = [0] * rooms
    begun = moved = time.perf_counter()
    seen = -1
    try:
        while True:
            total = sum(reader.last + 1 for reader, _, _ in pairs)
            now = time.perf_counter()
            if total == rooms * each:
                return total / (now - begun)
            if total > seen:
                seen, moved = total, now
            elif now - moved > STILL_S:
                raise TimeoutError(f"stopped at {total} of {rooms * each} updates")
            for index, (reader, writer, frames) in enumerate(pairs):
                upto = min(each, reader.last + 1 + window)
                if upto > sent[index]:
                    writer.send(frames[sent[index] : upto])
                    sent[index] = upto
            await asyncio.sleep(LOOK_S)
    finally:
        await all_closed(client for reader, writer, _ in pairs for client in (reader, writer))


async def pairs_scheduled_ms(
    port: int, dialect: Dialect, room: str, rooms: int, rate_per_s: float, seconds: float
) -> list[float]:
    """Send to the rooms in turn at ``rate_per_s`` in all; each update's time from when it was due."""
    each = int(rate_per_s * seconds / rooms)
    latencies: list[float] = []
    begun = 0.0

    def noting(index: int) -> Progress:
        def note(before: int, now: int, at: float) -> None:
            due = ((number * rooms + index) / rate_per_s for number in range(before + 1, now + 1))
            latencies.extend((at - begun - each_due) * 1000 for each_due in due)

        return note

    readers: list[Client] = []
    writers: list[tuple[Client, list[bytes]]] = []
    for index in range(rooms):
        name = f"{room}{index}"
        readers.append(await opened(port, dialect, name, noting(index)))
        writers.append((await opened(port, dialect, name), frames_of(dialect, name, each)))
    begun = time.perf_counter()
    sent, count = 0, each * rooms
    try:
        while len(latencies) < count and time.perf_counter() - begun < seconds + STILL_S:
            due = min(count, int((time.perf_counter() - begun) * rate_per_s) + 1)
            for number in range(sent, due):
                writer, frames = writers[number % rooms]
                writer.send((frames[number // rooms],))
            sent = due
            await asyncio.sleep(LOOK_S)
        if len(latencies) < count:
            raise TimeoutError(f"only {len(latencies)} of {count} updates came")
        return latencies
    finally:
        await all_closed((*readers, *(writer for writer, _ in writers)))


@dataclass(slots=True)
class Schedule:
    """What came of an open-loop load: a slow hub does not make it wait."""

    latencies_ms: list[float] = field(default_factory=list)
    elsewhere_ms: list[float] = field(default_factory=list)
    """Keystrokes in another room meanwhile; one that does not come in time counts as the deadline."""
    responsive_s: float = 0.0
    """From the end of the load until keystrokes elsewhere take under 50 ms again."""
    drained_s: float = 0.0
    """From the end of the load until every reader that was not let go has all."""
    delivered_share: float = 0.0
    dropped: int = 0
    """Readers whose connection the hub closed."""


async def scheduled(
    port: int,
    dialect: Dialect,
    room: str,
    readers: int,
    rate_per_s: float,
    seconds: float,
    recover_s: float = 0.0,
) -> Schedule:
    """Send at ``rate_per_s`` whatever comes back, and meanwhile type in another room."""
    outcome = Schedule()
    count = int(rate_per_s * seconds)
    frames = frames_of(dialect, room, count)
    begun = 0.0

    def note(before: int, now: int, at: float) -> None:
        outcome.latencies_ms.extend((at - begun - n / rate_per_s) * 1000 for n in range(before + 1, now + 1))

    members = [await opened(port, dialect, room, note if n < 3 else None) for n in range(readers)]
    writer = await opened(port, dialect, room)
    probe = await _Probe.start(port, dialect, f"{room}-elsewhere")
    begun = time.perf_counter()
    typing = asyncio.create_task(probe.run(outcome.elsewhere_ms))
    try:
        sent = 0
        while sent < count and not writer.closed:
            due = min(count, int((time.perf_counter() - begun) * rate_per_s) + 1)
            if due > sent:
                writer.send(frames[sent:due])
                sent = due
            await asyncio.sleep(LOOK_S)
        ended = time.perf_counter()

        outcome.responsive_s = outcome.drained_s = max(recover_s, 1.0)
        while time.perf_counter() - ended < max(recover_s, 1.0):
            now = time.perf_counter() - ended
            if len(probe.recent_ms) > 4 and max(probe.recent_ms[-5:]) < 50:
                outcome.responsive_s = min(outcome.responsive_s, now)
            if all(m.closed or m.last == count - 1 for m in members):
                outcome.drained_s = min(outcome.drained_s, now)
                if outcome.responsive_s <= now:
                    break
            await asyncio.sleep(LOOK_S)
        outcome.delivered_share = sum(m.last + 1 for m in members) / (count * readers) if count else 1.0
        outcome.dropped = sum(m.closed for m in members)
    finally:
        typing.cancel()
        await asyncio.gather(typing, return_exceptions=True)
        await all_closed((*members, writer, *probe.clients))
    return outcome


class _Probe:
    """One who types every 20 ms in a room of its own while the other is under load."""

    DEADLINE_S = 10.0

    def __init__(self, reader: Client, writer: Client, frames: list[bytes]) -> None:
        self.clients = (reader, writer)
        self.recent_ms: list[float] = []
        self._frames = frames

    @classmethod
    async def start(cls, port: int, dialect: Dialect, room: str) -> _Probe:
        reader = await opened(port, dialect, room)
        return cls(reader, await opened(port, dialect, room), frames_of(dialect, room, 4000))

    async def run(self, into: list[float]) -> None:
        reader, writer = self.clients
        for number, frame in enumerate(self._frames):
            begun = time.perf_counter()
            writer.send((frame,))
            while (  # noqa: ASYNC110
                reader.last < number and time.perf_counter() - begun < self.DEADLINE_S and not reader.closed
            ):
                await asyncio.sleep(LOOK_S)
            took = (time.perf_counter() - begun) * 1000
            into.append(took)
            self.recent_ms.append(took)
            if writer.closed or reader.closed:
                return
            await asyncio.sleep(0.02)


async def idle_rooms(port: int, dialect: Dialect, room: str, rooms: int) -> list[Client]:
    """So many rooms with one client and one edit each; the caller closes them."""
    clients: list[Client] = []
    for number in range(rooms):
        name = f"{room}{number}"
        client = await opened(port, dialect, name)
        client.send(frames_of(dialect, name, 1))
        clients.append(client)
    await asyncio.sleep(1.0)
    return clients
