"""Every row of the merge table, with a real hub and real replicas on real folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tests.processes.harness import Hub, Joined, assert_same, settle, texts, tree
from tests.waiting import eventually

Pair = tuple[Joined, Joined]
Work = Callable[[Path], object]


def share(pair: Pair, files: dict[str, str | bytes]) -> tuple[Path, Path]:
    """Put files into Ann's folder, and wait until Bob has them."""
    ann, bob = pair
    for name, content in files.items():
        path = ann.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    settle(ann, bob)
    assert_same(ann.folder, bob.folder)
    return ann.folder, bob.folder


def apart(hub: Hub, pair: Pair, ann_does: Work, bob_does: Work) -> None:
    """Both do something while neither can see the other; then they meet, Ann first."""
    ann, bob = pair
    os.kill(hub.pid, 19)  # SIGSTOP: the hub hears nobody
    try:
        os.kill(ann.pid, 19)
        os.kill(bob.pid, 19)
        ann_does(ann.folder)
        bob_does(bob.folder)
    finally:
        for pid in (hub.pid, ann.pid, bob.pid):
            os.kill(pid, 18)
    settle(ann, bob)


def offline(hub: Hub, pair: Pair, ann_does: Work, bob_does: Work) -> None:
    """Both replicas are stopped while their people work; then they join again, Ann first."""
    ann, bob = pair
    for replica in pair:
        assert replica.stop() == 0
    ann_does(ann.folder)
    bob_does(bob.folder)
    with (
        Joined(hub.url, ann.folder, name="Ann") as ann_again,
        Joined(hub.url, bob.folder, name="Bob") as bob_again,
    ):
        ann_again.wait_for("state", state="settled")
        bob_again.wait_for("joining")  # Ann may be done before Bob can be asked for anything
        settle(ann_again, bob_again)


def lines(*changed: tuple[int, str]) -> str:
    """Twenty lines, some of them changed."""
    text = [f"line {number}\n" for number in range(20)]
    for number, line in changed:
        text[number] = line
    return "".join(text)


def test_a_save_arrives(pair: Pair) -> None:
    here, there = share(pair, {"a.txt": "hello\n"})
    (here / "a.txt").write_text("hello, world\n")
    eventually(lambda: (there / "a.txt").read_text() == "hello, world\n", "the save is there")


def test_edits_of_two_places_both_stay(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"a.txt": lines()})
    offline(
        hub,
        pair,
        lambda f: (f / "a.txt").write_text(lines((2, "Ann was here\n"))),
        lambda f: (f / "a.txt").write_text(lines((15, "Bob was here\n"))),
    )
    assert_same(here, there)
    assert (here / "a.txt").read_text() == lines((2, "Ann was here\n"), (15, "Bob was here\n"))


def test_edits_of_two_places_at_the_same_time_both_stay(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"a.txt": lines()})
    apart(
        hub,
        pair,
        lambda f: (f / "a.txt").write_text(lines((2, "Ann was here\n"))),
        lambda f: (f / "a.txt").write_text(lines((15, "Bob was here\n"))),
    )
    assert_same(here, there)
    assert (here / "a.txt").read_text() == lines((2, "Ann was here\n"), (15, "Bob was here\n"))


def formatted(folder: Path) -> None:
    text = (folder / "a.txt").read_text()
    (folder / "a.txt").write_text("".join(f"    {line}\n" for line in text.splitlines()) + "# formatted\n")


def test_the_same_edit_offline_is_kept_once(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"a.txt": lines()})
    offline(hub, pair, formatted, formatted)
    assert_same(here, there)
    assert (here / "a.txt").read_text() == "".join(f"    line {n}\n" for n in range(20)) + "# formatted\n"


def test_the_same_edit_at_the_same_time_is_kept_once(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"a.txt": lines()})
    apart(hub, pair, formatted, formatted)
    assert_same(here, there)
    assert (here / "a.txt").read_text() == "".join(f"    line {n}\n" for n in range(20)) + "# formatted\n"


def test_an_edit_survives_a_deletion(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"a.txt": lines(), "b.txt": lines(), "other.txt": "x\n", "more.txt": "y\n"})

    def delete_and_edit(deleted: str, edited: str) -> Work:
        def work(folder: Path) -> None:
            (folder / deleted).unlink()
            (folder / edited).write_text(lines((3, "edited\n")))

        return work

    offline(hub, pair, delete_and_edit("a.txt", "b.txt"), delete_and_edit("b.txt", "a.txt"))
    assert_same(here, there)
    for name in ("a.txt", "b.txt"):
        assert (here / name).read_text() == lines((3, "edited\n"))


