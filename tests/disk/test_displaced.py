"""Displaced files: late writers are noticed, edits are not taken twice, and nothing is kept for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from crdtsync.core.replica.events import Recovered
from crdtsync.core.replica.steps import Done, KeepCopy, Raced, Stood
from crdtsync.core.values import limits
from crdtsync.core.values.files import Present

from .support import ENTRY, Joined, digest, done, number, text_of, text_step


@pytest.fixture
def appending(joined: Joined) -> IO[str]:
    """A writer that has ``log`` open, which was replaced meanwhile."""
    path = joined.root / "log"
    path.write_text("one\n")
    writer = path.open("a")
    assert done(joined.write("log", "theirs\n", joined.expected("log"))).displaced is None
    return writer


def _append(writer: IO[str], text: str) -> None:
    writer.write(text)
    writer.flush()


def test_late_lines_of_an_open_writer_are_reported_against_what_was_known(
    joined: Joined, appending: IO[str]
) -> None:
    assert joined.poll(after_s=1) == []
    _append(appending, "two\n")
    assert joined.poll(after_s=1) == [], "it may be in the middle of something"
    (first,) = joined.poll(after_s=1)
    assert (text_of(first), first.replaced, first.path) == ("one\ntwo\n", digest("one\n"), "log")
    assert joined.poll(after_s=1) == []
    _append(appending, "three\n")
    joined.poll(after_s=1)
    (second,) = joined.poll(after_s=1)
    assert (text_of(second), second.replaced) == ("one\ntwo\nthree\n", digest("one\ntwo\n"))
    assert second.token != first.token
    appending.close()
    assert (joined.root / "log").read_text() == "theirs\n"


def test_a_change_of_a_writer_that_has_closed_is_reported_at_once(joined: Joined, appending: IO[str]) -> None:
    _append(appending, "two\n")
    appending.close()
    (late,) = joined.poll(after_s=0.3)
    assert text_of(late) == "one\ntwo\n"


@pytest.mark.parametrize("trash", [None, "shortened by others"])
def test_a_restart_tells_what_was_written_by_what_came_out(joined: Joined, trash: str | None) -> None:
    (joined.root / "log").write_text("one\n")
    done(joined.write("log", "theirs\n", joined.expected("log"), trash=trash))
    stood = Stood(ENTRY, digest("one\n"), digest("theirs\n"))
    assert joined.recovered() == joined.recovered() == Recovered((), (stood,))


@pytest.mark.parametrize("trash", [None, "shortened by others"])
@pytest.mark.parametrize(
    ("path", "noted"),
    [
        ("src/a b-1.txt", False),
        ("src/_x_.py", False),
        ("ä", True),
        ("a=b", True),
        ("a+b", True),
        ("a" * 75, False),
        ("a" * 76, True),
    ],
)
def test_a_restart_knows_where_a_displaced_file_belongs(
    joined: Joined, path: str, noted: bool, trash: str | None
) -> None:
    file = joined.root / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("one\n")
    with file.open("a") as writer:
        done(joined.write(path, "theirs\n", joined.expected(path), trash=trash))
        noted = noted or (trash is not None and len(path) > 55)
        assert any(name.startswith("note-") for name in joined.staged()) is noted
        _append(writer, "two\n")
    (late,) = joined.restart()
    assert (text_of(late), late.path, late.replaced) == ("one\ntwo\n", path, digest("one\n"))
    joined.disk.drop_displaced(late.token)
    assert joined.poll(after_s=20) == [] and joined.staged() == []
    assert [thrown.path for thrown in joined.disk.trash.listing()] == ([] if trash is None else [path])


def test_a_touched_name_is_looked_at_before_it_is_due(joined: Joined, appending: IO[str]) -> None:
    _append(appending, "two\n")
    appending.close()
    names = [name for name in joined.staged() if name.startswith("x_")]
    (late,), _ = joined.disk.poll_displaced(joined.clock.now_s, names)
    assert text_of(late) == "one\ntwo\n"


def test_it_is_kept_while_a_writer_has_it_open_and_not_for_a_reader(joined: Joined) -> None:
    for name, mode in (("written", "a"), ("read", "r")):
        (joined.root / name).write_text("one\n")
        with (joined.root / name).open(mode):
            done(joined.write(name, "two\n", joined.expected(name)))
            joined.poll(after_s=limits.DISPLACED_MIN_S)
            assert bool(joined.staged()) == (mode == "a")
    assert joined.poll(after_s=2) == [] and joined.staged() == []


def test_a_mapping_counts_as_a_writer(joined: Joined) -> None:
    import mmap

    path = joined.root / "a"
    path.write_text("one\n")
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    done(joined.write("a", "two\n", joined.expected("a")))
    assert joined.poll(after_s=60) == [] and joined.staged() != []
    mapped[0:3] = b"ONE"
    mapped.close()
    (late,) = joined.poll(after_s=1)
    assert text_of(late) == "ONE\n"


def test_it_is_not_kept_for_longer_than_the_limit(joined: Joined, appending: IO[str]) -> None:
    joined.poll(after_s=limits.DISPLACED_MAX_S - 1)
    assert joined.staged() != []
    joined.poll(after_s=2)
    assert joined.staged() == []
    appending.close()


def test_where_nobody_can_tell_who_has_it_open_it_is_kept_up_to_the_limit(joined: Joined) -> None:
    (joined.root / "a").write_text("one\n")
    joined.calls.instead["open_for_writing_elsewhere"] = lambda fd: None
    done(joined.write("a", "two\n", joined.expected("a")))
    joined.poll(after_s=limits.DISPLACED_MAX_S - 1)
    assert joined.staged() != []
    (held,) = [name for name in joined.staged() if name.startswith("x_")]
    with (joined.staging / held).open("a") as writer:
        writer.write("late\n")
    joined.poll(after_s=1)
    (late,) = joined.poll(after_s=1)
    assert text_of(late) == "one\nlate\n"
    joined.disk.drop_displaced(late.token)
    joined.poll(after_s=10)
    assert joined.staged() == []


def test_the_next_time_to_ask_is_told(joined: Joined) -> None:
    assert joined.disk.poll_displaced(joined.clock.now_s) == ([], None)
    (joined.root / "a").write_text("one\n")
    done(joined.write("a", "two\n", joined.expected("a")))
    _, due_s = joined.disk.poll_displaced(joined.clock.now_s)
    assert due_s is not None and joined.clock.now_s < due_s <= joined.clock.now_s + 1


def test_a_report_is_repeated_after_a_restart_until_it_is_dropped(joined: Joined, appending: IO[str]) -> None:
    _append(appending, "two\n")
    joined.poll(after_s=1)
    (first,) = joined.poll(after_s=1)
    (again,) = joined.restart()
    assert (text_of(again), again.replaced, again.path) == (text_of(first), first.replaced, "log")
    joined.disk.drop_displaced(again.token)
    assert joined.restart() == []
    _append(appending, "three\n")
    joined.poll(after_s=1)
    (second,) = joined.poll(after_s=1)
    assert second.replaced == digest("one\ntwo\n"), "what was dropped is not taken a second time"
    appending.close()


def test_an_unknown_token_is_ignored(joined: Joined) -> None:
    joined.disk.drop_displaced("0123456789abcdef.1")
    joined.disk.drop_displaced("")
    assert done(joined.perform(KeepCopy(number(), "0123456789abcdef.1", "copy"))).fingerprint is None


def test_a_kept_copy_gets_a_name_and_goes_on_living_there(joined: Joined, appending: IO[str]) -> None:
    _append(appending, "two\n")
    joined.poll(after_s=1)
    (late,) = joined.poll(after_s=1)
    (joined.root / "taken").write_text("here")
    assert isinstance(joined.perform(KeepCopy(number(), late.token, "taken")), Raced)
    outcome = done(joined.perform(KeepCopy(number(), late.token, "copies/log")))
    copy = joined.root / "copies/log"
    assert copy.read_text() == "one\ntwo\n"
    seen = joined.look("copies/log")
    assert isinstance(seen, Present) and outcome.fingerprint == seen.fingerprint
    _append(appending, "three\n")
    appending.close()
    assert copy.read_text() == "one\ntwo\nthree\n"
    assert joined.poll(after_s=10) == [] and joined.staged() == []


def test_what_was_written_between_report_and_copy_shows_in_the_fingerprint(
    joined: Joined, appending: IO[str]
) -> None:
    _append(appending, "two\n")
    joined.poll(after_s=1)
    (late,) = joined.poll(after_s=1)
    _append(appending, "three\n")
    appending.close()
    outcome = done(joined.perform(KeepCopy(number(), late.token, "copy")))
    seen = joined.look("copy")
    assert isinstance(seen, Present) and outcome.fingerprint is not None
    assert not outcome.fingerprint.same_file(seen.fingerprint)


def test_late_lines_into_a_removed_file_are_reported_and_are_in_the_trash(joined: Joined) -> None:
    path = joined.root / "log"
    path.write_text("one\n")
    with path.open("a") as writer:
        done(joined.remove("log", joined.expected("log")))
        assert not path.exists()
        _append(writer, "two\n")
    (late,) = joined.poll(after_s=1)
    assert text_of(late) == "one\ntwo\n"
    (trashed,) = joined.disk.trash.listing()
    assert (joined.root / trashed.location).read_text() == "one\ntwo\n"
    done(joined.perform(KeepCopy(number(), late.token, "log")))
    assert joined.disk.trash.listing() == [], "it is back, and not a second name of a file in the trash"


def test_a_removed_file_that_was_saved_meanwhile_stays(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("one")
    joined.calls.before["rename"] = lambda *_: path.write_text("saved")
    outcome = joined.remove("a", joined.expected("a"))
    assert isinstance(outcome, Raced) and isinstance(outcome.seen, Present)
    assert path.read_text() == "saved"
    assert joined.staged() == [] and joined.disk.trash.listing() == []


def test_a_save_over_a_removed_save_keeps_both(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("one")

    def first(*_: object) -> None:
        joined.calls.before.pop("rename")
        path.write_text("first save")

    joined.calls.before["rename"] = first
    joined.calls.before["rename_noreplace"] = lambda *_: path.write_text("second save")
    assert isinstance(joined.remove("a", joined.expected("a")), Raced)
    assert path.read_text() == "second save"
    (late,) = joined.poll(after_s=1)
    assert (text_of(late), late.replaced) == ("first save", digest("one"))


def test_a_removed_file_is_in_the_trash_at_once_and_leaves_staging_in_time(joined: Joined) -> None:
    (joined.root / "d").mkdir()
    (joined.root / "d/a").write_text("one")
    assert done(joined.remove("d/a", joined.expected("d/a"))) == Done()
    (trashed,) = joined.disk.trash.listing()
    assert (trashed.path, trashed.reason) == ("d/a", "deleted by others")
    assert (joined.root / "d").is_dir()
    assert joined.restart() == []
    assert len(joined.disk.trash.listing()) == 1, "it is not thrown away twice"
    joined.poll(after_s=10)
    assert joined.staged() == []
    assert (joined.root / trashed.location).read_text() == "one"


def test_another_process_is_noticed_as_a_writer(joined: Joined) -> None:
    (joined.root / "a").write_text("one\n")
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "f=open('a','a');print(flush=True);input();f.write('late\\n');f.close();print()",
        ],
        cwd=joined.root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None and writer.stdin is not None
    writer.stdout.readline()
    done(joined.write("a", "two\n", joined.expected("a")))
    assert joined.poll(after_s=60) == [] and joined.staged() != []
    writer.communicate(b"\n")
    (late,) = joined.poll(after_s=1)
    assert text_of(late) == "one\nlate\n"


def test_testing_for_writers_never_ends_the_process(tmp_path: Path) -> None:
    """Opening a file whose lease is held signals the holder; by default that signal would be deadly."""
    program = (
        "import fcntl,os,signal,subprocess\n"
        "from crdtsync.adapters.system_calls import SystemCalls\n"
        "open('a','w').close()\n"
        "calls=SystemCalls(); fd=os.open('a',os.O_RDONLY)\n"
        "real=fcntl.fcntl\n"
        "def slow(fd,command,argument):\n"
        "    if command==fcntl.F_SETLEASE and argument==fcntl.F_UNLCK:\n"
        "        try: os.open('a',os.O_WRONLY|os.O_NONBLOCK)\n"
        "        except BlockingIOError: print('signalled')\n"
        "    return real(fd,command,argument)\n"
        "fcntl.fcntl=slow\n"
        "print(calls.open_for_writing_elsewhere(fd))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "signalled\nFalse\n"), ran.stderr
    assert os.listdir(tmp_path) == ["a"]


def test_a_poll_after_a_large_batch_is_short_and_the_next_one_due_at_once(joined: Joined) -> None:
    names = [f"f{each}" for each in range(300)]
    for name in names:
        (joined.root / name).write_text("one")
    joined.disk.perform([text_step(name, "two", joined.expected(name)) for name in names])
    joined.clock.now_s += 10
    _, due_s = joined.disk.poll_displaced(joined.clock.now_s)
    assert due_s is not None and due_s <= joined.clock.now_s
    assert joined.disk.poll_displaced(joined.clock.now_s) == ([], None)
    assert joined.staged() == []


def test_what_short_runs_have_replaced_leaves_staging_in_time(joined: Joined) -> None:
    (joined.root / "a").write_text("one\n")
    done(joined.write("a", "two\n", joined.expected("a")))
    (held,) = (joined.staging / name for name in joined.staged() if name.startswith("x_"))
    replaced_s = held.lstat().st_ctime_ns / 1e9
    for age_s, kept in ((-3600.0, True), (1.0, True), (limits.DISPLACED_MIN_S + 1, False)):
        joined.utc.now_s = replaced_s + age_s
        assert joined.restart() == []
        assert joined.poll(after_s=0.0) == []
        assert held.exists() == kept
    assert joined.staged() == []
