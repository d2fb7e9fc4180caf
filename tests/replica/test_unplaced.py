"""Edits that the hub has not placed yet, while others' arrive: taken for the same only where they are."""

from __future__ import annotations

import pytest

from crdtsync.core.replica.events import NetworkChanged, Tick
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.placed import PlacedTexts, Steps
from crdtsync.core.replica.unaccepted import UNACCEPTED_KEY, Unaccepted, UnacceptedEdits
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.document import TextDocument
from crdtsync.core.tree.rows import SetExecutable
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.testing.memory_store import MemoryReplicaStore
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.replica.stories import shared
from tests.replica.test_live import opened
from tests.simulation.scene import Scene
from tests.simulation.test_found import _full

ENTRY = EntryId("ab" * 12)


@pytest.mark.parametrize("saved", [["one\ntwo\nour\n", "one\ntwo\nours\n"], ["one\ntwo\nours\n"]])
def test_what_others_make_of_an_edit_that_the_hub_lost_and_has_again_from_them_is_no_doubling(
    monkeypatch: pytest.MonkeyPatch, saved: list[str]
) -> None:
    """Two saves come from them as one, a single one as it was."""
    scene = shared()
    engine = scene.b.engine
    assert engine is not None
    kept_apart = engine.state.unaccepted.kept_apart
    scene.hub.commit_s = 0.2
    with monkeypatch.context() as full:
        full.setattr(scene.hub.store, "append", _full)
        for text in saved:
            scene.save(scene.b, "a.md", text)
            _until(scene, scene.a, text)
        scene.hub.kill()
        scene.wait(1.0)
    scene.hub.commit_s = 0.002
    scene.a.link.online = False
    scene.b.link.latency_s = 1.0
    scene.hub.start()
    assert scene.within(60.0, lambda: engine.state.session.live)
    assert engine.state.unaccepted
    scene.a.link.online = True
    scene.a.handle(NetworkChanged())
    scene.wait(0.1)
    scene.save(scene.a, "a.md", "one\ntwo\nours and theirs\n")
    _until(scene, scene.b, "one\ntwo\nours and theirs\n")
    assert kept_apart, "it is not told yet that the hub has it for good"
    scene.rest()
    assert scene.read(scene.a, "a.md") == "one\ntwo\nours and theirs\n"
    assert not engine.state.unaccepted
    assert not kept_apart


def _until(scene: Scene, replica: VirtualReplica, text: str) -> None:
    assert scene.within(10.0, lambda: scene.read(replica, "a.md") == text), scene.read(replica, "a.md")


def test_saves_in_a_row_are_one_change_when_others_made_the_same_before() -> None:
    scene = shared("one\ntwo\nthree\n")
    scene.b.link.latency_s = 2.0
    scene.wait(20.0)
    for text in ("one, formatted\ntwo\nthree\n", "one, formatted\ntwo, formatted\nthree\n"):
        scene.save(scene.b, "a.md", text)
        scene.wait(0.2)
    scene.save(scene.a, "a.md", "one, formatted\ntwo, formatted\nthree\n")
    scene.rest()
    assert scene.read(scene.a, "a.md") == "one, formatted\ntwo, formatted\nthree\n"


@pytest.mark.parametrize(
    ("text", "ours", "theirs"),
    [
        ("one two three\n", "one zwei drei three\n", "one deux three\n"),
        ("alpha\nbeta\ngamma\n", "alpha\nours\ngamma\n", "alpha\ntheirs, longer\nmore\ngamma\n"),
    ],
)
def test_what_two_did_to_one_place_in_different_ways_is_there_of_both(
    text: str, ours: str, theirs: str
) -> None:
    scene = shared(text)
    scene.b.link.latency_s = 2.0
    scene.wait(20.0)
    scene.save(scene.b, "a.md", ours)
    scene.save(scene.a, "a.md", theirs)
    scene.rest()
    merged = scene.read(scene.a, "a.md") or ""
    for word in (set(ours.split()) | set(theirs.split())) - set(text.split()):
        assert merged.count(word) == 1


