"""A text as a Yjs document, sound whatever comes in."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from crdtsync.core.text import document as documents
from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.text.document import Change, TextDocument
from crdtsync.core.text.statevector import EMPTY_STATE_VECTOR, decode, encode
from crdtsync.core.text.update import EMPTY_UPDATE, check_update
from crdtsync.errors import MalformedUpdate
from tests.text.updates import Author, deletions, structs, text, update


def typed(document: TextDocument, at: int, characters: str) -> bytes:
    return document.edit([Edit(at, at, characters)])


@pytest.fixture(autouse=True)
def yrs_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No update that passes the check is known to be refused by Yrs, so it is made to refuse ``REFUSED``."""
    applies = Doc.apply_update

    def apply_update(doc: Doc[Any], update: bytes) -> None:
        if REFUSED in update:
            raise RuntimeError("refused")
        applies(doc, update)

    monkeypatch.setattr(Doc, "apply_update", apply_update)


REFUSED = b"REFUSED"
REFUSED_BY_YRS = update([structs(3, 1, text("REFUSED"))])


def test_edits_are_counted_in_code_points_and_told_to_others_by_one_update() -> None:
    document, other = TextDocument(1), TextDocument(2)
    first = document.edit([Edit(0, 0, "é😀 text\r\n\ufeff")])
    assert other.apply_update(first) == Change(changed=True, pending=False)
    second = document.edit([Edit(0, 1, "e"), Edit(1, 2, ""), Edit(3, 7, "T"), Edit(9, 9, "€")])
    assert document.text == "e T\r\n€\ufeff"
    assert other.apply_update(second) == Change(changed=True, pending=False)
    assert other.text == document.text
    assert other.state_vector == document.state_vector
    assert check_update(second).inserts.keys() == {1}


def test_nothing_to_edit_makes_no_update() -> None:
    document = TextDocument(1)
    assert document.edit([]) == b""
    assert document.edit([Edit(0, 0, "")]) == b""
    assert document.text == ""
    assert document.state_vector == EMPTY_STATE_VECTOR
    assert document.encode_state() == EMPTY_UPDATE


@pytest.mark.parametrize(
    "edits",
    [[Edit(0, 9, "")], [Edit(2, 3, "x"), Edit(0, 1, "y")], [Edit(-1, 0, "x")], [Edit(0, 0, "\ud83d")]],
    ids=["outside", "descending", "negative", "half a pair"],
)
def test_edits_that_do_not_fit_change_nothing(edits: list[Edit]) -> None:
    document = TextDocument(1)
    typed(document, 0, "abc")
    before = document.encode_state()
    with pytest.raises(ValueError, match=r"fit|surrogates"):
        document.edit(edits)
    assert document.text == "abc"
    assert document.encode_state() == before


edits_of = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 4), st.text("a é😀\n", max_size=4)), min_size=1, max_size=12
)


@given(edits_of, edits_of)
def test_two_who_edit_at_once_end_with_the_same_text(
    ours: list[tuple[int, int, str]], theirs: list[tuple[int, int, str]]
) -> None:
    made: list[list[bytes]] = []
    all_documents = []
    for client, edits in ((1, ours), (2, theirs)):
        document = TextDocument(client)
        made.append([])
        for start, length, inserted in edits:
            before = document.text
            start = min(start, len(before))
            edit = Edit(start, min(start + length, len(before)), inserted)
            made[-1].append(document.edit([edit]))
            assert document.text == apply_edits(before, [edit])
            assert document.text == TextDocument(9, [document.encode_state()]).text
        all_documents.append(document)
    for document, received in zip(all_documents, reversed(made), strict=True):
        for one in received:
            if one:
                document.apply_update(one)
    first, second = all_documents
    assert first.text == second.text
    assert first.state_vector == second.state_vector
    assert decode(first._doc.get_state()) == decode(first.state_vector)


def test_an_update_known_already_changes_nothing() -> None:
    document = TextDocument(1)
    made = typed(document, 0, "abc")
    assert document.apply_update(made) == Change(changed=False, pending=False)
    assert document.apply_update(EMPTY_UPDATE) == Change(changed=False, pending=False)
    assert document.apply_update(made, check_update(made)) == Change(changed=False, pending=False)


