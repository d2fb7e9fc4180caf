"""A text's first update is written and read as a document would, or left to the document."""

from __future__ import annotations

import pytest

from crdtsync.core.text.diff import Edit
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.first import FirstText, read_first, write_first

CLIENTS = (0, 1, 127, 128, 1 << 31, 1 << 52 | 5, (1 << 53) - 1)
TEXTS = (
    "a",
    "héllo\r\n",
    "\N{GRINNING FACE}\n",
    "\ufeffwith a mark\n",
    "x" * 127,
    "x" * 128,
    "wörter und \N{GRINNING FACE} " * 5000,
)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("text", TEXTS)
def test_the_bytes_are_those_that_a_document_writes(client: int, text: str) -> None:
    document = TextDocument(client)
    update = document.edit([Edit(0, 0, text)])
    first = FirstText(client, text)
    assert write_first(first) == update
    assert first.state_vector == document.state_vector
    assert read_first(update) == first


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        write_first(FirstText(1, "a\ud83d"))


def _update(*edits: Edit, client: int = 7) -> bytes:
    document = TextDocument(client)
    for edit in edits:
        document.edit([edit])
    return document.encode_state()


WHOLE = _update(Edit(0, 0, "some text"))


@pytest.mark.parametrize(
    "update",
    [
        b"",
        b"\0\0",
        b"\1\1",
        *(WHOLE[:end] for end in range(len(WHOLE))),
        WHOLE + b"\0",
        WHOLE.replace(b"content", b"contens"),
        WHOLE.replace(b"some", b"so\0e"),
        WHOLE.replace(b"some", b"so\xffe"),
        WHOLE[:-1] + b"\1\7\1\0\1",
        write_first(FirstText(7, "")),
        b"\1\1" + b"\xff" * 8 + b"\x7f" + WHOLE[3:],
        _update(Edit(0, 0, "some text"), Edit(2, 3, "")),
        _update(Edit(0, 0, "some text"), Edit(0, 0, "before it")),
    ],
)
def test_any_other_update_is_left_to_the_document(update: bytes) -> None:
    assert read_first(update) is None


@pytest.mark.parametrize("text", ["plain", "naïve \U0001f642 pair"])
def test_a_document_of_a_first_text_goes_on_like_the_one_that_made_it(text: str) -> None:
    update = write_first(FirstText(7, text))
    made, loaded = TextDocument(8, [b"\0\0", update]), TextDocument(8, [update])
    for document in (made, loaded):
        assert (document.text, document.pending) == (text, ())
    assert loaded.state_vector == made.state_vector
    assert loaded.encode_state() == made.encode_state()
    typed = [
        loaded.edit([Edit(len(text), len(text), " and more")]),
        loaded.edit([Edit(len(text) + 9, len(text) + 9, "!")]),
    ]
    other = TextDocument(9, [update])
    assert other.apply_update(typed[1]).pending and other.text == text
    assert other.apply_update(typed[0]).changed and not other.pending
    assert other.text == loaded.text == text + " and more!"
