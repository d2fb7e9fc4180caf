"""Has the disk's work done in threads and brings the answers back as events. Decides nothing.

Two threads look and scan, one carries out steps in order, one makes things durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from crdtsync.adapters.folder import JoinedFolder
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.effects import LookAt
from crdtsync.core.replica.steps import Outcome, Step
from crdtsync.core.values import limits
from crdtsync.errors import RootGone

T = TypeVar("T")

DURABLE_RETRY_S = 5.0
EXPIRE_TRASH_S = 24 * 3600.0
LOOK_THREADS = 2


class DiskTasks:
    """Threads and tasks for one folder, made on the loop that ``put`` belongs to.

    ``told`` gets what a person should know, ``failed`` what ended a thread or task unexpectedly.
    """

    def __init__(
        self,
        folder: JoinedFolder,
        put: Callable[[ev.Event], None],
        told: Callable[[str], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._folder = folder
        self._put = put
        self._told = told
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._lookers = ThreadPoolExecutor(LOOK_THREADS, thread_name_prefix="crdtsync-look")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="crdtsync-write")
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="crdtsync-durable")
        self._tasks: set[asyncio.Task[None]] = set()
        self._poll: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._touched: set[str] = set()

    async def start(self) -> None:
        """Watch the folder, and take in what a former run left in staging."""
        await asyncio.to_thread(
            self._folder.watch,
            self._put,
            partial(self._on_loop, self._late_write),
            partial(self._on_loop, self._told),
        )
        self._put(await self._in(self._writer, self._folder.recover))
        self._poll_in(0.0)  # what it keeps of that run is let go of in time, though no step may come
        self._expire_trash()

    async def close(self) -> None:
        """Let go of the threads; steps that were begun are finished first."""
        for timer in (self._poll, self._expiry):
            if timer is not None:
                timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for threads in (self._lookers, self._writer, self._flusher):
            await asyncio.to_thread(threads.shutdown, wait=True, cancel_futures=True)

    # -- what is asked for --------------------------------------------------------------------------

    def look(self, paths: tuple[LookAt, ...]) -> None:
        """A small file alone, most likely a save, is read here and now: handing it over would take longer."""
        seen = self._folder.glance(paths[0]) if len(paths) == 1 else None
        if seen is not None:
            self._put(ev.Looked(((paths[0].path, seen),)))
            return
        self._answer(self._lookers, partial(self._folder.look, paths), ev.Looked)

    def scan(self, number: int, below: str) -> None:
        self._answer(self._lookers, partial(self._folder.scan, below), partial(ev.Scanned, number))

    def perform(self, steps: Sequence[Step]) -> None:
        """Carry out the steps after all that were asked for before."""
        self._answer(self._writer, partial(self._folder.perform, steps, self._done), None)
        if self._poll is None:
            self._poll_in(limits.DISPLACED_MIN_S)

    def prepare(self, steps: Sequence[Step]) -> None:
        """``perform`` will be asked for these, or nothing any more: what nobody sees is done meanwhile."""
        self._answer(self._writer, partial(self._folder.prepare, steps), None)

    def drop_displaced(self, token: str) -> None:
        self._answer(self._writer, partial(self._folder.drop_displaced, token), None)

    def make_durable(self, number: int) -> None:
        self.task(self._make_durable(number))

    async def durable_now(self) -> bool:
        """Make all durable once; whether that worked."""
        try:
            await self._in(self._flusher, self._folder.make_durable)
        except OSError:
            return False
        return True

    def task(self, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` beside the loop, until done or closed."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    # -- how it is done -----------------------------------------------------------------------------

    def _done(self, outcomes: Sequence[tuple[Step, Outcome]]) -> None:
        """Called by the writer's thread: the engine takes in some steps while the next are carried out."""
        self._put(ev.StepsDone(tuple((step.step, outcome) for step, outcome in outcomes)))
        if self._folder.displaced_unread:
            self._on_loop(self._poll_within, limits.SETTLE_QUIET_S)

    async def _make_durable(self, number: int) -> None:
        """A disk that cannot be made durable is told of and tried again; nothing is agreed on meanwhile."""
        while not await self.durable_now():
            self._told("the disk cannot be made durable; it is tried again")
            await asyncio.sleep(DURABLE_RETRY_S)
        self._put(ev.MadeDurable(number))

    def _expire_trash(self) -> None:
        """Now, and once a day."""
        self._answer(self._writer, self._folder.expire_trash, None)
        self._expiry = self._loop.call_later(EXPIRE_TRASH_S, self._expire_trash)

    def _late_write(self, name: str) -> None:
        """Someone writes to a file that was replaced; take it in soon."""
        self._touched.add(name)
        self._poll_in(limits.SETTLE_QUIET_S)

    def _poll_within(self, delay_s: float) -> None:
        if self._poll is None or self._poll.when() > self._loop.time() + delay_s:
            self._poll_in(delay_s)

    def _poll_in(self, delay_s: float) -> None:
        if self._poll is not None:
            self._poll.cancel()
        self._poll = self._loop.call_later(delay_s, lambda: self.task(self._poll_displaced()))

    async def _poll_displaced(self) -> None:
        """Look at the files that were replaced: whoever holds one open may still be writing to it."""
        self._poll = None
        touched, self._touched = self._touched, set()
        late, due_s = await self._in(self._writer, partial(self._folder.poll_displaced, touched))
        for displaced in late:
            self._put(ev.DisplacedChanged(displaced))
        if due_s is not None and self._poll is None:
            self._poll_in(max(0.0, due_s - time.monotonic()))

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(threads, work)

    def _answer(
        self, threads: ThreadPoolExecutor, work: Callable[[], T], event: Callable[[T], ev.Event] | None
    ) -> None:
        """Do ``work`` in a thread; its result comes back as an event."""

        def run() -> None:
            try:
                result = work()
            except RootGone as error:
                self._put(ev.RootLost(str(error)))
            except Exception as error:
                # Not a matter of the disk, so a fault of ours: stop rather than go on blind.
                self._on_loop(self._failed, error)
            else:
                if event is not None:
                    self._put(event(result))

        threads.submit(run)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    def _on_loop(self, call: Callable[[T], None], value: T) -> None:
        """Call from another thread; a loop that has ended needs no call."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, value)
