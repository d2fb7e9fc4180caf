"""Clients that come too early or too often, or say what is not theirs to say; and a hub in trouble."""

from __future__ import annotations

import sys
from random import Random
from types import FrameType

import pytest

from crdtsync.core.hub import bounds
from crdtsync.core.hub.admission import Asking, Denied, Granted
from crdtsync.core.hub.doors import opened
from crdtsync.core.hub.doors.crossing import SOMEONE, name_in
from crdtsync.core.hub.doors.opened import Opened
from crdtsync.core.hub.effects import Append, CheckUpdates, LoadDocuments, OpenRoom
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.hub.events import BinaryFrame, LoadFailed, TextFrame, UpdatesChecked
from crdtsync.core.hub.store import Row
from crdtsync.core.text.diff import Edit
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.rows import Create, Origin, Version
from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import TREE, EntryId
from crdtsync.core.wire.awareness import ClientState
from crdtsync.core.wire.control import Presence
from crdtsync.core.wire.hocuspocus import CloseDocument, Named, Stateless, Token, encode_hocuspocus
from crdtsync.core.wire.lib0 import varstring, varuint
from crdtsync.core.wire.messages import LogEntry
from crdtsync.core.wire.yjs import (
    Awareness,
    PermissionDenied,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    YjsMessage,
)
from crdtsync.errors import MalformedUpdate
from tests.doors.clients import HocuspocusClient, Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import AT_MS, Bench

DOC = "notes/a.txt"


class Withholding(YjsClient):
    """Does not show what it has until it is let."""

    withheld: SyncStep2 | None = None
    free = False

    def say(self, message: YjsMessage) -> None:
        if isinstance(message, SyncStep2) and not self.free:
            self.withheld = message
        else:
            super().say(message)


def stranger(bench: Bench, text: str = "mine\n") -> Withholding:
    """A client with a document of its own at the path of a file that has another."""
    page = Page(5)
    page.type(text)
    return Withholding(bench, page)


# -- coming and going ---------------------------------------------------------------------------------


def test_a_client_that_leaves_before_its_room_is_loaded_leaves_nothing_behind() -> None:
    bench = Bench()
    bench.hold = {OpenRoom}
    YjsClient(bench, Page(5)).leave()
    bench.release()
    folder = Folder(bench)
    client = YjsClient(bench, Page(6))
    client.type("x")
    assert folder.read() == {"a.txt": "x"}


def test_who_is_asked_what_it_has_may_wait_while_others_come_and_is_merged_once_it_answers() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "text\n")
    folder.create("b.txt", "other")
    late = stranger(bench)
    assert late.withheld is not None
    assert YjsClient(bench, Page(6), "b.txt").page.text == "other"
    before = len(late.got)
    late.say(SyncStep1(b"\0"))
    late.say(late.page.present("Ann"))
    late.say(QueryAwareness())
    bench.settle()
    assert late.got[before:] == [], "it is told nothing before it has answered"
    assert folder.member.all(Presence) == []
    late.free = True
    late.say(late.withheld)
    bench.settle()
    assert late.closed is None
    assert folder.read()["a.txt"] == late.page.text
    assert sorted(late.page.text.splitlines()) == ["mine", "text"]


def test_a_document_of_several_authors_and_another_history_is_refused_unasked() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "text")
    page, other = Page(5), Page(6)
    page.type("mine")
    other.type("theirs")
    page.doc.apply_update(other.doc.get_update())
    client = YjsClient(bench, page)
    assert client.closed is not None and client.closed.code == 4409
    assert folder.read() == {"a.txt": "text"}


def test_a_denied_client_that_goes_on_talking_is_not_heard() -> None:
    bench = Bench()

    def admit(asking: Asking) -> Granted | Denied:
        return Granted() if asking.token is None else Denied("no invite", 2.0)

    bench.engine = HubEngine("e1", Random(1), admit=admit)
    folder = Folder(bench)
    client = YjsClient(bench, Page(5), token="wrong")
    bench.do(BinaryFrame(client.number, b"\0\2\1x", AT_MS))  # on its way when the hub stopped to listen
    bench.tick(2.0)
    assert client.closed is not None and client.denied == "no invite"
    assert folder.read() == {}


def test_a_room_full_of_members_takes_no_more_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMBERS_PER_ROOM_MAX", 2)
    bench = Bench()
    ann, bob, carl = (YjsClient(bench, Page(number)) for number in (5, 6, 7))
    assert (ann.closed, bob.closed) == (None, None)
    assert carl.closed is not None and carl.closed.code == 1013
    assert "as many members as it may" in carl.denied
    ann.leave()
    assert YjsClient(bench, carl.page).closed is None


