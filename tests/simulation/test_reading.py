"""A replica that may only read: it follows, keeps what changes on its disk, tells, and sends nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crdtsync.core.wire.codec import decode_from_replica
from crdtsync.core.wire.messages import Push
from tests.simulation.scene import Scene


class Follower(Scene):
    """``a`` writes, ``b`` reads; both hold ``a.txt`` (three lines), ``b.bin`` and ``c/d.txt``."""

    def __init__(self, disk: str = "plain") -> None:
        super().__init__(disk_of_b=disk)
        self.save(self.a, "a.txt", "one\ntwo\nthree\n")
        self.save(self.a, "b.bin", b"\0 blob")
        self.save(self.a, "c/d.txt", "deep\n")
        self.rest()
        self.restart(read_only=True)

    def restart(self, *, read_only: bool) -> None:
        """Start ``b`` again, as one that may only read, or may write."""
        self.b.kill()
        self.b.read_only = read_only
        self.b.start()
        self.rest_apart()

    @property
    def held(self) -> dict[str, str]:
        assert self.b.engine is not None
        status = self.b.engine.status
        assert status.settled, status
        assert all(each.kind == "held" for each in status.attention), status.attention
        return {each.path: each.message for each in status.attention}

    def others_see(self) -> dict[str, bytes]:
        return self.files(self.a)


BEFORE = {"a.txt": b"one\ntwo\nthree\n", "b.bin": b"\0 blob", "c/d.txt": b"deep\n"}


def edit_text(scene: Follower) -> None:
    scene.save(scene.b, "a.txt", "one\ntwo\nthree\nmine\n")


def edit_blob(scene: Follower) -> None:
    scene.save(scene.b, "b.bin", b"\0 mine")


def create(scene: Follower) -> None:
    scene.save(scene.b, "new/mine.txt", "mine\n")


def create_blob(scene: Follower) -> None:
    scene.save(scene.b, "mine.bin", b"\0 mine too")


def delete(scene: Follower) -> None:
    scene.b.disk.take("a.txt")


def rename(scene: Follower) -> None:
    scene.b.disk.rename("a.txt", "renamed.txt")


def rename_folder(scene: Follower) -> None:
    scene.b.disk.make_folder("e")
    scene.b.disk.rename("c/d.txt", "e/d.txt")


def become_blob(scene: Follower) -> None:
    scene.save(scene.b, "a.txt", b"\0 no text any more")


def make_executable(scene: Follower) -> None:
    scene.b.disk.set_executable("a.txt", True)


EVERY_CHANGE = [
    edit_text,
    edit_blob,
    create,
    create_blob,
    delete,
    rename,
    rename_folder,
    become_blob,
    make_executable,
]


@pytest.mark.parametrize("change", EVERY_CHANGE)
def test_what_is_changed_here_stays_here_is_told_and_never_sent(change: Callable[[Follower], None]) -> None:
    scene = Follower()
    change(scene)
    scene.rest_apart()
    mine = {path: (node.data, node.executable) for path, node in scene.b.disk.files()}
    assert scene.held
    assert scene.others_see() == BEFORE
    scene.save(scene.a, "other.txt", "still following\n")
    scene.rest_apart()
    assert scene.read(scene.b, "other.txt") == "still following\n"
    scene.restart(read_only=True)
    after = {path: (node.data, node.executable) for path, node in scene.b.disk.files() if path != "other.txt"}
    assert after == mine and scene.held
    assert scene.others_see().keys() == BEFORE.keys() | {"other.txt"}


@pytest.mark.parametrize("change", EVERY_CHANGE)
def test_what_was_held_is_sent_once_it_may_be(change: Callable[[Follower], None]) -> None:
    scene = Follower()
    change(scene)
    scene.rest_apart()
    mine = {path: (node.data, node.executable) for path, node in scene.b.disk.files()}
    scene.restart(read_only=False)
    scene.rest()
    assert {path: (node.data, node.executable) for path, node in scene.a.disk.files()} == mine


def test_an_edit_of_others_goes_under_what_is_held_in_the_same_text() -> None:
    scene = Follower()
    edit_text(scene)
    scene.rest_apart()
    for line in ("first", "second"):
        scene.save(scene.a, "a.txt", f"{line}\none\ntwo\nthree\n")
        scene.rest_apart()
        assert scene.read(scene.b, "a.txt") == f"{line}\none\ntwo\nthree\nmine\n"
        assert scene.paths(scene.b) == sorted(BEFORE) and list(scene.held) == ["a.txt"]
    scene.restart(read_only=True)
    scene.save(scene.a, "a.txt", "third\none\ntwo\nthree\n")
    scene.rest_apart()
    assert scene.read(scene.b, "a.txt") == "third\none\ntwo\nthree\nmine\n"
    assert scene.others_see()["a.txt"] == b"third\none\ntwo\nthree\n"
    scene.save(scene.b, "a.txt", "third\none\ntwo\nthree\n")
    scene.rest()
    assert not scene.held


def test_what_is_held_stays_held_after_a_kill_right_after_an_edit_of_others_came() -> None:
    scene = Follower()
    edit_text(scene)
    scene.rest_apart()
    scene.save(scene.a, "a.txt", "first\none\ntwo\nthree\n")
    both = "first\none\ntwo\nthree\nmine\n"
    assert scene.within(5.0, lambda: scene.read(scene.b, "a.txt") == both)
    scene.restart(read_only=True)
    assert scene.read(scene.b, "a.txt") == both and list(scene.held) == ["a.txt"]


def test_what_others_then_do_the_same_is_held_no_more() -> None:
    scene = Follower()
    edit_text(scene)
    create(scene)
    scene.rest_apart()
    scene.save(scene.a, "a.txt", "one\ntwo\nthree\nmine\n")
    scene.save(scene.a, "new/mine.txt", "mine\n")
    scene.rest()
    assert not scene.held


@pytest.mark.parametrize(
    ("change", "path", "theirs"),
    [
        (edit_blob, "b.bin", b"\0 theirs"),
        (create_blob, "mine.bin", b"\0 theirs"),
        (create, "new/mine.txt", b"theirs\n"),
        (become_blob, "a.txt", b"theirs\n"),
    ],
)
def test_what_cannot_be_merged_steps_aside_on_this_disk_only(
    change: Callable[[Follower], None], path: str, theirs: bytes
) -> None:
    scene = Follower()
    change(scene)
    scene.rest_apart()
    node = scene.b.disk.get(path)
    assert node is not None
    mine = node.data
    scene.save(scene.a, path, theirs)
    scene.rest_apart()
    there = scene.files(scene.b)
    assert there[path] == theirs
    (aside,) = [name for name in there if name not in scene.others_see()]
    assert there[aside] == mine and "conflict of b" in aside
    assert list(scene.held) == [aside]
    assert scene.others_see() == BEFORE | {path: theirs}


def test_a_file_that_was_deleted_here_comes_back_when_others_edit_it() -> None:
    scene = Follower()
    delete(scene)
    scene.rest_apart()
    assert list(scene.held) == ["a.txt"]
    scene.save(scene.a, "a.txt", "one\ntwo\nthree\nfour\n")
    scene.rest()
    assert not scene.held


def test_a_file_that_was_edited_here_stays_when_others_delete_it() -> None:
    scene = Follower()
    edit_text(scene)
    scene.rest_apart()
    scene.a.disk.take("a.txt")
    scene.rest_apart()
    assert scene.read(scene.b, "a.txt") == "one\ntwo\nthree\nmine\n"
    assert list(scene.held) == ["a.txt"]
    assert "a.txt" not in scene.others_see()


def test_what_is_held_goes_along_when_others_rename_the_file() -> None:
    scene = Follower()
    edit_text(scene)
    scene.rest_apart()
    scene.a.disk.rename("a.txt", "moved.txt")
    scene.rest_apart()
    assert scene.read(scene.b, "moved.txt") == "one\ntwo\nthree\nmine\n"
    assert list(scene.held) == ["moved.txt"]


@pytest.mark.parametrize("more", ["", "mine\n"])
def test_a_file_that_is_renamed_here_as_others_rename_it_goes_where_they_have_it(more: str) -> None:
    """Nothing of that need be told: the room's name holds."""
    scene = Follower()
    scene.b.work_s = 0.5
    scene.a.disk.rename("a.txt", "moved.txt")
    assert scene.within(5.0, lambda: scene.writing(scene.b))
    scene.b.disk.rename("a.txt", "mine.txt")
    if more:
        scene.b.disk.write_into(scene.b.disk.nodes["mine.txt"], BEFORE["a.txt"] + more.encode())
    scene.rest_apart()
    assert scene.others_see() == {"moved.txt": BEFORE["a.txt"], "b.bin": b"\0 blob", "c/d.txt": b"deep\n"}
    here = scene.others_see() | {"moved.txt": BEFORE["a.txt"] + more.encode()}
    assert scene.files(scene.b) == here


