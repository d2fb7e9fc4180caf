"""Where something else comes to a path, here or in the room, while the hub is away or a step is under way."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence

import pytest

from crdtsync.core.replica import events as ev
from crdtsync.core.replica.steps import Outcome, Step
from crdtsync.testing.trouble import Trouble
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.replica.stories import LINES, process_of, shared, state_of, status_of, taken_aside_as_another_comes
from tests.replica.test_choices import emptied
from tests.simulation.scene import Scene


def files_of(replica: VirtualReplica) -> Iterator[tuple[str, str]]:
    for path, node in replica.disk.files():
        yield path, node.data.decode()


def back(scene: Scene) -> dict[str, bytes]:
    """``b`` is online again; what both hold in the end."""
    scene.b.link.online = True
    scene.rest()
    return scene.files(scene.a)


def told_late(scene: Scene, delay_s: float) -> None:
    """The outcomes of ``b``'s steps are told so much later than they are done."""
    process = process_of(scene.b)
    perform = process.perform

    def performing(steps: Sequence[Step], done: Callable[[list[tuple[Step, Outcome]]], None]) -> None:
        def tell(outcomes: list[tuple[Step, Outcome]]) -> None:
            scene.clock.after(delay_s, lambda: done(outcomes))

        perform(steps, tell)

    process.perform = performing  # type: ignore[method-assign]


@pytest.mark.parametrize("edited", [False, True])
def test_a_file_that_others_replaced_goes_on_as_the_new_one_and_an_edit_of_the_old_is_kept(
    edited: bool,
) -> None:
    scene = shared(LINES)
    scene.b.link.unplug()
    if edited:
        scene.save(scene.b, "a.md", LINES + "mine\n")
    scene.a.disk.take("a.md")
    scene.wait(2.0)
    scene.save(scene.a, "a.md", "another\n")
    scene.wait(2.0)
    found = back(scene)
    assert found.pop("a.md") == b"another\n"
    assert list(found.values()) == ([(LINES + "mine\n").encode()] if edited else [])


def test_a_file_made_where_others_moved_one_that_was_deleted_here_is_a_new_file() -> None:
    scene = shared(LINES)
    scene.b.link.unplug()
    scene.a.disk.rename("a.md", "moved.md")
    scene.b.disk.take("a.md")
    scene.save(scene.b, "moved.md", "mine\n")
    scene.wait(3.0)
    assert back(scene) == {"moved.md": b"mine\n"}


@pytest.mark.parametrize("wanted", [ev.RestoreRequested(), ev.ConfirmRequested()])
def test_a_file_whose_deletion_is_held_makes_room_for_what_others_put_in_its_place(
    wanted: ev.RestoreRequested | ev.ConfirmRequested,
) -> None:
    """Nothing of it stands there: a file that moves to its name, and one that waits for that, go on."""
    scene = emptied(besides=["kept.md"])
    scene.b.disk.rename("3.md", "renamed.md")
    scene.b.disk.rename("4.md", "moved.md")
    scene.wait(2.0)
    scene.save(scene.b, "3.md", "another\n")
    scene.b.disk.rename("kept.md", "4.md")
    scene.wait(2.0)
    scene.save(scene.b, "kept.md", "new\n")
    scene.wait(2.0)
    number = scene.a.flush()
    assert scene.within(30.0, lambda: number in scene.a.flushed)
    assert dict(files_of(scene.a)) == {"3.md": "another\n", "4.md": "text kept.md\n", "kept.md": "new\n"}
    scene.a.handle(wanted)
    scene.rest()
    found = dict(files_of(scene.b))
    assert (found["3.md"], found["4.md"], found["kept.md"]) == ("another\n", "text kept.md\n", "new\n")
    restored = [each for each in found.values() if each in ("text 3\n", "text 4\n", "text 5\n")]
    assert len(restored) == (3 if isinstance(wanted, ev.RestoreRequested) else 0)


@pytest.mark.parametrize("replaced", [False, True])
def test_what_others_deleted_too_is_no_mass_deletion_of_ours(replaced: bool) -> None:
    scene = Scene()
    for number in range(16):
        scene.save(scene.a, f"{number}.md", f"text {number}\n")
    scene.rest()
    scene.b.kill()
    for number in range(10):
        scene.a.disk.take(f"{number}.md")
        scene.wait(2.0)
    if replaced:
        for number in range(10):
            scene.save(scene.a, f"{number}.md", f"another {number}\n")
        scene.wait(2.0)
    for number in range(10):
        scene.b.disk.take(f"{number}.md")
    scene.b.start()
    scene.rest()
    assert not status_of(scene.b).attention
    assert len(scene.paths(scene.b)) == (16 if replaced else 6)


