"""At a start, an entry of which disk, agreement and room say the same is not planned; any other one is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from crdtsync.core.replica.deletions import Deletions
from crdtsync.core.replica.events import Hint, HintKind
from crdtsync.core.replica.in_step import begin_planning, in_step, only_hinted, take_in_step
from crdtsync.core.replica.own_files import MAX_COUNT, OwnFiles
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.tree.rows import SetExecutable, SetPath
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Absent, Unchanged
from crdtsync.core.values.ids import EntryId
from tests.simulation.scene import Scene

PATH = "d/a.md"


def _at_rest() -> tuple[ReplicaState, EntryId]:
    scene = Scene()
    scene.save(scene.a, PATH, "text\n")
    scene.save(scene.a, "d/other.md", "other\n")
    scene.rest()
    assert scene.a.engine is not None
    state = scene.a.engine.state
    entry = state.synced.at(PATH)
    assert entry is not None
    return state, entry


def _agree(state: ReplicaState, entry: EntryId, **changes: object) -> None:
    agreed = state.synced.get(entry)
    assert agreed is not None
    state.synced.put(agreed._replace(**changes))  # type: ignore[arg-type]


def _see(state: ReplicaState, **changes: object) -> None:
    seen = state.disk.get(PATH)
    assert seen is not None and seen.fingerprint is not None
    state.disk.put(PATH, replace(seen, **{"fingerprint": seen.fingerprint, **changes}))  # type: ignore[arg-type]


def _saved(state: ReplicaState, entry: EntryId) -> None:
    _see(state, digest=digest_of(b"saved"))


def _touched(state: ReplicaState, entry: EntryId) -> None:
    seen = state.disk.get(PATH)
    assert seen is not None and seen.fingerprint is not None
    _see(state, fingerprint=seen.fingerprint._replace(mtime_ns=1))


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
    state.doubt((agreed, agreed._replace(digest=digest_of(b"later"))))


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


@pytest.mark.parametrize("as_agreed", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_whatever_differs_is_planned(
    change: Callable[[ReplicaState, EntryId], None], as_agreed: bool
) -> None:
    state, entry = _at_rest()
    if as_agreed:
        state.disk.begin({agreed.path: agreed for agreed in state.synced})
    assert in_step(state, entry)
    begin_planning(state)
    assert not state.plan_entries and not state.plan_paths
    change(state, entry)
    assert not in_step(state, entry)
    begin_planning(state)
    assert state.plan_entries == {entry}


def test_of_a_scan_what_stands_as_agreed_is_taken_in_and_the_rest_is_thought_about() -> None:
    state, entry = _at_rest()
    agreed, other = state.synced.get(entry), state.synced.at("d/other.md")
    assert agreed is not None and agreed.fingerprint is not None and other is not None
    beside = state.synced.get(other)
    assert beside is not None and beside.fingerprint is not None
    touched = beside.fingerprint._replace(mtime_ns=1)
    files = {PATH: agreed.fingerprint, "d/other.md": touched, "new.md": agreed.fingerprint}
    nothing_is_gone = Deletions()
    for path in list(state.disk.paths()):
        state.disk.discard(path)
    state.rebooted |= {entry, other}
    others = {"d/other.md": touched, "new.md": agreed.fingerprint}
    assert take_in_step(state, nothing_is_gone, files) == others
    seen = state.disk.get(PATH)
    assert seen is not None
    assert (seen.kind, seen.digest, seen.fingerprint) == (agreed.kind, agreed.digest, agreed.fingerprint)
    assert list(state.disk.paths()) == [PATH]
    assert state.disk.below("d") == [PATH]
    assert state.rebooted == {other}

    assert take_in_step(state, nothing_is_gone, files) == others, "the same once more"
    _agree(state, entry, fingerprint=touched)
    assert take_in_step(state, nothing_is_gone, {PATH: touched}) == {PATH: touched}, "another was seen there"


def test_of_a_scan_all_is_thought_about_that_may_hide_a_write_or_while_anything_is_gone() -> None:
    state, entry = _at_rest()
    agreed = state.synced.get(entry)
    assert agreed is not None and agreed.fingerprint is not None
    coarse = agreed.fingerprint._replace(mtime_ns=3_000_000_000, ctime_ns=3_000_000_000)
    _agree(state, entry, fingerprint=coarse)
    state.disk.begin({})
    assert take_in_step(state, Deletions(), {PATH: coarse}) == {PATH: coarse}
    _agree(state, entry, fingerprint=agreed.fingerprint)
    gone = Deletions()
    gone.add(entry, 0.0)
    files = {PATH: agreed.fingerprint}
    assert take_in_step(state, gone, files) == files
    state.doubt((agreed,))
    assert take_in_step(state, Deletions(), files) == files
    assert not list(state.disk.paths())


def test_what_has_no_entry_yet_is_planned_by_its_path() -> None:
    state, _ = _at_rest()
    seen = state.disk.get(PATH)
    assert seen is not None
    state.disk.put("new.md", seen)
    begin_planning(state)
    assert state.plan_paths == {"new.md"}
    assert not state.plan_entries


def test_a_file_of_ours_is_glanced_at_when_the_hint_of_its_coming_is_all_that_asks_for_a_look() -> None:
    state, _ = _at_rest()
    seen = state.disk.get(PATH)
    assert seen is not None and seen.fingerprint is not None
    known = seen.fingerprint
    assert not only_hinted(state, PATH, known), "nothing asks for a look"
    state.looking.hint(Hint(PATH, HintKind.CLOSED), 0.0)
    assert only_hinted(state, PATH, known)
    assert not only_hinted(state, PATH, known._replace(inode=known.inode + 1)), "another file by now"
    for paths in (state.deferred, state.reseeding):
        paths.add(PATH)
        assert not only_hinted(state, PATH, known), "its content is wanted"
        paths.clear()
    state.looking.want(PATH)
    assert not only_hinted(state, PATH, known)


def test_a_file_of_ours_is_forgotten_once_a_look_finds_anything_else() -> None:
    state, _ = _at_rest()
    seen = state.disk.get(PATH)
    assert seen is not None and seen.fingerprint is not None
    known = seen.fingerprint._replace(mtime_ns=1_000_000_001, ctime_ns=2_000_000_001)
    own = OwnFiles()
    own.put(PATH, known._replace(mtime_ns=known.ctime_ns))
    assert own.get(PATH) is None, "its times would not tell a write"
    own.put(PATH, known)
    own.seen(PATH, Unchanged(known))
    assert own.get(PATH) == known
    own.seen(PATH, Absent())
    assert own.get(PATH) is None
    for number in range(MAX_COUNT + 1):
        own.put(str(number), known)
    assert own.get("0") is None and own.get("1") == known
