"""The Hocuspocus door: many documents on one socket, each admitted, acknowledged and closed by itself."""

from __future__ import annotations

from random import Random

import pytest

from crdtsync.core.hub import bounds
from crdtsync.core.hub.admission import Asking, Denied, Granted
from crdtsync.core.hub.effects import Append
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.hub.events import BinaryFrame
from crdtsync.core.values import limits
from crdtsync.core.wire.hocuspocus import (
    Authenticated,
    CloseDocument,
    Named,
    Ping,
    Pong,
    Stateless,
    Token,
)
from crdtsync.core.wire.yjs import Awareness, PermissionDenied, SyncStep2, SyncUpdate
from tests.doors.clients import HocuspocusClient, Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import Bench

DOC = "notes/a.txt"


def test_both_protocols_and_a_folder_share_a_text() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    client = HocuspocusClient(bench)
    client.open(DOC, Page(5))
    other = YjsClient(bench, Page(6))
    client.type(DOC, "1")
    other.type("2")
    assert client.pages[DOC].text == other.page.text == folder.read()["a.txt"] == "x12"
    assert client.heard(DOC, Authenticated) == [Authenticated(read_only=False)]


def test_an_update_is_acknowledged_once_it_is_durable() -> None:
    bench = Bench()
    client = HocuspocusClient(bench)
    client.open(DOC, Page(5))
    assert client.statuses(DOC) == [True]  # its step 2
    client.type(DOC, "x")
    bench.hold = {Append}
    client.type(DOC, "y")
    assert client.statuses(DOC) == [True, True]
    bench.release()
    assert client.statuses(DOC) == [True, True, True]


def test_strangers_at_one_path_are_merged_here_too() -> None:
    bench = Bench()
    folder = Folder(bench)
    clients = [HocuspocusClient(bench), HocuspocusClient(bench)]
    for number, client in enumerate(clients):
        page = Page(5 + number)
        page.type(f"typed by {number}")
        client.open(DOC, page)
    bench.settle()
    text = folder.read()["a.txt"]
    assert sorted(text) == sorted("typed by 0typed by 1")
    assert [client.pages[DOC].text for client in clients] == [text, text]
    assert all(client.statuses(DOC) and all(client.statuses(DOC)) for client in clients)


def test_what_is_typed_before_all_was_shown_is_acknowledged_with_it() -> None:
    bench = Bench()
    Folder(bench).create("a.txt", "theirs")
    client, page = HocuspocusClient(bench), Page(5)
    typed_offline = page.type("mine")
    client.reads = False
    client.open(DOC, page)
    client.say(Named(DOC, SyncUpdate(typed_offline)))
    client.type(DOC, " and more")
    client.read()
    assert client.statuses(DOC) == [True] * 4  # two updates, all that it has, and what the hub lacks of that


def test_who_never_shows_what_was_asked_for_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SHOWN_LATER_MAX", 3)
    bench = Bench()
    Folder(bench).create("a.txt", "theirs")
    client, page = HocuspocusClient(bench), Page(5)
    page.type("mine")
    client.reads = False
    client.open(DOC, page)
    for _ in range(3):
        client.type(DOC, "and more")
    assert client.closed is None
    client.type(DOC, "and more")
    assert client.closed is not None


def test_fifty_documents_on_one_socket_are_apart() -> None:
    bench = Bench()
    folder = Folder(bench)
    client = HocuspocusClient(bench)
    for number in range(50):
        client.open(f"notes/{number}.txt", Page(100 + number))
        client.type(f"notes/{number}.txt", f"text {number}")
    assert folder.read() == {f"{number}.txt": f"text {number}" for number in range(50)}
    client.say(Named("notes/7.txt", CloseDocument()))
    client.type("notes/7.txt", "unheard")
    client.type("notes/8.txt", "!")
    files = folder.read()
    assert (files["7.txt"], files["8.txt"]) == ("text 7", "text 8!")