def test_an_edit_follows_a_rename_of_its_file(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"a.txt": lines()})
    offline(
        hub,
        pair,
        lambda f: (f / "a.txt").rename(f / "b.txt"),
        lambda f: (f / "a.txt").write_text(lines((3, "edited\n"))),
    )
    assert tree(here) == tree(there) == {"b.txt": lines((3, "edited\n")).encode()}


def test_an_edit_follows_a_rename_of_its_folder(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"old/deep/a.txt": lines(), "old/b.txt": "b\n"})
    offline(
        hub,
        pair,
        lambda f: (f / "old").rename(f / "new"),
        lambda f: (f / "old/deep/a.txt").write_text(lines((3, "edited\n"))),
    )
    assert_same(here, there)
    assert (here / "new/deep/a.txt").read_text() == lines((3, "edited\n"))
    assert not (here / "old").exists()
    assert not (there / "old").exists()


def test_a_live_rename_of_a_folder_is_a_rename_there(pair: Pair) -> None:
    here, there = share(pair, {"old/a.txt": "a\n", "old/b.bin": b"\0b", "keep.txt": "k\n"})
    (here / "old").rename(here / "new")
    eventually(lambda: tree(there) == tree(here), "the folder is renamed there")
    settle(*pair)
    assert_same(here, there)
    assert not pair[1].command("trash"), "a rename is no deletion"


def write_same(folder: Path, name: str) -> None:
    (folder / name).write_text("same\n")


def test_equal_files_created_on_both_sides_are_one_file(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"x.txt": "x\n"})
    for meet in (apart, offline):
        create = partial(write_same, name=f"{meet.__name__}.txt")
        meet(hub, pair, create, create)
    assert tree(here) == tree(there) == {"x.txt": b"x\n", "apart.txt": b"same\n", "offline.txt": b"same\n"}


def test_other_files_created_at_one_path_are_both_kept(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"x.txt": "x\n"})
    apart(
        hub,
        pair,
        lambda f: (f / "new.txt").write_text("from Ann\n"),
        lambda f: (f / "new.txt").write_text("from Bob\n"),
    )
    assert_same(here, there)
    names = sorted(tree(here))
    assert len(names) == 3
    assert "new.txt" in names
    assert any(name.startswith("new (conflict of ") for name in names)
    assert sorted(texts(here)) == ["from Ann\n", "from Bob\n", "x\n"]


def test_of_two_replacements_of_a_blob_one_wins_and_one_is_kept(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"a.bin": b"\0old"})
    offline(
        hub,
        pair,
        lambda f: (f / "a.bin").write_bytes(b"\0from Ann"),
        lambda f: (f / "a.bin").write_bytes(b"\0from Bob"),
    )
    assert_same(here, there)
    assert sorted(tree(here).values(), key=repr) == [b"\0from Ann", b"\0from Bob"]
    assert len(tree(here)) == 2


def test_a_file_created_in_a_deleted_folder_survives(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"d/a.txt": "a\n", "keep.txt": "k\n", "keep2.txt": "k\n"})
    offline(
        hub,
        pair,
        lambda f: shutil.rmtree(f / "d"),
        lambda f: (f / "d/new.txt").write_text("new\n"),
    )
    assert (
        tree(here)
        == tree(there)
        == {
            "d": None,
            "d/new.txt": b"new\n",
            "keep.txt": b"k\n",
            "keep2.txt": b"k\n",
        }
    )


def test_an_edited_file_that_became_a_folder_is_kept_aside(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"thing": lines(), "keep.txt": "k\n"})

    def becomes_folder(folder: Path) -> None:
        (folder / "thing").unlink()
        (folder / "thing").mkdir()
        (folder / "thing/inside.txt").write_text("inside\n")

    offline(hub, pair, becomes_folder, lambda f: (f / "thing").write_text(lines((1, "edited\n"))))
    assert_same(here, there)
    assert (here / "thing/inside.txt").read_text() == "inside\n"
    assert lines((1, "edited\n")) in list(texts(here))