def test_deleting_everything_here_asks_nobody_and_is_judged_once_it_might_be_sent() -> None:
    scene = Follower()
    for number in range(20):
        scene.save(scene.a, f"many/{number}.txt", f"{number}\n")
    scene.rest()
    for number in range(20):
        scene.b.disk.take(f"many/{number}.txt")
    scene.rest_apart()
    assert len(scene.held) == 20
    scene.restart(read_only=False)
    assert scene.b.engine is not None
    assert [each.path for each in scene.b.engine.status.attention] == [""]
    assert len(scene.others_see()) == 23


def test_a_first_join_that_may_only_read_keeps_both_and_sends_nothing() -> None:
    scene = Follower()
    scene.b.kill()
    scene.b.lose_state()
    scene.save(scene.b, "a.txt", "something else\n")
    scene.save(scene.b, "mine.txt", "only here\n")
    scene.b.start()
    scene.rest_apart()
    there = scene.files(scene.b)
    assert {path: there[path] for path in BEFORE} == BEFORE
    assert there["mine.txt"] == b"only here\n"
    (aside,) = there.keys() - BEFORE.keys() - {"mine.txt"}
    assert there[aside] == b"something else\n"
    assert sorted(scene.held) == sorted([aside, "mine.txt"])
    assert scene.others_see() == BEFORE


