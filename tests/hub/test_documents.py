"""Comparing and compacting lose nothing, whatever order updates came in and whatever still waits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc

from crdtsync.core.hub import bounds
from crdtsync.core.hub.documents import compact, compare, problem_of
from crdtsync.core.text.statevector import decode
from crdtsync.core.text.update import EMPTY_UPDATE
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.rows import Create, Origin, SetGone
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import TREE, EntryId
from crdtsync.core.wire.messages import LogEntry
from tests.hub.material import NOTES, Author, lone_update, text_of


def log(*updates: bytes) -> list[LogEntry]:
    return [LogEntry(number, 1000 + number, NOTES, update) for number, update in enumerate(updates, 1)]


def compacted(entries: list[LogEntry], whole: int = 0) -> tuple[list[LogEntry], int]:
    """The log after a compaction, and which of its rows that made."""
    compaction = compact(NOTES, entries, whole)
    if compaction is None:
        return entries, whole
    kept = [entry for entry in entries if entry.sequence not in compaction.sequences]
    return sorted([*kept, compaction.entry], key=lambda entry: entry.sequence), compaction.entry.sequence


def test_a_large_tree_is_compacted_slice_by_slice_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = TreeDocument(5)
    updates = []
    for first in range(0, 60, 20):
        entries = [EntryId(f"{number:024x}") for number in range(first, first + 20)]
        made = [Create(entry, Kind.TEXT, f"{entry}.txt", False, Origin("Ann", 5)) for entry in entries]
        updates += [tree.edit(made)[0], tree.edit([SetGone(entries[3], b"\0")])[0]]
    rows = [LogEntry(number, 1000, TREE, update) for number, update in enumerate(updates, 1)]
    applied: list[int] = []
    applies = Doc.apply_update

    def apply_update(doc: Doc[Any], update: bytes) -> None:
        applied.append(len(update))
        applies(doc, update)

    monkeypatch.setattr(bounds, "TREE_SLICE_BYTES", 500)
    monkeypatch.setattr(Doc, "apply_update", apply_update)
    once = compact(TREE, rows[:5])
    assert once is not None
    twice = compact(TREE, [once.entry, rows[5]], once.entry.sequence)
    assert twice is not None and max(applied) < 800
    assert TreeDocument(6, [twice.entry.update]).rows == tree.rows
    damaged = LogEntry(7, 1000, TREE, b"\xff damaged" * 100)
    assert compact(TREE, [damaged, *rows], damaged.sequence) is None


def test_of_a_tree_only_the_rows_that_wait_stay() -> None:
    tree, other = TreeDocument(5), TreeDocument(6)
    entries = [EntryId(f"{number:024x}") for number in range(4)]
    made = [Create(entry, Kind.TEXT, f"{entry}.txt", False, Origin("Ann", 5)) for entry in entries]
    lost, late = (other.edit([each])[0] for each in made[:2])
    rows = [LogEntry(at, 1000, TREE, tree.edit([each])[0]) for at, each in enumerate(made[2:], 2)]
    compaction = compact(TREE, [LogEntry(1, 1000, TREE, late), *rows])
    assert compaction is not None and compaction.sequences == (2, 3)
    found = TreeDocument(7, [compaction.entry.update, late, lost])
    assert found.rows == {**tree.rows, **other.rows}


Step = tuple[int, str, float, float]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["type", "erase", "merge"]),
        st.floats(0, 1),
        st.floats(0, 1),
    ),
    min_size=2,
    max_size=25,
)


def histories(steps: list[Step]) -> list[bytes]:
    """Updates of three who type, erase and hear of each other now and then."""
    authors = [Author(client) for client in (1, 2, 3)]
    updates: list[bytes] = []
    for who, what, where, extent in steps:
        author = authors[who]
        length = len(str(author))
        start = int(where * length)
        match what:
            case "type":
                updates.append(author.type("ab" * (1 + int(extent * 3)), start))
            case "erase" if length:
                updates.append(author.erase(start, min(length, start + 1 + int(extent * 5))))
            case _:
                author.take(*[update for other in authors for update in [other.doc.get_update()]])
    return [update for update in updates if update != EMPTY_UPDATE]


@given(STEPS, st.randoms(use_true_random=False), st.integers(0, 25))
@settings(max_examples=150, deadline=None)
def test_a_compacted_log_and_what_comes_later_make_the_same_document(
    steps: list[Step], order: object, missing: int
) -> None:
    updates = histories(steps)
    assert problem_of((NOTES, update) for update in updates) is None
    arriving = list(updates)
    order.shuffle(arriving)  # type: ignore[attr-defined]
    early, late = arriving[: len(arriving) - missing], arriving[len(arriving) - missing :]
    expected = full(log(*updates))
    once, whole = compacted(log(*early))
    grown = [*once, *log(*arriving)[len(early) :]]
    assert full(grown, whole) == full(grown) == expected
    twice, whole = compacted(grown, whole)
    assert full(twice, whole) == full(twice) == expected
    thrice, whole = compacted(twice, whole)
    assert full(thrice, whole) == expected
    assert [entry.sequence for entry in once] == sorted(entry.sequence for entry in once)
    assert len(late) + len(early) == len(updates)


def full(entries: list[LogEntry], whole: int = 0) -> tuple[str, bytes]:
    """Text and state of a document that took the rows until nothing of them waits."""
    found = compare(entries, b"\0", whole)
    assert found.complete
    return text_of([found.update or EMPTY_UPDATE]), found.state_vector


@given(STEPS, st.integers(0, 25))
@settings(max_examples=100, deadline=None)
def test_a_difference_brings_anyone_up_to_date(steps: list[Step], known: int) -> None:
    updates = histories(steps)
    other = Author(50)
    other.take(*updates[:known])
    theirs = other.doc.get_state()
    found = compare(log(*updates), theirs)
    other.take(found.update or EMPTY_UPDATE)
    assert decode(other.doc.get_state()) == decode(found.state_vector)
    assert (str(other), found.state_vector) == full(log(*updates))


def test_the_row_that_stays_has_the_place_of_the_last_and_the_latest_time() -> None:
    writer = Author()
    entries = [
        LogEntry(5, 300, NOTES, writer.type("a")),
        LogEntry(7, 100, NOTES, writer.type("b")),
        LogEntry(9, 200, NOTES, writer.type("c")),
    ]
    compaction = compact(NOTES, entries)
    assert compaction is not None
    assert compaction.sequences == (5, 7, 9)
    assert (compaction.entry.sequence, compaction.entry.at_ms) == (9, 300)
    assert text_of([compaction.entry.update]) == "abc"


def test_rows_that_wait_stay_as_they_are() -> None:
    writer = Author()
    first, second, third = writer.type("a"), writer.type("b"), writer.type("c")
    other = [lone_update("x", 8), lone_update("y", 9)]
    entries = log(first, third, *other)
    compaction = compact(NOTES, entries)
    assert compaction is not None
    assert compaction.sequences == (1, 3, 4)
    after, whole = compacted(entries)
    assert after[0].update == third
    assert whole == 4
    late = LogEntry(9, 0, NOTES, second)
    assert full([*after, late], whole) == full(log(first, second, third, *other))
    rest = compact(NOTES, [*after, late], whole)
    assert rest is not None
    assert rest.sequences == (2, 4, 9)


def test_a_deletion_of_what_is_not_there_yet_waits_too() -> None:
    writer = Author()
    typed, erased = writer.type("hello"), writer.erase(0, 5)
    entries = log(erased, lone_update("x", 8), lone_update("y", 9))
    after, _ = compacted(entries)
    assert erased in [entry.update for entry in after]
    assert sorted(text_of([*(entry.update for entry in after), typed])) == ["x", "y"]
    assert not compare(entries, b"\0").complete


def test_nothing_is_gained_by_compacting_less_than_two_rows() -> None:
    assert compact(NOTES, log()) is None
    assert compact(NOTES, log(lone_update())) is None


def test_a_row_that_breaks_the_document_is_never_compacted_away() -> None:
    entries = log(lone_update("a", 1), b"\xff\xff\xff", lone_update("b", 2))
    assert compact(NOTES, entries) is None
    found = compare(entries, b"\0")
    assert (found.state_vector, found.update, found.complete) == (b"\0", b"", False)


def test_an_unknown_document_is_empty() -> None:
    found = compare([], b"\1\5\7")
    assert (found.state_vector, found.update, found.complete) == (b"\0", b"", True)


def test_who_has_everything_is_sent_nothing() -> None:
    found = compare(log(lone_update("a", 1)), b"\1\1\1")
    assert found.update == b""


@pytest.mark.parametrize("wrong", [b"", b"\1", b"\2\1\1", b"\0\0", b"\xff" * 12])
def test_a_malformed_state_vector_is_a_value_error(wrong: bytes) -> None:
    with pytest.raises(ValueError, match="state vector"):
        compare(log(lone_update()), wrong)
