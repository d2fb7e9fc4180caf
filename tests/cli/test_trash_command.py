"""The trash without a running replica: listed, and brought back without ever replacing anything."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crdtsync.adapters.filesystem import Tree, split
from crdtsync.adapters.trash import Trash
from crdtsync.adapters.trash_on_disk import open_trash
from crdtsync.cli.main import main
from tests.cli.served import joined_folder

THEN_S = 1743336005.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return joined_folder(tmp_path / "notes")


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Trash, Tree]]:
    with open_trash(folder) as both:
        yield both


def thrown_away(
    folder: Path, path: str, content: str, monkeypatch: pytest.MonkeyPatch, at_s: float = THEN_S
) -> None:
    """Put a new file of that path into the trash, as the replica does."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    with monkeypatch.context() as patched:
        patched.setattr("crdtsync.adapters.trash_on_disk.time.time", lambda: at_s)
        with opened(folder) as (trash, tree):
            above, name = split(path)
            with tree.folder(above) as fd:
                if trash.keep(name, fd, path, "deleted in the room"):
                    file.unlink()


def trashed(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    assert main(["trash", str(folder), "--json"]) == 0
    found: list[dict[str, str]] = json.loads(capsys.readouterr().out)
    return found


def test_an_empty_trash_is_told_as_such(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trashed(folder, capsys) == []
    assert main(["trash", str(folder)]) == 0
    assert capsys.readouterr().out == "the trash is empty\n"


@pytest.mark.usefixtures("utc")
def test_the_trash_is_listed_without_a_replica(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    thrown_away(folder, "sub/ä\n.md", "text", monkeypatch)
    (found,) = trashed(folder, capsys)
    assert found["path"] == "sub/ä\n.md"
    assert found["trashed_at"] == "2025-03-30T12:00:05Z"
    assert found["reason"] == "deleted in the room"
    assert (folder / found["location"]).read_text() == "text"
    assert main(["trash", str(folder)]) == 0
    assert capsys.readouterr().out == (
        "WHEN                 PATH       WHY\n"
        "2025-03-30 12:00:05  sub/ä\ufffd.md  deleted in the room\n"
        "1 file; bring one back with: crdtsync trash --restore PATH\n"
    )


def test_the_newest_file_of_a_path_comes_back_to_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    thrown_away(folder, "a/b/c.md", "older", monkeypatch)
    thrown_away(folder, "a/b/c.md", "newer", monkeypatch, THEN_S + 60)
    (folder / "a/b").rmdir()
    assert main(["trash", str(folder), "--restore", "a/b/c.md", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "event": "restored",
        "path": "a/b/c.md",
        "restored_to": "a/b/c.md",
    }
    assert (folder / "a/b/c.md").read_text() == "newer"
    assert len(trashed(folder, capsys)) == 1


def test_a_path_that_is_taken_gets_the_file_beside_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        thrown_away(folder, "sub/c.tar.md", f"old {number}", monkeypatch, THEN_S + number)
    (folder / "sub/c.tar.md").write_text("new")
    monkeypatch.chdir(folder / "sub")
    for _ in range(3):
        assert main(["trash", "--restore", "c.tar.md"]) == 0
    assert {file.name: file.read_text() for file in (folder / "sub").iterdir()} == {
        "c.tar.md": "new",
        "c.tar (restored).md": "old 2",
        "c.tar (restored 2).md": "old 1",
        "c.tar (restored 3).md": "old 0",
    }
    told = capsys.readouterr().out
    assert "restored sub/c.tar.md as sub/c.tar (restored).md, since something else is at its path" in told


@pytest.mark.parametrize("name", ["ä" * 127, "x" * 251 + ".md", ".hidden", "no-extension", "a." + "e" * 200])
def test_a_name_beside_is_never_too_long(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    thrown_away(folder, name, "old", monkeypatch)
    (folder / name).write_text("new")
    assert main(["trash", str(folder), "--restore", name, "--json"]) == 0
    restored = json.loads(capsys.readouterr().out)["restored_to"]
    assert (folder / restored).read_text() == "old"
    assert (folder / name).read_text() == "new"


def test_what_is_not_in_the_trash_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("a.md", "../a.md", "/etc/passwd", ""):
        assert main(["trash", str(folder), "--restore", path]) == 1
        assert "is not in the trash; 'crdtsync trash' lists" in capsys.readouterr().err


def test_nothing_is_restored_through_a_link_or_over_a_file_in_the_way(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    thrown_away(folder, "sub/a.md", "old", monkeypatch)
    (folder / "sub").rmdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    for linked in (True, False):
        if linked:
            (folder / "sub").symlink_to(outside)
        else:
            (folder / "sub").write_text("file")
        assert main(["trash", str(folder), "--restore", "sub/a.md"]) == 1
        assert "sub is no folder; move it away first" in capsys.readouterr().err
        (folder / "sub").unlink()
    assert os.listdir(outside) == []
    assert len(trashed(folder, capsys)) == 1


def test_a_folder_that_is_not_joined_has_no_trash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trash", str(tmp_path)]) == 1
    assert "not in a joined folder" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
