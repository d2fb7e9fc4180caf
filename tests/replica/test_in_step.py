"""At a start, an entry of which disk, agreement and room say the same is not planned; any other one is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from crdtsync.core.replica.in_step import in_step, replan_all
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.tree.rows import SetExecutable, SetPath
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.ids import EntryId
from tests.simulation.scene import Scene

PATH = "d/a.md"


def _at_rest() -> tuple[ReplicaState, EntryId]:
    scene = Scene()
    scene.save(scene.a, PATH, "text\n")
    scene.save(scene.a, "d/other.md", "other\n")
    scene.rest()
    assert scene.a.engine is not None
    state = scene.a.engine._state
    entry = state.synced.at(PATH)
    assert entry is not None
    return state, entry


def _agree(state: ReplicaState, entry: EntryId, **changes: object) -> None:
    agreed = state.synced.get(entry)
    assert agreed is not None
    state.synced.put(replace(agreed, **changes))  # type: ignore[arg-type]


def _see(state: ReplicaState, **changes: object) -> None:
    seen = state.disk.get(PATH)
    assert seen is not None and seen.fingerprint is not None
    state.disk.put(PATH, replace(seen, **{"fingerprint": seen.fingerprint, **changes}))  # type: ignore[arg-type]


def _saved(state: ReplicaState, entry: EntryId) -> None:
    _see(state, digest=digest_of(b"saved"))


def _touched(state: ReplicaState, entry: EntryId) -> None:
    seen = state.disk.get(PATH)
    assert seen is not None and seen.fingerprint is not None
    _see(state, fingerprint=replace(seen.fingerprint, mtime_ns=1))


def _removed(state: ReplicaState, entry: EntryId) -> None:
    state.disk.discard(PATH)


def _edited_there(state: ReplicaState, entry: EntryId) -> None:
    _agree(state, entry, digest=digest_of(b"older"))
    _see(state, digest=digest_of(b"older"))


def _covered_less(state: ReplicaState, entry: EntryId) -> None:
    _agree(state, entry, state_vector=b"\0")


def _never_agreed(state: ReplicaState, entry: EntryId) -> None:
    state.synced.discard(entry)


def _renamed_there(state: ReplicaState, entry: EntryId) -> None:
    state.view.refresh(state.tree.edit([SetPath(entry, "d/b.md")])[1])


def _executable_there(state: ReplicaState, entry: EntryId) -> None:
    state.view.refresh(state.tree.edit([SetExecutable(entry, True)])[1])


def _in_doubt(state: ReplicaState, entry: EntryId) -> None:
    agreed = state.synced.get(entry)
    assert agreed is not None
    state.doubt((agreed, replace(agreed, digest=digest_of(b"later"))))


def _unreadable(state: ReplicaState, entry: EntryId) -> None:
    state.disk.discard(PATH)
    state.disk.unknown[PATH] = "unreadable"


CHANGES = [
    _saved,
    _touched,
    _removed,
    _edited_there,
    _covered_less,
    _never_agreed,
    _renamed_there,
    _executable_there,
    _in_doubt,
    _unreadable,
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_differs_is_planned(change: Callable[[ReplicaState, EntryId], None]) -> None:
    state, entry = _at_rest()
    assert in_step(state, entry)
    replan_all(state)
    assert not state.plan_entries and not state.plan_paths
    change(state, entry)
    assert not in_step(state, entry)
    replan_all(state)
    assert state.plan_entries == {entry}


def test_what_has_no_entry_yet_is_planned_by_its_path() -> None:
    state, _ = _at_rest()
    seen = state.disk.get(PATH)
    assert seen is not None
    state.disk.put("new.md", seen)
    replan_all(state)
    assert state.plan_paths == {"new.md"}
    assert not state.plan_entries
