"""A name that the room has given up is waited for as long as the disk is about to follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from crdtsync.core.replica.obstacles import is_leaving
from crdtsync.core.replica.state import Attention, ReplicaState, Retry
from crdtsync.core.tree.rows import SetGone, SetPath
from crdtsync.core.values.ids import EntryId
from tests.simulation.scene import Scene

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
