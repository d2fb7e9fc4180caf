"""The virtual kernel tells a watcher what the real one tells it, event by event."""

from __future__ import annotations

import os
import select
import struct
from collections.abc import Callable, Iterator
from ctypes import CDLL, get_errno
from pathlib import Path
from random import Random

import pytest
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

from crdtsync.testing.virtual_inotify import VirtualInotify
from crdtsync.testing.virtual_kernel import VirtualKernel
from tests.kernel.both import Place, outcome, real, virtual

MASK = Mask(
    InotifyConstants.IN_MODIFY
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MOVE
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_EXCL_UNLINK
)
WATCHED = ("", "d", "full")
Told = tuple[str, int, str]


class Listener:
    """Notes down what it is told of a folder, and that it is told no more."""

    def __init__(self) -> None:
        self.told: list[tuple[int, bytes]] = []

    def on_event(self, event: InotifyEvent) -> None:
        self.told.append((int(event.mask), event.name))

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        self.told.append((InotifyConstants.IN_IGNORED, b""))

    def on_queue_overflow(self) -> None:
        raise AssertionError("not so many")


class RealEars:
    """Watches some folders of a place, and says what was heard: folder, what, name."""

    def __init__(self, at: Place) -> None:
        self._libc = CDLL(None, use_errno=True)
        self.fd = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self.fd >= 0, get_errno()
        self._names = {
            self._libc.inotify_add_watch(self.fd, f"{at.path}/{name}".encode(), MASK): name
            for name in WATCHED
        }

    def heard(self) -> list[Told]:
        found = []
        while select.select([self.fd], [], [], 0)[0]:
            data = os.read(self.fd, 1 << 16)
            while data:
                wd, mask, _, length = struct.unpack_from("iIII", data)
                name = os.fsdecode(data[16 : 16 + length].rstrip(b"\0"))
                found.append((self._names[wd], mask, name))
                data = data[16 + length :]
        return found


class VirtualEars:
    """As ``RealEars``."""

    def __init__(self, at: Place) -> None:
        assert isinstance(at.kernel, VirtualKernel)
        self._inotify = VirtualInotify(at.kernel, lambda: None)
        self._names = {}
        for name in WATCHED:
            fd = at.kernel.open_folder(name or ".", at.fd)
            path = b"/proc/self/fd/%d/." % fd
            self._names[self._inotify.add_callback(path, MASK, Listener(), CallbackId(1))] = name
            at.kernel.close(fd)

    def heard(self) -> list[Told]:
        found = [
            (self._names[event.wd], int(event.mask), os.fsdecode(event.name))
            for event in self._inotify.events()
        ]
        self._inotify._queue.clear()
        return found


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Callable[[str], tuple[Place, Place]]]:
    made: list[Place] = []

    def make(name: str) -> tuple[Place, Place]:
        both = real(tmp_path / name), virtual()
        for place in both:
            place.fill()
        made.append(both[0])
        return both

    yield make
    for place in made:
        place.kernel.close(place.fd)


def _deeds(at: Place, rng: Random) -> Iterator[object]:
    """Whatever changes something, in a folder or between two."""
    kernel = at.kernel
    names = ("f", "g", "h", "in", "below", "d", "full", "l", "new")
    folders = {"": at.fd}
    for name in ("d", "full"):
        folders[name] = kernel.open_folder(name, at.fd)
    for _ in range(25):
        fd, other_fd = (folders[rng.choice(WATCHED)] for _ in range(2))
        name, other = rng.choice(names), rng.choice(names)
        match rng.randrange(12):
            case 0:
                yield outcome(at.write, name, b"data", 0, fd)
            case 1:
                yield outcome(at.write, name, b"data", os.O_TRUNC, fd)
            case 2:
                yield outcome(kernel.unlink, name, fd)
            case 3:
                yield outcome(kernel.mkdir, name, fd)
            case 4:
                yield outcome(kernel.rmdir, name, fd)
            case 5:
                yield outcome(kernel.symlink, "target", name, fd)
            case 6:
                yield outcome(kernel.link, name, fd, other, other_fd)
            case 7:
                yield outcome(kernel.exchange, name, fd, other, other_fd)
            case 8:
                yield outcome(kernel.rename_noreplace, name, fd, other, other_fd)
            case 9:
                yield outcome(_chmod, at, name, fd)
            case 10:
                yield outcome(_write_while_renamed, at, name, fd, other, other_fd)
            case _:
                yield outcome(kernel.rename, name, fd, other, other_fd)
    for name in ("d", "full"):  # one that was removed ends with its last descriptor
        yield outcome(kernel.close, folders[name])
        yield outcome(kernel.rmdir, name, at.fd)


def _chmod(at: Place, name: str, fd: int) -> None:
    file = at.kernel.open_file(name, fd)
    at.kernel.fchmod(file, 0o600)
    at.kernel.close(file)


def _write_while_renamed(at: Place, name: str, fd: int, other: str, other_fd: int) -> object:
    """The events of a writer go with the file, and end with its name."""
    file = at.kernel.open(name, os.O_WRONLY, fd)
    said = outcome(at.kernel.rename, name, fd, other, other_fd)
    at.kernel.write_all(file, b"late")
    at.kernel.close(file)
    return said


@pytest.mark.parametrize("seed", range(60))
def test_everything_that_happens_is_told_alike(
    places: Callable[[str], tuple[Place, Place]], seed: int
) -> None:
    ours, theirs = places(str(seed))
    ears, virtual_ears = RealEars(ours), VirtualEars(theirs)
    for said, also_said in zip(_deeds(ours, Random(seed)), _deeds(theirs, Random(seed)), strict=True):
        assert also_said == said
        heard = [each for each in ears.heard() if not each[1] & InotifyConstants.IN_IGNORED]
        also_heard = [each for each in virtual_ears.heard() if not each[1] & InotifyConstants.IN_IGNORED]
        assert also_heard == heard, said
    os.close(ears.fd)


def test_what_happened_in_a_folder_is_told_though_it_is_gone_by_then(
    places: Callable[[str], tuple[Place, Place]],
) -> None:
    ours, theirs = places("gone")
    assert isinstance(theirs.kernel, VirtualKernel)
    real_watcher, virtual_watcher = InotifyFD(), VirtualInotify(theirs.kernel, lambda: None)
    listeners = []
    watchers: list[tuple[Place, InotifyFD | VirtualInotify]] = [
        (ours, real_watcher),
        (theirs, virtual_watcher),
    ]
    for at, watcher in watchers:
        fd = at.kernel.open_folder("d", at.fd)
        at.write("new", b"data", dir_fd=fd)
        listener = Listener()
        path = f"{at.path}/d".encode() if at is ours else b"/proc/self/fd/%d/." % fd
        watcher.add_callback(path, MASK, listener, CallbackId(1))
        at.kernel.unlink("new", fd)
        at.kernel.close(fd)
        at.kernel.rmdir("d", at.fd)
        listeners.append(listener)
    for event in real_watcher.read_events():
        real_watcher.handle_event(event)
    real_watcher.close()
    virtual_watcher.take()
    told, also_told = (listener.told for listener in listeners)
    assert also_told == told
    assert told[0] == (InotifyConstants.IN_DELETE, b"new")
