"""What a member types on with is read by its first bytes; all else, and what only looks like it, in whole."""

from __future__ import annotations

from random import Random

import pytest

from crdtsync.core.hub import pushed
from crdtsync.core.hub.documents import problem_of, read_sound
from crdtsync.core.hub.effects import Send
from crdtsync.core.hub.events import Flush
from crdtsync.core.hub.pushed import Pushed
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.update import UpdateShape
from crdtsync.core.values.ids import TREE, DocumentId
from tests.hub.bench import Bench
from tests.hub.material import NOTES

OTHER = DocumentId("1" * 24)


def typing(count: int) -> list[bytes]:
    document = TextDocument(77)
    return [document.edit([Edit(at, at, "x")]) for at in range(count)]


def test_who_types_on_is_not_read_in_whole_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Pushed()
    first, *rest = typing(20)
    assert reader.problem_of([(NOTES, first)]) is None
    monkeypatch.setattr(pushed, "read_sound", None)
    assert [reader.problem_of([(NOTES, update)]) for update in rest] == [None] * len(rest)


def test_another_document_a_gap_or_many_updates_are_read_in_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    def reading(document: DocumentId, update: bytes) -> UpdateShape:
        read.append(update)
        return read_sound(document, update)

    monkeypatch.setattr(pushed, "read_sound", reading)
    updates = typing(9)
    reader = Pushed()
    reader.problem_of([(NOTES, updates[0])])
    reader.problem_of([(OTHER, updates[1])])
    reader.problem_of([(NOTES, updates[2])])
    reader.problem_of([(NOTES, updates[4])])
    assert read == [updates[0], updates[1], updates[2], updates[4]]
    assert reader.problem_of([(NOTES, update) for update in updates]) is None


def test_the_tree_is_never_taken_for_a_text() -> None:
    reader = Pushed()
    first, second = typing(2)
    reader.problem_of([(NOTES, first)])
    assert "applied" in (reader.problem_of([(TREE, second)]) or "")


@pytest.mark.parametrize("seed", range(40))
def test_changed_bytes_are_found_as_by_a_whole_reading(seed: int) -> None:
    rng = Random(seed)
    reader = Pushed()
    for update in typing(12):
        broken = bytearray(update)
        if rng.random() < 0.5:
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        else:
            broken += bytes(rng.randrange(2))
        fresh = problem_of([(NOTES, bytes(broken))])
        assert (reader.problem_of([(NOTES, bytes(broken))]) is None) == (fresh is None)
        assert reader.problem_of([(NOTES, update)]) is None


def test_others_are_sent_an_edit_before_its_author_is_told_its_place() -> None:
    bench = Bench()
    ann, bob = bench.join(name="Ann"), bench.join(name="Bob")
    ann.push((NOTES, typing(1)[0]))
    sent = [each.members for each in bench.engine.handle(Flush(), bench.now) if isinstance(each, Send)]
    assert sent == [(bob.number,), (ann.number,)]
