"""State vectors: what they say, and that nothing malformed passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Text

from crdtsync.core.text.statevector import EMPTY_STATE_VECTOR, covers, decode, encode, with_clock

MOST_CLIENT = 2**53 - 1
MOST_CLOCK = 2**31 - 1
clocks = st.dictionaries(st.integers(0, MOST_CLIENT) | st.integers(0, 3), st.integers(1, MOST_CLOCK))


@given(clocks)
def test_decoding_leads_back_to_what_was_encoded(state: dict[int, int]) -> None:
    assert decode(encode(state)) == state


def test_the_encoding_is_that_of_yjs_and_leaves_zeros_out() -> None:
    doc: Doc[Text] = Doc(client_id=7)
    doc.get("content", type=Text).insert(0, "abc")
    assert doc.get_state() == encode({7: 3, 9: 0}) == b"\x01\x07\x03"
    assert encode({}) == EMPTY_STATE_VECTOR == Doc().get_state()
    assert decode(b"\x01\x07\x00") == {7: 0}


def test_the_same_clocks_have_the_same_bytes() -> None:
    assert encode({1: 2, 300: 4}) == encode({300: 4, 1: 2})


@given(clocks, clocks)
def test_one_covers_another_when_no_clock_is_behind(a: dict[int, int], b: dict[int, int]) -> None:
    expected = all(a.get(client, 0) >= clock for client, clock in b.items())
    assert covers(encode(a), encode(b)) is expected


def test_one_clock_can_be_set_or_removed() -> None:
    assert decode(with_clock(encode({1: 2, 3: 4}), 1, 9)) == {1: 9, 3: 4}
    assert decode(with_clock(encode({1: 2, 3: 4}), 1, 0)) == {3: 4}
    for client, clock in ((-1, 0), (MOST_CLIENT + 1, 0), (1, -1), (1, MOST_CLOCK + 1)):
        with pytest.raises(ValueError, match="no such"):
            with_clock(EMPTY_STATE_VECTOR, client, clock)


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"\x80",
        b"\x01",
        b"\x01\x07",
        b"\x01\x07\x80",
        b"\x00\x00",
        b"\x01\x07\x03\x00",
        b"\x02\x07\x03\x07\x04",
        b"\xff\xff\xff\xff\x0f",
        b"\x01" + b"\xff" * 7 + b"\x1f\x01",
        b"\x01\x07" + b"\x80" * 8 + b"\x01",
        b"\x01\x07\x80\x80\x80\x80\x08",
    ],
    ids=lambda encoded: encoded.hex() or "nothing",
)
def test_what_is_malformed_is_refused(malformed: bytes) -> None:
    with pytest.raises(ValueError, match="malformed state vector"):
        decode(malformed)
    with pytest.raises(ValueError, match="malformed state vector"):
        covers(malformed, EMPTY_STATE_VECTOR)
    with pytest.raises(ValueError, match="malformed state vector"):
        covers(b"\x01\x07\x03", malformed)


@given(st.binary(max_size=24))
def test_any_bytes_are_either_decoded_or_refused(data: bytes) -> None:
    try:
        state = decode(data)
    except ValueError:
        return
    assert decode(encode(state)) == {client: clock for client, clock in state.items() if clock}
