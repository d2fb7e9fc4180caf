"""A folder on a file system that takes several names for one, mounted here; skipped where none can be."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

import pytest

from tests.processes.folding_fs import unmount
from tests.processes.harness import Hub, Joined, settle, tree
from tests.waiting import DEADLINE_S, eventually

NFC, NFD = "\u00e9.md", "e\u0301.md"


@contextlib.contextmanager
def mounted(mode: str, base: Path) -> Iterator[Path]:
    """A folder that folds names. Skips the test where none can be mounted."""
    backing, target = base / "backing", base / "folding"
    backing.mkdir()
    target.mkdir()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.processes.folding_fs", mode, str(backing), str(target)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None and server.stderr is not None
    if server.stdout.readline() != "mounted\n":
        problem = server.communicate(timeout=DEADLINE_S)[1].splitlines()[-1:]
        pytest.skip(f"no file system that folds names can be mounted here: {problem}")
    try:
        yield target
    finally:
        unmount(str(target))
        server.wait(DEADLINE_S)
        server.stdout.close()
        server.stderr.close()


@pytest.fixture(params=["decomposing"])
def pair(hub: Hub, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Joined, Joined]]:
    """Ann's folder, and Bob's on a disk that folds."""
    with (
        mounted(request.param, tmp_path) as folder,
        Joined(hub.url, tmp_path / "ann", name="Ann") as ann,
        Joined(hub.url, folder, name="Bob") as bob,
    ):
        ann.wait_for("state", state="settled")
        bob.wait_for("state", state="settled")
        yield ann, bob


def files(replica: Joined) -> dict[str, bytes | str | None]:
    return {normalize("NFC", path): data for path, data in tree(replica.folder).items() if data is not None}


def rename(folder: Path, path: str, target: str) -> None:
    """In two steps: to Linux a rename between two names of one file is none."""
    os.rename(folder / path, folder / f"{path}.tmp")
    os.rename(folder / f"{path}.tmp", folder / target)


def test_two_names_that_are_one_on_a_disk_are_two_files_there(pair: tuple[Joined, Joined]) -> None:
    ann, bob = pair
    (ann.folder / "README.md").write_text("upper\n")
    (ann.folder / "readme.md").write_text("lower\n")
    (ann.folder / "docs").mkdir()
    (ann.folder / "docs/in").write_text("lower\n")
    (ann.folder / "Docs").mkdir()
    (ann.folder / "Docs/in").write_text("upper\n")
    settle(ann, bob)
    derived = [path for path in files(bob) if "other spelling" in path]
    assert len(derived) == 2
    assert sorted(map(str, files(bob).values())) == sorted(map(str, files(ann).values()))
    for path in derived:
        with (bob.folder / path).open("a") as file:
            file.write("edited there\n")
    eventually(
        lambda: sum(b"edited there" in str(data).encode() for data in files(ann).values()) == 2, "both edits"
    )
    assert set(files(ann)) == {"README.md", "readme.md", "Docs/in", "docs/in"}
    assert bob.status()["attention"] == []
    os.remove(bob.folder / next(path for path in files(bob) if path.lower() == "readme.md"))
    settle(bob, ann)
    assert len([path for path in files(ann) if path.lower() == "readme.md"]) == 1
    assert sorted(path for path in files(bob) if "/" not in path) == sorted(
        path for path in files(ann) if "/" not in path
    )


@pytest.mark.parametrize("pair", ["case"], indirect=True)
def test_a_change_of_case_alone_goes_both_ways(pair: tuple[Joined, Joined]) -> None:
    ann, bob = pair
    (ann.folder / "docs").mkdir()
    for name in ("readme", "other"):
        (ann.folder / "docs" / name).write_text(f"{name}\n")
    ann.flush()
    bob.flush()
    os.rename(ann.folder / "docs/readme", ann.folder / "docs/README")
    eventually(lambda: set(files(bob)) == {"docs/README", "docs/other"}, "the file's new case")
    os.rename(ann.folder / "docs", ann.folder / "Docs")
    eventually(lambda: set(files(bob)) == {"Docs/README", "Docs/other"}, "the folder's new case")
    rename(bob.folder, "Docs/README", "Docs/ReadMe")
    eventually(lambda: set(files(ann)) == {"Docs/ReadMe", "Docs/other"}, "the file's case from there")
    rename(bob.folder, "Docs", "DOCS")
    eventually(lambda: set(files(ann)) == {"DOCS/ReadMe", "DOCS/other"}, "the folder's case from there")
    with (bob.folder / "docs/readme").open("a") as file:
        file.write("through another name\n")
    eventually(
        lambda: (ann.folder / "DOCS/ReadMe").read_text() == "readme\nthrough another name\n",
        "an edit through another spelling",
    )
    bob.flush()
    assert files(ann) == files(bob)
    assert set(files(ann)) == {"DOCS/ReadMe", "DOCS/other"}
    assert ann.command("trash") == [] and bob.command("trash") == []


def test_a_name_that_comes_back_in_another_form_stays_what_it_is(
    pair: tuple[Joined, Joined], hub: Hub
) -> None:
    ann, bob = pair
    (ann.folder / NFC).write_text("composed\n")
    (bob.folder / "new-\u00fc").write_text("made there\n")
    settle(ann, bob)
    assert NFD in os.listdir(bob.folder)
    assert {NFC, "new-\u00fc"} <= set(os.listdir(ann.folder))
    (bob.folder / NFD).write_text("edited there\n")
    eventually(lambda: (ann.folder / NFC).read_text() == "edited there\n", "the edit")
    assert bob.stop() == 0
    (ann.folder / NFC).write_text("edited meanwhile\n")
    with Joined(hub.url, bob.folder, name="Bob") as again:
        again.wait_for("state", state="settled")
        ann.flush()
        again.flush()
        assert (bob.folder / NFC).read_text() == "edited meanwhile\n"
        assert set(os.listdir(ann.folder)) - {".crdtsync"} == {NFC, "new-\u00fc"}
        assert again.command("conflicts") == []
