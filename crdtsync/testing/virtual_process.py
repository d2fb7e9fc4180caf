"""One life of a replica's disk code on a virtual machine: the code itself, watching, looking and writing.

Its threads are those of ``runtime.disk_tasks``. What it answers comes outside of all threads, and not at all
once it has ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from crdtsync.adapters.disk import Disk
from crdtsync.adapters.watcher import RESCAN_S, Watched, Watcher
from crdtsync.core.replica.effects import LookAt
from crdtsync.core.replica.events import Recovered, Scan
from crdtsync.core.replica.steps import Displaced, Outcome, Step
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Seen
from crdtsync.errors import RootGone
from crdtsync.testing.clock import Clock, Timer
from crdtsync.testing.virtual_filesystem import VirtualFilesystem
from crdtsync.testing.virtual_inotify import VirtualInotify
from crdtsync.testing.virtual_kernel import Primitive, VirtualKernel
from crdtsync.testing.virtual_threads import VirtualThreads, pause

T = TypeVar("T")

PRIMITIVES_PER_WORK: Final = 32
"""About so many make up a look or a step."""
LOOK_THREADS: Final = 2


@dataclass(slots=True)
class Pace:
    """How fast the machine is, and how well the watcher does. Chances are per event of the kernel."""

    work_s: float = 0.001
    """How long a look, a scan of a folder or a step takes, about."""
    watch_delay_s: float = 0.001
    overflows: float = 0.0
    doubled: float = 0.0


class VirtualProcess:
    """``told`` gets hints, ``late`` displaced files that changed, ``gone`` that the root is.

    ``before`` is called before each primitive: it may act as others, end this process, or raise OSError.
    """

    def __init__(
        self,
        directory: str,
        filesystem: VirtualFilesystem,
        clock: Clock,
        rng: Random,
        pace: Pace,
        told: Callable[[Watched], None],
        late: Callable[[Displaced], None],
        gone: Callable[[RootGone], None],
        before: Callable[[Primitive], None],
        wall_s: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._wall_s = wall_s
        self._rng = rng
        self._pace = pace
        self._late = late
        self._gone = gone
        self._before = before
        self._lookers = VirtualThreads(clock, LOOK_THREADS, self._delay_s)
        self._writer = VirtualThreads(clock, 1, self._delay_s)
        self._flusher = VirtualThreads(clock, 1, self._delay_s)
        self._watching = VirtualThreads(clock, 1, lambda: 0.0)
        self._poll: Timer | None = None
        self._touched: set[str] = set()
        self._performer: greenlet | None = None
        self.kernel = VirtualKernel(filesystem, self._primitive, self._sleep)
        self._inotify = VirtualInotify(self.kernel, self._happened, self._mishap)
        self._told = told
        self._directory = directory

    def start(self) -> Recovered:
        """Open the folder, watch it, and return what a former life left and nobody has taken note of yet.

        Raises what ``Disk`` raises, OSError, and Killed when the process ends in it.
        """
        clock, rng, told = self._clock, self._rng, self._told
        self.disk = Disk(
            self._directory,
            "room",
            calls=self.kernel,
            clock=lambda: clock.now_s,
            utc_s=self._wall_s,
            new_nonce=lambda: f"{rng.getrandbits(64):016x}",
        )
        watcher = Watcher(
            self.disk.tree,
            self.disk.folder,
            self.disk.ignores,
            lambda hint: self._outside(lambda: told(hint)),
            lambda name: self._outside(lambda: self._late_write(name)),
            lambda notice: None,
            inotify=lambda: self._inotify,
            repeat=self._repeat,
        )
        watcher.start()
        recovered = self.disk.recover()
        self._poll_in(0.0)
        return recovered

    def end(self) -> None:
        """Everything of it is gone; nothing is cleaned up."""
        if self._poll is not None:
            self._poll.cancel()
        if not self.kernel.ended:
            self._inotify.stop()
            self.kernel.end()

    # -- what is asked for ------------------------------------------------------------------------------

    def look(self, paths: Sequence[LookAt], done: Callable[[tuple[tuple[str, Seen], ...]], None]) -> None:
        self._submit(self._lookers, lambda: self.disk.look(paths), done)

    def scan(self, below: str, done: Callable[[Scan], None]) -> None:
        self._submit(self._lookers, lambda: self.disk.scan(below), done)

    def perform(self, steps: Sequence[Step], done: Callable[[list[tuple[Step, Outcome]]], None]) -> None:
        def end(outcomes: list[tuple[Step, Outcome]]) -> None:
            done(outcomes)
            self._poll_within(limits.SETTLE_QUIET_S if self.disk.displaced_unread else limits.DISPLACED_MIN_S)

        def work() -> list[tuple[Step, Outcome]]:
            self._performer = getcurrent()
            try:
                self.disk.prepare(steps)  # as while the store is written
                return self.disk.perform(steps)
            finally:
                self._performer = None

        self._submit(self._writer, work, end)

    @property
    def performing(self) -> bool:
        """Whether the primitive that is about to happen is one of a step."""
        return self._performer is getcurrent()

    def drop_displaced(self, token: str) -> None:
        self._submit(self._writer, lambda: self.disk.drop_displaced(token), lambda _: None)

    def make_durable(self, done: Callable[[bool], None]) -> None:
        """``done`` is told whether that worked."""

        def work() -> bool:
            try:
                self.disk.make_durable()
            except OSError:
                return False
            return True

        self._submit(self._flusher, work, done)

    def stage_blob(self, digest: Digest, data: bytes) -> None:
        """As a transfer does, once all of the blob has come. Raises OSError."""
        kernel, staging_fd = self.kernel, self.disk.folder.staging.fd
        part = f"part-{digest}"
        fd = kernel.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, staging_fd)
        try:
            kernel.write_all(fd, data)
            kernel.fsync(fd)
        finally:
            kernel.close(fd)
        kernel.rename(part, staging_fd, f"blob-{digest}", staging_fd)

    # -- watching ---------------------------------------------------------------------------------------

    def _happened(self) -> None:
        delay_s = self._pace.watch_delay_s * self._rng.uniform(0.2, 2)
        self._outside(lambda: self._watching.submit(self._inotify.take, lambda _: None), delay_s)

    def _repeat(self, action: Callable[[], bool]) -> None:
        def done(more: bool) -> None:
            if more:
                self._repeat(action)

        self._outside(lambda: self._watching.submit(action, done), RESCAN_S)

    def _mishap(self) -> str | None:
        if self._pace.overflows and self._rng.random() < self._pace.overflows:
            return "lost"
        if self._pace.doubled and self._rng.random() < self._pace.doubled:
            return "twice"
        return None

    # -- displaced files --------------------------------------------------------------------------------

    def _late_write(self, name: str) -> None:
        """Someone writes to a file that was replaced; take it in soon."""
        self._touched.add(name)
        self._poll_in(limits.SETTLE_QUIET_S)

    def _poll_within(self, delay_s: float) -> None:
        if self._poll is None or self._poll.at_s > self._clock.now_s + delay_s:
            self._poll_in(delay_s)

    def _poll_in(self, delay_s: float) -> None:
        if self._poll is not None:
            self._poll.cancel()
        self._poll = self._clock.after(delay_s, self._poll_displaced)

    def _poll_displaced(self) -> None:
        self._poll = None
        touched, self._touched = self._touched, set()

        def end(found: tuple[list[Displaced], float | None]) -> None:
            late, due_s = found
            for displaced in late:
                self._late(displaced)
            if due_s is not None and self._poll is None:
                self._poll_in(max(0.0, due_s - self._clock.now_s))

        self._submit(self._writer, lambda: self.disk.poll_displaced(self._clock.now_s, touched), end)

    # -- time -------------------------------------------------------------------------------------------

    def _sleep(self, seconds: float) -> None:
        try:
            pause(self._clock, seconds)
        except GreenletExit:
            self.kernel.ended = True  # the world is thrown away: nothing is to happen any more
            raise

    def _primitive(self, primitive: Primitive) -> None:
        self._sleep(self._pace.work_s / PRIMITIVES_PER_WORK)
        if not self.kernel.ended:
            self._before(primitive)

    def _submit(self, threads: VirtualThreads, work: Callable[[], T], done: Callable[[T], None]) -> None:
        def guarded() -> T | RootGone:
            try:
                return work()
            except RootGone as error:
                return error

        def end(result: T | RootGone) -> None:
            if self.kernel.ended:
                return
            if isinstance(result, RootGone):
                self._gone(result)
            else:
                done(result)

        threads.submit(guarded, end)

    def _outside(self, action: Callable[[], None], delay_s: float = 0.0) -> None:
        self._clock.after(delay_s, lambda: None if self.kernel.ended else action())

    def _delay_s(self) -> float:
        return self._pace.work_s * self._rng.uniform(0.2, 2.0)