def test_edits_that_were_on_their_way_when_it_lost_the_right_are_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Follower()
    scene.restart(read_only=False)
    scene.hub.kill()
    scene.wait(1.0)
    edit_text(scene)
    scene.hub.start()
    monkeypatch.setattr(scene.b, "read_only", True)
    scene.restart(read_only=True)
    assert list(scene.held) == ["a.txt"]
    assert scene.others_see() == BEFORE


def test_a_save_that_races_the_rooms_edit_is_kept_on_this_disk() -> None:
    scene = Follower()
    raced: list[str] = []

    def race(path: str) -> None:
        if path == "a.txt" and not raced:
            raced.append(path)
            scene.save(scene.b, "a.txt", "one\ntwo\nthree\nraced\n")

    scene.b.race = race
    scene.save(scene.a, "a.txt", "zero\none\ntwo\nthree\n")
    scene.rest_apart()
    assert raced
    there = scene.files(scene.b)
    assert any(b"raced" in data for data in there.values())
    assert b"zero" in there["a.txt"]
    assert scene.held and scene.others_see()["a.txt"] == b"zero\none\ntwo\nthree\n"


def test_it_never_sends_a_push() -> None:
    scene = Follower()
    pushed: list[object] = []
    take = scene.hub.take

    def watched(member: int, frame: bytes | str) -> None:
        if isinstance(frame, bytes):
            message = decode_from_replica(frame)
            if isinstance(message, Push):
                pushed.append(message)
        take(member, frame)

    scene.hub.take = watched  # type: ignore[method-assign]
    for change in EVERY_CHANGE:
        if change not in (rename, delete, make_executable):
            change(scene)
    scene.rest_apart()
    scene.restart(read_only=True)
    assert pushed == []


def test_files_that_changed_names_here_are_renamed_for_nobody() -> None:
    scene = Follower()
    scene.b.disk.exchange("a.txt", "b.bin")
    scene.rest_apart()
    assert sorted(scene.held) == ["a.txt", "b.bin"]
    scene.save(scene.a, "a.txt", "one\ntwo\nthree\nfour\n")
    scene.save(scene.a, "b.bin", b"\0 theirs")
    scene.rest_apart()
    there = scene.files(scene.b)
    assert (there.pop("a.txt"), there.pop("b.bin")) == (b"one\ntwo\nthree\nfour\n", b"\0 theirs")
    assert sorted(there.values()) == [b"\0 blob", b"deep\n", b"one\ntwo\nthree\n"]
    assert scene.others_see() == BEFORE | {"a.txt": b"one\ntwo\nthree\nfour\n", "b.bin": b"\0 theirs"}


def test_a_folder_of_ones_own_where_the_room_has_a_file_goes_aside_with_what_is_in_it() -> None:
    scene = Follower()
    scene.b.disk.take("a.txt")
    for path in ("a.txt/one.md", "a.txt/deep/two.md"):
        scene.save(scene.b, path, f"mine {path}\n")
    scene.b.disk.make_folder("a.txt/empty")
    scene.rest_apart()
    scene.save(scene.a, "a.txt", "one\ntwo\nthree\nfour\n")
    scene.rest_apart()
    there = scene.files(scene.b)
    assert there["a.txt"] == b"one\ntwo\nthree\nfour\n"
    aside = {path.partition("/")[0] for path in there.keys() - BEFORE.keys()}
    assert len(aside) == 1 and "conflict of b" in aside.pop()
    assert sorted(scene.held) == sorted(there.keys() - BEFORE.keys())
    assert {path.partition("/")[2] for path in scene.held} == {"one.md", "deep/two.md"}