def test_a_hub_has_so_many_texts_open_and_another_once_one_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OPEN_TEXTS_MAX", 1)
    bench = Bench()
    first = YjsClient(bench, Page(5), "a.txt")
    second = YjsClient(bench, Page(6), "b.txt")
    assert second.closed is not None and second.closed.code == 1013
    assert YjsClient(bench, Page(7), "a.txt").closed is None
    for client in list(bench.replicas.values()):
        client.leave()
    assert YjsClient(bench, second.page, "b.txt").closed is None
    assert first.closed is None


def test_a_client_that_comes_and_goes_costs_the_same_however_many_rooms_are_open() -> None:
    bench = Bench()

    def visit(room: str) -> int:
        calls = 0

        def note(frame: FrameType, event: str, _: object) -> None:
            nonlocal calls
            calls += event == "call" and "/crdtsync/core/hub/" in frame.f_code.co_filename

        sys.setprofile(note)
        try:
            client = YjsClient(bench, Page(5), "a.txt", room)
            client.leave()
        finally:
            sys.setprofile(None)
        assert client.synced
        return calls

    clients = [YjsClient(bench, Page(6), "a.txt", "room-0")]
    visit("warming")
    alone = visit("alone")
    clients += [YjsClient(bench, Page(7 + number), "a.txt", f"room-{number}") for number in range(1, 40)]
    assert visit("among-others") <= alone  # less is what is cached by then
    assert not any(client.closed for client in clients)


def test_a_hocuspocus_client_that_may_come_back_loses_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OPEN_TEXTS_MAX", 1)
    bench = Bench()
    client = HocuspocusClient(bench)
    client.open(DOC, Page(5))
    client.open("notes/b.txt", Page(6))
    assert client.closed is not None and client.closed.code == 1013


# -- what no client may say ----------------------------------------------------------------------------


def test_a_client_that_denies_permission_is_let_go() -> None:
    client = YjsClient(Bench(), Page(5))
    client.say(PermissionDenied("no"))
    client.bench.settle()
    assert client.closed is not None and client.closed.code == 4400


@pytest.mark.parametrize("kind", [4, 6, 8, 99])
def test_a_client_that_gives_the_hub_s_answers_is_let_go(kind: int) -> None:
    client = HocuspocusClient(Bench())
    client.open(DOC, Page(5))
    frame = varstring(DOC) + varuint(kind) + varuint(9)
    client.bench.do(BinaryFrame(client.number, frame, AT_MS))
    assert client.closed is not None and client.closed.code == 1002


def test_a_yjs_client_that_speaks_in_text_is_let_go() -> None:
    client = YjsClient(Bench(), Page(5))
    client.bench.do(TextFrame(client.number, "{}"))
    client.bench.settle()
    assert client.closed is not None
    assert "binary frames only" in client.closed.reason


def test_what_is_said_of_a_document_that_is_not_open_is_for_nobody() -> None:
    bench = Bench()
    client, other = HocuspocusClient(bench), HocuspocusClient(bench)
    other.open("notes/b.txt", Page(6))
    client.say(Named("notes/b.txt", Stateless("hi")))
    assert other.heard("notes/b.txt", Stateless) == []
    assert client.closed is None


def test_of_many_documents_that_were_denied_the_first_may_be_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "DOCUMENTS_PER_CONNECTION_MAX", 2)
    bench = Bench()
    client = HocuspocusClient(bench)
    for number in range(3):
        client.open(f"notes/.git/{number}", Page(5 + number))
    for number in (2, 0):
        client.say(Named(f"notes/.git/{number}", SyncStep1(b"\0")))
    denied = [len(client.heard(f"notes/.git/{number}", PermissionDenied)) for number in range(3)]
    assert denied == [2, 1, 1]


def test_a_change_of_the_tree_that_cannot_be_applied_ends_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "x")
    client = YjsClient(bench, Page(6))

    def refuse(*_: object) -> set[EntryId]:
        raise MalformedUpdate("pycrdt fails")

    with monkeypatch.context() as broken:
        broken.setattr(TreeDocument, "apply_update", refuse)
        folder.rename(entry, "b.txt")
    client.type("y")
    assert client.closed is None
    assert folder.read() == {"b.txt": "xy"}


@pytest.mark.parametrize(("kind", "reason"), [(Kind.LINK, "is a link"), (Kind.DIR, "is a folder")])
def test_what_is_no_text_is_named_to_who_wants_to_open_it(kind: Kind, reason: str) -> None:
    bench = Bench()
    folder = Folder(bench)
    version = Version(digest_of(b"to"), 2, "Bob", 1, None, "to") if kind is Kind.LINK else None
    folder.operate(Create(EntryId("ab" * 12), kind, "a.txt", False, Origin("Bob", 1), version))
    client = YjsClient(bench, Page(5))
    assert client.closed is not None and client.closed.code == 4404
    assert reason in client.denied


