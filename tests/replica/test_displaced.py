"""Writers that still hold a file open which was replaced: what they write is an edit of what it held."""

from __future__ import annotations

import pytest

from crdtsync.core.replica import transfers
from crdtsync.core.values import limits
from crdtsync.testing.virtual_inodes import Inode
from tests.simulation.scene import Scene

TEXT = "one\ntwo\nthree\n"


def replaced(text: str = TEXT) -> tuple[Scene, Inode]:
    """``b``'s file was just replaced by what ``a`` saved; the one that it had is still open there."""
    scene = Scene()
    scene.save(scene.a, "note.md", text)
    scene.rest()
    old = scene.b.disk.get("note.md")
    assert old is not None
    scene.save(scene.a, "note.md", "zero\n" + text)
    assert scene.within(5.0, lambda: scene.read(scene.b, "note.md") == "zero\n" + text)
    return scene, old


def test_what_is_written_late_and_again_is_merged_each_time_once() -> None:
    scene, old = replaced()
    scene.b.disk.write_into(old, (TEXT + "four\n").encode())
    scene.wait(1.0)
    scene.b.disk.write_into(old, (TEXT + "four\nfive\n").encode())
    scene.wait(1.0)
    scene.rest()
    assert scene.read(scene.a, "note.md") == "zero\n" + TEXT + "four\nfive\n"


def test_a_late_write_that_says_what_the_room_says_changes_nothing() -> None:
    scene, old = replaced()
    scene.b.disk.write_into(old, ("zero\n" + TEXT).encode())
    scene.wait(1.0)
    scene.rest()
    assert scene.read(scene.a, "note.md") == "zero\n" + TEXT
    assert scene.paths(scene.b) == ["note.md"]


def test_what_was_taken_in_before_a_kill_is_not_taken_in_again() -> None:
    scene, old = replaced()
    scene.b.disk.write_into(old, (TEXT + "four\n").encode())
    scene.wait(1.0)
    scene.b.kill()
    scene.b.start()
    scene.rest()
    scene.b.disk.write_into(old, (TEXT + "four\nfive\n").encode())
    scene.wait(2.0)
    scene.rest()
    assert scene.read(scene.a, "note.md") == "zero\n" + TEXT + "four\nfive\n"


def test_a_late_write_of_a_blob_is_kept_as_a_copy() -> None:
    scene = Scene()
    scene.save(scene.a, "a.bin", b"\0one")
    scene.rest()
    old = scene.b.disk.get("a.bin")
    assert old is not None
    scene.save(scene.a, "a.bin", b"\0two")
    assert scene.within(9.0, lambda: scene.b.disk.get("a.bin") is not old)
    scene.b.disk.write_into(old, b"\0late")
    scene.wait(1.0)
    scene.rest()
    contents = scene.files(scene.a)
    assert contents.pop("a.bin") == b"\0two"
    assert list(contents.values()) == [b"\0late"]


def test_of_files_that_were_displaced_long_ago_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "DISPLACED_REMEMBERED_S", 5.0)
    scene, old = replaced()
    scene.b.disk.write_into(old, (TEXT + "four\n").encode())
    scene.wait(limits.DISPLACED_MIN_S + 3.0)
    scene.rest()
    second = scene.b.disk.get("note.md")
    assert second is not None
    before = scene.read(scene.b, "note.md")
    assert before is not None
    scene.save(scene.a, "note.md", "first\n" + before)
    scene.wait(1.0)
    scene.b.disk.write_into(second, (before + "last\n").encode())
    scene.wait(1.0)
    scene.rest()
    assert scene.read(scene.a, "note.md") == "first\n" + before + "last\n"
    kept = [key for key in scene.b.store.remembered().meta if key.startswith(transfers.DISPLACED_KEY)]
    assert len(kept) == 1
