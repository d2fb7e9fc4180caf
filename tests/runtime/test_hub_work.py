"""What the hub's engine asks of its store, as threads do it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from crdtsync.core.hub.effects import RememberOpened
from crdtsync.core.hub.store import OpenedAt, StoreFailed
from crdtsync.core.values.ids import DocumentId
from crdtsync.runtime.hub_work import HubWork
from crdtsync.testing.memory_hub_store import MemoryHubStore
from tests.waiting import DEADLINE_S


class SlowStore(MemoryHubStore):
    """Each commit waits for ``go_on``, and ``fails`` the first time."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.commits: list[list[OpenedAt]] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self._fails = fails

    def remember_opened(self, opened: Sequence[OpenedAt], kept: int) -> None:
        self.begun.set()
        assert self.go_on.wait(DEADLINE_S)
        self.commits.append(list(opened))
        if self._fails:
            self._fails = False
            raise StoreFailed("the disk is full")


def remembered(fails: bool) -> list[list[str]]:
    """The paths in each commit, of four texts of which three are opened while the first is written, and one
    that is opened afterwards."""

    async def run() -> list[list[str]]:
        store = SlowStore(fails)
        work = HubWork(store, lambda _: None)

        def opened(number: int) -> RememberOpened:
            return RememberOpened("notes", f"{number}.txt", DocumentId(f"{number:024x}"))

        async with asyncio.timeout(DEADLINE_S):
            first = asyncio.create_task(work.answer(opened(0)))
            await asyncio.to_thread(store.begun.wait, DEADLINE_S)
            others = [asyncio.create_task(work.answer(opened(number))) for number in (1, 2, 3)]
            await asyncio.gather(*others)
            store.go_on.set()
            await first
            await work.answer(opened(4))
        work.close()
        return [[path for _, path, _ in commit] for commit in store.commits]

    return asyncio.run(run())


def test_texts_that_are_opened_while_others_are_written_share_a_commit() -> None:
    assert remembered(fails=False) == [["0.txt"], ["1.txt", "2.txt", "3.txt"], ["4.txt"]]


def test_after_a_commit_that_failed_those_that_waited_go_with_the_next() -> None:
    assert remembered(fails=True) == [["0.txt"], ["1.txt", "2.txt", "3.txt", "4.txt"]]
