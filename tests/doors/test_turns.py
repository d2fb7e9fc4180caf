"""What clients type in one turn of the hub is gathered for the log; nothing is lost or doubled by that."""

from __future__ import annotations

from collections.abc import Callable

from crdtsync.core.hub.doors.telling import _first_clocks
from crdtsync.core.hub.effects import Append
from crdtsync.core.hub.events import BinaryFrame
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.typist import Typed, Typist
from crdtsync.core.text.update import check_update
from crdtsync.core.values.ids import DocumentId
from crdtsync.core.wire.hocuspocus import Named, encode_hocuspocus
from crdtsync.core.wire.messages import Probed, Relay
from crdtsync.core.wire.yjs import SyncStep1, SyncUpdate
from tests.doors.clients import HocuspocusClient, Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import AT_MS, Bench


def test_what_clients_type_in_one_turn_is_one_row_of_the_log() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "x")
    typing = [YjsClient(bench, Page(number)) for number in (5, 6, 7)]
    rows = len(folder.member.entries)
    for _ in range(4):
        for client in typing:
            client.say(SyncUpdate(client.page.type(str(client.number))))
    typing[1].say(SyncUpdate(typing[1].page.erase(0, 2)))
    bench.settle()
    assert [row.document for row in folder.member.entries[rows:]] == [DocumentId(entry)]
    assert {client.page.text for client in typing} == {folder.read()["a.txt"]}
    assert Folder(bench).read() == folder.read()


def test_a_folder_that_asks_for_all_is_given_what_was_typed_in_the_same_turn() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    client = YjsClient(bench, Page(5))
    folder.member.got.clear()
    client.say(SyncUpdate(client.page.type("y")))
    folder.member.probe(7)
    bench.settle()
    kinds = [type(message) for message in folder.member.got if isinstance(message, Relay | Probed)]
    assert kinds == [Relay, Probed]


def test_what_clients_and_a_folder_change_in_one_turn_reaches_everyone_once() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "x")
    ann, bob = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    rows = len(folder.member.entries)
    ann.say(SyncUpdate(ann.page.type("a")))
    folder.member.push((DocumentId(entry), folder.text(entry).edit([Edit(0, 0, "f")])))
    bob.say(SyncUpdate(bob.page.type("b")))
    bench.settle()
    assert len(folder.member.entries) == rows + 1
    assert ann.page.text == bob.page.text == folder.read()["a.txt"]
    assert sorted(ann.page.text) == ["a", "b", "f", "x"]
    assert Folder(bench).read() == folder.read()


def test_whoever_types_and_leaves_at_once_has_typed() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    client = YjsClient(bench, Page(5))
    client.say(SyncUpdate(client.page.type("y")))
    client.leave()
    assert YjsClient(bench, Page(6)).page.text == "xy"
    assert folder.read() == {"a.txt": "xy"}


def test_who_opens_a_text_while_another_types_misses_and_doubles_nothing() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    ann, bob = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    rows = len(folder.member.entries)
    ann.say(SyncUpdate(ann.page.type("y")))
    bob.say(SyncStep1(bob.page.doc.get_state()))
    ann.say(SyncUpdate(ann.page.type("z")))
    late = YjsClient(bench, Page(7))
    bench.settle()
    assert {client.page.text for client in (ann, bob, late)} == {"xyz"}
    assert folder.read() == {"a.txt": "xyz"}
    assert len(folder.member.entries) - rows <= 2


def test_a_file_that_is_made_in_a_turn_has_all_that_was_typed_in_it_once() -> None:
    bench = Bench()
    folder = Folder(bench)
    client = YjsClient(bench, Page(5))
    for character in "abc":
        client.say(SyncUpdate(client.page.type(character)))
    bench.settle()
    assert folder.read() == {"a.txt": "abc"}
    assert len(folder.member.entries) == 2  # the text, and the tree


def typist_of_what_is_held() -> tuple[Bench, HocuspocusClient, Callable[[str], None]]:
    """Who has ``a.txt`` open and is answered nothing yet, and how they type; nothing becomes durable."""
    bench = Bench()
    Folder(bench).create("a.txt", "x")
    client = HocuspocusClient(bench)
    client.open("notes/a.txt", page := Page(5))
    client.told["notes/a.txt"].clear()
    bench.hold = {Append}

    def type_one(character: str) -> None:
        frame = encode_hocuspocus(Named("notes/a.txt", SyncUpdate(page.type(character))))
        bench.do(BinaryFrame(client.number, frame, AT_MS))

    return bench, client, type_one


def test_each_update_of_a_turn_is_acknowledged_once_all_is_durable() -> None:
    bench, client, type_one = typist_of_what_is_held()
    for character in "abc":
        type_one(character)
    bench.settle()
    assert client.statuses("notes/a.txt") == []
    bench.release()
    assert client.statuses("notes/a.txt") == [True, True, True]


def test_of_two_turns_the_first_is_acknowledged_once_it_is_durable_and_the_second_later() -> None:
    bench, client, type_one = typist_of_what_is_held()
    for character in "ab":
        type_one(character)
        bench.settle()
    bench.answer(bench.held.popleft())
    bench.settle()
    assert client.statuses("notes/a.txt") == [True]
    bench.release()
    assert client.statuses("notes/a.txt") == [True, True]


def test_who_falls_behind_is_given_all_from_the_first_character_of_each_that_was_not_said() -> None:
    document = TextDocument(5)
    first, second = (document.edit([Edit(at, at, "ab")]) for at in (0, 2))
    assert dict(_first_clocks(check_update(second))) == {5: 2} and first != second
    assert dict(_first_clocks(Typed(Typist(5, 2, b""), 5, 2, 4, b"", b"ab"))) == {5: 2}
    assert dict(_first_clocks(None)) == {}, "deletions are told in whole"
