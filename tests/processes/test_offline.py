"""The hub goes away and comes back: everyone goes on working, and meets again without being asked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from crdtsync.core.values.digests import digest_of
from tests.processes.harness import Hub, Joined, assert_same, settle, texts, tree
from tests.processes.test_merge_table import Pair, lines, share
from tests.waiting import eventually


def wait_until(replica: Joined, key: str, value: object) -> None:
    replica.wait_for("joining")
    eventually(lambda: replica.status()[key] == value, f"{replica.folder.name}'s {key} is {value}")


@contextmanager
def back(hub: Hub, *replicas: Joined) -> Iterator[Hub]:
    """The hub runs again, where it ran before; the replicas find it by themselves."""
    with Hub(hub.data, hub.port) as again:
        for replica in replicas:
            wait_until(replica, "connected", True)
        settle(*replicas)
        yield again


def leave(hub: Hub, *replicas: Joined) -> None:
    """The hub ends; everyone has noticed."""
    assert hub.stop() == 0
    for replica in replicas:
        wait_until(replica, "connected", False)


ROOM: dict[str, str | bytes] = {
    "both edit.txt": lines(),
    "same edit.txt": lines(),
    "ann deletes bob edits.txt": lines(),
    "ann renames bob edits.txt": lines(),
    "ann deletes.txt": lines(),
    "bob deletes.bin": b"\0deleted",
    "ann replaces.bin": b"\0old",
    "both replace.bin": b"\0old",
    "same replace.bin": b"\0old",
    "folder/a.txt": lines(),
    "folder/b.bin": b"\0b",
    "gone/a.txt": "a\n",
    "quiet.txt": "quiet\n",
    "quiet.bin": b"\0quiet",
}


def ann_works(folder: Path) -> None:
    for number in range(5):
        (folder / "both edit.txt").write_text(lines((2, f"Ann {number}\n")))
    (folder / "same edit.txt").write_text(lines((7, "the same\n")))
    (folder / "ann deletes bob edits.txt").unlink()
    (folder / "ann renames bob edits.txt").rename(folder / "renamed.txt")
    (folder / "ann deletes.txt").unlink()
    (folder / "ann replaces.bin").write_bytes(b"\0Ann")
    (folder / "both replace.bin").write_bytes(b"\0Ann")
    (folder / "same replace.bin").write_bytes(b"\0same")
    (folder / "folder").rename(folder / "renamed folder")
    shutil.rmtree(folder / "gone")
    (folder / "ann.txt").write_text("only Ann\n")
    (folder / "same new.txt").write_text("the same\n")
    (folder / "other new.txt").write_text("new from Ann\n")


def bob_works(folder: Path) -> None:
    for number in range(5):
        (folder / "both edit.txt").write_text(lines((15, f"Bob {number}\n")))
    (folder / "same edit.txt").write_text(lines((7, "the same\n")))
    (folder / "ann deletes bob edits.txt").write_text(lines((3, "edited\n")))
    (folder / "ann renames bob edits.txt").write_text(lines((3, "edited\n")))
    (folder / "bob deletes.bin").unlink()
    (folder / "both replace.bin").write_bytes(b"\0Bob")
    (folder / "same replace.bin").write_bytes(b"\0same")
    (folder / "folder/a.txt").write_text(lines((3, "edited\n")))
    (folder / "folder/new.txt").write_text("new in the folder\n")
    (folder / "gone/new.txt").write_text("new in a folder that goes\n")
    (folder / "bob.txt").write_text("only Bob\n")
    (folder / "same new.txt").write_text("the same\n")
    (folder / "other new.txt").write_text("new from Bob\n")


def assert_merged(*folders: Path) -> None:
    """All folders hold what both did, nothing is lost and nothing doubled."""
    assert_same(*folders)
    found = tree(folders[0])
    edited = lines((3, "edited\n")).encode()
    expected: dict[str, bytes | None] = {
        "both edit.txt": lines((2, "Ann 4\n"), (15, "Bob 4\n")).encode(),
        "same edit.txt": lines((7, "the same\n")).encode(),
        "ann deletes bob edits.txt": edited,
        "renamed.txt": edited,
        "ann replaces.bin": b"\0Ann",
        "same replace.bin": b"\0same",
        "renamed folder": None,
        "renamed folder/a.txt": edited,
        "renamed folder/b.bin": b"\0b",
        "folder": None,
        "folder/new.txt": b"new in the folder\n",
        "gone": None,
        "gone/new.txt": b"new in a folder that goes\n",
        "ann.txt": b"only Ann\n",
        "bob.txt": b"only Bob\n",
        "same new.txt": b"the same\n",
        "quiet.txt": b"quiet\n",
        "quiet.bin": b"\0quiet",
    }
    assert {path: found.get(path, "missing") for path in expected} == expected
    rest = {path: content for path, content in found.items() if path not in expected}
    copies = [path for path in rest if " (conflict of " in path]
    assert sorted(set(rest) - set(copies)) == ["both replace.bin", "other new.txt"]
    assert len(copies) == 2, copies
    assert sorted(str(content) for content in rest.values()) == sorted(
        str(content) for content in (b"\0Ann", b"\0Bob", b"new from Ann\n", b"new from Bob\n")
    )


def test_both_work_on_without_the_hub_and_meet_again(hub: Hub, pair: Pair) -> None:
    ann, bob = pair
    share(pair, ROOM)
    leave(hub, ann, bob)
    ann_works(ann.folder)
    bob_works(bob.folder)
    with back(hub, ann, bob):
        assert_merged(ann.folder, bob.folder)


def test_edits_offline_follow_a_folder_that_others_renamed(hub: Hub, pair: Pair) -> None:
    """Each file is moved into a folder that nobody watches yet, before its edit was taken in."""
    ann, bob = pair
    here, there = share(pair, {f"folder/{number}.txt": lines() for number in range(40)})
    leave(hub, ann, bob)
    assert bob.stop() == 0
    (here / "folder").rename(here / "renamed")
    edited = {f"{number}.txt": lines((number % 20, f"Bob {number}\n")) for number in range(40)}
    for name, text in edited.items():
        (there / "folder" / name).write_text(text)
    with back(hub, ann) as running, Joined(running.url, there, name="Bob") as bob_again:
        bob_again.wait_for("state", state="settled")
        settle(bob_again, ann)
        assert_same(here, there)
        assert {path.name: path.read_text() for path in (here / "renamed").iterdir()} == edited
        assert not (there / "folder").exists()


def test_replicas_that_restart_while_the_hub_is_away_lose_nothing(hub: Hub, pair: Pair) -> None:
    """Both are killed and started again amid their work, without a hub to tell."""
    ann, bob = pair
    share(pair, ROOM)
    leave(hub, ann, bob)
    with ExitStack() as stack:
        again: list[Joined] = []
        for replica, work in ((ann, ann_works), (bob, bob_works)):
            replica.kill()
            work(replica.folder)
            name = replica.folder.name
            first = stack.enter_context(Joined(hub.url, replica.folder, name=name))
            first.wait_for("offline")
            assert first.stop() == 0
            again.append(stack.enter_context(Joined(hub.url, replica.folder, name=name)))
            again[-1].wait_for("offline")
        with back(hub, *again):
            assert_merged(ann.folder, bob.folder)


def test_a_first_join_waits_for_the_hub_and_then_works(hub: Hub, tmp_path: Path) -> None:
    assert hub.stop() == 0
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir()
    (mine / "a.txt").write_text("mine\n")
    with Joined(hub.url, mine, name="Ann") as ann, Joined(hub.url, theirs, name="Bob") as bob:
        told = ann.wait_for("offline")
        assert hub.url in told["message"]
        bob.wait_for("offline")
        (mine / "b.txt").write_text("written while waiting\n")
        assert ann.status()["connected"] is False
        with back(hub, ann, bob):
            assert tree(mine) == tree(theirs) == {"a.txt": b"mine\n", "b.txt": b"written while waiting\n"}


def test_a_hub_that_restarts_again_and_again_is_found_each_time(hub: Hub, pair: Pair) -> None:
    ann, bob = pair
    share(pair, {"a.txt": "", "a.bin": b"\0"})
    running = hub
    with ExitStack() as stack:
        for number in range(3):
            os.kill(running.pid, 9)
            running.wait()
            with open(ann.folder / "a.txt", "a") as file:
                file.write(f"Ann, round {number}\n")
            (bob.folder / "a.bin").write_bytes(b"\0" + bytes([number]) * 200_000)
            running = stack.enter_context(Hub(hub.data, hub.port))
        for replica in pair:
            wait_until(replica, "connected", True)
        settle(ann, bob)
        wanted = {
            "a.txt": "".join(f"Ann, round {number}\n" for number in range(3)).encode(),
            "a.bin": b"\0" + b"\2" * 200_000,
        }
        assert tree(ann.folder) == tree(bob.folder) == wanted


@pytest.mark.parametrize("loser", ["ann", "bob"])
def test_others_keep_the_losing_version_of_a_blob_while_its_author_is_away(
    loser: str, hub: Hub, pair: Pair, tmp_path: Path
) -> None:
    """Bob goes as soon as his version is on the hub: everyone else makes the conflict copy without him."""
    ann, bob = pair
    share(pair, {"a.bin": b"\0old", "a.txt": "a\n"})
    leave(hub, ann, bob)
    assert bob.stop() == 0
    large = [b"\0Ann" + bytes(300_000), b"\0Bob" + bytes(300_000)]
    ranked = sorted(large, key=digest_of, reverse=loser == "ann")
    wins = digest_of(large[0]) < digest_of(large[1])
    ann_content, bob_content = large if wins == (loser == "bob") else large[::-1]
    assert (digest_of(ann_content) < digest_of(bob_content)) == (loser == "bob"), ranked
    (ann.folder / "a.bin").write_bytes(ann_content)
    (bob.folder / "a.bin").write_bytes(bob_content)
    with back(hub, ann) as running:
        with Joined(running.url, bob.folder, name="Bob") as bob_again:
            bob_again.wait_for("state", state="settled")
            bob_again.flush()
            bob_again.kill()
        with Joined(running.url, tmp_path / "cid", name="Cid") as cid:
            cid.wait_for("state", state="settled")
            settle(ann, cid)
            assert_same(ann.folder, cid.folder)
            blobs = {path: content for path, content in tree(cid.folder).items() if path.endswith(".bin")}
            assert len(blobs) == 2
            assert blobs["a.bin"] == min(large, key=digest_of)
            assert sorted(map(str, blobs.values())) == sorted(map(str, large))
            (copy,) = cid.command("conflicts")
            assert (copy["copy_of"], copy["by"]) == ("a.bin", "Ann" if loser == "ann" else "Bob")
            with Joined(running.url, bob.folder, name="Bob") as bob_last:
                bob_last.wait_for("state", state="settled")
                settle(bob_last, ann, cid)
                assert_same(ann.folder, cid.folder, bob.folder)
                assert len(tree(bob.folder)) == 3
    assert sorted(texts(ann.folder)).count("a\n") == 1
