"""Writing files: what readers see, what is kept, what a race leads to, and how every error ends."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from crdtsync.adapters.disk_writer import SYNC_TOGETHER_FROM
from crdtsync.core.replica.steps import Cause, Done, Expected, Failed, Raced
from crdtsync.core.values.files import Absent, Folder, Present, TextContent

from .support import Joined, blob_step, digest, done, link_step, text_of, text_step


def test_a_new_file_appears_with_its_folders_and_its_fingerprint(joined: Joined) -> None:
    outcome = done(joined.write("a/b/new.txt", "hello\n"))
    assert (joined.root / "a/b/new.txt").read_text() == "hello\n"
    seen = joined.look("a/b/new.txt")
    assert isinstance(seen, Present)
    assert outcome.fingerprint == seen.fingerprint
    assert joined.staged() == []


def test_a_replaced_file_is_displaced_and_then_dropped(joined: Joined) -> None:
    (joined.root / "a").write_text("one\n")
    outcome = done(joined.write("a", "two\n", joined.expected("a")))
    assert outcome.displaced is None
    seen = joined.look("a")
    assert isinstance(seen, Present) and isinstance(seen.content, TextContent)
    assert seen.content.text == "two\n"
    assert outcome.fingerprint == seen.fingerprint
    assert joined.staged() != []
    assert joined.poll(after_s=4.9) == [] and joined.staged() != []
    assert joined.poll(after_s=5.0) == [] and joined.staged() == []


def test_a_new_file_never_replaces_one_that_is_there(joined: Joined) -> None:
    (joined.root / "a").write_text("mine")
    outcome = joined.write("a", "theirs")
    assert isinstance(outcome, Raced) and isinstance(outcome.seen, Present)
    assert (joined.root / "a").read_text() == "mine"
    assert joined.staged() == []


def test_another_file_than_expected_is_left_alone(joined: Joined) -> None:
    (joined.root / "a").write_text("one")
    expected = joined.expected("a")
    (joined.root / "a").write_text("saved since")
    outcome = joined.write("a", "two", expected)
    assert isinstance(outcome, Raced) and isinstance(outcome.seen, Present)
    assert outcome.seen.content.digest == digest("saved since")
    assert (joined.root / "a").read_text() == "saved since"
    assert joined.staged() == []


def test_a_file_that_is_gone_is_not_made_again(joined: Joined) -> None:
    (joined.root / "f").mkdir()
    (joined.root / "f/a").write_text("one")
    expected = joined.expected("f/a")
    (joined.root / "f/a").unlink()
    assert joined.write("f/a", "two", expected) == Raced("f/a", Absent())
    (joined.root / "f").rmdir()
    assert joined.write("f/a", "two", expected) == Raced("f/a", Absent())
    assert not (joined.root / "f").exists()


def test_what_was_prepared_is_written_once_and_nobody_sees_it_before(joined: Joined) -> None:
    (joined.root / "a").write_text("one")
    steps = [text_step("a", "two", joined.expected("a")), text_step("b", "new")]
    synced: list[int] = []
    joined.calls.before["fsync"] = synced.append
    joined.disk.prepare(steps)
    joined.disk.prepare(steps)
    assert len(synced) == len(steps) == len(joined.staged())
    assert (joined.root / "a").read_text() == "one" and not (joined.root / "b").exists()
    outcomes = joined.disk.perform([*steps, text_step("c", "more")])
    assert all(isinstance(outcome, Done) for _, outcome in outcomes)
    assert [(joined.root / name).read_text() for name in "abc"] == ["two", "new", "more"]
    assert len(synced) == 3


def test_what_was_prepared_for_a_step_that_never_came_is_gone_after_a_restart(joined: Joined) -> None:
    joined.disk.prepare([text_step("a", "text")])
    assert joined.staged() != []
    assert joined.restart() == [] and joined.staged() == []
    assert not (joined.root / "a").exists()


def test_many_texts_are_not_prepared_since_one_sync_for_all_costs_less(joined: Joined) -> None:
    joined.disk.prepare([text_step(str(number), "text") for number in range(SYNC_TOGETHER_FROM)])
    assert joined.staged() == []


def test_a_disk_that_is_full_while_steps_are_prepared_fails_them(joined: Joined) -> None:
    def full(fd: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    step = text_step("a", "text")
    joined.calls.instead["write_all"] = full
    joined.disk.prepare([step])
    del joined.calls.instead["write_all"]
    assert isinstance(joined.perform(step), Failed)
    assert joined.staged() == []


@pytest.mark.parametrize("how", ["in place", "by rename"])
def test_a_save_between_check_and_replace_is_reported_with_what_it_replaced(joined: Joined, how: str) -> None:
    path = joined.root / "a"
    path.write_text("base\n")

    def save(*_: object) -> None:
        if how == "in place":
            path.write_text("base\nsaved\n")
        else:
            (joined.root / "a.new~").write_text("base\nsaved\n")
            os.rename(joined.root / "a.new~", path)

    joined.calls.before["exchange"] = save
    outcome = done(joined.write("a", "theirs\n", joined.expected("a")))
    assert outcome.displaced is not None
    assert text_of(outcome.displaced) == "base\nsaved\n"
    assert outcome.displaced.replaced == digest("base\n")
    assert outcome.displaced.path == "a"
    assert path.read_text() == "theirs\n"
    assert joined.poll(after_s=700) == [], "it is reported once, and kept until it is dropped"
    assert joined.staged() != []
    joined.disk.drop_displaced(outcome.displaced.token)
    assert joined.poll(after_s=10) == []
    assert joined.staged() == []


def test_three_thousand_saves_that_race_us_are_all_kept(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("0")
    saved: list[str] = []

    def save(*_: object) -> None:
        saved.append(f"save {len(saved)}")
        if len(saved) % 2:
            path.write_text(saved[-1])
        else:
            (joined.root / "b~").write_text(saved[-1])
            os.rename(joined.root / "b~", path)

    joined.calls.before["exchange"] = save
    joined.without_fsync()
    kept: list[str] = []
    for turn in range(3000):
        outcome = done(joined.write("a", f"ours {turn}", joined.expected("a")))
        assert outcome.displaced is not None
        kept.append(text_of(outcome.displaced))
        joined.disk.drop_displaced(outcome.displaced.token)
    assert kept == saved


def test_a_process_that_saves_again_as_soon_as_it_is_replaced_loses_nothing(joined: Joined) -> None:
    """The unsynchronised race: each of its saves is replaced by us, so each must be seen or reported."""
    (joined.root / "a").write_text("start")
    saver = subprocess.Popen([sys.executable, "-c", _SAVER], cwd=joined.root)
    accounted: set[str] = set()
    turn = 0
    while saver.poll() is None:
        seen = joined.look("a")
        if not isinstance(seen, Present) or not isinstance(seen.content, TextContent):
            continue
        accounted.add(seen.content.text)
        turn += 1
        outcome = joined.write("a", f"ours {turn}", Expected(seen.fingerprint, seen.content.digest))
        if isinstance(outcome, Done) and outcome.displaced is not None:
            accounted.add(text_of(outcome.displaced))
            joined.disk.drop_displaced(outcome.displaced.token)
        accounted.update(text_of(displaced) for displaced in joined.poll(after_s=0.01))
    for _ in range(3):  # what it wrote at the very end, to a file that we had just replaced
        accounted.update(text_of(displaced) for displaced in joined.poll(after_s=1.0))
    assert saver.returncode == 0
    assert {f"save {number}" for number in range(400)} <= accounted


_SAVER = """
import os
def text():
    with open("a") as file:
        return file.read()
