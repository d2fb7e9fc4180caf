"""What a virtual file system tells a watcher, as watchdog's ``InotifyFD`` does over inotify(7).

Knows queues, merging and overflow; when a queue is read is up to its owner, who is told that there is one.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import Final

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    Mask,
    WatchCallback,
    WatchDescriptor,
)

from crdtsync.testing.virtual_filesystem import error
from crdtsync.testing.virtual_happenings import Happening
from crdtsync.testing.virtual_inodes import Inode, NodeKind
from crdtsync.testing.virtual_kernel import VirtualKernel

QUEUE_MAX: Final = 16_384
_BY_DESCRIPTOR: Final = "/proc/self/fd/"


class VirtualInotify:
    """``told`` is called when the queue was empty and something happened; ``take`` then reads it.

    ``mishap`` may have an event "lost" (the queue overflows), or come "twice".
    """

    def __init__(
        self,
        kernel: VirtualKernel,
        told: Callable[[], None],
        mishap: Callable[[], str | None] = lambda: None,
        queue_max: int = QUEUE_MAX,
    ) -> None:
        self._kernel = kernel
        self._told = told
        self._mishap = mishap
        self._queue_max = queue_max
        self._queue: deque[InotifyEvent] = deque()
        self._watches: dict[WatchDescriptor, tuple[Inode, int, dict[CallbackId, WatchCallback]]] = {}
        self._descriptors: dict[Inode, WatchDescriptor] = {}
        self._last = 0

    # -- as InotifyFD -----------------------------------------------------------------------------------

    def start(self) -> None:
        """There is no thread."""

    def stop(self) -> None:
        for wd in list(self._watches):
            self._drop(wd)
        self._queue.clear()

    def join(self) -> None:
        """There is no thread."""

    def add_callback(
        self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
    ) -> WatchDescriptor:
        fd = path.decode().removeprefix(_BY_DESCRIPTOR).partition("/")[0]
        inode = self._kernel.dentry_of(int(fd)).inode
        if inode.kind is not NodeKind.FOLDER:
            raise error(errno.ENOTDIR, path)
        wd = self._descriptors.get(inode)
        if wd is None:
            self._last += 1
            wd = WatchDescriptor(self._last)
            self._watches[wd] = inode, mask, {}
            self._descriptors[inode] = wd
            self._kernel.filesystem.listeners.setdefault(inode, []).append(self)
        self._watches[wd][2][id_] = callback
        return wd

    def remove_callbacks(self, callbacks: list[tuple[WatchDescriptor, CallbackId]]) -> None:
        for wd, id_ in callbacks:
            if wd in self._watches:
                found = self._watches[wd][2]
                found.pop(id_, None)
                if not found:
                    self._drop(wd)
                    self._put(InotifyEvent(wd, InotifyConstants.IN_IGNORED, 0, b""))

    # -- the queue --------------------------------------------------------------------------------------

    def happened(self, folder: Inode, what: int, name: str, cookie: int) -> None:
        """Called by the file system."""
        wd = self._descriptors.get(folder)
        if wd is None or not what & self._watches[wd][1]:
            return
        event = InotifyEvent(wd, Mask(what), cookie, name.encode("utf-8", "surrogateescape"))
        mishap = self._mishap()
        if mishap == "lost":
            self._overflow()
        else:
            self._put(event)
            if mishap == "twice":
                self._queue.append(event)
        if what & Happening.DELETE_SELF:
            self._detach(wd)
            self._put(InotifyEvent(wd, InotifyConstants.IN_IGNORED, 0, b""))

    def take(self) -> None:
        """Hand on what is in the queue, in its order."""
        while self._queue:
            self._handle(self._queue.popleft())

    def events(self) -> list[InotifyEvent]:
        """What is in the queue."""
        return list(self._queue)

    def _put(self, event: InotifyEvent) -> None:
        """One that equals the last one in the queue is merged with it (cookies do not count)."""
        if len(self._queue) >= self._queue_max:
            self._overflow()
            return
        if self._queue:
            last = self._queue[-1]
            if (last.wd, last.mask, last.name) == (event.wd, event.mask, event.name):
                return
        self._queue.append(event)
        if len(self._queue) == 1:
            self._told()

    def _overflow(self) -> None:
        if not self._queue or not self._queue[-1].is_queue_overflow:
            self._queue.append(InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b""))
            if len(self._queue) == 1:
                self._told()

    def _handle(self, event: InotifyEvent) -> None:
        if event.is_queue_overflow:
            callbacks = [each for _, _, found in self._watches.values() for each in found.values()]
            for callback in {id(each): each for each in callbacks}.values():
                callback.on_queue_overflow()
        elif event.wd in self._watches and event.is_ignored:
            self._drop(event.wd)  # not before: what happened in the folder until it went is told
        elif event.wd in self._watches:
            for callback in list(self._watches[event.wd][2].values()):
                callback.on_event(event)

    def _detach(self, wd: WatchDescriptor) -> None:
        """Nothing more happens in the folder."""
        inode = self._watches[wd][0]
        if self._descriptors.get(inode) == wd:
            del self._descriptors[inode]
            self._kernel.filesystem.listeners.get(inode, [self]).remove(self)

    def _drop(self, wd: WatchDescriptor) -> None:
        self._detach(wd)
        _, _, callbacks = self._watches.pop(wd)
        for callback in callbacks.values():
            callback.on_watch_deleted(wd)
