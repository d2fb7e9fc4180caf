"""Moves, swaps, the executable bit, folders: each does all of its work or none of it."""

from __future__ import annotations

import os
import stat

import pytest

from crdtsync.core.replica.steps import (
    Cause,
    Done,
    Failed,
    MakeFolder,
    MoveFile,
    Outcome,
    Raced,
    RemoveFolder,
    SetExecutable,
    SwapFiles,
)
from crdtsync.core.values.files import Absent, Folder, Present

from .support import ENTRY, Joined, digest, done, number


def _move(joined: Joined, path: str, target: str) -> Outcome:
    return joined.perform(MoveFile(number(), ENTRY, path, target, joined.expected(path)))


def test_a_move_keeps_the_file_and_makes_the_folders(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("one")
    path.chmod(0o640)
    inode = path.stat().st_ino
    outcome = done(_move(joined, "a", "b/c/d"))
    assert not path.exists()
    target = joined.root / "b/c/d"
    assert (target.stat().st_ino, stat.S_IMODE(target.stat().st_mode)) == (inode, 0o640)
    seen = joined.look("b/c/d")
    assert isinstance(seen, Present) and outcome.fingerprint == seen.fingerprint


def test_a_move_never_replaces_anything(joined: Joined) -> None:
    (joined.root / "a").write_text("one")
    (joined.root / "b").write_text("two")
    outcome = _move(joined, "a", "b")
    assert isinstance(outcome, Raced) and outcome.path == "b"
    assert [(joined.root / name).read_text() for name in "ab"] == ["one", "two"]


def test_a_move_of_another_file_than_expected_is_not_made(joined: Joined) -> None:
    (joined.root / "a").write_text("one")
    expected = joined.expected("a")
    (joined.root / "a").write_text("saved since")
    outcome = joined.perform(MoveFile(number(), ENTRY, "a", "b/c", expected))
    assert isinstance(outcome, Raced) and outcome.path == "a"
    assert (joined.root / "a").read_text() == "saved since"
    assert not (joined.root / "b").exists()
    assert joined.perform(MoveFile(number(), ENTRY, "gone", "b", expected)) == Raced("gone", Absent())


@pytest.mark.parametrize("how", ["in place", "by rename"])
def test_a_save_in_the_instant_of_a_move_stays_where_it_was_saved(joined: Joined, how: str) -> None:
    path = joined.root / "a"
    path.write_text("one")

    def save(*_: object) -> None:
        joined.calls.before.clear()
        if how == "in place":
            path.write_text("saved")
        else:
            (joined.root / "t~").write_text("saved")
            os.rename(joined.root / "t~", path)

    joined.calls.before["rename_noreplace"] = save
    outcome = _move(joined, "a", "b")
    assert isinstance(outcome, Raced)
    assert path.read_text() == "saved"
    assert not (joined.root / "b").exists()


def test_a_swap_exchanges_two_files(joined: Joined) -> None:
    (joined.root / "d").mkdir()
    (joined.root / "a").write_text("one")
    (joined.root / "d/b").write_text("two")
    assert joined.perform(SwapFiles(number(), "a", "d/b")) == Done()
    assert ((joined.root / "a").read_text(), (joined.root / "d/b").read_text()) == ("two", "one")
    (joined.root / "d/b").unlink()
    assert isinstance(joined.perform(SwapFiles(number(), "a", "d/b")), Raced)
    assert (joined.root / "a").read_text() == "two"


@pytest.mark.parametrize(
    ("before", "on", "after"), [(0o644, True, 0o755), (0o600, True, 0o700), (0o755, False, 0o644)]
)
def test_the_executable_bit_is_set_for_those_who_may_read(
    joined: Joined, before: int, on: bool, after: int
) -> None:
    path = joined.root / "a"
    path.write_text("one")
    path.chmod(before)
    outcome = done(joined.perform(SetExecutable(number(), "a", on, joined.expected("a"))))
    assert stat.S_IMODE(path.stat().st_mode) == after
    seen = joined.look("a")
    assert isinstance(seen, Present) and outcome.fingerprint == seen.fingerprint


def test_the_executable_bit_of_another_file_than_expected_is_left(joined: Joined) -> None:
    path = joined.root / "a"
    path.write_text("one")
    expected = joined.expected("a")
    path.write_text("saved since")
    mode = path.stat().st_mode
    assert isinstance(joined.perform(SetExecutable(number(), "a", True, expected)), Raced)
    path.unlink()
    assert joined.perform(SetExecutable(number(), "a", True, expected)) == Raced("a", Absent())
    (joined.root / "b").write_text("x")
    path.symlink_to("b")
    assert isinstance(joined.perform(SetExecutable(number(), "a", True, expected)), Raced)
    assert stat.S_IMODE((joined.root / "b").stat().st_mode) == stat.S_IMODE(mode)


def test_folders_are_made_and_removed(joined: Joined) -> None:
    assert joined.perform(MakeFolder(number(), "a/b")) == Done()
    assert joined.perform(MakeFolder(number(), "a/b")) == Done()
    assert (joined.root / "a/b").is_dir()
    assert joined.perform(RemoveFolder(number(), "a/b")) == Done()
    assert joined.perform(RemoveFolder(number(), "a/b")) == Done()
    assert not (joined.root / "a/b").exists()


def test_a_folder_is_not_made_over_a_file(joined: Joined) -> None:
    (joined.root / "a").write_text("one")
    outcome = joined.perform(MakeFolder(number(), "a"))
    assert isinstance(outcome, Raced) and isinstance(outcome.seen, Present)
    blocked = joined.perform(MakeFolder(number(), "a/b"))
    assert isinstance(blocked, Failed) and blocked.cause is Cause.BLOCKED
    assert isinstance(joined.perform(RemoveFolder(number(), "a")), Raced)
    assert (joined.root / "a").read_text() == "one"


def test_a_folder_with_anything_of_a_person_in_it_is_not_removed(joined: Joined) -> None:
    (joined.root / "a").mkdir()
    (joined.root / "a/.DS_Store").write_text("litter")
    (joined.root / "a/notes~").write_text("a backup")
    outcome = joined.perform(RemoveFolder(number(), "a"))
    assert isinstance(outcome, Failed) and outcome.cause is Cause.NOT_EMPTY
    assert sorted(os.listdir(joined.root / "a")) == [".DS_Store", "notes~"]


def test_a_folder_with_nothing_but_litter_is_removed(joined: Joined) -> None:
    (joined.root / "a").mkdir()
    (joined.root / "a/.DS_Store").write_text("litter")
    (joined.root / "a/Thumbs.db").write_text("litter")
    assert joined.perform(RemoveFolder(number(), "a")) == Done()
    assert not (joined.root / "a").exists()
    assert joined.staged() == []


def test_a_file_that_comes_while_a_folder_is_removed_saves_it(joined: Joined) -> None:
    (joined.root / "a").mkdir()
    (joined.root / "a/.DS_Store").write_text("litter")
    joined.calls.before["rmdir"] = lambda *_: (joined.root / "a/new").write_text("new")
    outcome = joined.perform(RemoveFolder(number(), "a"))
    assert isinstance(outcome, Failed) and outcome.cause is Cause.NOT_EMPTY
    assert sorted(os.listdir(joined.root / "a")) == [".DS_Store", "new"]
    assert isinstance(joined.look("a"), Folder)


def test_one_failed_step_does_not_stop_the_others(joined: Joined) -> None:
    (joined.root / "a").write_text("file")
    outcomes = joined.disk.perform(
        [MakeFolder(1, "a/b"), MakeFolder(2, "c"), RemoveFolder(3, "c"), MakeFolder(4, "d")]
    )
    assert [type(outcome) for _, outcome in outcomes] == [Failed, Done, Done, Done]
    assert [step.step for step, _ in outcomes] == [1, 2, 3, 4]
    assert digest("file") == joined.expected("a").digest