def test_an_edited_file_that_became_a_link_is_kept_aside(hub: Hub, pair: Pair) -> None:
    here, there = share(pair, {"thing": lines(), "target.txt": "t\n"})

    def becomes_link(folder: Path) -> None:
        (folder / "thing").unlink()
        (folder / "thing").symlink_to("target.txt")

    offline(hub, pair, becomes_link, lambda f: (f / "thing").write_text(lines((1, "edited\n"))))
    assert_same(here, there)
    assert tree(here)["thing"] == "-> target.txt"
    assert lines((1, "edited\n")) in list(texts(here))


def test_a_join_adopts_what_is_equal_and_keeps_both_of_what_differs(
    hub: Hub, pair: Pair, tmp_path: Path
) -> None:
    here, _ = share(pair, {"same.txt": "same\n", "differs.txt": "room\n", "there.txt": "there\n"})
    mine = tmp_path / "cid"
    mine.mkdir()
    for name, text in {"same.txt": "same\n", "differs.txt": "mine\n", "only.txt": "only\n"}.items():
        (mine / name).write_text(text)
    with Joined(hub.url, mine, name="Cid") as cid:
        comparison = cid.wait_for("comparison")
        assert comparison["identical"] == 1
        assert comparison["only_here"] == ["only.txt"]
        assert comparison["only_there"] == ["there.txt"]
        assert comparison["differing"] == ["differs.txt"]
        cid.wait_for("state", state="settled")
        settle(cid, *pair)
        assert_same(here, mine)
        found = tree(mine)
        assert found["same.txt"] == b"same\n"
        assert found["differs.txt"] == b"room\n"
        assert sorted(texts(mine)) == ["mine\n", "only\n", "room\n", "same\n", "there\n"]
        conflicts = cid.command("conflicts")
        assert [(c["copy_of"], c["by"]) for c in conflicts] == [("differs.txt", "Cid")]


def test_a_stale_buffer_does_not_revert_the_others_change(pair: Pair) -> None:
    here, there = share(pair, {"a.txt": lines()})
    (there / "a.txt").write_text(lines((15, "Bob was here\n")))
    eventually(lambda: (here / "a.txt").read_text() == lines((15, "Bob was here\n")), "Bob's save is here")
    settle(*pair)
    (here / "a.txt").write_text(lines((2, "Ann was here\n")))  # from a buffer loaded before
    wanted = lines((2, "Ann was here\n"), (15, "Bob was here\n"))
    eventually(lambda: (there / "a.txt").read_text() == wanted, "both edits are there")
    eventually(lambda: (here / "a.txt").read_text() == wanted, "both edits are here")


def test_a_save_of_an_older_version_is_a_deliberate_revert(pair: Pair) -> None:
    here, there = share(pair, {"a.txt": lines()})
    (there / "a.txt").write_text(lines((15, "Bob was here\n")))
    eventually(lambda: (here / "a.txt").read_text() == lines((15, "Bob was here\n")), "Bob's save is here")
    settle(*pair)
    (here / "a.txt").write_text(lines())
    eventually(lambda: (there / "a.txt").read_text() == lines(), "the revert is there")


def test_a_removed_folder_halts_and_deletes_nothing(pair: Pair) -> None:
    ann, bob = pair
    share(pair, {f"{n}.txt": f"{n}\n" for n in range(12)})
    before = tree(bob.folder)
    shutil.rmtree(ann.folder)
    assert ann.wait() == 3
    bob.flush()
    assert tree(bob.folder) == before


def empty(replica: Joined, names: Iterable[str]) -> None:
    """Delete them all before the replica looks: a busy machine may show it some of them long before."""
    os.kill(replica.pid, 19)  # SIGSTOP
    try:
        for name in names:
            (replica.folder / name).unlink()
    finally:
        os.kill(replica.pid, 18)


def test_an_emptied_folder_waits_for_confirmation(pair: Pair) -> None:
    ann, bob = pair
    share(pair, {f"{n}.txt": f"{n}\n" for n in range(12)})
    before = tree(bob.folder)
    empty(ann, before)
    eventually(lambda: any(a["kind"] == "held" for a in ann.status()["attention"]), "the deletions are held")
    bob.flush()
    assert tree(bob.folder) == before
    ann.command("restore")
    eventually(lambda: tree(ann.folder) == before, "the files are back")
    empty(ann, before)
    eventually(lambda: any(a["kind"] == "held" for a in ann.status()["attention"]), "held again")
    ann.command("confirm")
    eventually(lambda: tree(bob.folder) == {}, "the deletions are sent")