def test_what_others_delete_while_it_is_held_is_held_no_more() -> None:
    scene = emptied(besides=["kept.md"])
    scene.b.disk.rename("3.md", "renamed.md")
    scene.wait(2.0)
    scene.save(scene.b, "3.md", "another\n")
    scene.wait(2.0)
    for path in ("renamed.md", *(f"{number}.md" for number in range(12) if number != 3)):
        scene.b.disk.take(path)
        scene.wait(1.0)
    scene.rest()
    assert not status_of(scene.a).attention
    assert dict(files_of(scene.a)) == {"3.md": "another\n", "kept.md": "text kept.md\n"}


def test_deletions_that_are_confirmed_while_the_hub_is_away_are_sent_once_it_is_back() -> None:
    scene = emptied()
    scene.hub.kill()
    scene.wait(1.0)
    scene.a.handle(ev.ConfirmRequested())
    scene.wait(5.0)
    assert len(scene.paths(scene.b)) == 12
    scene.hub.start()
    scene.rest()
    assert scene.paths(scene.b) == []


def test_a_file_made_offline_where_one_of_others_could_not_be_written_is_kept_beside_it() -> None:
    scene = shared(LINES)
    scene.b.trouble = Trouble(errno.ENOSPC, 1.0)
    scene.save(scene.a, "new.md", "theirs\n")
    scene.wait(1.0)
    scene.b.link.unplug()
    scene.b.trouble = None
    scene.save(scene.b, "new.md", "mine\n")
    scene.wait(2.0)
    assert scene.read(scene.b, "new.md") == "mine\n"
    found = back(scene)
    assert found["new.md"] == b"theirs\n"
    assert sorted(found.values()) == sorted([LINES.encode(), b"mine\n", b"theirs\n"])


def test_a_blob_made_offline_of_a_text_that_others_deleted_is_a_new_file() -> None:
    scene = shared(LINES)
    scene.b.trouble = Trouble(errno.EROFS, 1.0)
    scene.a.disk.take("a.md")
    scene.wait(2.0)
    scene.b.link.unplug()
    scene.b.trouble = None
    scene.b.disk.put("a.md", scene.b.disk.new_inode(NodeKind.FILE, b"\0blob"))
    scene.wait(30.0)
    assert back(scene) == {"a.md": b"\0blob"}


def test_an_empty_folder_that_was_removed_for_a_file_that_is_on_its_way_is_waited_for_no_more() -> None:
    scene = shared(LINES)
    scene.b.link.unplug()
    scene.b.disk.make_folder("t")
    scene.wait(2.0)
    scene.save(scene.a, "t", b"\0" + bytes(range(99)))
    scene.wait(2.0)
    scene.b.transfers.piece_bytes = 1
    scene.b.work_s = 0.1
    scene.b.pace.watch_delay_s = 1e6
    scene.b.link.online = True
    state = state_of(scene.b)
    assert scene.within(60.0, lambda: bool(state.fetching) and scene.b.disk.get("t") is None)
    assert state.disk.get("t") is not None
    scene.b.handle(ev.HintsLost())
    scene.wait(60.0)
    assert back(scene)["t"] == b"\0" + bytes(range(99))


def test_a_file_that_is_renamed_before_a_step_on_it_is_done_has_moved_with_what_others_wrote() -> None:
    scene = shared(LINES)
    entry = state_of(scene.a).view.at("a.md")
    process = process_of(scene.b)
    perform, asked = process.perform, list[Sequence[Step]]()

    def performing(steps: Sequence[Step], done: Callable[[list[tuple[Step, Outcome]]], None]) -> None:
        asked.append(steps)
        scene.clock.after(3.0, lambda: perform(steps, done))

    process.perform = performing  # type: ignore[method-assign]
    scene.save(scene.a, "a.md", LINES + "more\n")
    assert scene.within(5.0, lambda: bool(asked))
    scene.b.disk.rename("a.md", "renamed.md")
    scene.wait(1.0)
    assert scene.paths(scene.a) == ["a.md"], "what the step finds is waited for"
    scene.wait(10.0)
    assert back(scene) == {"renamed.md": (LINES + "more\n").encode()}
    assert state_of(scene.a).view.at("renamed.md") == entry


