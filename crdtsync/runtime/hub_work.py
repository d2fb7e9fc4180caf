"""Answers the engine's requests: the store's work and the heavy part of Yjs, in threads; decides nothing.

One thread writes to the store. A Yjs document lives within one call, in the thread that made it, which lets
the loop run between two rows, for the interpreter runs one thread at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar, assert_never

from crdtsync.core.hub import bounds
from crdtsync.core.hub.answering import compared, failed, loaded
from crdtsync.core.hub.documents import Compaction, checked, compact
from crdtsync.core.hub.effects import (
    Append,
    CheckUpdates,
    Compact,
    CompareDocuments,
    FindDocuments,
    LoadDocuments,
    OpenRoom,
    ReadLog,
    RememberOpened,
    Request,
)
from crdtsync.core.hub.events import (
    Appended,
    Compacted,
    DocumentsFound,
    Event,
    LogRead,
    RoomOpened,
)
from crdtsync.core.hub.store import HubStore, OpenedAt, StoreFailed
from crdtsync.core.values import limits
from crdtsync.runtime.workers import Workers

T = TypeVar("T")

READERS: Final = 3
_ROWS_BETWEEN_YIELDS: Final = 16
_REST_FOR_WORK: Final = 4.0
"""A compaction rests this many times as long as it works: while it works, every write to a socket waits."""


class HubWork:
    """Threads over one store. ``committed`` is told how long each commit took, in seconds."""

    def __init__(self, store: HubStore, committed: Callable[[float], None]) -> None:
        self._store = store
        self._committed = committed
        self._writer = Workers("hub-writer", 1)
        self._readers = Workers("hub-reader", READERS)
        self._opened: list[OpenedAt] = []
        """What is still to be remembered."""
        self._remembering = False

    def close(self) -> None:
        """After every request has been answered or cancelled."""
        self._writer.close()
        self._readers.close()

    async def shrink(self) -> bool:
        """Give some of the store's free space back to the disk; returns whether there is more."""
        try:
            return await self._writer.run(self._store.shrink)
        except StoreFailed:
            return False  # the next commit tells

    async def answer(self, request: Request) -> Event | None:
        """The event that answers the request, if it has one. Raises StoreCorrupt."""
        store = self._store
        try:
            match request:
                case OpenRoom(room, epoch):
                    record = await self._writer.run(
                        store.open_room, room, epoch, limits.ROOMS_PER_HUB_MAX, bounds.EPOCHS_KEPT
                    )
                    return RoomOpened(room, record)
                case Append(rows):
                    started = time.perf_counter()
                    appendix = await self._writer.run(store.append, rows)
                    self._committed(time.perf_counter() - started)
                    return Appended(appendix)
                case ReadLog(member, room, after, wanted):
                    page = await self._readers.run(
                        store.read_log,
                        room,
                        after,
                        wanted,
                        limits.FRAME_BATCH_BYTES,
                        limits.DOCUMENTS_PER_BATCH_MAX,
                    )
                    return LogRead(member, page)
                case CompareDocuments():
                    return await self._readers.run(compared, store, request, _yielding)
                case LoadDocuments():
                    return await self._readers.run(loaded, store, request, _yielding)
                case FindDocuments(member, room, documents):
                    return DocumentsFound(member, await self._readers.run(store.known, room, documents))
                case CheckUpdates():
                    return await self._readers.run(checked, request, _give_way)
                case Compact():
                    return await self._compact(request)
                case RememberOpened(room, path, document):
                    await self._remember_opened((room, path, document))
                    return None
                case _:
                    assert_never(request)
        except StoreFailed as error:
            return failed(request, str(error))

    async def _remember_opened(self, opened: OpenedAt) -> None:
        """With all that come while others are written: each would be a commit of its own."""
        self._opened.append(opened)
        if self._remembering:
            return
        self._remembering = True
        try:
            while self._opened:
                batch, self._opened = self._opened, []
                await self._writer.run(self._store.remember_opened, batch, bounds.OPENED_PER_ROOM_MAX)
        finally:
            self._remembering = False

    async def _compact(self, request: Compact) -> Compacted:
        room, document = request.room, request.document
        compaction = await self._readers.run(_compacted, self._store, request)
        if compaction is None:
            return Compacted(room, document, None)
        size = await self._writer.run(
            self._store.replace, room, document, compaction.sequences, compaction.entry
        )
        return Compacted(room, document, size)


def _compacted(store: HubStore, request: Compact) -> Compaction | None:
    whole = store.whole(request.room, request.document)
    rows = store.read_document(request.room, request.document, request.through)
    return compact(request.document, _resting(rows), whole)


def _resting(rows: Iterable[T]) -> Iterator[T]:
    """Leaves most of the time to other threads: nobody waits for what is done."""
    started = time.perf_counter()
    for count, row in enumerate(rows):
        if count % _ROWS_BETWEEN_YIELDS == _ROWS_BETWEEN_YIELDS - 1:
            time.sleep(_REST_FOR_WORK * (time.perf_counter() - started))
            started = time.perf_counter()
        yield row


def _give_way() -> None:
    time.sleep(0)


def _yielding(rows: Iterable[T]) -> Iterator[T]:
    """Lets other threads run now and then."""
    for count, row in enumerate(rows):
        if count % _ROWS_BETWEEN_YIELDS == 0:
            time.sleep(0)
        yield row
