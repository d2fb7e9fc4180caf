"""Rooms with Yjs clients in which nothing happens for a while: they take less memory, and go on as before."""

from __future__ import annotations

import pytest

from crdtsync.core.hub import bounds
from crdtsync.core.hub.effects import LoadDocuments
from crdtsync.core.text.diff import Edit
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.wire.yjs import SyncStep2
from tests.doors.clients import Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import Bench


@pytest.fixture
def rested(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many entries each tree had that came to rest."""
    seen: list[int] = []
    rest = TreeDocument.rest

    def note(tree: TreeDocument, from_entries: int) -> bool:
        if done := rest(tree, from_entries):
            seen.append(len(tree.rows))
        return done

    monkeypatch.setattr(TreeDocument, "rest", note)
    return seen


def test_a_room_rests_when_nothing_has_happened_for_a_while_and_goes_on(rested: list[int]) -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "x")
    client = YjsClient(bench, Page(5))
    bench.tick(bounds.REST_AFTER_S / 2)
    client.type("y")
    bench.tick(bounds.REST_AFTER_S * 0.6)
    assert rested == []
    bench.tick(bounds.REST_AFTER_S)
    assert rested == [1]
    bench.tick(bounds.REST_AFTER_S)
    assert rested == [1]

    client.type("z")
    folder.edit(entry, [Edit(0, 0, "f")])
    bench.tick(2 * bounds.REST_AFTER_S)
    other = YjsClient(bench, Page(6), "b.txt")
    other.type("b")
    folder.rename(entry, "c.txt")
    assert folder.read() == {"b.txt": "b", "c.txt": "fxyz"}
    assert YjsClient(bench, Page(7), "c.txt").page.text == client.page.text == "fxyz"
    bench.tick(2 * bounds.REST_AFTER_S)
    assert rested == [1, 2]
    assert Folder(bench).read() == folder.read()


def test_a_room_whose_tree_has_yet_to_be_read_and_one_that_is_large_do_not_rest(
    rested: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "REST_ENTRIES_MAX", 1)
    bench = Bench()
    folder = Folder(bench)
    for name in "ab":
        folder.create(f"{name}.txt", "x")
    bench.hold = {LoadDocuments}
    client = YjsClient(bench, Page(5))
    folder.create("c.txt", "x")
    bench.tick(2 * bounds.REST_AFTER_S)
    assert client.all(SyncStep2) == []
    bench.release()
    assert client.synced
    client.type("y")
    bench.tick(2 * bounds.REST_AFTER_S)
    assert rested == []
    assert folder.read()["a.txt"] == "xy"


def test_a_room_that_everyone_leaves_is_not_waited_for() -> None:
    bench = Bench()
    Folder(bench).create("a.txt", "x")
    client = YjsClient(bench, Page(5))
    client.leave()
    bench.tick(2 * bounds.REST_AFTER_S)
    assert YjsClient(bench, Page(6)).page.text == "x"


def test_a_large_tree_does_not_rest(rested: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "REST_ENTRIES_MAX", 2)
    bench = Bench()
    folder = Folder(bench)
    for name in "abc":
        folder.create(name, name)
    client = YjsClient(bench, Page(5), "a")
    bench.tick(2 * bounds.REST_AFTER_S)
    assert rested == []
    assert client.page.text == "a"


def test_many_rooms_come_to_rest_a_few_at_a_time(rested: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RESTING_PER_TICK_MAX", 2)
    bench = Bench()
    for number in range(5):
        YjsClient(bench, Page(5 + number), room=f"room{number}").type("x")
    for done in (2, 4, 5):
        bench.tick(2 * bounds.REST_AFTER_S)
        assert len(rested) == done