def test_what_comes_too_early_waits_outside_of_the_state() -> None:
    author = TextDocument(1)
    updates = [typed(author, at, character) for at, character in enumerate("abcd")]
    document = TextDocument(2)
    assert document.apply_update(updates[2]) == Change(changed=False, pending=True)
    assert document.apply_update(updates[2]) == Change(changed=False, pending=False), "it waited before"
    assert document.apply_update(updates[3]) == Change(changed=False, pending=True)
    assert (document.text, document.state_vector) == ("", EMPTY_STATE_VECTOR)
    assert document.pending == (updates[2], updates[3])
    assert document.encode_state() == EMPTY_UPDATE
    assert TextDocument(3, document.pending).pending == document.pending
    assert document.apply_update(updates[0]) == Change(changed=True, pending=False)
    assert document.apply_update(updates[1]) == Change(True, False, parts=tuple(updates[1:]))
    assert document.text == "abcd"
    assert not document.pending


def test_what_another_lacks_is_told_from_its_state_vector() -> None:
    document, other = TextDocument(1), TextDocument(2)
    other.apply_update(typed(document, 0, "abc"))
    typed(document, 3, "def")
    typed(other, 0, "x")
    other.apply_update(document.diff_update(other.state_vector))
    document.apply_update(other.diff_update(document.state_vector))
    assert document.text == other.text == "xabcdef"
    assert check_update(document.diff_update(other.state_vector)).empty
    whole = TextDocument(3)
    whole.apply_update(document.diff_update(b"\x01\x01\x00"))
    assert whole.text == "xabcdef"
    with pytest.raises(ValueError, match="malformed state vector"):
        document.diff_update(b"")


def test_equal_states_have_equal_bytes() -> None:
    first, second = TextDocument(1), TextDocument(2)
    one, two = typed(first, 0, "a"), typed(second, 0, "b")
    first.apply_update(two)
    second.apply_update(one)
    assert first.state_vector == second.state_vector == encode({1: 1, 2: 1})
    assert first.encode_state() == second.encode_state()


def test_a_state_is_encoded_once_for_each_change_and_told_to_whoever_has_nothing() -> None:
    document = TextDocument(1)
    typed(document, 0, "abc")
    state = document.encode_state()
    assert document.diff_update(EMPTY_STATE_VECTOR) is document.encode_state() is state
    changes: list[Callable[[], object]] = [
        lambda: typed(document, 3, "d"),
        lambda: document.edit([Edit(0, 1, "")]),
        lambda: document.apply_update(update([structs(2, 0, text("x"))])),
        lambda: document.apply_later(late := update([structs(3, 0, text("y"))]), check_update(late)),
    ]
    for change in changes:
        change()
        assert document.encode_state() != state
        state = document.diff_update(EMPTY_STATE_VECTOR)
        assert document.encode_state() is state
        assert TextDocument(4, [state]).text == document.text
    document.apply_update(update([structs(5, 4, text("waits"))]))
    assert document.encode_state() == state


@pytest.mark.parametrize("malformed", [b"", b"\x01", b"\x00\x00\x00", REFUSED_BY_YRS[:-1]])
def test_a_malformed_update_changes_nothing(malformed: bytes) -> None:
    document = TextDocument(1)
    typed(document, 0, "abc")
    with pytest.raises(MalformedUpdate):
        document.apply_update(malformed)
    assert document.text == "abc"


def sound_document() -> tuple[TextDocument, tuple[bytes, bytes, tuple[bytes, ...]]]:
    document = TextDocument(1)
    typed(document, 0, "abc 😀")
    document.edit([Edit(0, 1, "")])
    document.apply_update(update([structs(3, 0, text("x"))]))
    document.apply_update(update([structs(5, 4, text("waits"))]))
    return document, (document.encode_state(), document.state_vector, document.pending)


def check_sound(document: TextDocument, before: tuple[bytes, bytes, tuple[bytes, ...]]) -> None:
    assert (document.encode_state(), document.state_vector, document.pending) == before
    made = typed(document, 0, "goes on ")
    assert document.text.startswith("goes on ")
    other = TextDocument(2, [before[0]])
    other.apply_update(made)
    assert other.text == document.text