# -- a store in trouble ----------------------------------------------------------------------------------


def test_a_room_whose_tree_cannot_be_read_sends_its_clients_away() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    head = len(folder.member.entries) + 10
    folder.read()
    folder.member.leave()
    bench.settle()
    record = bench.store.open_room("notes", "e1", 10, 10)
    assert record is not None
    head = record.head
    bench.store.append([Row("notes", LogEntry(head + 1, AT_MS, TREE, b"\xff damaged"))])
    bench.engine = HubEngine("e2", Random(2))
    client = YjsClient(bench, Page(5))
    assert client.closed is not None and client.closed.code == 1013
    assert "cannot be read" in client.denied


def test_a_text_that_cannot_be_read_sends_its_clients_away() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    YjsClient(bench, Page(9), "elsewhere.txt")  # so that the tree is read
    bench.hold = {LoadDocuments}
    client = YjsClient(bench, Page(5))
    [request] = bench.held
    assert isinstance(request, LoadDocuments)
    bench.held.clear()
    bench.do(LoadFailed(request.desk, "the disk is broken"))
    assert client.closed is not None and client.closed.code == 1013
    assert "disk is broken" in client.closed.reason
    bench.do(LoadFailed(request.desk - 1, "of a room that everyone has left"))
    bench.hold.clear()
    assert YjsClient(bench, client.page).page.text == "x"


def test_a_room_with_as_many_files_as_a_hub_keeps_makes_no_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    monkeypatch.setattr(limits, "DOCUMENTS_PER_ROOM_MAX", 2)
    client, other = YjsClient(bench, Page(5), "new.txt"), YjsClient(bench, Page(6))
    client.type("y")
    assert client.closed is not None
    assert "as many files as a hub keeps" in client.denied
    other.type("y")
    assert folder.read() == {"a.txt": "xy"}


def test_clients_are_not_read_from_while_the_disk_cannot_keep_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "UNCOMMITTED_MAX_BYTES", 1000)
    bench = Bench()
    folder = Folder(bench)
    client = YjsClient(bench, Page(5))
    bench.hold = {Append}
    client.type("x" * 2000)
    client.type("y")
    assert client.is_paused()
    bench.release()
    assert not client.is_paused()
    assert folder.read() == {"a.txt": "x" * 2000 + "y"}


def test_an_answer_about_an_update_that_nobody_waits_for_changes_nothing() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    first, client = YjsClient(bench, Page(5), "b.txt", room="other"), YjsClient(bench, Page(6))
    for channel in (1, 2):
        bench.do(UpdatesChecked(client.number, "nonsense", channel))
    client.type("y")
    assert (first.closed, client.closed) == (None, None)
    assert folder.read() == {"a.txt": "xy"}


def test_a_large_update_of_a_file_that_appears_meanwhile_comes_with_the_next_step() -> None:
    bench = Bench()
    folder = Folder(bench)
    client = YjsClient(bench, Page(5))
    pasted = "y" * (bounds.CHECK_INLINE_MAX_BYTES + 1)
    bench.hold = {CheckUpdates, LoadDocuments}
    client.type(pasted)
    folder.create("a.txt", "from disk")
    bench.release()
    assert client.page.text in (pasted + "from disk", "from disk" + pasted)
    assert folder.read() == {"a.txt": client.page.text}


def test_large_updates_in_two_rooms_are_read_apart() -> None:
    bench = Bench()
    pasted = "y" * (bounds.CHECK_INLINE_MAX_BYTES + 1)
    for room in ("one", "two"):
        YjsClient(bench, Page(5), room=room).type(pasted)
    assert [Folder(bench, room).read() for room in ("one", "two")] == [{"a.txt": pasted}] * 2


# -- clients that do not read ----------------------------------------------------------------------------


def small_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "QUEUE_LOW_BYTES", 5_000)
    monkeypatch.setattr(bounds, "QUEUE_HIGH_BYTES", 10_000)


def test_a_text_larger_than_a_queue_opens_also_among_people(monkeypatch: pytest.MonkeyPatch) -> None:
    small_queues(monkeypatch)
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x" * 20_000)
    ann, bob = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    ann.say(ann.page.present("Ann"))
    bob.type("y")
    assert (ann.closed, bob.closed) == (None, None)
    assert ann.page.text == bob.page.text == folder.read()["a.txt"]


def test_a_client_that_asks_and_does_not_read_makes_no_more_wait_than_a_queue_and_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_queues(monkeypatch)
    bench = Bench()
    Folder(bench).create("a.txt", "x" * 6_000)
    client = YjsClient(bench, Page(5))
    client.reads = False
    for _ in range(5):
        client.say(SyncStep1(b"\0"))
    assert client.is_paused()
    assert client.max_waiting < 13_000
    client.read()
    bench.settle()
    assert client.closed is None and not client.is_paused()


