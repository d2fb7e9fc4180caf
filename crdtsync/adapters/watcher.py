"""Watches the joined folder and passes on hints of what changed; sole user of watchdog (its inotify layer).

Hints carry no truth: they are reasons to look. What this must never do is miss that a hint was missed: an
overflow of the kernel's queue, and too few watches, are told as HintsLost; a folder that could not be watched
is tried again, and then told as new.
"""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)

from crdtsync.adapters.filesystem import Tree, split
from crdtsync.adapters.ignores import IGNORE_FILES, Ignores
from crdtsync.adapters.state_folder import NEEDED, StateFolder
from crdtsync.core.replica.events import Hint, HintKind, HintsLost
from crdtsync.core.values.ids import printable
from crdtsync.core.values.paths import is_below
from crdtsync.core.values.reserved import reserved_name

RESCAN_S: Final = 10.0
"""Where not every folder can be watched, all are scanned this often; and what failed is tried again."""

_ELSEWHERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""The folder is gone again, or replaced: of that there is an event. All else may pass without one."""

_MASK: Final = Mask(
    InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_DONT_FOLLOW
    | InotifyConstants.IN_EXCL_UNLINK
)
_STAGING_MASK: Final = Mask(
    InotifyConstants.IN_MODIFY | InotifyConstants.IN_CLOSE_WRITE | InotifyConstants.IN_ONLYDIR
)
_STATE_MASK: Final = Mask(
    InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ONLYDIR
)
_WHOLE: Final = (
    InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_DELETE
)
_FILE_HINTS: Final = (
    (InotifyConstants.IN_CLOSE_WRITE | InotifyConstants.IN_MOVED_TO, HintKind.CLOSED),
    (InotifyConstants.IN_DELETE | InotifyConstants.IN_MOVED_FROM, HintKind.DELETED),
    (InotifyConstants.IN_CREATE, HintKind.CREATED),
    (InotifyConstants.IN_MODIFY | InotifyConstants.IN_ATTRIB, HintKind.MODIFIED),
)

_QUIET_S: Final = 0.005
_READS_OF_A_FLOOD: Final = 8
"""So many with never as long as ``_QUIET_S`` between them; a save is two or three."""
_GATHERING_S: Final = 0.003

Watched: TypeAlias = Hint | HintsLost


class GatheringInotify(InotifyFD):
    """In a flood, as when a thousand files change, it reads what some milliseconds brought at once: when it
    hands events on, the threads that look and write have to give way."""

    def run(self) -> None:
        in_a_row = 0
        while self.should_keep_running():
            since = time.monotonic()
            events = self.read_events()
            in_a_row = in_a_row + 1 if time.monotonic() - since < _QUIET_S else 0
            for event in events:
                self.handle_event(event)
            if in_a_row >= _READS_OF_A_FLOOD:
                time.sleep(_GATHERING_S)


class Inotify(Protocol):
    """What is used of watchdog's ``InotifyFD``."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def join(self) -> None: ...

    def add_callback(
        self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
    ) -> WatchDescriptor: ...

    def remove_callbacks(self, callbacks: list[tuple[WatchDescriptor, CallbackId]]) -> None: ...


