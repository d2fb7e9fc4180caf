"""What waits for an update that never comes, since the page that made that was closed, holds nothing up."""

from __future__ import annotations

import pytest

from crdtsync.core.replica.placed import PlacedTexts
from crdtsync.core.replica.taking_back import taken_back
from crdtsync.core.replica.unaccepted import Unaccepted
from crdtsync.core.room.texts import RoomTexts
from crdtsync.core.text.diff import diff
from crdtsync.core.text.document import TextDocument
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.rows import Create, Origin, SetPath
from crdtsync.core.values import limits
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import TREE, EntryId
from tests.replica.stories import shared

ENTRY = EntryId("ab" * 12)
BEFORE, AFTER = "one\n", "one\ntwo\n"


def waiting() -> bytes:
    """An update of someone that builds on another one of theirs."""
    document = TextDocument(9)
    document.edit(diff("", "x"))
    return document.edit(diff("x", "xy"))


class Two:
    """Two make one change at once; ``held`` is what the hub has of it."""

    def __init__(self) -> None:
        theirs, ours = TextDocument(1), TextDocument(2)
        first = theirs.edit(diff("", BEFORE))
        ours.apply_update(first)
        self.held = [first, theirs.edit(diff(BEFORE, AFTER)), waiting()]
        self.mine = ours.edit(diff(BEFORE, AFTER))
        self.flying = [Unaccepted(BEFORE, AFTER, self.mine, self.mine)]
        another = TextDocument(3, [first, self.mine])
        self.built_on_mine = another.edit(diff(AFTER, AFTER + "three\n"))


def test_the_same_change_by_two_is_taken_back() -> None:
    two = Two()
    undone = taken_back(two.held, two.flying)
    assert TextDocument(3, [*two.held, two.mine]).text == "one\ntwo\ntwo\n"
    assert TextDocument(3, [*two.held, two.mine, undone]).text == AFTER


def test_a_text_without_ours_is_known_unless_it_was_ours_that_is_waited_for() -> None:
    two = Two()
    log = [*two.held, two.mine]
    assert PlacedTexts(2, lambda _: log).without(ENTRY, two.flying) == AFTER
    log = [*log, two.built_on_mine]
    assert PlacedTexts(2, lambda _: log).without(ENTRY, two.flying) is None


def test_the_log_of_a_folder_is_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", 5)
    scene = shared(BEFORE)
    engine = scene.b.engine
    assert engine is not None
    (entry,) = engine.state.documents.heads.keys() - {TREE}
    engine.state.documents.apply_remote(EntryId(entry), waiting(), 1, 1.0, dirty=False)
    for count in range(20):
        scene.save(scene.a, "a.md", BEFORE + f"{count}\n")
        scene.rest()
    log = scene.b.store.updates(entry)
    assert len(log) < 6 and waiting() in log
    scene.b.kill()
    scene.b.start()
    scene.save(scene.a, "a.md", AFTER)
    scene.rest()
    assert scene.read(scene.b, "a.md") == AFTER


def test_the_log_of_a_tree_is_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", 5)
    scene = shared(BEFORE)
    others = TreeDocument(9)
    made, _ = others.edit([Create(ENTRY, Kind.DIR, "made", False, Origin())])
    moved, _ = others.edit([SetPath(ENTRY, "moved")])
    assert scene.b.engine is not None
    scene.b.engine._hub_side.on_update(TREE, moved, 1, False)
    waiting = scene.b.engine.state.tree.pending
    for count in range(20):
        scene.save(scene.a, f"{count}.md", "new\n")
        scene.rest()
    log = scene.b.store.updates(TREE)
    assert len(log) < 6 + len(waiting) and {*waiting} <= {*log}
    scene.b.kill()
    scene.b.start()
    scene.rest()
    assert len(scene.paths(scene.b)) == 21
    scene.b.engine._hub_side.on_update(TREE, made, 1, False)
    assert scene.b.engine.state.tree.rows[ENTRY].path == "moved"


def test_the_log_in_memory_is_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", 5)
    room, author = RoomTexts(3), TextDocument(1)
    room.apply(ENTRY, waiting())
    for count in range(20):
        room.apply(ENTRY, author.edit(diff(author.text, f"{count}\n")))
    assert room.text(ENTRY) == "19\n"
    assert len(room._updates[ENTRY]) < 6 and waiting() in room._updates[ENTRY]
