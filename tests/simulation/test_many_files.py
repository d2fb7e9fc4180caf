"""A folder that arrives is written in parts: what waits stays encoded, and all of it comes to stand."""

from __future__ import annotations

import pytest

from crdtsync.core.replica.effects import Persist
from crdtsync.core.values import limits
from crdtsync.core.values.ids import TREE
from tests.simulation.scene import Scene

FILES = 60


def test_no_more_texts_than_the_limit_are_under_way_to_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STEPS_UNDER_WAY_MAX", 8)
    monkeypatch.setattr(limits, "DOCUMENTS_WARM_MAX", 4)
    monkeypatch.setattr(limits, "UNWRITTEN_TEXTS_MAX_BYTES", 200)
    scene = Scene()
    scene.rest()
    scene.b.kill()
    for number in range(FILES):
        scene.save(scene.a, f"{number % 7}/{number}.md", f"text {number}\n" * 3)
    scene.wait(1.0)
    scene.save(scene.a, "0/0.md", "edited meanwhile\n")
    scene.wait(1.0)
    scene.b.start()
    engine = scene.b.engine
    assert engine is not None
    most = 0

    def all_stand() -> bool:
        nonlocal most
        state = engine.state
        most = max(most, len(state.steps))
        return len([path for path in scene.paths(scene.b) if path.endswith(".md")]) == FILES

    assert scene.within(120.0, all_stand)
    assert most <= 8 + 7  # folders of the room are no texts
    scene.rest()
    assert scene.read(scene.b, "0/0.md") == "edited meanwhile\n"
    for number in range(1, FILES):
        assert scene.read(scene.b, f"{number % 7}/{number}.md") == f"text {number}\n" * 3
    assert not engine.state.waiting
    assert not engine._documents._unwritten_texts
    assert engine._documents._unwritten_texts.size_bytes == 0
    assert engine.state.step_chars == 0


def test_after_a_clean_end_the_tree_is_read_in_one() -> None:
    scene = Scene()
    for number in range(FILES):
        scene.save(scene.a, f"{number}.md", f"text {number}\n")
        scene.wait(0.1)
    scene.rest()
    engine, store = scene.a.engine, scene.a.store
    assert engine is not None
    updates = len(store.updates(TREE))
    assert updates >= limits.COMPACT_TREE_AT_END_UPDATES
    for effect in engine.stop(scene.clock.now_s):
        if isinstance(effect, Persist):
            store.persist(effect.records)
    assert len(store.updates(TREE)) == 1
    scene.a.kill()
    scene.a.start()
    scene.save(scene.a, "one more.md", "text\n")
    scene.rest()
    assert len(scene.a.store.updates(TREE)) == 2
    assert scene.paths(scene.b) == scene.paths(scene.a)


def test_after_a_clean_end_a_few_updates_of_the_tree_are_left_as_they_are() -> None:
    scene = Scene()
    scene.save(scene.a, "one.md", "text\n")
    scene.rest()
    updates = list(scene.a.store.updates(TREE))
    assert not _ended_and_begun(scene)
    assert list(scene.a.store.updates(TREE)) == updates
    scene.rest()
    assert scene.paths(scene.a) == ["one.md"]


def test_after_a_clean_end_a_large_tree_is_not_loaded_before_it_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "TREE_RESTS_FROM_ENTRIES", 3)
    scene = Scene()
    for number in range(3):
        scene.save(scene.a, f"{number}.md", f"text {number}\n")
    scene.rest()
    assert _ended_and_begun(scene), "the snapshot tells the rows"
    scene.rest()
    assert _ended_and_begun(scene), "and still does, of a tree that nobody changed"
    scene.save(scene.b, "of another.md", "text\n")
    scene.save(scene.a, "one more.md", "text\n")
    scene.rest()
    assert scene.a.engine is not None and not scene.a.engine.state.tree.resting
    scene.a.kill()
    scene.a.start()
    assert scene.a.engine is not None
    assert not scene.a.engine.state.tree.resting, "what it tells is outdated"
    scene.rest()
    assert _ended_and_begun(scene)
    scene.rest()
    names = {"0.md", "1.md", "2.md", "of another.md", "one more.md"}
    assert names <= set(scene.paths(scene.a)) == set(scene.paths(scene.b))


def _ended_and_begun(scene: Scene) -> bool:
    """End Ann's replica cleanly and begin it again; whether its tree is at rest then."""
    engine = scene.a.engine
    assert engine is not None
    for effect in engine.stop(scene.clock.now_s):
        if isinstance(effect, Persist):
            scene.a.store.persist(effect.records)
    scene.a.kill()
    scene.a.start()
    assert scene.a.engine is not None
    return scene.a.engine.state.tree.resting


def test_edits_of_many_files_wait_until_there_is_room_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STEPS_UNDER_WAY_MAX", 2)
    scene = Scene()
    for number in range(12):
        scene.save(scene.a, f"{number}.md", f"text {number}\n")
    scene.rest()
    scene.b.link.unplug()
    for number in range(12):
        scene.save(scene.a, f"{number}.md", f"text {number}\nedited\n")
    scene.wait(10.0)
    scene.b.link.online = True
    scene.rest()
    assert [scene.read(scene.b, f"{number}.md") for number in range(12)] == [
        f"text {number}\nedited\n" for number in range(12)
    ]
