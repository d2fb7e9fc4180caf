"""Characters that JavaScript counts as two stay whole, whatever a Yjs client cuts."""

from __future__ import annotations

import pytest
from pycrdt import Doc, Text

from crdtsync.core.text.causal import CausalBuffer
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.surrogates import Pairs
from crdtsync.core.text.update import check_update, read_structs
from crdtsync.errors import MalformedUpdate
from tests.text.updates import deletions, garbage, skip, structs, text, update

SMILE = update([structs(1, 0, text("a😀b"))])
"""Clocks: a 0, the halves 1 and 2, b 3."""

CUTS = {
    "deletes the first half": (update([], [deletions(1, (1, 1))]), "ab"),
    "deletes the second half": (update([], [deletions(1, (2, 1))]), "ab"),
    "deletes more on both sides": (update([], [deletions(1, (0, 2), (3, 1))]), ""),
    "inserts between the halves": (update([structs(2, 0, text("X", left=(1, 1), right=(1, 2)))]), "a😀bX"),
    "inserts after the first half": (update([structs(2, 0, text("X", left=(1, 1)))]), "a😀bX"),
    "inserts before the second half": (update([structs(2, 0, text("X", right=(1, 2)))]), "aX😀b"),
}


@pytest.mark.parametrize(("cut", "result"), CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("in_order", [True, False])
def test_a_cut_inside_a_character_is_moved_to_its_edge(cut: bytes, result: str, in_order: bool) -> None:
    document = TextDocument(9)
    for received in (SMILE, cut) if in_order else (cut, SMILE):
        document.apply_update(received)
    assert document.text == result
    state = document.encode_state()
    check_update(state)
    copy = TextDocument(8, [state])
    for received in (cut, SMILE):
        copy.apply_update(received)
    assert copy.text == result
    assert copy.state_vector == document.state_vector


def test_what_does_not_cut_a_character_stays_as_it_is() -> None:
    buffer = CausalBuffer()
    buffer.take(SMILE)
    for sound in (
        update([structs(2, 0, text("X", left=(1, 0), right=(1, 1)))]),
        update([structs(2, 1, text("X", left=(1, 2), right=(1, 3)))]),
        update([], [deletions(1, (1, 2))]),
    ):
        assert buffer.take(sound).ready == [sound]


def test_only_what_cuts_is_moved_in_an_update_of_many_structs() -> None:
    pairs = Pairs()
    pairs.learn(check_update(SMILE))
    mixed = update(
        [
            structs(
                3,
                0,
                text("root"),
                text("X", left=(1, 1), right=(1, 2)),
                text("Y", left=(1, 0), right=(1, 1)),
                text("Z", right=(1, 2)),
                garbage(2),
                skip(1),
                text("W", left=(4, 1), right=(4, 2)),
            )
        ],
        [deletions(4, (0, 2))],
    )
    assert pairs.are_cut_by(check_update(mixed))
    mended, deleted = read_structs(pairs.mended(mixed))
    assert [struct.encoded for struct in mended[3]] == [
        text("root"),
        text("X", left=(1, 2)),
        text("Y", left=(1, 0), right=(1, 1)),
        text("Z", right=(1, 1)),
        garbage(2),
        skip(1),
        text("W", left=(4, 1), right=(4, 2)),
    ]
    assert deleted == {4: ((0, 2),)}
    assert not pairs.are_cut_by(check_update(pairs.mended(mixed)))


def test_pairs_are_known_of_a_state_that_was_loaded() -> None:
    document = TextDocument(9)
    document.apply_update(SMILE)
    long = TextDocument(9, [document.encode_state()])
    long.apply_update(update([structs(7, 0, text("x" * 5000))]))
    for loaded in (TextDocument(8, [document.encode_state()]), TextDocument(8, [long.encode_state()])):
        loaded.apply_update(update([], [deletions(1, (1, 1))]))
        assert "😀" not in loaded.text
        check_update(loaded.encode_state())
    pairs = Pairs()
    pairs.learn_state(update([structs(1, 0, text("plain"))]))
    assert not pairs.are_cut_by(check_update(update([], [deletions(1, (1, 1))])))


def test_a_state_vector_inside_a_character_is_answered_from_its_start() -> None:
    document = TextDocument(9)
    document.apply_update(SMILE)
    answer = document.diff_update(b"\x01\x01\x02")
    assert check_update(answer).inserts == {1: ((1, 4),)}


def test_a_client_id_used_twice_does_not_cut_a_character() -> None:
    buffer = CausalBuffer()
    buffer.take(update([structs(1, 0, text("xy"))]))
    with pytest.raises(MalformedUpdate, match="inside a character"):
        buffer.take(SMILE)
    assert buffer.known == {1: 2}


def test_yrs_itself_still_breaks_when_a_character_is_cut() -> None:
    """The reason for all of this; when it fails, Yrs has been mended and this can go."""
    doc: Doc[Text] = Doc(client_id=9)
    doc.apply_update(SMILE)
    doc.apply_update(update([], [deletions(1, (1, 1))]))
    copy: Doc[Text] = Doc(client_id=8)
    copy.apply_update(doc.get_update())
    assert copy.get_state() != doc.get_state()


def test_what_stands_under_an_identity_that_is_half_of_a_pair_is_garbage() -> None:
    pairs = Pairs()
    pairs.learn(check_update(update([structs(1, 0, text("😀"))])))
    contradiction = update([structs(1, 1, text("x", left=(1, 0)))])
    assert pairs.mended(contradiction) == update([structs(1, 1, garbage(1))])
