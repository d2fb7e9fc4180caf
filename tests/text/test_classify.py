"""What is a text, and that its bytes come back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.text.classify import classify
from crdtsync.core.values import limits


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")), st.booleans())
def test_bytes_to_text_to_bytes_is_the_identity(data: bytes, known_text: bool) -> None:
    text = classify(data, known_text)
    assert text is None or text.encode() == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"plain\n",
        b"\xef\xbb\xbfwith a byte order mark",
        b"dos\r\nmac\runix\n",
        "é😀\u2028\x0b\x85".encode(),
    ],
)
def test_every_character_of_a_text_is_kept(data: bytes) -> None:
    text = classify(data, known_text=False)
    assert text is not None
    assert text.encode() == data


@pytest.mark.parametrize(
    "data",
    [
        b"nul \0 inside",
        b"\xff\xfeU\0T\0F\0",
        b"caf\xe9 in latin 1",
        b"\xed\xa0\x80 a surrogate",
        b"cut \xf0\x9f\x98",
    ],
)
def test_what_is_not_utf8_or_holds_nul_is_a_blob(data: bytes) -> None:
    assert classify(data, known_text=False) is None
    assert classify(data, known_text=True) is None


def test_a_text_may_grow_further_than_a_file_may_be_to_become_one() -> None:
    becomes = b"x" * limits.TEXT_BECOMES_MAX_BYTES
    remains = b"x" * limits.TEXT_REMAINS_MAX_BYTES
    assert classify(becomes, known_text=False) is not None
    assert classify(becomes + b"x", known_text=False) is None
    assert classify(becomes + b"x", known_text=True) is not None
    assert classify(remains, known_text=True) is not None
    assert classify(remains + b"x", known_text=True) is None
