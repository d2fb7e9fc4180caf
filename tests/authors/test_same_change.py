"""Both make the same change at once, and a connection breaks in the middle: it stands there once."""

from __future__ import annotations

import pytest

from tests.authors.disks import Pair
from tests.authors.recorded import Recorded
from tests.traces import Recording

BEFORE = "alpha\nbeta\ngamma\n"
AFTER = "alpha\nthe very same words\nbeta\ngamma\n"
LONG_S = 5.0


@pytest.fixture
def pair() -> Pair:
    pair = Pair(Recorded(Recording("", "", ())))
    pair.authors[0].save(BEFORE)
    pair.pass_time(1.0)
    pair.settle()
    assert pair.authors[1].on_disk == BEFORE
    return pair


def come_together(pair: Pair) -> None:
    for author in pair.authors:
        author.desk.holding = False
        author.desk.take_frames(author.desk.frames)
    pair.pass_time(LONG_S)
    pair.settle()
    assert [author.on_disk for author in pair.authors] == [AFTER, AFTER]


def test_a_change_whose_push_was_lost_with_the_connection_is_not_doubled(pair: Pair) -> None:
    mine, theirs = pair.authors
    mine.desk.link.latency_s = LONG_S
    mine.save(AFTER)
    pair.pass_time(0.1)
    theirs.save(AFTER)
    pair.pass_time(0.1)
    mine.desk.link.latency_s = 0.0005
    mine.desk.link.cut()
    come_together(pair)


@pytest.mark.parametrize("first", [0, 1], ids=["ours was placed first", "theirs was placed first"])
def test_a_change_whose_place_was_never_told_is_not_doubled_and_not_lost(pair: Pair, first: int) -> None:
    for author in pair.authors:
        author.desk.holding = True
    for author in (pair.authors[first], pair.authors[1 - first]):
        author.save(AFTER)
        pair.pass_time(0.1)
    mine = pair.authors[0].desk
    mine.link.cut()
    mine.holding = False
    pair.pass_time(LONG_S)
    come_together(pair)


def test_a_change_made_while_documents_are_compared_counts_as_placed_with_the_comparison(pair: Pair) -> None:
    mine, theirs = pair.authors
    mine.desk.link.latency_s = LONG_S
    mine.save(BEFORE + "delta\n")
    pair.pass_time(0.1)
    mine.desk.link.cut()
    mine.desk.link.latency_s = 0.2
    mine.save(BEFORE + "delta and more\n")
    pair.pass_time(LONG_S)
    theirs.save(theirs.on_disk + "epsilon\n")
    pair.pass_time(LONG_S)
    pair.settle()
    assert mine.on_disk == theirs.on_disk == BEFORE + "delta and more\nepsilon\n"
    engine = mine.desk.engine
    assert engine is not None
    assert not engine.state.unaccepted
