"""State that is lost or comes from a backup, on either side: nothing deleted, nothing doubled, all back."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes.harness import Hub, Joined, assert_same, settle, texts, tree
from tests.processes.test_merge_table import Pair, lines, share
from tests.waiting import eventually

LARGE = b"\0" + random.Random(5).randbytes(700_000)
"""Several chunks."""

ROOM: dict[str, str | bytes] = {
    "a.txt": lines(),
    "b.txt": lines(),
    "folder/c.txt": "c\n",
    "goes.txt": "goes\n",
    "moves.txt": lines((5, "moves\n")),
    "small.bin": b"\0small",
    "large.bin": LARGE,
    "changes.bin": b"\0before",
}


@contextmanager
def seen_by_a_newcomer(hub: Hub, tmp_path: Path, *folders: Path) -> Iterator[Joined]:
    """A third person joins with an empty folder and finds what the others have: the hub has all of it."""
    with Joined(hub.url, tmp_path / "newcomer", name="Cid") as cid:
        cid.wait_for("state", state="settled")
        cid.flush()
        assert_same(cid.folder, *folders)
        yield cid


def wait_until_connected(replica: Joined) -> None:
    replica.wait_for("joining")
    eventually(lambda: replica.status()["connected"], "it has found the hub")


def connected(*replicas: Joined) -> None:
    """They have found the hub, and all have the same."""
    for replica in replicas:
        wait_until_connected(replica)
    settle(*replicas)


def assert_clean(*replicas: Joined) -> None:
    for replica in replicas:
        assert replica.command("conflicts") == []
        assert replica.status()["attention"] == []


def work(ann: Path, bob: Path) -> None:
    """What both do after a backup was taken: an edit each, a deletion, a rename, new and changed files."""
    (ann / "a.txt").write_text(lines((2, "Ann\n")))
    (bob / "b.txt").write_text(lines((15, "Bob\n")))
    (ann / "goes.txt").unlink()
    (bob / "moves.txt").rename(bob / "moved.txt")
    (ann / "new.txt").write_text("new\n")
    (bob / "new.bin").write_bytes(b"\0new" + LARGE[:300_000])
    (bob / "changes.bin").write_bytes(b"\0after")


WORKED: dict[str, bytes | None] = {
    "a.txt": lines((2, "Ann\n")).encode(),
    "b.txt": lines((15, "Bob\n")).encode(),
    "folder": None,
    "folder/c.txt": b"c\n",
    "moved.txt": lines((5, "moves\n")).encode(),
    "small.bin": b"\0small",
    "large.bin": LARGE,
    "changes.bin": b"\0after",
    "new.txt": b"new\n",
    "new.bin": b"\0new" + LARGE[:300_000],
}


# -- the hub's ------------------------------------------------------------------------------------------


def test_a_hub_that_lost_everything_is_seeded_again(hub: Hub, pair: Pair, tmp_path: Path) -> None:
    """The data folder is removed while both go on working; all of it comes back from the replicas."""
    ann, bob = pair
    share(pair, ROOM)
    assert hub.stop() == 0
    shutil.rmtree(hub.data)
    work(ann.folder, bob.folder)
    with Hub(hub.data, hub.port) as again:
        connected(ann, bob)
        assert tree(ann.folder) == tree(bob.folder) == WORKED
        assert_clean(ann, bob)
        with seen_by_a_newcomer(again, tmp_path, ann.folder, bob.folder):
            assert_clean(ann, bob)


def test_a_hub_from_a_backup_takes_what_came_since_from_the_replicas(
    hub: Hub, pair: Pair, tmp_path: Path
) -> None:
    ann, bob = pair
    share(pair, ROOM)
    assert hub.stop() == 0
    shutil.copytree(hub.data, tmp_path / "backup")
    with Hub(hub.data, hub.port) as second:
        connected(ann, bob)
        work(ann.folder, bob.folder)
        eventually(lambda: tree(ann.folder) == tree(bob.folder) == WORKED, "the work is shared")
        settle(ann, bob)
        assert second.stop() == 0
    shutil.rmtree(hub.data)
    (tmp_path / "backup").rename(hub.data)
    with open(bob.folder / "a.txt", "a") as file:
        file.write("while the hub was away\n")
    with Hub(hub.data, hub.port) as again:
        connected(ann, bob)
        wanted = {**WORKED, "a.txt": lines((2, "Ann\n")).encode() + b"while the hub was away\n"}
        assert tree(ann.folder) == tree(bob.folder) == wanted
        assert_clean(ann, bob)
        with seen_by_a_newcomer(again, tmp_path, ann.folder, bob.folder):
            assert_clean(ann, bob)


def test_who_was_away_when_the_hub_lost_its_data_still_merges(hub: Hub, pair: Pair, tmp_path: Path) -> None:
    """Bob was stopped, edits, and comes back to a hub that only knows what Ann could tell it."""
    ann, bob = pair
    share(pair, ROOM)
    assert bob.stop() == 0
    assert hub.stop() == 0
    shutil.rmtree(hub.data)
    work(ann.folder, bob.folder)
    with Hub(hub.data, hub.port) as again:
        connected(ann)
        with Joined(again.url, bob.folder, name="Bob") as bob_again:
            connected(bob_again, ann)
            assert tree(ann.folder) == tree(bob.folder) == WORKED
            assert_clean(ann, bob_again)
            with seen_by_a_newcomer(again, tmp_path, ann.folder, bob.folder):
                pass


def test_a_newcomer_who_meets_an_empty_hub_first_deletes_nothing(
    hub: Hub, pair: Pair, tmp_path: Path
) -> None:
    """The hub lost its data, and somebody with other and equal files fills the room before Ann is back."""
    ann, bob = pair
    share(pair, ROOM)
    for replica in pair:
        assert replica.stop() == 0
    assert hub.stop() == 0
    shutil.rmtree(hub.data)
    early = tmp_path / "early"
    early.mkdir()
    for name, content in {"a.txt": lines(), "b.txt": "quite another\n", "cid.txt": "cid\n"}.items():
        (early / name).write_text(content)
    with Hub(hub.data, hub.port) as again, Joined(again.url, early, name="Cid") as cid:
        cid.wait_for("state", state="settled")
        cid.flush()
        with Joined(again.url, ann.folder, name="Ann") as ann_again:
            connected(ann_again, cid)
            with Joined(again.url, bob.folder, name="Bob") as bob_again:
                connected(bob_again, ann_again, cid)
                assert_same(ann.folder, bob.folder, early)
                found = tree(early)
                for name, shared in ROOM.items():
                    data = shared if isinstance(shared, bytes) else shared.encode()
                    assert data in found.values(), name
                assert found["cid.txt"] == b"cid\n"
                assert sorted(texts(early)).count("quite another\n") == 1
                assert sorted(texts(early)).count(lines()) == 2, "a.txt and b.txt, neither doubled"
                assert len([name for name in found if "(conflict of" in name]) == 1


# -- the replica's --------------------------------------------------------------------------------------


def test_a_replica_that_lost_its_state_keeps_both_sides_work(hub: Hub, pair: Pair, tmp_path: Path) -> None:
    """Without a base nobody can tell who edited what: equal files are adopted, the others kept twice."""
    ann, bob = pair
    share(pair, ROOM)
    assert ann.stop() == 0
    shutil.rmtree(ann.folder / ".crdtsync")
    (ann.folder / "a.txt").write_text(lines((2, "Ann\n")))
    (ann.folder / "changes.bin").write_bytes(b"\0Ann's")
    (ann.folder / "ann.txt").write_text("ann\n")
    (bob.folder / "a.txt").write_text(lines((15, "Bob\n")))
    (bob.folder / "changes.bin").write_bytes(b"\0Bob's")
    (bob.folder / "b.txt").write_text(lines((1, "only Bob\n")))
    bob.flush()
    with Joined(hub.url, ann.folder, name="Ann") as again:
        again.wait_for("state", state="settled")
        settle(again, bob)
        assert_same(ann.folder, bob.folder)
        found = tree(ann.folder)
        kept = {
            "a.txt": [lines((15, "Bob\n")), lines((2, "Ann\n"))],
            "changes.bin": ["\0Bob's", "\0Ann's"],
            "b.txt": [lines((1, "only Bob\n")), lines()],
        }
        for name, (there, here) in kept.items():
            assert found.pop(name) == there.encode()
            stem = name.partition(".")[0]
            (copy,) = [path for path in found if path.startswith(f"{stem} (conflict of Ann, ")]
            assert found.pop(copy) == here.encode()
        assert found == {
            "ann.txt": b"ann\n",
            "folder": None,
            "folder/c.txt": b"c\n",
            "goes.txt": b"goes\n",
            "moves.txt": lines((5, "moves\n")).encode(),
            "small.bin": b"\0small",
            "large.bin": LARGE,
        }
        assert {c["copy_of"] for c in again.command("conflicts")} == set(kept)


def test_state_from_a_backup_under_files_that_went_on_changes_nothing(hub: Hub, pair: Pair) -> None:
    """Ann's state is from before the work, her files are from after it, and she has edited since."""
    ann, bob = pair
    share(pair, ROOM)
    assert ann.stop() == 0
    backup = ann.folder.with_name("backup")
    shutil.copytree(ann.folder / ".crdtsync", backup, ignore=shutil.ignore_patterns("*.sock", "control*"))
    with Joined(hub.url, ann.folder, name="Ann") as second:
        second.wait_for("state", state="settled")
        work(ann.folder, bob.folder)
        eventually(lambda: tree(ann.folder) == tree(bob.folder) == WORKED, "the work is shared")
        settle(second, bob)
        assert second.stop() == 0
    shutil.rmtree(ann.folder / ".crdtsync")
    backup.rename(ann.folder / ".crdtsync")
    with open(ann.folder / "a.txt", "a") as file:
        file.write("Ann, without her state\n")
    with open(bob.folder / "b.txt", "a") as file:
        file.write("Bob, meanwhile\n")
    bob.flush()
    wanted = {
        **WORKED,
        "a.txt": lines((2, "Ann\n")).encode() + b"Ann, without her state\n",
        "b.txt": lines((15, "Bob\n")).encode() + b"Bob, meanwhile\n",
    }
    with Joined(hub.url, ann.folder, name="Ann") as third:
        third.wait_for("state", state="settled")
        settle(third, bob)
        assert tree(ann.folder) == tree(bob.folder) == wanted
        assert_clean(third, bob)
        (ann.folder / "a.txt").write_text(lines((9, "and on\n")))
        eventually(lambda: (bob.folder / "a.txt").read_text() == lines((9, "and on\n")), "she goes on")


