"""Where the file system has no exchange, no rename without replacing, no links, or ends at a mount."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from crdtsync.adapters.contents import digest_of_file
from crdtsync.adapters.kernel import Unsupported
from crdtsync.adapters.system_calls import SystemCalls
from crdtsync.core.replica.steps import KeepCopy, MoveFile, Raced, SwapFiles
from crdtsync.core.values import limits

from .support import ENTRY, Joined, blob_step, digest, done, link_step, number, text_of


def _unsupported(*_: object) -> None:
    raise Unsupported(errno.EINVAL, os.strerror(errno.EINVAL))


def _no_links(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


class ShortReads(SystemCalls):
    def read(self, fd: int, size_bytes: int) -> bytes:
        return super().read(fd, min(size_bytes, 7))


def test_a_read_that_is_shorter_than_was_asked_for_is_not_taken_for_the_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("more than seven bytes\n")
    with (tmp_path / "file").open("rb") as file:
        assert digest_of_file(ShortReads(), file.fileno()) == digest("more than seven bytes\n")


@pytest.fixture(params=["no exchange", "no hard links either", "no links at all"])
def weak(joined: Joined, request: pytest.FixtureRequest) -> Joined:
    joined.calls.instead["exchange"] = _unsupported
    joined.calls.instead["rename_noreplace"] = _unsupported
    if request.param != "no exchange":
        joined.calls.instead["link"] = _no_links
    if request.param == "no links at all":
        joined.calls.instead["symlink"] = _no_links
    return joined


def test_files_are_written_replaced_removed_and_moved(weak: Joined) -> None:
    done(weak.write("a", "one"))
    assert isinstance(weak.write("a", "two"), Raced)
    done(weak.write("a", "two", weak.expected("a"), trash="shortened"))
    done(weak.perform(MoveFile(number(), ENTRY, "a", "b/c", weak.expected("a"))))
    done(weak.write("d", "dee"))
    assert isinstance(weak.perform(MoveFile(number(), ENTRY, "d", "b/c", weak.expected("d"))), Raced)
    done(weak.perform(SwapFiles(number(), "d", "b/c")))
    assert ((weak.root / "d").read_text(), (weak.root / "b/c").read_text()) == ("two", "dee")
    done(weak.remove("d", weak.expected("d")))
    assert not (weak.root / "d").exists()
    assert weak.poll(after_s=10) == [] and weak.staged() == []
    texts = [(weak.root / trashed.location).read_text() for trashed in weak.disk.trash.listing()]
    assert sorted(texts) == ["one", "two"]


def test_a_tight_look_never_finds_the_replaced_file_absent(weak: Joined) -> None:
    path = weak.root / "a"
    path.write_text("one")
    seen: list[str] = []

    def look(*_: object) -> None:
        seen.append(path.read_text())

    for name in ("rename", "open", "write_all", "fsync", "symlink", "unlink"):
        weak.calls.before.setdefault(name, look)
        weak.calls.after[name] = look
    done(weak.write("a", "two", weak.expected("a")))
    assert set(seen) == {"one", "two"}


def test_an_in_place_save_in_the_race_is_found_where_there_are_hard_links(joined: Joined) -> None:
    joined.calls.instead["exchange"] = _unsupported
    path = joined.root / "a"
    path.write_text("base")
    joined.calls.after["link"] = lambda *_: path.write_text("saved")
    outcome = done(joined.write("a", "theirs", joined.expected("a")))
    assert outcome.displaced is not None
    assert (text_of(outcome.displaced), outcome.displaced.replaced) == ("saved", digest("base"))
    assert path.read_text() == "theirs"


def test_what_is_no_file_is_put_back_without_exchange_too(joined: Joined) -> None:
    joined.calls.instead["exchange"] = _unsupported
    path = joined.root / "a"
    path.write_text("base")

    def swap_in(*_: object) -> None:
        joined.calls.before.clear()
        path.unlink()
        path.symlink_to("elsewhere")

    joined.calls.before["link"] = swap_in
    assert isinstance(joined.write("a", "theirs", joined.expected("a")), Raced)
    assert os.readlink(path) == "elsewhere"
    assert joined.poll(after_s=10) == [] and joined.staged() == []


def test_an_interrupted_swap_is_undone_or_ended_at_the_next_start(joined: Joined) -> None:
    (joined.root / "a").write_text("one")
    (joined.root / "b").write_text("two")
    joined.calls.instead["exchange"] = _unsupported

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    joined.calls.before["rename_noreplace"] = fail
    with pytest.raises(KeyboardInterrupt):
        joined.perform(SwapFiles(number(), "a", "b"))
    joined.calls.before.clear()
    assert not (joined.root / "a").exists()
    assert joined.restart() == []
    assert ((joined.root / "a").read_text(), (joined.root / "b").read_text()) == ("one", "two")
    assert joined.staged() == []


@pytest.fixture
def mounted(joined: Joined) -> Joined:
    """A joined folder in which ``mnt`` behaves like the root of another file system."""
    (joined.root / "mnt").mkdir()
    plain = SystemCalls()

    def inside(fd: int) -> bool:
        return os.readlink(f"/proc/self/fd/{fd}").startswith(str(joined.root / "mnt"))

    def across(name: str) -> None:
        real = getattr(plain, name)

        def call(old: str, old_fd: int, new: str, new_fd: int) -> None:
            if inside(old_fd) != inside(new_fd):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), new)
            real(old, old_fd, new, new_fd)

        joined.calls.instead[name] = call

    for name in ("rename", "rename_noreplace", "exchange", "link"):
        across(name)
    return joined


def test_files_on_another_file_system_are_replaced_just_as_safely(mounted: Joined) -> None:
    path = mounted.root / "mnt/a"
    path.write_text("base")
    path.chmod(0o640)
    mounted.calls.before["exchange"] = lambda *_: path.write_text("saved")
    mounted.calls.instead.pop("exchange")
    real = SystemCalls()

    def exchange(old: str, old_fd: int, new: str, new_fd: int) -> None:
        folders = {os.readlink(f"/proc/self/fd/{fd}") for fd in (old_fd, new_fd)}
        if len(folders) > 1:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        path.write_text("saved")
        real.exchange(old, old_fd, new, new_fd)

    mounted.calls.instead["exchange"] = exchange
    outcome = done(mounted.write("mnt/a", "theirs", mounted.expected("mnt/a")))
    assert outcome.displaced is not None
    assert (text_of(outcome.displaced), outcome.displaced.path) == ("saved", "mnt/a")
    assert path.read_text() == "theirs" and path.stat().st_mode & 0o777 == 0o640
    (again,) = mounted.restart()
    assert (text_of(again), again.replaced) == ("saved", digest("base"))
    assert mounted.disk.scan().files.keys() == {"mnt/a"}, "what is staged there is not shared"
    done(mounted.perform(KeepCopy(number(), again.token, "copy")))
    assert (mounted.root / "copy").read_text() == "saved"
    assert os.listdir(mounted.root / "mnt") == ["a"]
    assert mounted.poll(after_s=10) == [] and mounted.staged() == []


def test_what_was_written_on_another_file_system_is_made_durable_too(mounted: Joined) -> None:
    synced: list[str] = []
    mounted.calls.instead["syncfs"] = lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}"))
    mounted.disk.make_durable()
    assert synced == [str(mounted.root)]
    done(mounted.write("mnt/a", "text"))
    mounted.disk.make_durable()
    assert str(mounted.root / "mnt") in synced


def test_new_files_links_and_blobs_are_made_on_another_file_system(mounted: Joined) -> None:
    step = blob_step("mnt/b", b"\0blob")
    (mounted.staging / f"blob-{step.content.digest}").write_bytes(b"\0blob")
    done(mounted.perform(step))
    done(mounted.write("mnt/new/a", "text"))
    done(mounted.perform(link_step("mnt/l", "b")))
    done(mounted.write("mnt/new/a", "other", mounted.expected("mnt/new/a")))
    assert isinstance(mounted.write("mnt/b", "text"), Raced)
    assert (mounted.root / "mnt/b").read_bytes() == b"\0blob"
    assert (mounted.root / "mnt/new/a").read_text() == "other"
    assert os.readlink(mounted.root / "mnt/l") == "b"
    assert mounted.poll(after_s=limits.DISPLACED_MIN_S) == []
    assert mounted.staged() == []
    assert sorted(os.listdir(mounted.root / "mnt")) == ["b", "l", "new"]


def test_files_on_another_file_system_go_to_the_trash_as_copies(mounted: Joined) -> None:
    (mounted.root / "mnt/a").write_text("one")
    done(mounted.remove("mnt/a", mounted.expected("mnt/a")))
    (trashed,) = mounted.disk.trash.listing()
    assert (trashed.path, (mounted.root / trashed.location).read_text()) == ("mnt/a", "one")
    mounted.poll(after_s=10)
    assert mounted.staged() == [] and os.listdir(mounted.root / "mnt") == []


@pytest.mark.parametrize(("path", "target"), [("a", "mnt/a"), ("mnt/a", "b")])
def test_a_move_between_file_systems_copies_and_removes(mounted: Joined, path: str, target: str) -> None:
    (mounted.root / path).write_text("one")
    (mounted.root / path).chmod(0o750)
    done(mounted.perform(MoveFile(number(), ENTRY, path, target, mounted.expected(path))))
    assert not (mounted.root / path).exists()
    assert (mounted.root / target).read_text() == "one"
    assert (mounted.root / target).stat().st_mode & 0o777 == 0o750
    mounted.poll(after_s=10)
    assert mounted.staged() == [] and mounted.disk.trash.listing() == []


def test_a_save_during_a_move_between_file_systems_is_left_where_it_is(mounted: Joined) -> None:
    path: Path = mounted.root / "a"
    path.write_text("one")
    mounted.calls.before["open_file"] = lambda *_: path.write_text("saved") if path.exists() else None
    outcome = mounted.perform(MoveFile(number(), ENTRY, "a", "mnt/a", mounted.expected("a")))
    assert isinstance(outcome, Raced)
    assert path.read_text() == "saved"
    assert os.listdir(mounted.root / "mnt") == []
    mounted.calls.before.clear()
    mounted.poll(after_s=10)
    assert mounted.staged() == []
