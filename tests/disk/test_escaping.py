"""A folder that is swapped for a link while we work never makes us read or change anything outside."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from crdtsync.core.replica.steps import Failed, MakeFolder, MoveFile, Raced, RemoveFolder, Step, SwapFiles
from crdtsync.core.values.files import Absent

from .support import ENTRY, Joined, number, text_step


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_text("private")
    return outside


def _swapped(joined: Joined, outside: Path) -> None:
    os.rename(joined.root / "d", joined.root / "aside")
    (joined.root / "d").symlink_to(outside)


def _steps(joined: Joined) -> list[Step]:
    expected = joined.expected("d/a")
    return [
        text_step("d/a", "theirs", expected),
        text_step("d/new", "theirs"),
        text_step("d/deep/new", "theirs"),
        MoveFile(number(), ENTRY, "d/a", "b", expected),
        MoveFile(number(), ENTRY, "c", "d/c", joined.expected("c")),
        SwapFiles(number(), "d/a", "c"),
        MakeFolder(number(), "d/folder"),
        RemoveFolder(number(), "d/empty"),
    ]


@pytest.mark.parametrize("number_of_step", range(8))
def test_a_link_in_place_of_a_folder_is_never_followed(
    joined: Joined, outside: Path, number_of_step: int
) -> None:
    (joined.root / "d").mkdir()
    (joined.root / "d/a").write_text("ours")
    (joined.root / "c").write_text("c")
    (outside / "empty").mkdir()
    step = _steps(joined)[number_of_step]
    _swapped(joined, outside)
    assert isinstance(joined.perform(step), Raced | Failed)
    assert sorted(os.listdir(outside)) == ["a", "empty"]
    assert (outside / "a").read_text() == "private"
    assert joined.look("d/a") == Absent()
    assert set(joined.disk.scan().files) == {"aside/a", "c"}
    assert joined.disk.scan("d").files == {}


def test_a_folder_that_is_swapped_all_the_time_never_leads_outside(joined: Joined, outside: Path) -> None:
    """Whatever instant the swap happens in, between any two system calls of ours."""
    (joined.root / "d").mkdir()
    (joined.root / "d/a").write_text("ours")
    (joined.root / "link").symlink_to(outside)
    stop = threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        while not stop.is_set():
            joined.disk.tree.calls.exchange("d", joined.disk.tree.root_fd, "link", joined.disk.tree.root_fd)
            swaps += 1

    joined.without_fsync()
    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for turn in range(400):
            joined.look("d/a")
            joined.perform(text_step(f"d/new {turn}", "theirs"))
            joined.perform(MakeFolder(number(), f"d/folder {turn}"))
            joined.disk.scan("d")
    finally:
        stop.set()
        swapping.join()
    assert swaps > 100
    assert os.listdir(outside) == ["a"]
    assert (outside / "a").read_text() == "private"


def test_a_link_in_place_of_the_file_is_replaced_not_written_through(joined: Joined, outside: Path) -> None:
    (joined.root / "a").write_text("one")
    expected = joined.expected("a")

    def swap_in(*_: object) -> None:
        joined.calls.before.clear()
        (joined.root / "a").unlink()
        (joined.root / "a").symlink_to(outside / "a")

    joined.calls.before["exchange"] = swap_in
    assert isinstance(joined.perform(text_step("a", "theirs", expected)), Raced)
    assert (outside / "a").read_text() == "private"
    assert os.readlink(joined.root / "a") == str(outside / "a")