def test_a_closing_that_is_said_late_does_not_close_what_was_opened_since() -> None:
    bench = Bench()
    asked = guarded(bench)
    writer = YjsClient(bench, Page(4), token="in")
    writer.type("theirs")
    client, page = HocuspocusClient(bench), Page(5)
    client.reads = False
    client.open(DOC, page, "in")
    client.say(Named(DOC, CloseDocument()))  # of whoever had it before the connection was lost
    client.type(DOC, " mine")
    writer.type("!")
    client.reads = True
    client.read()
    assert page.text == writer.page.text
    assert sorted(page.text) == sorted("theirs! mine")
    client.type(DOC, "?")
    assert "?" in writer.page.text
    assert client.statuses(DOC) == [True] * 3  # what it had, and both that it typed
    assert len(asked) == 2


@pytest.mark.parametrize("others", [False, True])
def test_what_a_closed_document_says_late_is_told_to_whoever_opened_it_anew(others: bool) -> None:
    bench = Bench()
    client, former, page = HocuspocusClient(bench), Page(5), Page(6)
    client.open(DOC, former)
    writer = YjsClient(bench, Page(7)) if others else None
    late = [former.type(text) for text in ("it ", "waited ")]
    client.say(Named(DOC, CloseDocument()))
    client.open(DOC, page)
    for update in late:
        client.say(Named(DOC, SyncUpdate(update)))
    assert page.text == "it waited "
    client.type(DOC, "long")
    assert page.text == "it waited long"
    assert writer is None or writer.page.text == page.text


@pytest.mark.parametrize("others", [False, True])
def test_what_was_typed_before_the_connection_is_told_to_whoever_opened_that_document_since(
    others: bool,
) -> None:
    """A client says it once it has heard something, and goes on before it answers what the hub asks."""
    bench = Bench()
    client, former, page = HocuspocusClient(bench), Page(5), Page(6)
    writer = YjsClient(bench, Page(7)) if others else None
    client.reads = False
    client.open(DOC, page)
    client.say(Named(DOC, SyncUpdate(former.type("it waited "))))
    client.reads = True
    client.read()
    assert page.text == "it waited "
    client.type(DOC, "long")
    assert page.text == "it waited long"
    assert writer is None or writer.page.text == page.text


def test_what_the_hub_told_a_closed_document_of_a_file_since_renamed_goes_to_that_file() -> None:
    """On one connection nobody can tell for whom it was: the one that was opened anew has it now."""
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "x")
    client, former, page = HocuspocusClient(bench), Page(5), Page(6)
    client.open(DOC, former)
    client.say(Named(DOC, CloseDocument()))
    folder.rename(entry, "b.txt")
    client.reads = False
    client.open(DOC, page)
    page.hear(SyncStep2(former.doc.get_update()))
    client.read()
    assert folder.read() == {"b.txt": "x"}
    client.type(DOC, "y")
    assert folder.read() == {"b.txt": "xy"} and page.text == "xy"
    assert all(client.statuses(DOC))


@pytest.mark.parametrize("length", [9, bounds.CHECK_INLINE_MAX_BYTES])
def test_what_was_typed_into_a_document_opened_anew_before_it_was_synced_makes_a_file(length: int) -> None:
    bench = Bench()
    folder = Folder(bench)
    client, page = HocuspocusClient(bench), Page(6)
    client.open(DOC, Page(5))
    client.say(Named(DOC, CloseDocument()))
    client.reads = False
    client.open(DOC, page)
    page.type("x" * length)
    client.read()
    assert folder.read() == {"a.txt": "x" * length}


@pytest.mark.parametrize("shown", [b"", b"no update", b"\0\0"])
def test_who_shows_no_update_of_a_document_opened_anew_is_answered_as_ever(shown: bytes) -> None:
    bench = Bench()
    folder = Folder(bench)
    client = HocuspocusClient(bench)
    client.open(DOC, Page(5))
    client.say(Named(DOC, CloseDocument()))
    client.reads = False
    client.open(DOC, Page(6))
    client.say(Named(DOC, SyncStep2(shown)))
    client.read()
    assert client.statuses(DOC)[1:] == ([True, True] if shown == b"\0\0" else [False])
    assert folder.read() == {}


