"""Disk code on file systems that take several names for one; the real one, with names folded on the way."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

import pytest

from crdtsync.adapters.disk import Disk
from crdtsync.core.replica.effects import LookAt
from crdtsync.core.replica.steps import (
    Failed,
    MakeFolder,
    MoveFile,
    Raced,
    RemoveFolder,
)
from crdtsync.core.values.files import Absent, Folder, Present
from crdtsync.core.values.folding import PLAIN, Folding
from crdtsync.errors import FolderError

from .support import ENTRY, HookedCalls, Joined, done, number

NFC, NFD = "\u00e9", "e\u0301"


class FoldingCalls(HookedCalls):
    """A kernel with a folding file system. ``renames_case``: as macOS; otherwise a rename from one name of a
    file to another one does nothing, as on Linux. ``decomposes``: names come back in form NFD."""

    def __init__(self, folding: Folding, *, renames_case: bool = False, decomposes: bool = False) -> None:
        super().__init__()
        self._folding = folding
        self._renames_case = renames_case
        self._decomposes = decomposes

    def _found(self, name: str, dir_fd: int | None) -> str:
        if dir_fd is None or name in (".", ".."):
            return name
        for listed in os.listdir(dir_fd):
            if self._folding.key(listed) == self._folding.key(name):
                return listed
        return normalize("NFD", name) if self._decomposes else name

    def open(self, name: str, flags: int, dir_fd: int | None = None, mode: int = 0o600) -> int:
        return super().open(self._found(name, dir_fd), flags, dir_fd, mode)

    def open_folder(self, name: str, dir_fd: int | None = None) -> int:
        return super().open_folder(self._found(name, dir_fd), dir_fd)

    def open_file(self, name: str, dir_fd: int) -> int:
        return super().open_file(self._found(name, dir_fd), dir_fd)

    def lstat(self, name: str, dir_fd: int | None = None) -> os.stat_result:
        return super().lstat(self._found(name, dir_fd), dir_fd)

    def readlink(self, name: str, dir_fd: int) -> str:
        return super().readlink(self._found(name, dir_fd), dir_fd)

    def unlink(self, name: str, dir_fd: int) -> None:
        super().unlink(self._found(name, dir_fd), dir_fd)

    def mkdir(self, name: str, dir_fd: int, mode: int = 0o777) -> None:
        super().mkdir(self._found(name, dir_fd), dir_fd, mode)

    def rmdir(self, name: str, dir_fd: int) -> None:
        super().rmdir(self._found(name, dir_fd), dir_fd)

    def symlink(self, target: str, name: str, dir_fd: int) -> None:
        super().symlink(target, self._found(name, dir_fd), dir_fd)

    def link(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        super().link(self._found(name, dir_fd), dir_fd, self._found(new_name, new_dir_fd), new_dir_fd)

    def rename(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        old, new = self._found(name, dir_fd), self._found(new_name, new_dir_fd)
        if old == new and os.fstat(dir_fd).st_ino == os.fstat(new_dir_fd).st_ino:
            if self._renames_case:
                super().rename(old, dir_fd, new_name, new_dir_fd)
            return
        super().rename(old, dir_fd, new, new_dir_fd)

    def rename_noreplace(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        old, new = self._found(name, dir_fd), self._found(new_name, new_dir_fd)
        super().rename_noreplace(old, dir_fd, new, new_dir_fd)

    def exchange(self, name: str, dir_fd: int, other: str, other_dir_fd: int) -> None:
        super().exchange(self._found(name, dir_fd), dir_fd, self._found(other, other_dir_fd), other_dir_fd)


BOTH = Folding(case=True, form=True)


@pytest.fixture(params=["linux", "macos", "decomposing"])
def folding(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Joined]:
    calls = FoldingCalls(
        BOTH, renames_case=request.param != "linux", decomposes=request.param == "decomposing"
    )
    joined = Joined(tmp_path / "root", calls=calls)
    yield joined
    joined.disk.close()


def names(folder: Path) -> list[str]:
    """The names in a folder but for the state folder, as a path would spell them."""
    return sorted(normalize("NFC", name) for name in os.listdir(folder) if name != ".crdtsync")


def test_what_a_file_system_folds_is_found_out_and_no_trace_left(joined: Joined, tmp_path: Path) -> None:
    assert joined.disk.folding == PLAIN
    for number_, folding in enumerate([Folding(form=True), BOTH, Folding(tail=True)]):
        other = Joined(tmp_path / str(number_), calls=FoldingCalls(folding))
        assert other.disk.folding == folding
        assert not [name for name in os.listdir(other.root / ".crdtsync") if name.startswith("probe")]
        other.disk.close()


@pytest.mark.parametrize("call", ["open", "lstat"])
def test_what_a_file_system_folds_is_not_guessed_where_that_cannot_be_tried(
    tmp_path: Path, call: str
) -> None:
    calls = FoldingCalls(BOTH)

    def fail(name: str, *rest: object) -> None:
        if name.startswith("probe"):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    calls.before[call] = fail
    for _ in range(2):
        with pytest.raises(FolderError, match="cannot be joined: permission denied"):
            Disk(tmp_path, "notes", calls=calls)
    calls.before.clear()
    disk = Disk(tmp_path, "notes", calls=calls)
    assert disk.folding == BOTH
    disk.close()


def test_a_name_that_a_file_system_does_not_take_is_not_folded_there(tmp_path: Path) -> None:
    calls = FoldingCalls(BOTH)

    def refuse(name: str, *rest: object) -> None:
        if not name.isascii():
            raise OSError(errno.EILSEQ, os.strerror(errno.EILSEQ))

    calls.before["open"] = refuse
    disk = Disk(tmp_path, "notes", calls=calls)
    assert disk.folding == Folding(case=True)
    disk.close()


def test_what_is_there_under_another_spelling_is_not_at_the_path(folding: Joined) -> None:
    (folding.root / "Docs").mkdir()
    (folding.root / "Docs/ReadMe").write_text("text")
    assert isinstance(folding.look("Docs/ReadMe"), Present)
    for other in ("Docs/readme", "docs/ReadMe", "DOCS/README"):
        assert folding.look(other) == Absent()
    assert folding.look("Docs") == Folder(empty=False)
    assert folding.look("docs") == Absent()
    assert set(folding.disk.scan("Docs").files) == {"Docs/ReadMe"}
    assert folding.disk.scan("docs").folders == {}


def test_a_name_is_known_in_one_form_whatever_form_the_disk_gives_back(folding: Joined) -> None:
    (folding.root / NFD).mkdir()
    (folding.root / NFD / f"{NFD}.md").write_text("text")
    assert set(folding.disk.scan().files) == {f"{NFC}/{NFC}.md"}
    assert isinstance(folding.look(f"{NFC}/{NFC}.md"), Present)
    done(folding.write(f"{NFC}/new", "new"))
    assert set(folding.disk.scan().folders) == {NFC}
    assert names(folding.root / NFD) == ["new", f"{NFC}.md"]


def test_a_file_gets_its_name_in_another_case(folding: Joined) -> None:
    done(folding.write("readme", "text"))
    expected = folding.expected("readme")
    moved = done(folding.perform(MoveFile(number(), ENTRY, "readme", "ReadMe", expected)))
    assert moved.fingerprint is not None and moved.fingerprint.same_file(expected.fingerprint)
    assert names(folding.root) == ["ReadMe"]
    assert (folding.root / "ReadMe").read_text() == "text"
    assert folding.staged() == []


def test_a_folder_gets_its_name_in_another_case_with_all_that_it_holds(folding: Joined) -> None:
    done(folding.write("docs/deep/a", "a"))
    done(folding.write("docs/deep/b", "b"))
    (folding.root / "docs/deep/ignored~").write_text("mine")
    first = folding.expected("docs/deep/a")
    second = folding.expected("docs/deep/b")
    done(folding.perform(MoveFile(number(), ENTRY, "docs/deep/a", "Docs/Deep/a", first)))
    done(folding.perform(MoveFile(number(), ENTRY, "docs/deep/b", "Docs/Deep/b", second)))
    assert names(folding.root) == ["Docs"]
    assert names(folding.root / "Docs/Deep") == ["a", "b", "ignored~"]
    assert folding.staged() == []


def test_what_is_new_is_made_in_a_folder_of_just_its_spelling(folding: Joined) -> None:
    (folding.root / "docs").mkdir()
    (folding.root / "docs/mine").write_text("mine")
    done(folding.write("Docs/theirs", "theirs"))
    assert names(folding.root) == ["Docs"]
    done(folding.perform(MakeFolder(number(), "DOCS/inner")))
    assert names(folding.root) == ["DOCS"]
    assert names(folding.root / "DOCS") == ["inner", "mine", "theirs"]


def test_an_empty_folder_is_removed_in_whatever_spelling_it_is_there_by_then(folding: Joined) -> None:
    (folding.root / "docs/empty").mkdir(parents=True)
    (folding.root / "docs/a").write_text("a")
    done(folding.perform(RemoveFolder(number(), "Docs/Empty")))
    assert isinstance(folding.perform(RemoveFolder(number(), "Docs")), Failed)
    assert names(folding.root / "docs") == ["a"]
    (folding.root / "Note").mkdir()
    done(folding.perform(RemoveFolder(number(), "note", exact=True)))
    assert names(folding.root) == ["Note", "docs"]
    done(folding.perform(RemoveFolder(number(), "Note", exact=True)))
    assert names(folding.root) == ["docs"]


def test_a_name_that_is_taken_in_another_spelling_is_told(folding: Joined) -> None:
    (folding.root / "Thumbs.db").write_text("of the system")
    outcome = folding.write("thumbs.DB", "text")
    assert isinstance(outcome, Failed) and "thumbs.DB" in outcome.message
    done(folding.write("a", "a"))
    moved = folding.perform(MoveFile(number(), ENTRY, "a", "THUMBS.db", folding.expected("a")))
    assert isinstance(moved, Failed)
    assert names(folding.root) == ["Thumbs.db", "a"]
    (folding.root / "b").write_text("b")
    assert isinstance(folding.write("b", "text"), Raced)


def test_a_save_that_races_a_change_of_case_stays(folding: Joined) -> None:
    done(folding.write("readme", "text"))
    expected = folding.expected("readme")
    folding.calls.before["rename"] = lambda *_: _once(folding, "readme", "saved meanwhile")
    outcome = folding.perform(MoveFile(number(), ENTRY, "readme", "ReadMe", expected))
    assert done(outcome).fingerprint == expected.fingerprint
    assert (folding.root / "ReadMe").read_text() == "saved meanwhile"


@pytest.mark.parametrize("target", ["docs/README", "Docs/readme"])
def test_what_someone_has_just_respelled_is_not_respelled(folding: Joined, target: str) -> None:
    done(folding.write("docs/readme", "text"))
    expected = folding.expected("docs/readme")
    os.rename(folding.root / "docs/readme", folding.root / "docs/ReadMe")
    outcome = folding.perform(MoveFile(number(), ENTRY, "docs/readme", target, expected))
    assert isinstance(outcome, Raced) and isinstance(outcome.seen, Absent)
    assert [path.name for path in folding.root.glob("*/*") if path.parent.name != ".crdtsync"] == ["ReadMe"]


def test_what_someone_respells_right_after_us_keeps_their_name(tmp_path: Path) -> None:
    joined = Joined(tmp_path / "root", calls=FoldingCalls(BOTH, renames_case=True))
    done(joined.write("readme", "text"))
    expected = joined.expected("readme")

    def respell(*_: object) -> None:
        del joined.calls.after["rename"]
        os.rename(joined.root / "README", joined.root / "ReadMe")

    joined.calls.after["rename"] = respell
    done(joined.perform(MoveFile(number(), ENTRY, "readme", "README", expected)))
    assert names(joined.root) == ["ReadMe"]
    assert joined.staged() == []
    joined.disk.close()


def test_what_is_renamed_away_while_its_name_is_asked_for_is_not_there(tmp_path: Path) -> None:
    joined = Joined(tmp_path / "root", calls=FoldingCalls(BOTH))
    done(joined.write("readme", "text"))
    expected = joined.expected("readme")
    joined.calls.before["entries"] = lambda *_: _once_away(joined)
    outcome = joined.perform(MoveFile(number(), ENTRY, "readme", "README", expected))
    assert isinstance(outcome, Raced) and isinstance(outcome.seen, Absent)
    assert names(joined.root) == ["elsewhere"]
    joined.disk.close()


def _once_away(joined: Joined) -> None:
    del joined.calls.before["entries"]
    os.rename(joined.root / "readme", joined.root / "elsewhere")


def _once(joined: Joined, path: str, text: str) -> None:
    del joined.calls.before["rename"]
    (joined.root / path).write_text(text)


@pytest.mark.parametrize("lost", ["the way there", "the way back"])
def test_a_kill_on_the_way_to_another_case_loses_nothing(tmp_path: Path, lost: str) -> None:
    joined = Joined(tmp_path / "root", calls=FoldingCalls(BOTH))
    done(joined.write("docs/readme", "text"))

    def killed(*_: object) -> None:
        raise OSError(errno.EIO, "killed here")

    joined.calls.instead["rename_noreplace"] = killed
    joined.calls.instead["link"] = killed
    outcome = joined.perform(MakeFolder(number(), "Docs/new"))
    assert isinstance(outcome, Failed)
    assert names(joined.root) == []
    joined.calls.instead.clear()
    if lost == "the way back":
        (joined.root / "DOCS").mkdir()
        (joined.root / "DOCS/other").write_text("someone else's")
    assert joined.restart() == []
    if lost == "the way back":
        assert names(joined.root / "DOCS") == ["other"]
        assert [each.path for each in joined.disk.trash.listing()] == ["docs/readme"]
    else:
        assert (joined.root / "docs/readme").read_text() == "text"
    joined.disk.close()


def test_looks_at_many_files_of_a_folder_list_it_once(folding: Joined) -> None:
    paths = [f"docs/{number_}" for number_ in range(20)]
    for path in paths:
        done(folding.write(path, path))
    listed: list[int] = []
    folding.calls.before["entries"] = lambda fd: listed.append(fd)
    seen = folding.disk.look([LookAt(path, True) for path in paths])
    assert all(isinstance(each, Present) for _, each in seen)
    assert len(listed) <= 3
