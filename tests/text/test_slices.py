"""A large update in slices is the same, slice by slice."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.core.text.causal import CausalBuffer
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.slices import sliced
from crdtsync.core.text.update import check_update
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.rows import Create, Origin, SetGone, SetPath
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId
from crdtsync.errors import MalformedUpdate
from tests.text.test_apply_later import edited_by_two
from tests.text.updates import clocks, skip, structs, text, update


@given(st.integers(0, 1 << 32))
@settings(max_examples=150, deadline=None)
def test_a_text_in_slices_is_the_same_text(seed: int) -> None:
    rng = random.Random(seed)
    whole, in_slices, buffer = TextDocument(3, edited_by_two(rng)), TextDocument(4), CausalBuffer()
    for part in sliced(whole.encode_state(), rng.choice((1, 10, 40, 1000))):
        assert buffer.take(part).ready == [part], "it needs what comes later"
        in_slices.apply_update(part)
    assert (in_slices.text, in_slices.state_vector) == (whole.text, whole.state_vector)
    assert clocks(in_slices.encode_state()) == clocks(whole.encode_state())


@given(st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None)
def test_a_tree_in_slices_is_the_same_tree(seed: int) -> None:
    rng = random.Random(seed)
    trees = [TreeDocument(7), TreeDocument(300)]
    for number in range(rng.randrange(1, 30)):
        tree = rng.choice(trees)
        entry = EntryId(f"{rng.randrange(number + 1):024x}")
        if entry not in tree.rows:
            tree.edit([Create(entry, Kind.TEXT, f"{number}.txt", bool(number & 1), Origin("Ann", 5))])
        else:
            tree.edit([SetPath(entry, f"{number}.md"), SetGone(entry, bytes([number]))])
        if rng.random() < 0.3:
            for one, other in (trees, trees[::-1]):
                one.apply_update(other.encode_state())
    whole, in_slices = trees[0], TreeDocument(9)
    for part in sliced(whole.encode_state(), rng.choice((1, 100, 400))):
        in_slices.apply_update(part)
        assert not in_slices.pending
    assert in_slices.rows == whole.rows
    assert in_slices.state_vector == whole.state_vector
    assert TreeDocument(9, [in_slices.encode_state()]).rows == whole.rows


def test_slices_are_about_as_large_as_was_asked() -> None:
    large = update([structs(5, 0, *(text("x" * 50, right=(6, n)) for n in range(100)))])
    parts = sliced(large, 500)
    assert max(map(len, parts)) < 700
    assert len(parts) == len(large) // 500
    assert len(sliced(large, 1 << 20)) == 1


def test_what_waits_for_others_or_for_itself_is_not_lost() -> None:
    waiting = update([structs(7, 4, text("a", (5, 9))), structs(5, 0, skip(3), text("b", (7, 4)))])
    circle = update([structs(7, 0, text("a", (5, 0))), structs(5, 0, text("b", (7, 0)))])
    for one in (waiting, circle):
        structs_there = [check_update(part).inserts for part in sliced(one, 1)]
        merged = {client: ranges for inserts in structs_there for client, ranges in inserts.items()}
        assert merged == check_update(one).inserts
    assert sliced(b"\0\0", 100) == []


def test_what_cannot_be_read_is_not_cut() -> None:
    with pytest.raises(MalformedUpdate):
        sliced(b"\xff damaged", 100)