def test_a_folder_of_ones_own_goes_aside_as_often_as_the_room_has_a_file_there() -> None:
    scene = Follower()
    for time in ("first", "second"):
        scene.b.disk.take("a.txt")
        scene.save(scene.b, "a.txt/one.md", f"mine, {time}\n")
        scene.rest_apart()
        scene.save(scene.a, "a.txt", f"{time}\n")
        scene.rest_apart()
        assert scene.read(scene.b, "a.txt") == f"{time}\n"
    there = scene.files(scene.b)
    assert sorted(there[path] for path in there.keys() - BEFORE.keys()) == [
        b"mine, first\n",
        b"mine, second\n",
    ]


def test_an_empty_folder_of_ones_own_where_the_room_has_a_file_goes() -> None:
    scene = Follower()
    scene.b.disk.take("a.txt")
    scene.b.disk.make_folder("a.txt/empty")
    scene.rest_apart()
    scene.save(scene.a, "a.txt", "one\ntwo\nthree\nfour\n")
    scene.rest()


def test_a_file_of_ones_own_in_place_of_a_folder_of_the_room_makes_room_for_what_comes_into_that() -> None:
    scene = Follower()
    scene.a.disk.make_folder("empty")
    scene.rest()
    scene.b.disk.take("empty")
    scene.save(scene.b, "empty", "mine\n")
    scene.rest_apart()
    scene.save(scene.a, "empty/theirs.md", "theirs\n")
    scene.rest_apart()
    assert scene.read(scene.b, "empty/theirs.md") == "theirs\n"
    (aside,) = scene.files(scene.b).keys() - BEFORE.keys() - {"empty/theirs.md"}
    assert scene.read(scene.b, aside) == "mine\n" and "conflict of b" in aside


@pytest.mark.parametrize("own", ["A.TXT", "C/D.TXT", "A.TXT/mine.md", "A.TXT/"])
def test_what_is_spelled_otherwise_here_makes_room_on_a_disk_that_takes_both_for_one(own: str) -> None:
    scene = Follower("case")
    theirs = "c/d.txt" if own.startswith("C") else "a.txt"
    scene.b.disk.take(theirs)
    scene.rest_apart()
    if own.endswith("/"):
        scene.b.disk.make_folder(own[:-1])
    else:
        scene.save(scene.b, own, "mine\n")
    scene.rest_apart()
    scene.save(scene.a, theirs, "theirs\n")
    scene.rest_apart()
    there = scene.files(scene.b)
    assert there[theirs] == b"theirs\n"
    aside = there.keys() - BEFORE.keys()
    assert [there[path] for path in aside] == ([] if own.endswith("/") else [b"mine\n"])


def test_a_file_made_just_before_it_lost_the_right_is_sent_once_it_has_that_again() -> None:
    """What others do meanwhile with the tree does not mean that the hub has ours."""
    scene = Follower()
    scene.restart(read_only=False)
    scene.b.link.unplug()
    scene.b.link.online = True
    create(scene)
    assert scene.within(60.0, lambda: scene.b.engine is not None and scene.b.engine.status.pending.send > 0)
    scene.restart(read_only=True)
    scene.save(scene.a, "other.txt", "of others\n")
    scene.rest_apart()
    assert "new/mine.txt" not in scene.others_see()
    scene.restart(read_only=False)
    scene.rest()
    assert scene.read(scene.a, "new/mine.txt") == "mine\n"


@pytest.mark.parametrize("edited", [False, True])
def test_what_a_power_cut_tore_off_a_text_was_not_taken_out_here(edited: bool) -> None:
    scene = Follower()
    scene.b.kill()
    scene.b.machine.boots += 1
    scene.save(scene.b, "a.txt", "")
    if edited:
        scene.save(scene.a, "a.txt", "one\ntwo\nthree\nfour\n")
    scene.b.start()
    scene.rest()
    assert not scene.held


def test_an_edit_from_before_a_power_cut_stays_here() -> None:
    scene = Follower()
    scene.b.kill()
    scene.b.machine.boots += 1
    edit_text(scene)
    scene.b.start()
    scene.rest_apart()
    assert list(scene.held) == ["a.txt"] and scene.read(scene.b, "a.txt") == "one\ntwo\nthree\nmine\n"
