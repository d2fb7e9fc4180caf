"""Clients whose text the hub has lost, or whose path something else took: nothing is lost or doubled."""

from __future__ import annotations

import pytest

from crdtsync.core.hub import bounds
from crdtsync.core.hub.effects import LoadDocuments
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.core.wire.yjs import SyncStep2, SyncUpdate, YjsMessage
from tests.doors.clients import Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import Bench


def test_what_was_typed_offline_into_a_text_is_kept_beside_the_blob_that_took_its_place() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "text")
    page = Page(5)
    YjsClient(bench, page).leave()
    page.type("!")
    folder.delete(entry)
    folder.create_blob("a.txt")
    client = YjsClient(bench, page)
    assert client.closed is None
    found = folder.read()
    assert found.pop("a.txt") == "<blob>"
    assert [*found.values()] == ["text!"]


def test_what_was_typed_offline_into_a_new_file_is_kept_beside_what_took_its_path() -> None:
    bench = Bench()
    folder = Folder(bench)
    page = Page(5)
    YjsClient(bench, page).leave()
    page.type("typed")
    folder.create_blob("a.txt")
    client = YjsClient(bench, page)
    assert client.closed is None
    assert sorted(folder.read().values()) == ["<blob>", "typed"]


def test_what_is_typed_while_a_blob_appears_is_kept_beside_it() -> None:
    bench = Bench()
    folder = Folder(bench)
    client = YjsClient(bench, Page(5))
    update = client.page.type("typed")  # the hub hears of the blob first
    folder.create_blob("a.txt")
    client.say(SyncUpdate(update))
    assert client.closed is None
    assert sorted(folder.read().values()) == ["<blob>", "typed"]


def test_who_has_typed_nothing_that_is_left_is_refused_where_a_blob_is() -> None:
    bench = Bench()
    folder = Folder(bench)
    page = Page(5)
    page.type("x")
    page.erase(0, 1)
    folder.create_blob("a.txt")
    client = YjsClient(bench, page)
    assert client.closed is not None
    assert client.closed.code == 4404
    assert folder.read() == {"a.txt": "<blob>"}


def made_by_client() -> tuple[Page, Folder, EntryId]:
    """What a client has typed, a folder that has it as well, and what it is there."""
    page = Page(5)
    bench = Bench()
    folder = Folder(bench)
    YjsClient(bench, page).type("text")
    return page, folder, folder.at("a.txt")


def test_a_file_that_a_client_made_and_the_hub_lost_is_made_again_as_the_same_file() -> None:
    page, folder, entry = made_by_client()
    again = Bench(epoch="e2")
    YjsClient(again, page).type("!")
    newcomer = Folder(again)
    assert newcomer.at("a.txt") == entry
    newcomer._push((DocumentId(entry), folder.text(entry).encode_state()))
    assert newcomer.read() == {"a.txt": "text!"}


def test_what_a_client_erased_of_a_file_that_the_hub_lost_is_erased_once_that_is_back_deleted() -> None:
    page, folder, entry = made_by_client()
    folder.delete(entry)
    again = Bench(epoch="e2")
    page.erase(0, 4)
    client = YjsClient(again, page)
    text, tree = folder.text(entry).encode_state(), folder.tree.encode_state()
    Folder(again)._push((DocumentId(entry), text), (TREE, tree))
    newcomer = Folder(again)
    assert newcomer.read() == {} and newcomer.text(entry).text == page.text == ""
    client.type("!")
    assert newcomer.read() == {"a.txt": "!"} and newcomer.at("a.txt") == entry


def test_two_clients_with_one_id_at_two_paths_make_two_files() -> None:
    bench = Bench()
    folder = Folder(bench)
    YjsClient(bench, Page(5), "a.txt").type("one")
    YjsClient(bench, Page(5), "b.txt").type("two")
    assert folder.read() == {"a.txt": "one", "b.txt": "two"}