def test_a_whole_folder_from_a_backup_takes_in_what_came_since(hub: Hub, pair: Pair) -> None:
    """Files and state of the same old day: no revert, no deletion, just the news."""
    ann, bob = pair
    share(pair, ROOM)
    assert ann.stop() == 0
    backup = ann.folder.with_name("backup")
    shutil.copytree(ann.folder, backup, ignore=shutil.ignore_patterns("*.sock", "control*"))
    with Joined(hub.url, ann.folder, name="Ann") as second:
        second.wait_for("state", state="settled")
        work(ann.folder, bob.folder)
        eventually(lambda: tree(ann.folder) == tree(bob.folder) == WORKED, "the work is shared")
        settle(second, bob)
        assert second.stop() == 0
    shutil.rmtree(ann.folder)
    backup.rename(ann.folder)
    with Joined(hub.url, ann.folder, name="Ann") as third:
        third.wait_for("state", state="settled")
        settle(third, bob)
        assert tree(ann.folder) == tree(bob.folder) == WORKED
        assert_clean(third, bob)


@pytest.mark.parametrize("edited", [False, True])
def test_when_everyone_lost_everything_but_the_files_nothing_doubles(
    edited: bool, hub: Hub, pair: Pair
) -> None:
    ann, bob = pair
    share(pair, ROOM)
    for process in (ann, bob, hub):
        assert process.stop() == 0
    shutil.rmtree(hub.data)
    before = tree(ann.folder)
    for replica in pair:
        shutil.rmtree(replica.folder / ".crdtsync")
    if edited:
        (bob.folder / "a.txt").write_text("Bob's\n")
    with (
        Hub(hub.data, hub.port) as again,
        Joined(again.url, ann.folder, name="Ann") as ann_again,
        Joined(again.url, bob.folder, name="Bob") as bob_again,
    ):
        connected(ann_again, bob_again)
        assert_same(ann.folder, bob.folder)
        found = tree(ann.folder)
        if edited:
            assert len(found) == len(before) + 1
            assert sorted(texts(ann.folder)).count("Bob's\n") == 1
        else:
            assert found == before
            assert_clean(ann_again, bob_again)