def test_what_is_said_of_a_closed_document_without_end_is_not_counted_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "SHOWN_LATER_MAX", 3)
    client = HocuspocusClient(Bench())
    client.open(DOC, Page(5))
    client.say(Named(DOC, CloseDocument()))
    for _ in range(3):
        client.type(DOC, "unheard")
    assert client.closed is None
    client.type(DOC, "unheard")
    assert client.closed is not None


def test_a_client_of_version_2_without_a_token_is_let_in_by_its_first_step() -> None:
    bench = Bench()
    Folder(bench).create("a.txt", "x")
    client = HocuspocusClient(bench)
    client.open(DOC, Page(5), token=None)
    assert client.pages[DOC].text == "x"


def test_two_sessions_of_one_document_on_one_socket_are_two_clients() -> None:
    bench = Bench()
    client = HocuspocusClient(bench)
    one, two = DOC + "\0one", DOC + "\0two"
    client.open(one, Page(5))
    client.open(two, Page(6))
    client.type(one, "x")
    assert client.pages[two].text == "x"
    client.say(Named(one, client.pages[one].present("Ann")))
    assert list(client.pages[two].people) == [5]
    client.say(Named(one, CloseDocument()))
    assert client.pages[two].people == {}


def test_an_impossible_document_is_denied_with_the_reason_and_the_others_go_on() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create_blob("b.png")
    client = HocuspocusClient(bench)
    client.open(DOC, Page(5))
    for name in ("notes/b.png", "notes/.git/x", "notes", "", "no way/x"):
        client.open(name, Page(6))
        (denied,) = client.heard(name, PermissionDenied)
        assert denied.reason
        assert client.heard(name, SyncStep2) == []
    client.type(DOC, "x")
    assert folder.read()["a.txt"] == "x"
    assert client.closed is None


def test_a_refused_update_closes_its_document_and_no_other() -> None:
    bench = Bench()
    folder = Folder(bench)
    client = HocuspocusClient(bench)
    client.open(DOC, Page(5))
    client.open("notes/b.txt", Page(6))
    client.say(Named(DOC, SyncUpdate(b"\x01\x01\x05\x00\xff\xff")))
    assert client.statuses(DOC)[-1] is False
    assert "refused" in client.heard(DOC, CloseDocument)[0].reason
    client.type(DOC, "unheard")
    client.type("notes/b.txt", "x")
    assert folder.read() == {"b.txt": "x"}


def guarded(bench: Bench) -> list[Asking]:
    """A hub that lets in who has the token "in", lets "read" only read, and is slow to deny."""
    asked: list[Asking] = []

    def admit(asking: Asking) -> Granted | Denied:
        asked.append(asking)
        match asking.token:
            case "in":
                return Granted(name="Ann")
            case "read":
                return Granted(read_only=True)
            case _:
                return Denied("no invite", 2.0)

    bench.engine = HubEngine("e1", Random(1), admit=admit)
    return asked


def test_each_document_is_asked_for_and_a_denied_one_can_be_asked_for_again() -> None:
    bench = Bench()
    asked = guarded(bench)
    client = HocuspocusClient(bench)
    client.open(DOC, Page(5), "wrong")
    assert client.told[DOC] == []
    bench.tick(2.0)
    assert client.told[DOC] == [PermissionDenied("no invite")]
    client.open(DOC, client.pages[DOC], "in")
    assert client.heard(DOC, Authenticated) == [Authenticated(read_only=False)]
    assert client.heard(DOC, SyncStep2)
    assert [(asking.room, asking.path, asking.token) for asking in asked] == [
        ("notes", "a.txt", "wrong"),
        ("notes", "a.txt", "in"),
    ]


def test_a_later_token_changes_what_a_client_may_do() -> None:
    bench = Bench()
    guarded(bench)
    client = HocuspocusClient(bench)
    client.open(DOC, Page(5), "in")
    client.type(DOC, "x")
    client.say(Named(DOC, Token("read")))
    client.type(DOC, "y")
    client.say(Named(DOC, Token("wrong")))
    bench.tick(2.0)
    assert client.statuses(DOC) == [True, True, False]
    assert client.told[DOC][-1] == PermissionDenied("no invite")