class Watcher:
    """Watches from ``start`` to ``stop``; all callbacks come from threads of its own, and must not block.

    ``on_hint`` gets what happened in the folder; ``on_late_write`` the names of staged files that a writer
    touched, for ``poll_displaced``; ``on_notice`` a sentence for a person when not all can be watched.
    """

    def __init__(
        self,
        tree: Tree,
        state: StateFolder,
        ignores: Ignores,
        on_hint: Callable[[Watched], None],
        on_late_write: Callable[[str], None],
        on_notice: Callable[[str], None],
        rescan_s: float = RESCAN_S,
        inotify: Callable[[], Inotify] = GatheringInotify,
        repeat: Callable[[Callable[[], bool]], None] | None = None,
    ) -> None:
        """``repeat`` calls what it is given every ``rescan_s`` while that returns True; None: a thread."""
        self._tree = tree
        self._state = state
        self._ignores = ignores
        self._on_hint = on_hint
        self._on_late_write = on_late_write
        self._on_notice = on_notice
        self._rescan_s = rescan_s
        self._open_inotify = inotify
        self._repeat = repeat or self._in_thread
        self._lock = threading.RLock()
        self._inotify: Inotify | None = None
        self._ids = itertools.count(1)
        self._path_of: dict[WatchDescriptor, str] = {}
        self._descriptor_of: dict[str, WatchDescriptor] = {}
        self._id_of: dict[WatchDescriptor, CallbackId] = {}
        self._staging_descriptor: WatchDescriptor | None = None
        """Of the first one: in a staging folder that was made anew, polls alone find late writes."""
        self._state_descriptor: WatchDescriptor | None = None
        self._stopped = threading.Event()
        self._rescanning: threading.Thread | None = None
        self._repeating = False
        self._fallen_back = False
        self._failed: set[str] = set()
        """Folders that could not be watched, or listed, or those in them."""

    def start(self) -> None:
        """Watch everything below the root that is not ignored; what is there already gives no hints."""
        try:
            self._inotify = self._open_inotify()
        except OSError as error:
            self._fall_back(f"The kernel gives no file watcher ({error.strerror})")
            return
        self._inotify.start()
        with self._lock:
            self._staging_descriptor = self._add(self._state.staging.fd, _STAGING_MASK)
            self._state_descriptor = self._add(self._state.state_fd, _STATE_MASK)
            self._watch_below("")

    def stop(self) -> None:
        """No callback comes after this returns."""
        self._stopped.set()
        if self._inotify is not None:
            self._inotify.stop()
            self._inotify.join()
        if self._rescanning is not None:
            self._rescanning.join()

    @property
    def watched_folders(self) -> int:
        with self._lock:
            return len(self._path_of)

    # -- called by watchdog, on its thread --------------------------------------------------------------

    def on_event(self, event: InotifyEvent) -> None:
        try:
            self._take(event)
        except Exception as error:  # an exception would end the thread, and every hint with it
            self._on_notice(f"A change could not be followed ({error!r}): the folder is scanned instead")
            self._on_hint(HintsLost())

    def on_queue_overflow(self) -> None:
        """Folders may have come and gone unseen: watch again, and only then have all of it looked at."""
        with self._lock:
            self._watch_below("")
        self._on_hint(HintsLost())

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        with self._lock:
            self._forget(wd)

    def _take(self, event: InotifyEvent) -> None:
        with self._lock:
            folder = self._path_of.get(event.wd)
        name = os.fsdecode(event.name)
        if folder is None:
            if event.wd == self._staging_descriptor and name[1:2] == "_":
                self._on_late_write(name)
            elif event.wd == self._state_descriptor and (not name or name in NEEDED):
                self._on_hint(HintsLost())  # as of the root
            return
        if not name:
            if folder == "" and event.mask & (
                InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE_SELF
            ):
                self._on_hint(HintsLost())  # the root itself is gone: the scan will find that out
            return
        name = self._tree.folding.spelled(name)
        if reserved_name(name):
            return
        path = f"{folder}/{name}" if folder else name
        if event.mask & InotifyConstants.IN_ISDIR:
            self._take_folder(event.mask, path)
            return
        if name in IGNORE_FILES and event.mask & _WHOLE:
            self._ignores.invalidate(path)
            with self._lock:
                self._watch_below(folder)  # what was ignored may not be any more
        for bits, kind in _FILE_HINTS:
            if event.mask & bits:
                self._on_hint(Hint(path, kind))
                return

    def _take_folder(self, mask: int, path: str) -> None:
        with self._lock:
            if mask & (InotifyConstants.IN_DELETE | InotifyConstants.IN_MOVED_FROM):
                # What stands there by now is another folder; its own event may have been taken already.
                self._unwatch(path, and_below=bool(mask & InotifyConstants.IN_MOVED_FROM))
                self._watch_below(path)
                kind = HintKind.CREATED if path in self._descriptor_of else HintKind.DELETED
            elif mask & (InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVED_TO):
                self._watch_below(path)
                kind = HintKind.CREATED
            elif mask & InotifyConstants.IN_ATTRIB:  # it may have become readable, or unreadable
                kind = HintKind.MODIFIED if path in self._descriptor_of else HintKind.CREATED
                if kind is HintKind.CREATED:
                    self._watch_below(path)
            else:
                return
        self._on_hint(Hint(path, kind))

    # -- watches; all with the lock held ----------------------------------------------------------------

    def _watch_below(self, top: str) -> None:
        """Watch a folder and those in it. A folder is watched before it is listed: nothing falls between."""
        waiting = [top]
        while waiting:
            path = waiting.pop()
            try:
                above = self._ignores.folder(split(path)[0]) if path else None
                if above is not None and above.ignored(split(path)[1], True):
                    continue
                with self._tree.folder(path) as fd:
                    wd = self._add(fd, _MASK)
                    if wd is None:
                        return
                    self._remember(wd, path)
                    entries = self._tree.calls.entries(fd)
                    names = {entry.name for entry in entries}
                    rules = self._ignores.scanned(path, fd, above, names)
            except OSError as error:
                if error.errno not in _ELSEWHERE:
                    self._failed.add(path)
                    self._try_again()
                continue
            prefix = f"{path}/" if path else ""
            waiting += [
                prefix + self._tree.folding.spelled(entry.name)
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not rules.ignored(entry.name, True)
            ]

    def _add(self, fd: int, mask: Mask) -> WatchDescriptor | None:
        """Watch the very folder that is open at ``fd``, whatever its path leads to by now."""
        assert self._inotify is not None
        number = CallbackId(next(self._ids))
        try:
            wd = self._inotify.add_callback(b"/proc/self/fd/%d/." % fd, mask, self, number)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self._fall_back(f"The kernel's limit of {_max_watches()} watched folders is reached")
                return None
            raise
        former = self._id_of.get(wd)
        self._id_of[wd] = number
        if former is not None:
            self._inotify.remove_callbacks([(wd, former)])
        return wd

    def _remember(self, wd: WatchDescriptor, path: str) -> None:
        former_path = self._path_of.get(wd)
        if former_path is not None and former_path != path:
            self._descriptor_of.pop(former_path, None)
        former = self._descriptor_of.get(path)
        if former is not None and former != wd:
            self._drop(former)
        self._path_of[wd] = path
        self._descriptor_of[path] = wd

    def _unwatch(self, top: str, *, and_below: bool) -> None:
        """A folder that was deleted was empty: only one that was moved takes others along."""
        gone = [top, *(path for path in self._descriptor_of if is_below(path, top))] if and_below else [top]
        for path in gone:
            wd = self._descriptor_of.get(path)
            if wd is not None:
                self._drop(wd)

    def _drop(self, wd: WatchDescriptor) -> None:
        number = self._id_of.get(wd)
        self._forget(wd)
        if number is not None and self._inotify is not None:
            self._inotify.remove_callbacks([(wd, number)])

    def _forget(self, wd: WatchDescriptor) -> None:
        path = self._path_of.pop(wd, None)
        self._id_of.pop(wd, None)
        if path is not None and self._descriptor_of.get(path) == wd:
            del self._descriptor_of[path]

    # -- without all watches ----------------------------------------------------------------------------

    def _fall_back(self, why: str) -> None:
        """Scan now and then instead; told once."""
        if self._fallen_back:
            return
        self._fallen_back = True
        self._try_again()
        where = printable(os.readlink(f"/proc/self/fd/{self._tree.root_fd}"))
        self._on_notice(
            f"{why}: not every change in {where} is noticed at once; all of it is scanned every "
            f"{self._rescan_s:g} s. To raise the limit: sudo sysctl fs.inotify.max_user_watches=1048576"
        )

    def _try_again(self) -> None:
        if not self._repeating:
            self._repeating = True
            self._repeat(self._rescan)

    def _rescan(self) -> bool:
        """Watch what could not be watched before, and have it looked at; whether that is to be done again."""
        with self._lock:
            failed, self._failed = self._failed, set()
            for path in sorted(failed):
                self._watch_below(path)
            watched = sorted(failed - self._failed)
        for path in watched:
            self._on_hint(Hint(path, HintKind.CREATED) if path else HintsLost())
        if self._fallen_back:
            self._on_hint(HintsLost())
        with self._lock:
            self._repeating = self._fallen_back or bool(self._failed)
            return self._repeating

    def _in_thread(self, action: Callable[[], bool]) -> None:
        def run() -> None:
            while not self._stopped.wait(self._rescan_s) and action():
                pass

        self._rescanning = threading.Thread(target=run, name="rescan", daemon=True)
        self._rescanning.start()


def _max_watches() -> str:
    try:
        with open("/proc/sys/fs/inotify/max_user_watches", encoding="ascii") as limit:
            return limit.read().strip()
    except OSError:
        return "unknown number"