def test_a_connection_that_is_owed_several_answers_and_does_not_read_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_queues(monkeypatch)
    monkeypatch.setattr(bounds, "SHORT_ANSWER_BYTES", 100)
    bench = Bench()
    Folder(bench).create("a.txt", "x" * 6_000)
    YjsClient(bench, Page(9), "elsewhere.txt")  # so that the tree is read
    client = HocuspocusClient(bench)
    client.reads = False
    bench.hold = {LoadDocuments}
    for number in range(4):  # all on their way before the hub can stop to listen
        for message in (Token(""), SyncStep1(b"\0")):
            frame = encode_hocuspocus(Named(f"{DOC}\0{number}", message))
            bench.do(BinaryFrame(client.number, frame, AT_MS))
    bench.release()
    assert client.closed is not None
    assert (client.closed.code, client.closed.reason) == (1013, "this client does not read")
    assert bench.engine.counts.dropped == 1


def test_a_connection_is_ended_once_however_many_documents_it_had_open() -> None:
    bench = Bench()
    Folder(bench).create("a.txt", "x")
    client = HocuspocusClient(bench)
    client.open(DOC, Page(5))
    client.open("notes/b.txt", Page(6))
    bench.memory.full = True
    client.type(DOC, "y")
    assert client.closed is not None and client.closed.code == 1013
    assert bench.engine.counts.commit_failures == 1


def test_one_frame_larger_than_a_queue_pauses_its_reader_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_queues(monkeypatch)
    bench = Bench()
    folder = Folder(bench)
    slow, busy = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    slow.reads = False
    busy.type("x" * 20_000)
    assert slow.is_paused()
    slow.read()
    assert not slow.is_paused()
    slow.type("y")
    assert folder.read()["a.txt"] == busy.page.text == "x" * 20_000 + "y"


def test_what_waits_for_other_updates_reaches_who_did_not_keep_up() -> None:
    bench = Bench()
    Folder(bench).create("a.txt", "x")
    slow, busy = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    slow.reads = False
    for _ in range(5):
        busy.type("y" * 100_000)
    first, second = busy.page.type("1"), busy.page.type("2")
    busy.say(SyncUpdate(second))
    bench.settle()
    slow.read()
    busy.say(SyncUpdate(first))
    bench.settle()
    assert slow.page.text == busy.page.text


def test_a_document_that_is_closed_while_its_client_is_behind_is_not_told_later() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "x")
    client = HocuspocusClient(bench)
    client.open(DOC, Page(5))
    client.open("notes/b.txt", Page(6))
    client.reads = False
    for _ in range(5):
        folder.edit(entry, [Edit(0, 0, "y" * 100_000)])
    client.say(Named(DOC, CloseDocument()))
    waiting = len(client.waiting)
    client.read()
    told = sum(len(each) for each in client.told.values())
    assert told >= waiting
    folder.edit(entry, [Edit(0, 0, "z")])
    assert client.closed is None
    assert sum(len(each) for each in client.told.values()) == told


# -- people ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "name"),
    [
        ((), ""),
        (('{"user": {"name": "  "}}', '{"user": {"name": " Ann "}}'), "Ann"),
        (('{"user": 7}', "null", "[]"), ""),
    ],
)
def test_a_person_has_the_first_name_that_is_one(states: tuple[str, ...], name: str) -> None:
    assert name_in([ClientState(5, 1, state) for state in states]) == name


def test_a_person_with_two_documents_is_known_by_the_one_that_is_open() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    client = HocuspocusClient(bench)
    bench.settle()
    page = Page(5)
    client.open(DOC, page)
    client.say(Named("notes/b.txt", Token("", "4.8.0")))  # admitted, and without a step
    client.say(Named(DOC, page.present("Ann")))
    bench.tick()
    assert [each.name for each in folder.member.all(Presence)] == ["Ann"]
    assert SOMEONE not in [each.name for each in folder.member.all(Presence)]


def test_a_path_that_was_opened_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "PATHS_MAX", 2)
    known = Opened(lambda room, path, entry: None)
    entry = EntryId("ab" * 12)
    for path in ("a", "b", "c"):
        known.add("notes", path, entry)
    assert [known.at("notes", path) for path in ("a", "b", "c")] == [(), (entry,), (entry,)]


def test_an_answer_of_everyone_is_given_to_who_asks_who_is_here() -> None:
    bench = Bench()
    ann, bob = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    ann.say(ann.page.present("Ann"))
    bench.settle()
    bob.got.clear()
    bob.say(QueryAwareness())
    bench.settle()
    [answer] = bob.all(Awareness)
    assert [state.client for state in answer.states] == [5]
