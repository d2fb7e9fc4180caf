"""A name that the room has given up is waited for while the disk follows; what it does not take is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from crdtsync.core.replica.obstacles import IN_THE_WAY_RACES, is_leaving, kept_off, obstacle
from crdtsync.core.replica.state import Attention, ReplicaState, Retry
from crdtsync.core.replica.status import WAITS_BELOW
from crdtsync.core.tree.rows import SetGone, SetPath
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import EntryId
from tests.replica.stories import state_of, status_of
from tests.replica.test_live import Program
from tests.simulation.scene import Scene
from tests.simulation.test_reading import Follower

PATH = "d/a.md"


@pytest.fixture
def state() -> ReplicaState:
    scene = Scene()
    scene.save(scene.a, PATH, "text\n")
    scene.rest()
    assert scene.a.engine is not None
    return scene.a.engine.state


def entry_at(state: ReplicaState, path: str) -> EntryId:
    entry = state.synced.at(path)
    assert entry is not None
    return entry


def _deleted(state: ReplicaState) -> None:
    state.view.refresh(state.tree.edit([SetGone(entry_at(state, PATH), b"")])[1])
    covered = state.documents.state_vector(entry_at(state, PATH))
    state.view.refresh(state.tree.edit([SetGone(entry_at(state, PATH), covered)])[1])


def _moved(state: ReplicaState) -> None:
    state.view.refresh(state.tree.edit([SetPath(entry_at(state, PATH), "d/b.md")])[1])


@pytest.mark.parametrize("gone", [_deleted, _moved])
@pytest.mark.parametrize("path", [PATH, "d", f"{PATH}/below"])
def test_what_stands_there_above_or_below_is_about_to_go(
    state: ReplicaState, gone: Callable[[ReplicaState], None], path: str
) -> None:
    assert not is_leaving(state, path)
    gone(state)
    assert is_leaving(state, path)
    assert not is_leaving(state, "d/other.md")


def test_a_step_that_is_under_way_is_waited_for(state: ReplicaState) -> None:
    state.stepping["d"] = 1
    assert is_leaving(state, PATH) and is_leaving(state, "d") and not is_leaving(state, "e")


def _told(state: ReplicaState) -> None:
    state.attention[PATH] = Attention(PATH, "failed", "the disk is read-only")


def _ignored(state: ReplicaState) -> None:
    state.ignored = lambda path: path == PATH


def _unreadable(state: ReplicaState) -> None:
    state.disk.unknown[PATH] = "it cannot be read"


def _put_off(state: ReplicaState) -> None:
    state.retries[entry_at(state, PATH)] = Retry(PATH, due=60.0, delay_s=60.0)


@pytest.mark.parametrize("kept", [_told, _ignored, _unreadable, _put_off])
def test_what_may_stay_for_long_is_not_waited_for(
    state: ReplicaState, kept: Callable[[ReplicaState], None]
) -> None:
    _deleted(state)
    kept(state)
    assert not is_leaving(state, PATH)


def test_a_step_that_met_something_else_is_tried_again_soon(state: ReplicaState) -> None:
    _deleted(state)
    _put_off(state)
    entry = entry_at(state, PATH)
    state.retries[entry] = replace(state.retries[entry], races=1)
    assert is_leaving(state, PATH)


BLOB = "d/x.bin"


@pytest.fixture
def shown() -> Scene:
    """``a`` and ``b`` have a blob and a text."""
    scene = Scene()
    scene.save(scene.a, BLOB, b"\0one")
    scene.save(scene.a, PATH, "text\n")
    scene.rest()
    return scene


def test_what_stands_here_or_is_on_its_way_is_kept_off_by_nothing(shown: Scene) -> None:
    assert kept_off(state_of(shown.b), BLOB) is None
    assert kept_off(state_of(shown.b), "none.bin") is None
    told: list[str | None] = []
    shown.save(shown.a, "new.bin", b"\0new")
    state = state_of(shown.b)

    def arrived() -> bool:
        if state.view.at("new.bin") is not None:
            told.append(kept_off(state, "new.bin"))
        return state.disk.get("new.bin") is not None

    assert shown.within(60.0, arrived)
    assert told and set(told) == {None}


def test_what_is_ignored_is_told_as_that(shown: Scene) -> None:
    state = state_of(shown.b)
    state.ignored = lambda path: path == BLOB
    assert "is ignored in this folder" in (kept_off(state, BLOB) or "")


def test_what_cannot_be_looked_at_is_named_where_it_stands(shown: Scene) -> None:
    state = state_of(shown.b)
    state.disk.unknown["d"] = "a named pipe"
    assert "d: a named pipe" in (kept_off(state, BLOB) or "")
    assert obstacle(state, PATH) == "d/a.md is not shared: d: a named pipe"
    state.disk.unknown = {BLOB: "it cannot be read"}
    assert f"{BLOB}: it cannot be read" in (kept_off(state, BLOB) or "")
    assert obstacle(state, BLOB) == f"{BLOB} is not shared: it cannot be read"
    state.disk.unknown = {"": "it cannot be read"}
    assert "the folder: it cannot be read" in (kept_off(state, BLOB) or "")


def test_the_status_tells_what_waits_below_something_in_the_way(shown: Scene) -> None:
    state = state_of(shown.b)
    for path in ("d", "lone"):
        state.disk.unknown[path] = "a named pipe"
        state.attention[path] = Attention(path, "unshareable", "a named pipe")
    below, lone = status_of(shown.b).attention
    assert below.message == f"a named pipe; {WAITS_BELOW}"
    assert lone.message == "a named pipe"


def test_a_step_that_fails_is_told_of_unless_it_is_being_tried_again(shown: Scene) -> None:
    state = state_of(shown.b)
    entry = entry_at(state, BLOB)
    state.attention[BLOB] = Attention(BLOB, "download", "the hub does not have it")
    assert kept_off(state, BLOB) == f"{BLOB} is not on this disk: the hub does not have it"
    del state.attention[BLOB]
    state.attention["old.bin"] = Attention("old.bin", "failed", "old.bin could not be moved: it is in use")
    assert kept_off(state, BLOB) is None
    state.retries[entry] = Retry("old.bin", due=60.0, delay_s=60.0)
    assert kept_off(state, BLOB) == "old.bin could not be moved: it is in use"
    state.busy.add(entry)
    assert kept_off(state, BLOB) is None
    state.busy.clear()
    state.fetching[Digest("d")] = {entry}
    assert kept_off(state, BLOB) is None


def test_what_a_step_met_again_and_again_is_in_the_way(shown: Scene) -> None:
    state = state_of(shown.b)
    entry = entry_at(state, BLOB)
    state.retries[entry] = Retry(BLOB, due=60.0, delay_s=60.0, races=IN_THE_WAY_RACES - 1)
    assert kept_off(state, BLOB) is None
    state.retries[entry].races += 1
    assert "is in the way" in (kept_off(state, BLOB) or "")


def test_what_was_deleted_here_without_the_hub_is_told_as_that(shown: Scene) -> None:
    shown.hub.kill()
    shown.wait(1.0)
    shown.b.disk.take(BLOB)
    state = state_of(shown.b)
    assert shown.within(60.0, lambda: state.looking.is_absent(BLOB))
    assert kept_off(state, BLOB) is None  # an editor may be about to bring it back
    shown.wait(5.0)
    assert "the hub hears of it" in (kept_off(state, BLOB) or "")
    shown.hub.start()
    shown.rest()
    assert kept_off(state, BLOB) is None and state.view.at(BLOB) is None


def test_what_was_deleted_here_and_is_held_is_told_as_that(shown: Scene) -> None:
    for number in range(6):
        shown.save(shown.a, f"{number}.bin", b"\0%d" % number)
    shown.rest()
    for number in range(6):
        shown.b.disk.take(f"{number}.bin")
    shown.b.disk.take(BLOB)
    shown.b.disk.take(PATH)
    shown.wait(10.0)
    assert "crdtsync restore" in (kept_off(state_of(shown.b), BLOB) or "")


def test_what_a_reader_deleted_is_told_as_held() -> None:
    scene = Follower()
    scene.b.disk.take("b.bin")
    scene.rest_apart()
    assert "may only read" in (kept_off(state_of(scene.b), "b.bin") or "")


def test_what_a_reader_has_alone_is_not_opened() -> None:
    scene = Follower()
    scene.save(scene.b, "mine.txt", "mine\n")
    scene.save(scene.b, "mine.bin", b"\0")
    scene.rest_apart()
    program = Program(scene.b)
    program.open("mine.txt", create=False)
    program.open("mine.bin", create=False)
    scene.wait(1.0)
    refused = sorted(each.partition(":")[0] for each in program.refused)
    assert refused == ["mine.bin is not a text", "mine.txt is only here"]
