"""What becomes of steps that fail, are raced or end late, and of plans in whose way something stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from crdtsync.core.replica.events import Tick
from crdtsync.core.replica.steps import (
    Cause,
    Done,
    Failed,
    KeepCopy,
    Outcome,
    Raced,
    RemoveFile,
    RemoveFolder,
    Step,
    SwapFiles,
)
from crdtsync.core.tree.rows import Create, Origin, SetPath
from crdtsync.core.values.files import Absent, Kind
from crdtsync.core.values.ids import EntryId
from crdtsync.testing.virtual_inodes import Inode, NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.replica.stories import shared, state_of
from tests.simulation.scene import Scene


def answer(replica: VirtualReplica, kind: type[Step], outcome: Callable[[Step], Outcome]) -> list[Step]:
    """The next step of that kind is answered so, and not carried out; returns what was, in the end."""
    process = replica.process
    assert process is not None
    perform, answered = process.perform, list[Step]()

    def answering(steps: Sequence[Step], done: Callable[[list[tuple[Step, Outcome]]], None]) -> None:
        wanted = [step for step in steps if isinstance(step, kind) and not answered][:1]
        answered.extend(wanted)
        perform(
            [step for step in steps if step not in wanted],
            lambda outcomes: done([*outcomes, *((step, outcome(step)) for step in wanted)]),
        )

    process.perform = answering  # type: ignore[method-assign]
    return answered


def failed(step: Step) -> Outcome:
    return Failed(Cause.OTHER, f"{step.path} cannot be changed")


def raced(step: Step) -> Outcome:
    return Raced(step.path, Absent())


def entry_at(scene: Scene, path: str) -> EntryId:
    entry = state_of(scene.a).view.at(path)
    assert entry is not None
    return entry


def swapped(scene: Scene) -> None:
    """``a`` exchanges the names of its two files."""
    scene.save(scene.a, "b.md", "other\n")
    scene.rest()
    scene.a.disk.exchange("a.md", "b.md")


def forget_both(scene: Scene, step: Step) -> None:
    """Nothing is agreed any more of the files that the step was to swap."""
    assert isinstance(step, SwapFiles)
    state = state_of(scene.b)
    for path in (step.path, step.other):
        entry = state.synced.at(path)
        assert entry is not None
        state.forget(entry)


@pytest.mark.parametrize("outcome", [failed, raced])
def test_a_swap_that_was_not_done_is_done_later(outcome: Callable[[Step], Outcome]) -> None:
    scene = shared()
    steps = answer(scene.b, SwapFiles, outcome)
    swapped(scene)
    scene.wait(30.0)
    scene.rest()
    assert len(steps) == 1
    assert (scene.read(scene.b, "a.md"), scene.read(scene.b, "b.md")) == ("other\n", "one\ntwo\n")
    assert scene.b.engine is not None and scene.b.engine.status.attention == ()


def test_a_swap_of_files_of_which_nothing_is_agreed_any_more_is_found_by_looking() -> None:
    scene = shared()

    def forgotten(step: Step) -> Outcome:
        assert isinstance(step, SwapFiles)
        forget_both(scene, step)
        scene.b.disk.exchange(step.path, step.other)
        return Done()

    answer(scene.b, SwapFiles, forgotten)
    swapped(scene)
    scene.wait(30.0)
    scene.rest()
    assert (scene.read(scene.b, "a.md"), scene.read(scene.b, "b.md")) == ("other\n", "one\ntwo\n")
    assert scene.paths(scene.b) == ["a.md", "b.md"]


def test_a_swap_that_fails_when_nothing_is_agreed_any_more_holds_up_nothing() -> None:
    scene = shared()

    def forgotten(step: Step) -> Outcome:
        forget_both(scene, step)
        return failed(step)

    answer(scene.b, SwapFiles, forgotten)
    swapped(scene)
    scene.wait(30.0)
    scene.rest()
    assert not state_of(scene.b).steps
    contents = [node.data for _, node in scene.a.disk.files()]
    assert {b"one\ntwo\n", b"other\n"} == set(contents)


def test_a_file_that_a_write_met_before_a_kill_is_no_edit_of_what_was_to_be_written() -> None:
    scene = shared()
    scene.b.pace.watch_delay_s = 1e6
    scene.save(scene.b, "n.md", "one\ntwo\n")
    scene.save(scene.a, "n.md", "new\none\ntwo\n")
    assert scene.within(5.0, lambda: bool(state_of(scene.b).retries))
    scene.b.kill()
    scene.b.start()
    scene.rest()
    assert scene.read(scene.a, "n.md") == "new\none\ntwo\n"
    assert sorted(scene.files(scene.a).values()) == sorted([b"one\ntwo\n"] * 2 + [b"new\none\ntwo\n"])


def test_a_file_whose_removal_is_told_after_it_was_forgotten_stays_forgotten() -> None:
    scene = shared()
    [entry] = state_of(scene.b).view.placements

    def forgotten(step: Step) -> Outcome:
        scene.b.disk.take(step.path)
        state_of(scene.b).forget(entry)
        return Done()

    answer(scene.b, RemoveFile, forgotten)
    scene.a.disk.take("a.md")
    scene.wait(10.0)
    scene.rest()
    assert scene.paths(scene.b) == [] and state_of(scene.b).synced.get(entry) is None


def written_late(scene: Scene) -> Inode:
    """A blob of ``b`` was replaced; the file that was is still open there."""
    scene.save(scene.a, "a.bin", b"\0one")
    scene.rest()
    old = scene.b.disk.get("a.bin")
    assert old is not None
    scene.save(scene.a, "a.bin", b"\0two")
    assert scene.within(9.0, lambda: scene.b.disk.get("a.bin") is not old)
    return old


@pytest.mark.parametrize("outcome", [failed, raced])
def test_a_late_write_that_gets_no_name_of_its_own_is_told_and_lost_on_no_restart(
    outcome: Callable[[Step], Outcome],
) -> None:
    scene = Scene()
    old = written_late(scene)
    steps = answer(scene.b, KeepCopy, outcome)
    scene.b.disk.write_into(old, b"\0late")
    scene.wait(2.0)
    assert len(steps) == 1
    if outcome is failed:
        assert [each.kind for each in scene.b.engine.status.attention] == ["failed"]  # type: ignore[union-attr]
    scene.b.kill()
    scene.b.start()
    scene.wait(5.0)
    scene.rest()
    assert sorted(node.data for _, node in scene.a.disk.files()) == [b"\0late", b"\0two"]


def test_a_link_that_others_move_to_where_it_would_lead_out_is_not_made_there() -> None:
    scene = shared()
    scene.a.disk.make_folder("d")
    scene.a.disk.put("d/link", scene.a.disk.new_inode(NodeKind.LINK, b"../a.md"))
    scene.rest()
    state_of(scene.a).operate(SetPath(entry_at(scene, "d/link"), "link"))
    scene.a.handle(Tick())
    scene.wait(10.0)
    for replica in (scene.a, scene.b):
        assert scene.paths(replica) == ["a.md"]
        assert replica.engine is not None
        [told] = replica.engine.status.attention
        assert (told.path, told.kind) == ("link", "link")


def test_a_file_takes_the_place_of_an_empty_folder_made_while_others_renamed_it() -> None:
    scene = shared()
    scene.b.link.unplug()
    scene.b.disk.make_folder("t")
    scene.wait(2.0)
    scene.a.disk.rename("a.md", "t")
    scene.wait(2.0)
    scene.b.link.online = True
    scene.rest()
    assert scene.paths(scene.b) == ["t"] and scene.read(scene.b, "t") == "one\ntwo\n"


def test_a_new_file_takes_the_place_of_an_empty_folder_made_meanwhile() -> None:
    scene = shared()
    scene.b.link.unplug()
    scene.b.disk.make_folder("t")
    scene.wait(2.0)
    scene.save(scene.a, "t", "new\n")
    scene.wait(2.0)
    scene.b.link.online = True
    scene.rest()
    assert scene.paths(scene.b) == ["a.md", "t"] and scene.read(scene.b, "t") == "new\n"


def test_a_blob_that_nobody_wants_any_more_need_not_arrive() -> None:
    scene = Scene()
    scene.b.work_s = 0.5
    scene.b.transfers.piece_bytes = 1
    scene.save(scene.a, "a.bin", b"\0" + bytes(range(99)))
    state = state_of(scene.b)
    assert scene.within(9.0, lambda: bool(state.fetching))
    [digest] = state.fetching
    scene.save(scene.a, "a.bin", b"\0other")
    assert scene.within(9.0, lambda: digest not in state.fetching)
    scene.rest()
    assert [node.data for _, node in scene.b.disk.files()] == [b"\0other"]


def test_an_entry_whose_kind_a_peer_changes_is_another_and_what_stands_here_stays() -> None:
    scene = shared()
    entry = entry_at(scene, "a.md")
    state_of(scene.a).operate(Create(entry, Kind.DIR, "a.md", False, Origin()))
    scene.a.handle(Tick())
    scene.wait(20.0)
    texts = [node.data for replica in (scene.a, scene.b) for _, node in replica.disk.files()]
    assert b"one\ntwo\n" in texts


def test_a_new_file_at_the_name_of_one_that_has_yet_to_come_there_is_kept_beside_it() -> None:
    scene = shared()
    scene.b.link.unplug()
    scene.a.disk.rename("a.md", "t.md")
    scene.wait(2.0)
    scene.save(scene.b, "t.md", "mine\n")
    scene.wait(2.0)
    scene.b.link.online = True
    scene.rest()
    assert sorted(node.data for _, node in scene.a.disk.files()) == [b"mine\n", b"one\ntwo\n"]


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_folder_that_cannot_be_removed_for_a_moment_does_not_come_back(how: str) -> None:
    scene = shared()
    scene.a.disk.make_folder("y")
    scene.rest()
    steps = answer(scene.b, RemoveFolder, failed)
    if how == "removed":
        scene.a.disk.take("y")
    else:
        state_of(scene.a).operate(SetPath(entry_at(scene, "y"), "z"))
    scene.wait(10.0)
    scene.rest()
    assert len(steps) == 1
    wanted = ["a.md"] if how == "removed" else ["a.md", "z"]
    assert sorted(scene.a.disk.nodes) == sorted(scene.b.disk.nodes) == wanted
    assert scene.b.engine is not None and scene.b.engine.status.attention == ()
