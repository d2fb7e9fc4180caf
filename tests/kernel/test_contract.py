"""The virtual kernel answers as the real one does: every primitive, on everything it can meet."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, product
from pathlib import Path
from random import Random

import pytest

from tests.kernel.both import Place, outcome, real, virtual

NAMES = ("f", "g", "h", "d", "full", "l", "dl", "x", "loop", "none", "", ".", "n" * 256)

ONE_NAME: dict[str, Callable[[Place, str], object]] = {
    "open for writing": lambda at, name: closed(at, at.kernel.open(name, os.O_WRONLY, at.fd)),
    "open new": lambda at, name: at.write(name, b"new", os.O_EXCL),
    "open and truncate": lambda at, name: at.write(name, b"n", os.O_TRUNC),
    "open and append": lambda at, name: at.write(name, b"more", os.O_APPEND),
    "open and overwrite": lambda at, name: at.write(name, b"n"),
    "open_folder": lambda at, name: closed(at, at.kernel.open_folder(name, at.fd)),
    "open_file": lambda at, name: closed(at, at.kernel.open_file(name, at.fd)),
    "read": lambda at, name: at.read(name),
    "lstat": lambda at, name: at.kernel.lstat(name, at.fd).st_mode,
    "lstat of a path": lambda at, name: at.kernel.lstat(f"{at.path}/{name}").st_mode,
    "stat": lambda at, name: at.kernel.stat(f"{at.path}/{name}").st_mode,
    "stat inside": lambda at, name: at.kernel.stat(f"{at.path}/{name}/in").st_mode,
    "real_path": lambda at, name: at.kernel.real_path(f"{at.path}/{name}").removeprefix(at.path),
    "readlink": lambda at, name: at.kernel.readlink(name, at.fd),
    "symlink": lambda at, name: at.kernel.symlink("target", name, at.fd),
    "unlink": lambda at, name: at.kernel.unlink(name, at.fd),
    "mkdir": lambda at, name: at.kernel.mkdir(name, at.fd),
    "mkdir private": lambda at, name: at.kernel.mkdir(name, at.fd, 0o700),
    "make_folders": lambda at, name: at.kernel.make_folders(f"{at.path}/{name}"),
    "rmdir": lambda at, name: at.kernel.rmdir(name, at.fd),
}
TWO_NAMES: dict[str, Callable[[Place, str, str], object]] = {
    "rename": lambda at, name, other: at.kernel.rename(name, at.fd, other, at.fd),
    "rename_noreplace": lambda at, name, other: at.kernel.rename_noreplace(name, at.fd, other, at.fd),
    "exchange": lambda at, name, other: at.kernel.exchange(name, at.fd, other, at.fd),
    "link": lambda at, name, other: at.kernel.link(name, at.fd, other, at.fd),
}


Pairs = Callable[[], tuple[Place, Place]]


def closed(at: Place, fd: int) -> None:
    at.kernel.close(fd)


@pytest.fixture
def pairs(tmp_path: Path) -> Iterator[Pairs]:
    """A new pair of places at each call, with the same in them."""
    made: list[Place] = []
    numbers = count()

    def make() -> tuple[Place, Place]:
        both = real(tmp_path / str(next(numbers))), virtual()
        for place in both:
            place.fill()
        made.append(both[0])
        return both

    former = os.umask(0o022)
    yield make
    os.umask(former)
    for place in made:
        place.kernel.close(place.fd)


def alike(pairs: Pairs, deed: Callable[[Place], object], told: object = None) -> object:
    """What the deed returns, the same on both; ``told`` says in a failure what it was."""
    ours, theirs = pairs()
    said = outcome(deed, ours)
    assert outcome(deed, theirs) == said, told
    assert theirs.tree() == ours.tree(), told
    return said


@pytest.mark.parametrize("primitive", ONE_NAME)
def test_a_primitive_on_one_name(pairs: Pairs, primitive: str) -> None:
    for name in NAMES:
        alike(pairs, partial(_on_one, primitive, name), name)


@pytest.mark.parametrize("primitive", TWO_NAMES)
def test_a_primitive_on_two_names(pairs: Pairs, primitive: str) -> None:
    names = [name for name in NAMES if name not in ("", ".")]
    for name, other in product(names, names):
        alike(pairs, partial(_on_two, primitive, name, other), (name, other))


def _on_one(primitive: str, name: str, at: Place) -> object:
    return ONE_NAME[primitive](at, name)


def _on_two(primitive: str, name: str, other: str, at: Place) -> object:
    return TWO_NAMES[primitive](at, name, other)


@pytest.mark.parametrize("primitive", TWO_NAMES)
def test_a_folder_goes_into_no_folder_below_itself(pairs: Pairs, primitive: str) -> None:
    for source, target in (("full", "below"), ("full", "new"), ("below", "full"), ("d", "below")):

        def deed(at: Place, source: str = source, target: str = target) -> object:
            inside = at.kernel.open_folder("full", at.fd)
            here, there = (inside, at.fd) if source == "below" else (at.fd, inside)
            said = outcome(getattr(at.kernel, primitive), source, here, target, there)
            at.kernel.close(inside)
            return said

        alike(pairs, deed, (source, target))


def test_primitives_on_descriptors_of_the_wrong_kind(pairs: Pairs) -> None:
    def deed(at: Place) -> object:
        kernel = at.kernel
        gone = kernel.open_file("f", at.fd)
        fds = [kernel.open_folder("d", at.fd), kernel.open_file("f", at.fd)]
        fds += [kernel.open("g", os.O_WRONLY, at.fd), gone]
        kernel.close(gone)
        deeds: list[Callable[[int], object]] = [
            lambda fd: kernel.read(fd, 10),
            lambda fd: kernel.write_all(fd, b"data"),
            lambda fd: kernel.truncate(fd, 1),
            lambda fd: kernel.pread_into(fd, memoryview(bytearray(2)), 1),
            lambda fd: [entry.name for entry in kernel.entries(fd)],
            lambda fd: kernel.lstat("f", fd).st_size,
            lambda fd: kernel.mkdir("new", fd),
            lambda fd: kernel.fsync(fd),
            lambda fd: kernel.fchmod(fd, 0o640),
            lambda fd: kernel.fstat(fd).st_mode,
            lambda fd: kernel.syncfs(fd),
            lambda fd: kernel.close(fd),
        ]
        return [outcome(each, fd) for each in deeds for fd in fds]

    alike(pairs, deed)


def test_a_file_goes_on_without_its_name(pairs: Pairs) -> None:
    def deed(at: Place) -> object:
        kernel = at.kernel
        fd = kernel.open("f", os.O_RDWR, at.fd)
        kernel.unlink("f", at.fd)
        kernel.write_all(fd, b"other")
        inside = memoryview(bytearray(9))
        read = kernel.pread_into(fd, inside, 1)
        said = kernel.fstat(fd).st_nlink, kernel.fstat(fd).st_size, read, bytes(inside)
        kernel.close(fd)
        return said

    assert alike(pairs, deed) == (0, 5, 4, b"ther\0\0\0\0\0")


def test_a_folder_that_was_removed_takes_nothing_in(pairs: Pairs) -> None:
    def deed(at: Place) -> object:
        kernel = at.kernel
        fd = kernel.open_folder("d", at.fd)
        kernel.rmdir("d", at.fd)
        deeds: list[Callable[[], object]] = [
            lambda: list(kernel.entries(fd)),
            lambda: kernel.mkdir("new", fd),
            lambda: at.write("new", b"", dir_fd=fd),
            lambda: kernel.symlink("f", "new", fd),
            lambda: kernel.rename("f", at.fd, "new", fd),
            lambda: kernel.link("f", at.fd, "new", fd),
            lambda: kernel.close(kernel.open_folder(".", fd)),
        ]
        said = [outcome(each) for each in deeds]
        kernel.close(fd)
        return said

    alike(pairs, deed)


def test_a_folder_that_is_made_anew_takes_the_number_of_the_one_before(pairs: Pairs) -> None:
    def deed(at: Place) -> object:
        kernel = at.kernel
        fd, gone = kernel.open_folder("d", at.fd), kernel.open_file("f", at.fd)
        kernel.close(gone)
        kernel.rmdir("d", at.fd)
        kernel.mkdir("d", at.fd)
        anew = kernel.open_folder("d", at.fd)
        kernel.move_descriptor(anew, fd)
        kernel.mkdir("in", fd)
        said = [outcome(kernel.fstat, anew), outcome(kernel.move_descriptor, gone, fd)]
        kernel.close(fd)
        return said

    assert alike(pairs, deed) == ["EBADF", "EBADF"]


def test_a_lease_tells_of_writers(pairs: Pairs) -> None:
    def deed(at: Place) -> object:
        kernel = at.kernel
        fd, writer = kernel.open_file("g", at.fd), kernel.open("h", os.O_WRONLY, at.fd)
        first = kernel.open_for_writing_elsewhere(fd)
        kernel.close(writer)
        said = first, kernel.open_for_writing_elsewhere(fd)
        kernel.close(fd)
        return said

    assert alike(pairs, deed) == (True, False)


def test_a_lock_is_held_until_its_descriptor_is_closed(pairs: Pairs) -> None:
    def deed(at: Place) -> object:
        kernel = at.kernel
        first, second = (kernel.open("f", os.O_RDWR, at.fd) for _ in range(2))
        said = [outcome(kernel.lock, fd) for fd in (first, first, second)]
        kernel.close(first)
        said.append(outcome(kernel.lock, second))
        kernel.close(second)
        return said

    assert alike(pairs, deed) == [None, None, "EAGAIN", None]


def test_any_sequence_of_primitives_ends_alike(pairs: Pairs) -> None:
    for seed in range(40):

        def deed(at: Place, seed: int = seed) -> object:
            rng = Random(seed)
            said = []
            for _ in range(30):
                name, other = rng.choice(NAMES[:10]), rng.choice(NAMES[:10])
                if rng.random() < 0.5:
                    said.append(outcome(TWO_NAMES[rng.choice(sorted(TWO_NAMES))], at, name, other))
                else:
                    said.append(outcome(ONE_NAME[rng.choice(sorted(ONE_NAME))], at, name))
            return said

        alike(pairs, deed, seed)


TIMED: dict[str, Callable[[Place, int, int], object]] = {
    "write": lambda at, here, there: at.write("f", b"1", dir_fd=here),
    "write nothing": lambda at, here, there: at.write("f", b"", dir_fd=here),
    "truncate": lambda at, here, there: at.write("f", b"", os.O_TRUNC, dir_fd=here),
    "make": lambda at, here, there: at.write("new", b"1", dir_fd=here),
    "chmod": lambda at, here, there: chmod(at, "f", here),
    "link": lambda at, here, there: at.kernel.link("f", here, "new", there),
    "unlink": lambda at, here, there: at.kernel.unlink("f", here),
    "rename": lambda at, here, there: at.kernel.rename("f", here, "new", there),
    "rename over": lambda at, here, there: at.kernel.rename("f", here, "g", there),
    "exchange": lambda at, here, there: at.kernel.exchange("f", here, "g", there),
    "mkdir": lambda at, here, there: at.kernel.mkdir("new", here),
    "read": lambda at, here, there: closed(at, at.kernel.open_file("f", here)),
}


def chmod(at: Place, name: str, dir_fd: int) -> None:
    fd = at.kernel.open_file(name, dir_fd)
    at.kernel.fchmod(fd, 0o640)
    at.kernel.close(fd)


def later(at: Place) -> None:
    """Wait until the clock of the file system has gone on."""
    fd = at.kernel.open("clock", os.O_RDWR | os.O_CREAT, at.fd)
    first = at.kernel.fstat(fd).st_mtime_ns
    while at.kernel.fstat(fd).st_mtime_ns <= first:
        at.kernel.write_all(fd, b"tick")
    at.kernel.close(fd)
    at.kernel.unlink("clock", at.fd)


@pytest.mark.parametrize("deed", TIMED)
def test_the_same_times_are_touched(pairs: Pairs, deed: str) -> None:
    def touched(at: Place) -> object:
        kernel = at.kernel
        here, there = kernel.open_folder("d", at.fd), kernel.open_folder("full", at.fd)
        at.write("f", b"one", dir_fd=here)
        at.write("g", b"two", dir_fd=there)
        fds = [here, there, kernel.open_file("f", here), kernel.open_file("g", there)]
        before = [kernel.fstat(fd) for fd in fds]
        later(at)
        TIMED[deed](at, here, there)
        after = [kernel.fstat(fd) for fd in fds]
        for fd in fds:
            kernel.close(fd)
        return [
            (was.st_mtime_ns < now.st_mtime_ns, was.st_ctime_ns < now.st_ctime_ns)
            for was, now in zip(before, after, strict=True)
        ]

    alike(pairs, touched)
