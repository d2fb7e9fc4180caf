"""The choices of a first join of a folder whose files differ from the room's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.processes.harness import Hub, Joined, assert_same, run, settle, texts, tree

ROOM = {"text.txt": b"room\n", "blob.bin": b"\0room"}
MINE = {"text.txt": b"mine\n", "blob.bin": b"\0mine"}
WANTED = {
    "hub": ROOM,
    "mine": MINE,
    "newest": MINE,
    "both": ROOM,
}


def fill(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("choice", WANTED)
def test_a_first_join_does_with_differing_files_what_was_chosen(
    choice: str, hub: Hub, tmp_path: Path
) -> None:
    fill(tmp_path / "ann", ROOM)
    fill(tmp_path / "bob", MINE)
    for name in MINE:
        os.utime(tmp_path / "bob" / name, (4e9, 4e9))
    with Joined(hub.url, tmp_path / "ann", name="Ann") as ann:
        ann.wait_for("state", state="settled")
        with Joined(hub.url, tmp_path / "bob", name="Bob", differing=choice) as bob:
            assert bob.wait_for("comparison")["differing"] == sorted(ROOM)
            bob.wait_for("state", state="settled")
            settle(bob, ann)
            assert_same(ann.folder, bob.folder)
            found = tree(bob.folder)
            assert {name: found[name] for name in ROOM} == WANTED[choice]
            if choice == "both":
                assert len(found) == 4
                assert {"room\n", "mine\n"} <= set(texts(bob.folder))
            else:
                assert len(found) == 2
            if choice == "hub":
                assert sorted(item["path"] for item in bob.command("trash")) == sorted(MINE)


def test_files_that_are_created_alike_later_follow_no_choice_of_the_first_join(
    hub: Hub, tmp_path: Path
) -> None:
    fill(tmp_path / "ann", ROOM)
    fill(tmp_path / "bob", MINE)
    with (
        Joined(hub.url, tmp_path / "ann", name="Ann") as ann,
        Joined(hub.url, tmp_path / "bob", name="Bob", differing="hub") as bob,
    ):
        for replica in (ann, bob):
            replica.wait_for("state", state="settled")
        settle(ann, bob)
        assert bob.stop() == 0
        (tmp_path / "bob" / "later.txt").write_text("later, Bob\n")
        (tmp_path / "ann" / "later.txt").write_text("later, Ann\n")
        settle(ann)
        with Joined(hub.url, tmp_path / "bob", name="Bob") as again:
            again.wait_for("state", state="settled")
            settle(again, ann)
            assert_same(tmp_path / "ann", tmp_path / "bob")
            assert {"later, Ann\n", "later, Bob\n"} <= set(texts(tmp_path / "bob"))


def test_a_first_join_that_never_reached_its_room_binds_nobody(hub: Hub, tmp_path: Path) -> None:
    fill(tmp_path / "ann", MINE)
    away = run("join", "wrong", str(tmp_path / "ann"), "--hub", "ws://127.0.0.1:9", "--once")
    assert away.returncode == 5
    with Joined(hub.url, tmp_path / "ann", name="Ann") as ann:
        ann.wait_for("told", message="Nothing was shared with room wrong yet: it is left")
        ann.wait_for("state", state="settled")
        ann.flush()
    other = run("join", "wrong", str(tmp_path / "ann"), "--hub", hub.url, "--once")
    assert (other.returncode, "is joined to room notes" in other.stderr) == (1, True)
