"""What a hub's worker reads for a member or a desk, and what clients are owed once it is durable."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from crdtsync.core.hub import documents
from crdtsync.core.hub.answering import compared, failed, loaded
from crdtsync.core.hub.documents import compare
from crdtsync.core.hub.doors.channel import Channel, Phase
from crdtsync.core.hub.doors.receipts import Receipts
from crdtsync.core.hub.effects import (
    Append,
    CheckUpdates,
    Compact,
    CompareDocuments,
    FindDocuments,
    LoadDocuments,
    OpenRoom,
    ReadLog,
    RememberOpened,
    Request,
)
from crdtsync.core.hub.events import AppendFailed, Compacted, Event, LoadFailed, ReadFailed, RoomFailed
from crdtsync.core.hub.store import Row, Wanted
from crdtsync.core.values import limits
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.messages import LogEntry
from crdtsync.testing.memory_hub_store import MemoryHubStore
from tests.hub.material import DRAFT, NOTES, TASKS, TREE, Author, lone_update, map_update, text_of


def stored(*rows: tuple[str, bytes]) -> MemoryHubStore:
    store = MemoryHubStore()
    store.open_room("room", "e1", 10, 10)
    store.append(
        [
            Row("room", LogEntry(number, 1000, DocumentId(document), update))
            for number, (document, update) in enumerate(rows, 1)
        ]
    )
    return store


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (OpenRoom("room", "e1"), RoomFailed("room", "full")),
        (Append(()), AppendFailed("full")),
        (ReadLog(7, "room", 0, Wanted()), ReadFailed(7, "full")),
        (CompareDocuments(7, "room", ()), ReadFailed(7, "full")),
        (FindDocuments(7, "room", frozenset()), ReadFailed(7, "full")),
        (CheckUpdates(7, ()), ReadFailed(7, "full")),
        (LoadDocuments(3, "room", ()), LoadFailed(3, "full")),
        (Compact("room", DocumentId(NOTES), 9), Compacted("room", DocumentId(NOTES), None, "full")),
        (RememberOpened("room", "a.md", DocumentId(NOTES)), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whoever_waits_for_a_store_that_fails_is_told(request_: Request, told: Event | None) -> None:
    assert failed(request_, "full") == told


def test_documents_are_compared_as_many_as_fit_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FRAME_BATCH_BYTES", 150)
    early = Author(3)
    early.type("x")
    store = stored(
        (NOTES, lone_update("n" * 50)), (TASKS, early.type("late")), (DRAFT, lone_update("d" * 90))
    )
    answer = compared(store, CompareDocuments(7, "room", ((NOTES, b"\0"), (TASKS, b"\0"), (DRAFT, b"\0"))))
    assert [each.document for each in answer.differences] == [NOTES, TASKS]
    assert text_of([answer.differences[0].update]) == "n" * 50
    assert answer.incomplete == {TASKS}, "a part of it waits"
    assert answer.refused is None


def test_a_wrong_state_vector_is_told_with_what_was_compared_before_it() -> None:
    store = stored((NOTES, lone_update("n")))
    answer = compared(store, CompareDocuments(7, "room", ((NOTES, b"\0"), (TASKS, b"\xff"))))
    assert [each.document for each in answer.differences] == [NOTES]
    assert answer.refused is not None and TASKS in answer.refused


def test_texts_of_nothing_but_characters_are_known_as_such() -> None:
    store = stored((NOTES, lone_update("n")), (TREE, map_update({"k": "v"})), (TASKS, map_update({"k": "v"})))
    answer = loaded(store, LoadDocuments(-1, "room", (TREE, NOTES, TASKS, DRAFT)))
    assert [document for document, _ in answer.documents] == [TREE, NOTES, TASKS, DRAFT]
    assert answer.plain == {NOTES}


def test_a_long_log_is_applied_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_MERGED_MAX_UPDATES", 2)
    author = Author()
    rows = [LogEntry(number, 1000, NOTES, author.type("x")) for number in range(1, 8)]
    found = compare(rows, b"\0")
    assert found.complete and text_of([found.update]) == "x" * 7


def test_an_answer_is_given_at_once_for_what_is_durable_and_never_to_a_closed_channel() -> None:
    told: list[int] = []

    def channel(number: int, phase: Phase) -> Channel:
        connection = SimpleNamespace(applied=lambda *_: told.append(number))
        return cast(Channel, SimpleNamespace(phase=phase, connection=connection))

    receipts = Receipts()
    receipts.owe(channel(1, Phase.OPEN), 3, 5)
    assert told == [1] and not len(receipts)
    receipts.owe(channel(2, Phase.OPEN), 6, 5)
    receipts.owe(channel(3, Phase.CLOSED), 7, 5)
    receipts.owe(channel(4, Phase.OPEN), 8, 5)
    receipts.pay(7)
    assert told == [1, 2] and len(receipts) == 1
