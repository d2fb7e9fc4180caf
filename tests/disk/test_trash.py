"""The trash: what is listed, what comes back, and what is deleted in the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crdtsync.core.values import limits
from crdtsync.errors import FolderError

from .support import Joined, done


def _throw_away(joined: Joined, path: str, text: str, reason: str = "deleted by others") -> None:
    (joined.root / path).parent.mkdir(parents=True, exist_ok=True)
    (joined.root / path).write_text(text)
    done(joined.remove(path, joined.expected(path), reason))


def test_the_listing_tells_path_time_reason_and_place(joined: Joined) -> None:
    _throw_away(joined, "a/b é", "one")
    joined.utc.now_s += 61
    _throw_away(joined, "c", "two", "replaced by others")
    first, second = joined.disk.trash.listing()
    assert (first.path, first.reason, first.trashed_at) == (
        "a/b é",
        "deleted by others",
        "2027-01-15T08:00:00Z",
    )
    assert first.location == ".crdtsync/trash/2027-01-15T08-00-00Z/a/b é"
    assert (joined.root / first.location).read_text() == "one"
    assert (second.path, second.reason, second.trashed_at) == (
        "c",
        "replaced by others",
        "2027-01-15T08:01:01Z",
    )


def test_files_of_one_name_and_second_are_all_kept(joined: Joined) -> None:
    for turn in range(12):
        _throw_away(joined, "a", f"text {turn}")
    _throw_away(joined, "a/b", "in a folder of that name")
    found = [(joined.root / each.location).read_text() for each in joined.disk.trash.listing()]
    assert found == [*(f"text {turn}" for turn in range(12)), "in a folder of that name"]


def test_the_newest_of_a_name_is_restored_and_never_over_anything(joined: Joined) -> None:
    _throw_away(joined, "d/a", "one")
    joined.utc.now_s += 1
    _throw_away(joined, "d/a", "two")
    (joined.root / "d").rmdir()
    joined.disk.trash.restore("d/a")
    assert (joined.root / "d/a").read_text() == "two"
    with pytest.raises(FolderError, match="something is there now; move it away first"):
        joined.disk.trash.restore("d/a")
    (left,) = joined.disk.trash.listing()
    (joined.root / "d/a").unlink()
    assert joined.disk.trash.restore("d/a", left.location) == left.location
    assert (joined.root / "d/a").read_text() == "one"
    with pytest.raises(FolderError, match="d/a is not in the trash"):
        joined.disk.trash.restore("d/a")


def test_a_restored_file_is_alone(joined: Joined) -> None:
    _throw_away(joined, "a", "one")
    joined.disk.trash.restore("a")
    joined.poll(after_s=10)
    assert (joined.root / "a").stat().st_nlink == 1
    assert joined.staged() == []


def test_old_files_are_deleted_and_their_folders_with_them(joined: Joined) -> None:
    _throw_away(joined, "d/a", "one")
    joined.utc.now_s += limits.TRASH_MAX_AGE_S - 10
    joined.disk.trash.expire()
    assert len(joined.disk.trash.listing()) == 1
    _throw_away(joined, "b", "two")
    joined.utc.now_s += 20
    joined.disk.trash.expire()
    (kept,) = joined.disk.trash.listing()
    assert kept.path == "b"
    trash = joined.root / ".crdtsync/trash"
    assert len(list(trash.iterdir())) == 2, "one time, and its reasons"


def test_above_the_size_limit_the_oldest_go_first(joined: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRASH_MAX_BYTES", 250)
    for name in "abcd":
        _throw_away(joined, name, name * 100)
        joined.utc.now_s += 1
    assert [each.path for each in joined.disk.trash.listing()] == ["c", "d"]


def test_what_a_person_put_into_the_trash_folder_is_left_alone(joined: Joined) -> None:
    trash = joined.root / ".crdtsync/trash"
    (trash / "my notes").write_text("x")
    (trash / "2027-01-01T00-00-00Z").symlink_to("/etc")
    joined.utc.now_s += 10 * limits.TRASH_MAX_AGE_S
    joined.disk.trash.expire()
    assert joined.disk.trash.listing() == []
    assert (trash / "my notes").read_text() == "x"
    assert Path("/etc/passwd").exists()


def test_a_reason_that_was_lost_does_not_lose_the_file(joined: Joined) -> None:
    _throw_away(joined, "a", "one")
    for path in (joined.root / ".crdtsync/trash").glob("*.reasons"):
        path.write_bytes(b'{"path": "a"}\n\xff\nnot json\n')
    (found,) = joined.disk.trash.listing()
    assert (found.path, found.reason) == ("a", "unknown")


def test_a_full_disk_leaves_a_removed_file_in_staging_until_it_can_go_to_the_trash(joined: Joined) -> None:
    (joined.root / "a").write_text("one")
    expected = joined.expected("a")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    joined.calls.instead["mkdir"] = full
    done(joined.remove("a", expected))
    assert joined.disk.trash.listing() == []
    joined.calls.instead.clear()
    assert joined.restart() == []
    (found,) = joined.disk.trash.listing()
    assert (joined.root / found.location).read_text() == "one"