def test_where_nothing_is_seen_to_stand_twice_what_the_operations_made_stays() -> None:
    """Both took out the same line end; without it the text would be shorter, and no change would be."""
    scene = shared("    \n\n.")
    scene.a.link.latency_s = 2.0
    scene.wait(20.0)
    scene.save(scene.a, "a.md", "  \ndeux.")
    scene.save(scene.b, "a.md", "  \nzwei.")
    scene.rest()
    assert scene.read(scene.a, "a.md") == "  \ndeux\nzwei."


def test_an_operation_that_changes_nothing_is_not_sent() -> None:
    scene = shared()
    engine = scene.a.engine
    assert engine is not None
    [entry] = engine.state.view.placements
    sent, logged = scene.a.frames_sent, len(scene.a.store.updates(TREE))
    engine.state.operate(SetExecutable(entry, False))
    scene.a.handle(Tick())
    assert scene.a.frames_sent == sent
    assert len(scene.a.store.updates(TREE)) == logged


def test_saves_between_which_someone_typed_are_there_once_after_the_hub_lost_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They cannot be sent as one by themselves: what was typed stands between them."""
    scene = shared("one\ntwo\nthree\n")
    engine = scene.a.engine
    assert engine is not None
    scene.hub.commit_s = 0.2
    with monkeypatch.context() as full:
        full.setattr(scene.hub.store, "append", _full)
        program = opened(scene, scene.a, "a.md")
        scene.save(scene.a, "a.md", "one, saved\ntwo\nthree\n")
        scene.wait(0.5)
        program.type("a.md", "typed\n")
        scene.wait(0.5)
        scene.save(scene.a, "a.md", "one, saved\ntwo, saved\nthree\ntyped\n")
        scene.wait(1.0)
        assert not engine.state.unaccepted and engine.state.unaccepted._unstored
        scene.hub.kill()
        scene.wait(1.0)
    scene.hub.start()
    scene.rest()
    assert scene.read(scene.b, "a.md") == "one, saved\ntwo, saved\nthree\ntyped\n"
    assert program.read("a.md") == scene.read(scene.a, "a.md") == scene.read(scene.b, "a.md")


def _log(*texts: str) -> list[bytes]:
    """The updates of one author whose text becomes each of these, each longer than the last."""
    document, log = TextDocument(1), []
    for text in texts:
        before = document.text
        log.append(document.edit([Edit(len(before), len(before), text[len(before) :])]))
    return log


def test_edits_that_are_no_longer_in_the_log_are_nobody_s() -> None:
    """The log was made one update by an older release, or restored without the rows beside it."""
    out, store = Outbox(), MemoryReplicaStore()
    edits = UnacceptedEdits(out)
    log = _log("one\n", "one\ntwo\n")
    for update in log:
        edits.add(ENTRY, Unaccepted("", "", update, update))
    store.persist(list(out._records))
    meta = store.remembered().meta
    assert UNACCEPTED_KEY + ENTRY in meta
    for kept in (log, log[:1], []):
        out = Outbox()
        again = UnacceptedEdits(out)
        again.recall(meta, _Recall(kept))
        assert [edit.update for edit in again.of(ENTRY)] == kept
        assert (ENTRY in again) == bool(kept)
        again.write_down()
        assert bool(out._records) == (kept != log), "what is written down is made true"


class _Recall(MemoryReplicaStore):
    def __init__(self, log: list[bytes]) -> None:
        super().__init__()
        self._logs[DocumentId(ENTRY)] = log


def test_a_text_without_ours_is_not_known_where_the_log_has_ours_no_more_by_itself() -> None:
    log = _log("one\n", "one\ntwo\n")
    placed = PlacedTexts(2, lambda _: log)
    assert placed.without(ENTRY, _edits(log[1:])) == "one\n"
    state = TextDocument(2, log).encode_state()
    assert PlacedTexts(2, lambda _: [state]).without(ENTRY, _edits(log[1:])) is None


def test_what_was_taken_back_of_others_stays_out_of_a_text_without_ours() -> None:
    document = TextDocument(1)
    edits = Edit(0, 0, "a [c] [c]\n"), Edit(1, 5, ""), Edit(6, 6, "more\n")
    log = [document.edit([edit]) for edit in edits]
    placed = PlacedTexts(2, lambda _: log)
    assert placed.without(ENTRY, _edits(log[1:])) == "a [c] [c]\n"
    assert placed.without(ENTRY, [*_edits(log[1:2], takes_back=True), *_edits(log[2:])]) == "a [c]\n"


def _edits(updates: list[bytes], *, takes_back: bool = False) -> list[Unaccepted]:
    return [Unaccepted("", "", update, update, takes_back) for update in updates]


def test_where_ours_stands_is_not_known_while_it_waits_for_others() -> None:
    log = _log("one\n", "one\ntwo\n", "one\ntwo\nthree\n")
    placed = PlacedTexts(2, lambda _: log)
    assert placed.without(ENTRY, _edits(log[1:])) == "one\n"
    assert placed.steps(ENTRY, _edits(log[2:]), "one\nthree\n") == Steps(_edits(log[2:]), ())
    assert placed.steps(ENTRY, _edits(log[1:]), "one\ntwo\nthree\n") == Steps(
        _edits(log[1:]), [(4, 8), (8, 14)]
    )


def test_what_was_typed_on_top_of_ours_waits_with_it_and_is_a_step_of_its_own() -> None:
    document = TextDocument(2)
    log = [document.edit([edit]) for edit in (Edit(0, 0, "one\n"), Edit(4, 4, "two\n"))]
    typed = [document.edit([edit]) for edit in (Edit(5, 5, "x"), Edit(6, 6, "y"))]
    merged = "one\ntxywo\n"
    placed = PlacedTexts(2, lambda _: [*log, *typed])
    assert placed.without(ENTRY, _edits(log[1:])) == "one\n"
    steps = placed.steps(ENTRY, _edits(log[1:]), merged)
    assert steps is not None and steps.inserted == [(4, 5), (7, 10)]
    assert [(edit.before, edit.after) for edit in steps.edits[1:]] == [("one\ntwo\n", merged)]
    assert placed.steps(ENTRY, _edits(log[1:]), "another text") is None


def test_what_was_deleted_of_ours_or_of_what_was_typed_on_top_waits_with_it_and_is_no_step() -> None:
    document = TextDocument(2)
    edits = Edit(0, 0, "one\n"), Edit(4, 4, "two\n"), Edit(1, 6, "x"), Edit(4, 4, "three\n"), Edit(1, 2, "")
    log = [document.edit([edit]) for edit in edits]
    merged = "oo\nthree\n"
    assert document.text == merged
    placed = PlacedTexts(2, lambda _: log)
    ours = _edits([log[1], log[3]])
    assert placed.without(ENTRY, ours) == "o"
    steps = placed.steps(ENTRY, ours, merged)
    assert steps is not None and (steps.inserted, steps.deleted) == ([(1, 3), (3, 9)], True)
    assert [edit.after for edit in steps.edits[1:-1]] == ["otwxo\n"]


def test_what_an_update_that_waits_for_others_contains_is_not_known() -> None:
    log = _log("one\n", "one\ntwo\n")
    placed = PlacedTexts(2, lambda _: log)
    assert placed.contained(log[:1], log[1]) == []
    assert placed.contained(log[:1], TextDocument(2, log).encode_state()) == log[:1]


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        (Edit(0, 0, "I "), "I one [checked]\ntwo [checked]\n"),
        (Edit(3, 13, ""), "one [checked]\ntwo [checked]\n"),
        (Edit(0, 13, "I"), "I [checked]\ntwo [checked]\n"),
    ],
)
def test_a_change_that_another_made_first_is_taken_back_though_its_author_typed_on(
    typed: Edit, left: str
) -> None:
    """In it, or over it."""
    scene = shared()
    editor = opened(scene, scene.a, "a.md")
    scene.a.link.latency_s = 0.5
    for replica in (scene.b, scene.a):
        scene.save(replica, "a.md", "one [checked]\ntwo [checked]\n")
        scene.wait(0.1)
    editor.edit("a.md", typed)
    scene.rest()
    assert scene.read(scene.b, "a.md") == editor.read("a.md") == left
