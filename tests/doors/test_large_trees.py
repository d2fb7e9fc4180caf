"""A large tree is read slice by slice; others have their turn between, and clients wait for all of it."""

from __future__ import annotations

from random import Random

import pytest

from crdtsync.core.hub import bounds
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.hub.store import Row
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.values.ids import TREE
from crdtsync.core.wire.messages import LogEntry
from tests.doors.clients import Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import AT_MS, Bench

FILES = 40


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "TREE_SLICE_BYTES", 300)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def folder(bench: Bench) -> Folder:
    folder = Folder(bench)
    for number in range(FILES):
        folder.create(f"{number}.txt", f"text {number}")
    return folder


def is_reading(bench: Bench) -> bool:
    return bench.engine.deadline is not None and bench.engine.deadline <= bench.now


def read_all(bench: Bench) -> int:
    turns = 0
    while is_reading(bench):
        bench.tick(0)
        turns += 1
        assert turns < 1000
    return turns


def test_a_client_waits_until_all_of_the_tree_is_read(bench: Bench, folder: Folder) -> None:
    client = YjsClient(bench, Page(5), "7.txt")
    assert not client.synced
    assert read_all(bench) > 5
    assert client.page.text == "text 7"
    client.type("!")
    new = YjsClient(bench, Page(6), "new.txt")
    new.type("n")
    assert {path: folder.read()[path] for path in ("7.txt", "new.txt")} == {
        "7.txt": "text 7!",
        "new.txt": "n",
    }


def test_others_have_their_turn_between_two_slices(bench: Bench, folder: Folder) -> None:
    others = [YjsClient(bench, Page(number), "a.txt", room="elsewhere") for number in (8, 9)]
    client = YjsClient(bench, Page(5), "7.txt")
    while is_reading(bench):
        assert not client.synced
        others[0].type("x")
        assert others[1].page.text == others[0].page.text
        bench.tick(0)
    assert len(others[1].page.text) > 5
    assert client.page.text == "text 7"


def test_what_changes_in_the_tree_meanwhile_is_known_in_the_end(bench: Bench, folder: Folder) -> None:
    moved, gone = folder.at("7.txt"), folder.at("8.txt")
    client = YjsClient(bench, Page(5), "late.txt")
    bench.tick(0)
    folder.rename(moved, "moved.txt")
    bench.tick(0)
    folder.create("late.txt", "late")
    folder.delete(gone)
    assert not client.synced and is_reading(bench)
    read_all(bench)
    assert client.page.text == "late"
    assert YjsClient(bench, Page(6), "moved.txt").page.text == "text 7"
    assert YjsClient(bench, Page(7), "8.txt").page.text == ""


def test_two_large_rooms_take_turns(bench: Bench, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Folder(bench, "other")
    for number in range(FILES):
        other.create(f"{number}.txt", f"other {number}")
    clients = [YjsClient(bench, Page(5), "3.txt"), YjsClient(bench, Page(6), "3.txt", room="other")]
    taken: list[int] = []
    apply = TreeDocument.apply_update

    def noted(tree: TreeDocument, update: bytes) -> object:
        taken.append(id(tree))
        return apply(tree, update)

    monkeypatch.setattr(TreeDocument, "apply_update", noted)
    for _ in range(8):
        bench.tick(0)
    assert len(set(taken)) == 2
    read_all(bench)
    assert [client.page.text for client in clients] == ["text 3", "other 3"]


def test_a_room_whose_clients_leave_while_its_tree_is_read_is_let_go(bench: Bench, folder: Folder) -> None:
    client = YjsClient(bench, Page(5), "7.txt")
    bench.tick(0)
    client.leave()
    bench.settle()
    assert not is_reading(bench)
    again = YjsClient(bench, Page(6), "7.txt")
    read_all(bench)
    assert again.page.text == "text 7"


def test_a_large_tree_that_cannot_be_read_sends_its_clients_away(bench: Bench, folder: Folder) -> None:
    folder.member.leave()
    bench.settle()
    record = bench.store.open_room("notes", "e1", 10, 10)
    assert record is not None
    damaged = b"\xff damaged" * 100
    bench.store.append([Row("notes", LogEntry(record.head + 1, AT_MS, TREE, damaged))])
    bench.engine = HubEngine("e2", Random(2))
    client = YjsClient(bench, Page(5))
    read_all(bench)
    assert client.closed is not None and client.closed.code == 1013
    assert "cannot be read" in client.denied
