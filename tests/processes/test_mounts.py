"""A file system that is mounted inside a joined folder, taken away and brought back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.harness import Joined, settle
from tests.waiting import eventually

Pair = tuple[Joined, Joined]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "crdtsync-test", place], capture_output=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def texts_of(folder: Path) -> dict[str, str]:
    """On another disk what was displaced stays beside its path for a while, as a backup file."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*.txt")}
    return {path: where.read_text() for path, where in found.items()}


def test_an_unmounted_disk_deletes_nothing_of_others_and_goes_on_when_it_is_back(
    pair: Pair, disk: Path
) -> None:
    ann, bob = pair
    inside = ann.folder / "photos"
    inside.mkdir()
    for number in range(8):
        (ann.folder / f"{number}.txt").write_text(f"text {number}\n")
    subprocess.run(["mount", "--bind", disk, inside], check=True)
    try:
        (inside / "a.txt").write_text("one\n")
        (inside / "b.txt").write_text("two\n")
        settle(ann, bob)
        subprocess.run(["umount", inside], check=True)
        ann.flush()
        eventually(lambda: ann.status()["attention"], "the disk is missed")
        assert "not mounted" in ann.status()["attention"][0]["message"]
        bob.flush()
        assert sorted(path.name for path in (bob.folder / "photos").iterdir()) == ["a.txt", "b.txt"]
        (bob.folder / "photos" / "a.txt").write_text("one\nmore\n")
        settle(bob, ann)
        subprocess.run(["mount", "--bind", disk, inside], check=True)
        eventually(lambda: not ann.status()["attention"], "all is as it was")
        settle(ann, bob)
        assert (inside / "a.txt").read_text() == "one\nmore\n"
        assert texts_of(ann.folder) == texts_of(bob.folder)
    finally:
        subprocess.run(["umount", "-l", inside], check=False, capture_output=True)