@pytest.mark.parametrize("name", ["", "lock", "state.db"])
def test_who_loses_what_it_needs_of_its_state_ends_at_once_and_says_so(
    name: str, hub: Hub, pair: Pair
) -> None:
    """Though nobody saves; else a second process could join, or the next start would know nothing."""
    ann, bob = pair
    share(pair, ROOM)
    gone = bob.folder / ".crdtsync" / name
    gone.unlink() if name else shutil.rmtree(gone)
    assert bob.wait() == 3
    assert "Nothing was deleted for others. Join the folder again" in bob.errors()
    (ann.folder / "a.txt").write_text(lines((2, "Ann\n")))
    with Joined(hub.url, bob.folder, name="Bob") as again:
        again.wait_for("state", state="settled")
        settle(ann, again)
        assert_same(ann.folder, bob.folder)
        assert (bob.folder / "a.txt").read_text() == lines((2, "Ann\n"))


def test_who_tidies_up_in_the_state_folder_stops_nothing(pair: Pair) -> None:
    """As ``find -type d -empty -delete`` does."""
    ann, bob = pair
    share(pair, ROOM)
    for name in ("staging", "trash", "chunks"):
        shutil.rmtree(bob.folder / ".crdtsync" / name)
    work(ann.folder, bob.folder)
    settle(ann, bob)
    assert tree(ann.folder) == tree(bob.folder) == WORKED
    assert_clean(ann, bob)