def test_a_document_is_as_before_when_yrs_refuses_an_update() -> None:
    document, before = sound_document()
    with pytest.raises(MalformedUpdate, match="cannot take an update"):
        document.apply_update(REFUSED_BY_YRS)
    check_sound(document, before)


class PanicException(BaseException):
    """Stands in for that of pycrdt, which cannot be imported."""


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (PanicException("out of bounds"), MalformedUpdate),
        (RuntimeError("refused"), MalformedUpdate),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), MemoryError),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
@pytest.mark.parametrize("local", [True, False])
def test_a_document_is_as_before_whatever_goes_wrong_within_pycrdt(
    error: BaseException, raised: type[BaseException], local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, before = sound_document()

    calls: list[None] = []

    def half_done(changing: Callable[..., None]) -> Callable[..., None]:
        def change(*arguments: Any) -> None:
            changing(*arguments)
            calls.append(None)
            if len(calls) == 1:
                raise error

        return change

    with monkeypatch.context() as broken, pytest.raises(raised):
        if local:
            broken.setattr(Text, "insert", half_done(Text.insert))
            typed(document, 0, "half done")
        else:
            broken.setattr(Doc, "apply_update", half_done(Doc.apply_update))
            document.apply_update(update([structs(4, 0, text("half done"))]))
    check_sound(document, before)


def test_a_bad_update_that_waited_does_not_take_the_one_that_it_waited_for_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    document = TextDocument(1)
    good = update([structs(3, 0, text("good"))])
    bad = update([structs(4, 0, text("REFUSED", left=(3, 0)))])
    after_bad = update([structs(4, 7, text("y", left=(3, 1)))])
    later = update([structs(5, 0, text("!", left=(3, 3)))])
    for early in (bad, after_bad, later):
        assert document.apply_update(early).pending
    with caplog.at_level(logging.WARNING):
        assert document.apply_update(good) == Change(True, False, parts=(good, later))
    assert "left out" in caplog.text
    assert document.text == "good!"
    assert document.pending == (after_bad,)
    assert TextDocument(2, [bad, after_bad, later, good]).text == "good!"


def test_one_bad_row_of_a_log_costs_no_more_than_itself(caplog: pytest.LogCaptureFixture) -> None:
    author = TextDocument(1)
    updates = [typed(author, at, character) for at, character in enumerate("abc")]
    with caplog.at_level(logging.WARNING):
        document = TextDocument(2, [b"\xff", updates[0], REFUSED_BY_YRS, updates[1], b"", updates[2]])
    assert document.text == "abc"
    assert len(caplog.records) == 2
    assert document.pending == (REFUSED_BY_YRS,)


def long_state(author: TextDocument) -> bytes:
    typed(author, 0, "word " * 1000)
    for at in range(100, 0, -1):
        author.edit([Edit(at * 5, at * 5 + 2, "é")])
    state = author.encode_state()
    assert len(state) > documents._UNREAD_ABOVE_BYTES
    return state


def test_a_long_state_of_our_own_is_loaded_unread_when_it_needs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    author = TextDocument(1)
    state = long_state(author)
    more = typed(author, 3, "more")
    read: list[bytes] = []

    def reading(received: bytes) -> object:
        read.append(received)
        return check_update(received)

    monkeypatch.setattr(documents, "check_update", reading)
    document = TextDocument(2, [state, more])
    assert document.text == author.text
    assert document.state_vector == author.state_vector
    assert document.encode_state() == author.encode_state()
    assert state not in read


def test_a_long_state_that_lacks_something_is_read_after_all() -> None:
    author = TextDocument(1)
    first = typed(author, 0, "x" * 5000)
    second = typed(author, 10, "y" * 5000)
    document = TextDocument(2, [second, first])
    assert document.text == author.text
    assert not document.pending
    deleting = update([structs(7, 0, text("z" * 5000))], [deletions(8, (0, 3))])
    assert TextDocument(2, [deleting]).pending == (update([], [deletions(8, (0, 3))]),)
    refused = update([structs(3, 0, text("z" * 5000), text("REFUSED"))])
    assert TextDocument(2, [refused]).text == ""


def test_what_a_document_was_made_from_is_kept_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_JOURNAL_MAX_UPDATES", 10)
    document = TextDocument(1)
    for _ in range(30):
        typed(document, 0, "x")
    assert len(document._journal) <= 11
    monkeypatch.setattr(documents, "_JOURNAL_SLACK_BYTES", 100)
    typed(document, 0, "y" * 5000)
    assert document._journal == [document.encode_state()]
    with pytest.raises(MalformedUpdate):
        document.apply_update(b"")
    with pytest.raises(MalformedUpdate):
        document.apply_update(update([structs(3, 0, text("REFUSED"))]))
    assert document.text == "y" * 5000 + "x" * 30


def foreign(fill: Callable[[Doc[Any]], None]) -> TextDocument:
    doc: Doc[Any] = Doc(client_id=7)
    fill(doc)
    document = TextDocument(1)
    document.apply_update(doc.get_update())
    return document


def formatted(doc: Doc[Any]) -> None:
    content = doc.get("content", type=Text)
    content.insert(0, "plain bold")
    content.format(6, 10, {"bold": True})


def embedding(doc: Doc[Any]) -> None:
    content = doc.get("content", type=Text)
    content.insert(0, "aéb")
    content.insert_embed(3, {"image": 1})
    content.insert_embed(0, Map({"x": 1}))
    content.insert_embed(5, "a string")
    del content[5:6]
    content.insert_embed(5, {"image": 2})
    content.format(1, 4, {"bold": True})


def array(doc: Doc[Any]) -> None:
    doc.get("content", type=Array).extend(["a", 1, b"b", [1], Text("inner")])


def mapping(doc: Doc[Any]) -> None:
    doc.get("content", type=Map)["key"] = "value"


def xml(doc: Doc[Any]) -> None:
    doc.get("content", type=XmlFragment).children.append(XmlElement("p", {}, [XmlText("text")]))


def string_embed(doc: Doc[Any]) -> None:
    content = doc.get("content", type=Text)
    content.insert(0, "ab")
    content.insert_embed(1, "x")


def subdocument(doc: Doc[Any]) -> None:
    doc.get("content", type=Array).extend([Doc(), "x", Doc()])


@pytest.mark.parametrize(
    ("fill", "shown"),
    [
        (formatted, "plain bold"),
        (embedding, "aéb"),
        (array, ""),
        (mapping, ""),
        (xml, ""),
        (string_embed, "ab"),
        (subdocument, ""),
    ],
)
def test_foreign_content_shows_its_characters_and_can_be_edited(
    fill: Callable[[Doc[Any]], None], shown: str
) -> None:
    document = foreign(fill)
    assert document.text == shown
    expected = shown
    for edit in (Edit(len(shown), len(shown), "end"), Edit(0, 0, "é"), Edit(1, 2, "x"), Edit(0, 1, "")):
        made = document.edit([edit])
        expected = apply_edits(expected, [edit])
        assert document.text == expected
        check_update(made)
    assert TextDocument(2, [document.encode_state()]).text == expected
    document.edit([Edit(0, len(expected), "")])
    assert document.text == ""


def test_embedded_objects_beside_an_edit_stay() -> None:
    document = foreign(embedding)
    document.edit([Edit(1, 2, "E")])
    assert document.text == "aEb"
    chunks = [chunk for chunk, _ in document._content.diff()]
    assert len([chunk for chunk in chunks if not isinstance(chunk, str)]) == 3


def test_a_document_is_let_go_of_when_nobody_holds_it() -> None:
    document = TextDocument(1)
    typed(document, 0, "abc")
    with pytest.raises(MalformedUpdate):
        document.apply_update(update([structs(3, 0, text("x"), text("REFUSED"))]))
    inner = weakref.ref(document._doc)
    del document
    gc.collect()
    assert inner() is None


def test_an_author_with_pycrdt_alone_and_a_document_understand_each_other() -> None:
    author = Author(5)
    document = TextDocument(1)
    document.apply_update(author.replace(0, 0, "hello"))
    author.doc.apply_update(typed(document, 5, " world 😀"))
    document.apply_update(author.replace(0, 1, "J"))
    assert document.text == str(author.text) == "Jello world 😀"