def test_a_file_made_again_by_a_client_of_the_same_id_is_another() -> None:
    bench = Bench()
    folder = Folder(bench)
    YjsClient(bench, Page(5)).type("one")
    first = folder.at("a.txt")
    folder.rename(first, "b.txt")
    bench.settle()
    other = Folder(Bench(bench.store, "e2"))
    other.delete(first)
    YjsClient(other.bench, Page(5)).type("two")
    assert other.read() == {"a.txt": "two"}
    assert other.at("a.txt") != first


def test_a_text_of_a_folder_that_the_hub_lost_is_waited_for_a_while_and_not_doubled() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "text")
    page = Page(5)
    YjsClient(bench, page).type("!")
    folder.read()
    again = Bench(epoch="e2")
    client = YjsClient(again, page)
    assert client.all(SyncStep2) == []
    returned = Folder(again)
    text, tree = folder.text(entry).encode_state(), folder.tree.encode_state()
    returned._push((DocumentId(entry), text), (TREE, tree))
    again.settle()
    assert client.synced
    client.type("?")
    assert Folder(again).read() == {"a.txt": "text!?"}


def test_a_text_that_no_folder_brings_back_is_made_of_what_the_client_has() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "text")
    page = Page(5)
    YjsClient(bench, page).type("!")
    again = Bench(epoch="e2")
    client = YjsClient(again, page)
    again.tick(bounds.RESEED_WAIT_S - 0.1)
    assert client.all(SyncStep2) == []
    again.tick(0.1)
    assert client.synced
    assert Folder(again).read() == {"a.txt": "text!"}


def test_a_file_that_a_folder_brings_back_while_its_client_makes_it_again_is_one() -> None:
    page, folder, entry = made_by_client()
    folder.delete(entry)
    page.type("!")
    again = Bench(epoch="e2")
    returned = Folder(again)
    client = YjsClient(again, Page(6), "other.txt")  # so that the room is open
    again.hold = {LoadDocuments}
    client = YjsClient(again, page)
    text, tree = folder.text(entry).encode_state(), folder.tree.encode_state()
    returned._push((DocumentId(entry), text), (TREE, tree))
    again.release()
    assert client.closed is None
    newcomer = Folder(again)
    assert newcomer.read() == {"a.txt": "text!"}
    assert newcomer.at("a.txt") == entry


@pytest.mark.parametrize("text", ["text", "of the folder"])
def test_a_file_that_comes_before_a_client_has_shown_what_it_brings_is_not_doubled(text: str) -> None:
    """The client has said how much that is, and there was no file yet."""

    class Late(YjsClient):
        def say(self, message: YjsMessage) -> None:
            if isinstance(message, SyncStep2) and not folder.read():
                folder.create("a.txt", text)
            super().say(message)

    bench = Bench()
    folder = Folder(bench)
    page = Page(5)
    page.type("text")
    client = Late(bench, page)
    if text == "text":
        assert client.closed is not None and client.closed.code == 4409
        assert folder.read() == {"a.txt": text}
    else:
        assert client.closed is None
        assert folder.read()["a.txt"] in (f"text{text}", f"{text}text")


@pytest.mark.parametrize("being_read", [False, True])
def test_a_file_that_a_folder_brings_back_under_another_name_is_what_its_client_goes_on_with(
    being_read: bool,
) -> None:
    page, folder, entry = made_by_client()
    folder.rename(entry, "b.txt")
    page.erase(0, 4)
    again = Bench(epoch="e2")
    returned = Folder(again)
    clients = [YjsClient(again, page), YjsClient(again, Page(6))]
    assert returned.read() == {}, "there is nothing to make a file of yet"
    text, tree = folder.text(entry).encode_state(), folder.tree.encode_state()
    again.hold = {LoadDocuments} if being_read else set()
    returned._push((DocumentId(entry), text), (TREE, tree))
    clients[0].type("x")
    clients[1].type("y")
    again.release()
    assert all(client.closed is None for client in clients)
    assert "x" in Folder(again).read()["b.txt"]
    assert clients[0].page.text == Folder(again).read()["b.txt"]
