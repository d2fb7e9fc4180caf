"""Positions between characters, in code points and UTF-8 bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text.offsets import from_utf8_many, to_utf8, to_utf8_many, utf8_length, well_formed

texts = st.text(alphabet=st.sampled_from("ab\n\ré€😀\ufeff\0")) | st.text(
    alphabet=st.characters(exclude_categories=["Cs"])
)


def every_offset(text: str) -> range:
    return range(len(text) + 1)


@given(texts)
def test_utf8_offsets_count_encoded_bytes_and_lead_back(text: str) -> None:
    for offset in every_offset(text):
        encoded = to_utf8(text, offset)
        assert encoded == len(text[:offset].encode())
        assert from_utf8_many(text, [encoded]) == [offset]
    assert utf8_length(text) == len(text.encode())


@given(texts, st.data())
def test_many_ascending_offsets_convert_as_one_by_one(text: str, data: st.DataObject) -> None:
    offsets = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    in_utf8 = [to_utf8(text, offset) for offset in offsets]
    assert to_utf8_many(text, offsets) == in_utf8
    assert from_utf8_many(text, in_utf8) == offsets


@pytest.mark.parametrize("convert", [to_utf8_many, from_utf8_many])
@pytest.mark.parametrize("text", ["abc", "é😀"])
def test_an_offset_outside_the_text_is_an_error(
    convert: Callable[[str, list[int]], list[int]], text: str
) -> None:
    for offset in (-1, 100):
        with pytest.raises(ValueError, match="offset"):
            convert(text, [offset])
        with pytest.raises(ValueError, match="offset"):
            to_utf8(text, offset)


@pytest.mark.parametrize("convert", [to_utf8_many, from_utf8_many])
@pytest.mark.parametrize("text", ["abc", "é😀é😀"])
def test_offsets_that_do_not_ascend_are_an_error(
    convert: Callable[[str, list[int]], list[int]], text: str
) -> None:
    with pytest.raises(ValueError, match="smaller"):
        convert(text, [2, 0])


def test_an_offset_inside_a_character_is_an_error_and_never_rounded() -> None:
    for offset in (2, 4, 5, 6):
        with pytest.raises(ValueError, match="inside a character"):
            from_utf8_many("aé😀", [offset])


def test_lone_surrogates_become_replacement_characters_and_pairs_characters() -> None:
    assert well_formed("plain é😀") == "plain é😀"
    assert well_formed("a\ud83d\ude00b") == "a😀b"
    assert well_formed("a\ud83db\ude00") == "a\ufffdb\ufffd"
    with pytest.raises(ValueError, match="surrogates"):
        utf8_length("\ud83d")