def test_who_may_only_read_reads_and_changes_nothing() -> None:
    bench = Bench()
    guarded(bench)
    writer = HocuspocusClient(bench)
    writer.open(DOC, Page(5), "in")
    writer.type(DOC, "x")
    reader = HocuspocusClient(bench)
    reader.open(DOC, Page(6), "read")
    assert reader.heard(DOC, Authenticated) == [Authenticated(read_only=True)]
    assert reader.pages[DOC].text == "x"
    assert reader.statuses(DOC) == [True]  # its step 2 held nothing new
    reader.type(DOC, "y")
    reader.say(Named(DOC, SyncUpdate(reader.pages[DOC].erase(0, 1))))
    assert reader.statuses(DOC) == [True, False, False]
    assert writer.pages[DOC].text == "x"
    reader.say(Named(DOC, reader.pages[DOC].present("Rita")))
    assert list(writer.pages[DOC].people) == [6]


def test_a_reader_with_y_websocket_is_warned_once() -> None:
    bench = Bench()
    guarded(bench)
    client = YjsClient(bench, Page(5), token="read")
    client.type("x")
    client.type("y")
    assert "read" in client.denied
    assert client.closed is None


def test_a_denied_y_websocket_client_is_told_and_let_go() -> None:
    bench = Bench()
    guarded(bench)
    client = YjsClient(bench, Page(5), token="wrong")
    assert not client.is_closed()
    bench.tick(2.0)
    assert client.closed is not None
    assert (client.closed.code, client.denied) == (4403, "no invite")


def test_the_name_of_an_invite_counts_more_than_what_a_page_says() -> None:
    bench = Bench()
    guarded(bench)
    client = YjsClient(bench, Page(5), token="in")
    client.say(client.page.present("Mallory"))
    bench.settle()
    assert [each.name for each in bench.engine._rooms["notes"].presences.values()] == ["Ann"]


def test_messages_of_the_application_go_to_the_others_of_the_document() -> None:
    bench = Bench()
    one, two, other = (HocuspocusClient(bench) for _ in range(3))
    one.open(DOC, Page(5))
    two.open(DOC, Page(6))
    other.open("notes/b.txt", Page(7))
    YjsClient(bench, Page(8))
    one.say(Named(DOC, Stateless("hi")))
    assert two.heard(DOC, Stateless) == [Stateless("hi")]
    assert one.heard(DOC, Stateless) == []
    assert other.heard("notes/b.txt", Stateless) == []


def test_a_ping_is_answered() -> None:
    client = HocuspocusClient(Bench())
    client.say(Ping())
    client.say(Pong())
    assert client.got == [Pong()]


def test_a_connection_that_says_nothing_is_ended() -> None:
    bench = Bench()
    client = HocuspocusClient(bench)
    bench.tick(limits.HELLO_TIMEOUT_S)
    assert client.closed is not None


def test_a_frame_that_cannot_be_read_ends_the_connection() -> None:
    bench = Bench()
    client = HocuspocusClient(bench)
    bench.do(BinaryFrame(client.number, b"\x05", 0))
    assert client.closed is not None
    assert client.closed.code == 1002


def test_too_many_documents_on_one_connection_are_denied() -> None:
    bench = Bench()
    client = HocuspocusClient(bench)
    for number in range(limits.DOCUMENTS_PER_CONNECTION_MAX):
        client.say(Named(f"notes/{number}", Token("")))
    client.open("notes/more", Page(5))
    assert client.heard("notes/more", PermissionDenied)
    assert client.closed is None


def test_the_hub_says_goodbye_to_clients_of_both_protocols() -> None:
    bench = Bench()
    client, other = HocuspocusClient(bench), YjsClient(bench, Page(6))
    client.open(DOC, Page(5))
    bench.stop()
    bench.settle()
    assert bench.stopped
    assert client.closed is not None and other.closed is not None
    assert (client.closed.code, other.closed.code) == (1001, 1001)


def test_an_awareness_state_travels_as_it_was_written() -> None:
    bench = Bench()
    client, other = HocuspocusClient(bench), YjsClient(bench, Page(6))
    client.open(DOC, Page(5))
    client.say(Named(DOC, client.pages[DOC].present("Zoë")))
    bench.settle()
    assert other.all(Awareness)[-1] == client.pages[DOC].last