def test_a_second_link_of_a_file_whose_move_is_told_late_is_another_file() -> None:
    scene = shared(LINES)
    scene.save(scene.a, "x.md", "something else\n")
    scene.rest()
    told_late(scene, 3.0)
    scene.b.pace.watch_delay_s = 1e6
    scene.wait(10.0)
    scene.a.disk.rename("a.md", "moved.md")
    assert scene.within(5.0, lambda: scene.b.disk.get("moved.md") is not None)
    node = scene.b.disk.get("moved.md")
    assert node is not None
    scene.b.disk.put("x.md", node)
    scene.b.handle(ev.Hint("x.md", ev.HintKind.CLOSED))
    scene.wait(20.0)
    assert back(scene) == {"moved.md": LINES.encode(), "x.md": LINES.encode()}


def test_a_file_that_turns_up_while_it_is_taken_for_deleted_was_moved() -> None:
    """Others renamed it, and their new file stands in its place; it was aside for a moment."""
    scene = shared(LINES)
    taken_aside_as_another_comes(scene)
    assert scene.within(60.0, lambda: scene.b.engine is not None and scene.b.engine._deletions.waiting)
    scene.wait(0.05)
    scene.b.disk.rename("a.md~", "mine.md")
    found = back(scene)
    assert found.pop("a.md") == b"another\n"
    assert list(found.values()) == [LINES.encode()]


def test_an_entry_that_others_delete_before_it_is_made_durable_is_forgotten() -> None:
    scene = shared(LINES)
    scene.wait(5.0)
    process = process_of(scene.b)
    asked: list[Callable[[bool], None]] = []

    def ask(done: Callable[[bool], None]) -> None:
        asked.append(done)

    process.make_durable = ask  # type: ignore[method-assign]
    scene.save(scene.a, "new.md", "new\n")
    assert scene.within(5.0, lambda: bool(asked))
    scene.a.disk.take("new.md")
    scene.wait(3.0)
    assert scene.paths(scene.b) == ["a.md"]
    asked.pop()(True)
    assert [each.path for each in scene.b.store.remembered().synced] == ["a.md"]


def test_what_was_in_doubt_and_is_gone_for_others_too_is_planned_no_more() -> None:
    scene = shared(LINES)
    scene.wait(5.0)
    scene.b.work_s = 0.2
    scene.save(scene.a, "a.md", LINES + "more\n")
    assert scene.within(5.0, lambda: scene.writing(scene.b))
    scene.b.kill()
    scene.a.disk.take("a.md")
    scene.wait(5.0)
    scene.b.start()
    assert back(scene) == {}


def test_a_tree_that_nobody_changes_rests_and_is_changed_again() -> None:
    scene = shared(LINES)
    engine = scene.b.engine
    assert engine is not None
    rested = engine.rest(scene.clock.now_s + 1e6)
    assert not engine.rest(scene.clock.now_s + 1e6), "once is enough"
    scene.save(scene.a, "b.md", "other\n")
    scene.b.disk.rename("a.md", "c.md")
    assert back(scene) == {"b.md": b"other\n", "c.md": LINES.encode()}
    assert not engine.rest(0.0)
    assert engine.rest(scene.clock.now_s + 1e6) == rested


@pytest.mark.parametrize("data", ["the same\n", b"\0the same"])
def test_a_file_that_others_made_anew_as_it_was_goes_on_as_the_new_one(data: str | bytes) -> None:
    scene = Scene()
    scene.save(scene.a, "a.md", data)
    scene.rest()
    scene.b.link.unplug()
    file = scene.b.disk.nodes["a.md"]
    scene.a.disk.take("a.md")
    scene.wait(2.0)
    scene.save(scene.a, "a.md", data)
    scene.wait(2.0)
    assert list(back(scene)) == ["a.md"]
    assert scene.b.disk.nodes["a.md"] is file, "it was never written"
    assert scene.b.machine.trashed() == []


def test_what_stands_where_others_moved_a_file_that_was_replaced_here_is_no_conflict() -> None:
    scene = shared(LINES)
    scene.b.link.unplug()
    scene.a.disk.rename("a.md", "z.md")
    for path in ("a.md", "z.md"):
        scene.b.disk.put(path, scene.b.disk.new_inode(NodeKind.FILE, b"\0the same"))
    scene.wait(2.0)
    assert back(scene) == {"a.md": b"\0the same", "z.md": b"\0the same"}