for number in range(400):
    mine = f"save {number}"
    if number % 2:
        with open("a", "w") as file:
            file.write(mine)
    else:
        with open("b~", "w") as file:
            file.write(mine)
        os.rename("b~", "a")
    while text() == mine:
        pass
"""


def test_a_tight_reader_never_sees_an_absent_empty_or_partial_file(joined: Joined) -> None:
    text = {number: f"{number}\n" * 3000 for number in range(10)}
    (joined.root / "a").write_text(text[0])
    reader = subprocess.Popen(
        [sys.executable, "-c", _READER], cwd=joined.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert reader.stdout is not None and reader.stdin is not None
    assert reader.stdout.readline() == b"reading\n"
    joined.without_fsync()
    for turn in range(600):
        done(joined.write("a", text[turn % 10], joined.expected("a")))
    reads, _ = reader.communicate(b"stop")
    assert reader.returncode == 0
    assert int(reads) > 0


_READER = """
import select, sys
print("reading", flush=True)
reads = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    with open("a") as file:
        data = file.read()
    assert len(data) == 6000 and set(data) == {data[0], "\\n"}, len(data)
    reads += 1
print(reads)
"""


@pytest.mark.parametrize("what", ["folder", "link", "fifo", "unreadable"])
def test_what_is_no_file_is_put_back_and_nothing_is_written(joined: Joined, what: str) -> None:
    path = joined.root / "a"
    path.write_text("base")
    expected = joined.expected("a")

    def swap_in(*_: object) -> None:
        joined.calls.before.clear()
        path.unlink()
        match what:
            case "folder":
                path.mkdir()
                (path / "inside").write_text("kept")
            case "link":
                path.symlink_to("elsewhere")
            case "fifo":
                os.mkfifo(path)
            case "unreadable":
                path.write_text("secret")
                joined.calls.before["open_file"] = _refuse

    def _refuse(name: str, dir_fd: int) -> None:
        if name.startswith("x_"):
            raise PermissionError(13, "Permission denied", name)

    joined.calls.before["exchange"] = swap_in
    outcome = joined.write("a", "ours", expected)
    joined.calls.before.clear()
    assert isinstance(outcome, Raced)
    mode = path.lstat().st_mode
    match what:
        case "folder":
            assert (path / "inside").read_text() == "kept"
        case "link":
            assert os.readlink(path) == "elsewhere"
        case "fifo":
            assert stat.S_ISFIFO(mode)
        case "unreadable":
            assert path.read_text() == "secret"
    assert joined.poll(after_s=10) == []
    assert joined.staged() == []


@pytest.mark.parametrize("stood", ["base", "saved in that instant"])
def test_what_can_neither_be_read_nor_put_back_is_kept_and_ours_counts_as_written(
    joined: Joined, stood: str
) -> None:
    """The disk fails for a moment. Else our own file, found at the path, would count as a save."""
    path = joined.root / "a"
    path.write_text("base")
    expected = joined.expected("a")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def first(*_: object) -> None:
        joined.calls.before.update(exchange=fail, open_file=fail)
        path.write_text(stood)

    joined.calls.before["exchange"] = first
    outcome = done(joined.write("a", "ours", expected))
    joined.calls.before.clear()
    seen = joined.look("a")
    assert isinstance(seen, Present) and seen.fingerprint == outcome.fingerprint
    assert path.read_text() == "ours"
    late = joined.poll(after_s=1)
    kept = [] if stood == "base" else [(stood, digest("base"))]
    assert [(text_of(each), each.replaced) for each in late] == kept


def test_a_save_in_the_instant_of_putting_back_is_kept_too(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("base")

    def second(*_: object) -> None:
        path.write_text("ours, then saved")

    def first(*_: object) -> None:
        joined.calls.before["exchange"] = second
        path.unlink()
        path.mkdir()

    joined.calls.before["exchange"] = first
    assert isinstance(joined.write("a", "ours", joined.expected("a")), Raced)
    assert path.is_dir()
    (late,) = joined.poll(after_s=1)
    assert text_of(late) == "ours, then saved"
    assert late.replaced == digest("ours")


def test_a_writer_that_truncated_the_file_is_waited_for(joined: Joined) -> None:
    """Truncate-and-write, caught between the two: the empty file is no save."""
    path = joined.root / "a"
    path.write_text("base")
    opened = []

    def truncate(*_: object) -> None:
        opened.append(path.open("w"))

    joined.calls.before["exchange"] = truncate
    outcome = done(joined.write("a", "theirs", joined.expected("a")))
    assert outcome.displaced is None
    assert joined.poll(after_s=0.1) == []
    assert joined.poll(after_s=1) == []
    opened[0].write("saved")
    opened[0].close()
    (late,) = joined.poll(after_s=0.1)
    assert text_of(late) == "saved"
    assert late.replaced == digest("base")


def test_links_are_made_and_replaced(joined: Joined) -> None:
    (joined.root / "target").write_text("x")
    done(joined.perform(link_step("l", "target")))
    assert os.readlink(joined.root / "l") == "target"
    outcome = done(joined.perform(link_step("l", "other", joined.expected("l"))))
    assert os.readlink(joined.root / "l") == "other"
    seen = joined.look("l")
    assert isinstance(seen, Present) and outcome.fingerprint == seen.fingerprint
    assert (joined.root / "target").read_text() == "x"
    assert joined.poll(after_s=10) == [] and joined.staged() == []


@pytest.mark.parametrize("target", ["/etc/passwd", "../out", "a/../../out", ".git/config", "b/../.."])
def test_a_link_that_leads_out_is_never_made(joined: Joined, target: str) -> None:
    assert isinstance(joined.perform(link_step("l", target)), Failed)
    assert not (joined.root / "l").is_symlink()


def test_a_blob_is_taken_out_of_staging(joined: Joined) -> None:
    data = os.urandom(100_000)
    step = blob_step("b", data)
    assert isinstance(joined.perform(step), Failed)
    (joined.staging / f"blob-{step.content.digest}").write_bytes(data)
    done(joined.perform(step))
    assert (joined.root / "b").read_bytes() == data
    assert joined.staged() == []


def test_one_blob_goes_to_two_paths_as_two_files(joined: Joined) -> None:
    data = os.urandom(1000)
    steps = [blob_step("b", data), blob_step("c", data)]
    (joined.staging / f"blob-{steps[0].content.digest}").write_bytes(data)
    for _, outcome in joined.disk.perform(steps):
        done(outcome)
    assert (joined.root / "b").read_bytes() == (joined.root / "c").read_bytes() == data
    assert (joined.root / "b").stat().st_ino != (joined.root / "c").stat().st_ino


def test_a_blob_that_was_raced_is_there_for_the_next_try(joined: Joined) -> None:
    step = blob_step("b", b"\0new")
    (joined.staging / f"blob-{step.content.digest}").write_bytes(b"\0new")
    (joined.root / "b").write_bytes(b"\0mine")
    assert isinstance(joined.perform(step), Raced)
    assert (joined.staging / f"blob-{step.content.digest}").read_bytes() == b"\0new"


def test_a_replaced_blob_goes_to_the_trash(joined: Joined) -> None:
    step = blob_step("b", b"\0new", None, trash="replaced by others")
    (joined.staging / f"blob-{step.content.digest}").write_bytes(b"\0new")
    (joined.root / "b").write_bytes(b"\0old")
    step = blob_step("b", b"\0new", joined.expected("b"), trash="replaced by others")
    done(joined.perform(step))
    (trashed,) = joined.disk.trash.listing()
    assert (trashed.path, trashed.reason) == ("b", "replaced by others")
    assert (joined.root / trashed.location).read_bytes() == b"\0old"
    joined.poll(after_s=10)
    assert joined.staged() == []
    assert (joined.root / trashed.location).read_bytes() == b"\0old"


def test_a_batch_is_durable_before_any_of_it_is_visible(joined: Joined) -> None:
    visible_at_sync: list[list[str]] = []
    joined.calls.before["syncfs"] = lambda fd: visible_at_sync.append(os.listdir(joined.root))
    joined.calls.before["fsync"] = lambda fd: pytest.fail("one syncfs is enough")
    steps = [text_step(f"f{number}", f"text {number}") for number in range(20)]
    for _, outcome in joined.disk.perform(steps):
        done(outcome)
    assert visible_at_sync == [[".crdtsync"]]
    assert (joined.root / "f19").read_text() == "text 19"


def test_a_single_file_is_durable_before_it_is_visible(joined: Joined) -> None:
    visible: list[list[str]] = []
    joined.calls.before["fsync"] = lambda fd: visible.append(os.listdir(joined.root))
    done(joined.write("a", "text"))
    assert visible == [[".crdtsync"]]


@pytest.mark.parametrize(
    ("before", "executable", "after"),
    [
        (0o600, False, 0o600),
        (0o644, True, 0o755),
        (0o755, False, 0o644),
        (0o640, True, 0o750),
        (0o4755, True, 0o755),
    ],
)
def test_permission_bits_of_the_replaced_file_are_kept(
    joined: Joined, before: int, executable: bool, after: int
) -> None:
    path = joined.root / "a"
    path.write_text("one")
    path.chmod(before)
    outcome = done(joined.write("a", "two", joined.expected("a"), executable=executable))
    assert stat.S_IMODE(path.stat().st_mode) == after
    assert outcome.fingerprint is not None and outcome.fingerprint.executable == executable


def test_a_new_file_has_the_bits_that_the_umask_leaves(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        joined = Joined(tmp_path / "root")
    finally:
        os.umask(former)
    done(joined.write("a", "text"))
    done(joined.write("x", "text", executable=True))
    assert stat.S_IMODE((joined.root / "a").stat().st_mode) == 0o640
    assert stat.S_IMODE((joined.root / "x").stat().st_mode) == 0o750
    joined.disk.close()


def test_extended_attributes_and_owner_are_kept(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("one")
    try:
        os.setxattr(path, "user.tag", b"blue")
    except OSError:
        pytest.skip("this file system has no user attributes")
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    done(joined.write("a", "two", joined.expected("a")))
    assert os.getxattr(path, "user.tag") == b"blue"
    if os.geteuid() == 0:
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_a_private_group_is_not_opened_to_another_group(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("one")
    path.chmod(0o640)
    if os.geteuid() != 0:
        pytest.skip("needs a file of another group")
    os.chown(path, -1, 65534)

    def refuse(fd: int, uid: int, gid: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    joined.calls.before["fchown"] = refuse
    done(joined.write("a", "two", joined.expected("a")))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_where_a_folder_must_be_blocks(joined: Joined) -> None:
    (joined.root / "a").write_text("file")
    outcome = joined.write("a/b/c", "text")
    assert isinstance(outcome, Failed)
    assert outcome.cause is Cause.BLOCKED
    assert outcome.message == "a/b/c could not be written: a is not a folder; move it away"
    assert (joined.root / "a").read_text() == "file"


def test_a_folder_where_a_file_must_be_is_told(joined: Joined) -> None:
    (joined.root / "a").mkdir()
    assert joined.write("a", "text") == Raced("a", Folder(empty=True))


def test_writes_from_two_threads_do_not_disturb_each_other(joined: Joined) -> None:
    def many(name: str) -> None:
        for turn in range(50):
            expected = joined.expected(name) if (joined.root / name).exists() else None
            done(joined.write(name, f"{name} {turn}", expected))

    joined.without_fsync()
    threads = [threading.Thread(target=many, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(joined.root / name).read_text() for name in "abcd"] == [f"{name} 49" for name in "abcd"]
    joined.poll(after_s=10)
    assert joined.staged() == []
