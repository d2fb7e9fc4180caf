"""Updates that a document knows of before it has taken their characters in."""

from __future__ import annotations

import logging
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc

from crdtsync.core.text.diff import Edit
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.update import check_update
from tests.text.updates import said, structs, text, update


def later(document: TextDocument, encoded: bytes) -> tuple[bool, bool]:
    change = document.apply_later(encoded, check_update(encoded))
    return change.changed, change.pending


def edited_by_two(rng: random.Random) -> list[bytes]:
    """What two who now and then hear of each other type, delete and replace."""
    authors = [TextDocument(1), TextDocument(2)]
    updates: list[bytes] = []
    for _ in range(rng.randrange(1, 30)):
        author, other = rng.sample(authors, 2)
        start = rng.randrange(len(author.text) + 1)
        end = min(len(author.text), start + rng.choice((0, 0, 0, 1, 3)))
        if made := author.edit([Edit(start, end, rng.choice(("", "a", "bé😀", "line\n")))]):
            updates.append(made)
        if rng.random() < 0.4:
            other.apply_update(author.encode_state())
    return updates


@given(st.integers(0, 1 << 32))
def test_what_is_left_for_later_comes_to_the_same(seed: int) -> None:
    rng = random.Random(seed)
    updates = edited_by_two(rng)
    updates += rng.sample(updates, len(updates) // 3)
    if rng.random() < 0.5:
        rng.shuffle(updates)
    at_once, lazy = TextDocument(3), TextDocument(4)
    for one in updates:
        before = at_once.encode_state()
        change = at_once.apply_update(one)
        changed, pending = later(lazy, one)
        assert pending == change.pending
        assert changed or not change.changed
        assert lazy.state_vector == at_once.state_vector
        assert lazy.pending == at_once.pending
        if rng.random() < 0.2:
            assert lazy.text == at_once.text
        if rng.random() < 0.2:
            receiver = TextDocument(5, [before])
            receiver.apply_update(lazy.diff_update(receiver.state_vector))
            assert receiver.text == at_once.text
    assert said(lazy.encode_state()) == said(at_once.encode_state())
    assert lazy.text == at_once.text


def test_many_small_updates_are_taken_in_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[bytes] = []
    applies = Doc.apply_update

    def apply_update(doc: Doc[Any], one: bytes) -> None:
        applied.append(one)
        applies(doc, one)

    author = TextDocument(1)
    updates = [author.edit([Edit(at, at, "x")]) for at in range(1000)]
    document = TextDocument(2)
    monkeypatch.setattr(Doc, "apply_update", apply_update)
    for one in updates:
        assert later(document, one) == (True, False)
    assert len(applied) < 10
    assert document.text == author.text
    assert len(applied) < 10


def test_no_more_is_left_for_later_than_is_soon_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    applies = Doc.apply_update

    def apply_update(doc: Doc[Any], one: bytes) -> None:
        nonlocal largest
        largest = max(largest, len(one))
        applies(doc, one)

    author = TextDocument(1)
    updates = [author.edit([Edit(at, at, "x" * 8000)]) for at in range(20)]
    document = TextDocument(2)
    monkeypatch.setattr(Doc, "apply_update", apply_update)
    for one in updates:
        later(document, one)
    assert 8000 < largest < 50_000
    assert document.text == author.text


def test_a_deletion_tells_at_once_whether_it_changes_anything() -> None:
    author = TextDocument(1)
    typed = author.edit([Edit(0, 0, "abc")])
    deleted = author.edit([Edit(1, 2, "")])
    document = TextDocument(2)
    assert later(document, typed) == (True, False)
    assert later(document, deleted) == (True, False)
    assert later(document, deleted) == (False, False)
    assert later(document, typed) == (False, False)
    assert document.text == "ac"


def test_one_that_yrs_refuses_later_takes_no_other_with_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    applies = Doc.apply_update

    def apply_update(doc: Doc[Any], one: bytes) -> None:
        if b"REFUSED" in one:
            raise RuntimeError("refused")
        applies(doc, one)

    monkeypatch.setattr(Doc, "apply_update", apply_update)
    author = TextDocument(1)
    good = [author.edit([Edit(at, at, character)]) for at, character in enumerate("good")]
    refused = update([structs(3, 0, text("REFUSED"))])
    document = TextDocument(2)
    document.apply_update(good[0])
    for one in (good[1], refused, good[2], good[3]):
        assert later(document, one) == (True, False)
    with caplog.at_level(logging.WARNING):
        assert document.text == "good"
    assert "left out" in caplog.text
    assert document.state_vector == author.state_vector
    assert document.edit([Edit(4, 4, "!")])
    assert document.text == "good!"
