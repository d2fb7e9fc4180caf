"""What may be integrated now, and what waits."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Text

from crdtsync.core.text.causal import CausalBuffer, is_ready, split
from crdtsync.core.text.statevector import decode
from crdtsync.core.text.update import EMPTY_UPDATE, check_update
from crdtsync.core.wire.lib0 import varuint
from crdtsync.errors import MalformedUpdate
from tests.text.updates import Author, deletions, garbage, item, skip, string, structs, text, update


def insert(client: int, clock: int, characters: str = "a", **origins: tuple[int, int]) -> bytes:
    return update([structs(client, clock, text(characters, **origins))])


def test_an_update_that_needs_nothing_is_ready() -> None:
    buffer = CausalBuffer()
    first = insert(1, 0, "ab")
    taken = buffer.take(first)
    assert (taken.ready, taken.waits) == ([first], False)
    assert buffer.known == {1: 2}
    assert not buffer.pending
    again = buffer.take(first, check_update(first))
    assert (again.ready, again.waits) == ([first], False)
    assert buffer.known == {1: 2}


def test_what_comes_too_early_waits_and_comes_in_order() -> None:
    buffer = CausalBuffer()
    updates = [insert(1, clock, left=(1, clock - 1)) if clock else insert(1, 0) for clock in range(6)]
    for early in (updates[5], updates[3], updates[4], updates[1], updates[2]):
        taken = buffer.take(early)
        assert (taken.ready, taken.waits) == ([], True)
    assert buffer.pending == (updates[5], updates[3], updates[4], updates[1], updates[2])
    assert not buffer.take(updates[3]).waits, "it waited before"
    assert buffer.take(updates[0]).ready == updates
    assert buffer.known == {1: 6}
    assert not buffer.pending


def test_one_waits_for_the_other_clients_that_its_items_were_placed_by() -> None:
    buffer = CausalBuffer()
    later = insert(1, 0, left=(2, 3), right=(3, 0))
    assert buffer.take(later).ready == []
    assert buffer.take(insert(3, 0)).ready == [insert(3, 0)]
    assert buffer.take(insert(2, 0, "abc")).ready == [insert(2, 0, "abc")]
    assert buffer.take(insert(2, 3)).ready == [insert(2, 3), later]


def test_deletions_wait_for_what_they_delete() -> None:
    buffer = CausalBuffer()
    whole = update([structs(1, 0, text("ab"))], [deletions(1, (0, 1)), deletions(2, (0, 1), (4, 2))])
    taken = buffer.take(whole)
    assert taken.waits
    assert taken.ready == [update([structs(1, 0, text("ab"))], [deletions(1, (0, 1))])]
    assert buffer.pending == (update([], [deletions(2, (0, 1), (4, 2))]),)
    half = insert(2, 0, "abcde")
    assert buffer.take(half).ready == [half, update([], [deletions(2, (0, 1), (4, 1))])]
    assert buffer.pending == (update([], [deletions(2, (5, 1))]),)
    rest = insert(2, 5)
    assert buffer.take(rest).ready == [rest, update([], [deletions(2, (5, 1))])]
    assert not buffer.pending


def test_the_part_of_an_update_that_can_go_in_goes_in() -> None:
    buffer = CausalBuffer()
    whole = update([structs(3, 0, text("x"), text("y", left=(9, 0))), structs(1, 0, text("ab"))])
    taken = buffer.take(whole)
    assert taken.ready == [update([structs(3, 0, text("x")), structs(1, 0, text("ab"))])]
    assert buffer.pending == (update([structs(3, 1, text("y", left=(9, 0)))]),)
    assert buffer.known == {3: 1, 1: 2}


def test_clients_of_one_update_do_not_wait_for_each_others_lack() -> None:
    buffer = CausalBuffer()
    buffer.take(update([structs(3, 0, text("x", left=(9, 0))), structs(1, 0, text("y", left=(8, 0)))]))
    assert buffer.take(insert(8, 0)).ready[1:] == [update([structs(1, 0, text("y", left=(8, 0)))])]


def test_parts_that_need_each_other_within_an_update_are_ready_together() -> None:
    whole = update([structs(3, 0, text("x"), text("z", left=(1, 0))), structs(1, 0, text("y", left=(3, 0)))])
    assert is_ready(check_update(whole), {})
    ready, rests = split(whole, {})
    assert (ready, rests) == (whole, [])


def test_a_gap_is_waited_for_and_a_known_one_passed() -> None:
    gapped = update([structs(1, 0, text("a"), skip(2), text("d"))])
    buffer = CausalBuffer()
    assert buffer.take(gapped).ready == [insert(1, 0)]
    assert buffer.pending == (insert(1, 3, "d"),)
    filling = insert(1, 1, "bc")
    assert buffer.take(filling).ready == [filling, insert(1, 3, "d")]
    assert CausalBuffer({1: 3}).take(gapped).ready == [gapped]
    assert CausalBuffer({1: 2}).take(gapped).waits


def test_what_is_malformed_changes_nothing() -> None:
    buffer = CausalBuffer({1: 2})
    with pytest.raises(MalformedUpdate):
        buffer.take(b"\x01")
    assert buffer.known == {1: 2}


def test_an_empty_update_is_ready_and_known_again() -> None:
    assert CausalBuffer().take(EMPTY_UPDATE).ready == [EMPTY_UPDATE]
    assert is_ready(check_update(update([], [deletions(1, (0, 2))])), {1: 2})
    assert not is_ready(check_update(update([], [deletions(1, (0, 2))])), {1: 1})


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[bytes], str]:
    """What three authors wrote, learning from each other now and then, in any order and some of it twice."""
    authors = [Author(1), Author(2), Author(3)]
    for _ in range(draw(st.integers(2, 14))):
        author = draw(st.sampled_from(authors))
        length = len(str(author.text))
        start = draw(st.integers(0, length))
        end = min(length, start + draw(st.integers(0, 2)))
        author.replace(start, end, draw(st.sampled_from(["a", "xyz", "é😀"])))
        if draw(st.booleans()):
            draw(st.sampled_from(authors)).learn_from(author)
    for author in authors[1:]:
        authors[0].learn_from(author)
    updates = [made for author in authors for made in author.updates]
    again = draw(st.lists(st.sampled_from(updates), max_size=4))
    return draw(st.permutations(updates + again)), str(authors[0].text)


@given(histories())
def test_whatever_the_order_the_document_ends_the_same_and_nothing_is_lost_on_the_way(
    history: tuple[list[bytes], str],
) -> None:
    updates, expected = history
    buffer = CausalBuffer()
    doc: Doc[Text] = Doc(client_id=9)
    content = doc.get("content", type=Text)
    for received in updates:
        for ready in buffer.take(received).ready:
            doc.apply_update(ready)
        assert {client: clock for client, clock in decode(doc.get_state()).items() if clock} == buffer.known
        copy: Doc[Text] = Doc(client_id=8)
        copy.apply_update(doc.get_update())
        assert str(copy.get("content", type=Text)) == str(content)
    assert not buffer.pending
    assert str(content) == expected


def test_thousands_that_come_backwards_are_no_trouble() -> None:
    updates = [insert(1, clock, left=(1, clock - 1)) if clock else insert(1, 0) for clock in range(3000)]
    buffer = CausalBuffer()
    for early in reversed(updates[1:]):
        buffer.take(early)
    assert buffer.take(updates[0]).ready == updates


def test_yrs_itself_still_loses_what_fills_a_gap() -> None:
    """The reason for all of this; when it fails, Yrs has been mended and this can become simpler."""
    author = Author(1)
    for at, character in ((0, "d"), (1, "b"), (1, "d"), (0, "c")):
        author.replace(at, at, character)
    doc: Doc[Text] = Doc(client_id=9)
    for index in (3, 0, 2, 1):
        doc.apply_update(author.updates[index])
    assert str(doc.get("content", type=Text)) != str(author.text)


def test_random_orders_of_a_longer_history_end_the_same() -> None:
    rng = random.Random(5)
    author = Author(1)
    for _ in range(200):
        length = len(str(author.text))
        start = rng.randrange(length + 1)
        author.replace(start, min(length, start + rng.randrange(2)), rng.choice("abc"))
    for _ in range(10):
        order = rng.sample(author.updates, len(author.updates))
        buffer = CausalBuffer()
        doc: Doc[Text] = Doc(client_id=9)
        for received in order:
            for ready in buffer.take(received).ready:
                doc.apply_update(ready)
        assert str(doc.get("content", type=Text)) == str(author.text)


def test_a_gap_among_items_in_another_list_is_passed_once_it_is_known() -> None:
    elsewhere = item(string("x"), 4, parent=varuint(1) + string("other"))
    gapped = update([structs(1, 0, elsewhere, skip(2), text("d", left=(2, 0)))])
    buffer = CausalBuffer({1: 3, 2: 1})
    assert buffer.take(gapped).ready == [gapped]
    # and what stands left of it is in the other list, whatever is said of it later
    assert buffer.take(insert(3, 0, left=(1, 0), right=(2, 0))).ready == [insert(3, 0, left=(1, 0))]


def test_what_comes_first_under_an_identity_is_what_it_stands_for() -> None:
    buffer = CausalBuffer()
    buffer.take(update([structs(1, 0, garbage(2))]))
    contradiction = update([structs(1, 0, item(string("xy"), 4, parent=varuint(1) + string("other")))])
    assert buffer.take(contradiction).ready == [contradiction]
    assert buffer.take(insert(2, 0, left=(1, 1))).ready == [update([structs(2, 0, garbage(1))])]


def other_list(characters: str = "x", left: tuple[int, int] | None = None) -> bytes:
    return item(string(characters), 4, left=left, parent=varuint(1) + string("other"))


def test_where_items_stand_is_known_of_the_state_that_a_document_was_made_from() -> None:
    state = update([structs(1, 0, other_list("xy"))])
    buffer = CausalBuffer({1: 2, 2: 1}, [state])
    assert buffer.take(insert(3, 0, left=(1, 1), right=(2, 0))).ready == [insert(3, 0, left=(1, 1))]


def test_what_is_typed_on_in_another_list_stands_there_too() -> None:
    buffer = CausalBuffer({2: 1})
    buffer.take(update([structs(1, 0, other_list("x"))]))
    buffer.take(update([structs(1, 1, text("y", left=(1, 0)))]))
    assert buffer.take(insert(3, 0, left=(1, 1), right=(2, 0))).ready == [insert(3, 0, left=(1, 1))]


def test_what_is_put_into_something_that_is_no_type_is_garbage() -> None:
    buffer = CausalBuffer({1: 1})
    inside = update([structs(2, 0, item(string("ab"), 4, parent=varuint(0) + varuint(1) + varuint(0)))])
    assert buffer.take(inside).ready == [update([structs(2, 0, garbage(2))])]
