"""Which text a Yjs client gets, what becomes of what it types, and that nothing is doubled or lost by it."""

from __future__ import annotations

import json

import pytest

from crdtsync.core.hub import bounds
from crdtsync.core.hub.effects import Append, CheckUpdates, LoadDocuments
from crdtsync.core.hub.events import BinaryFrame
from crdtsync.core.text.diff import Edit
from crdtsync.core.values import limits
from crdtsync.core.values.ids import DocumentId, EntryId
from crdtsync.core.wire.yjs import SyncStep1, SyncStep2, SyncUpdate, YjsMessage, decode_yjs
from tests.doors.clients import Page, YjsClient
from tests.doors.rooms import Folder
from tests.hub.bench import Bench


def test_a_text_of_the_room_opens_and_what_either_side_types_reaches_the_other() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("docs/a.txt", "hello")
    client = YjsClient(bench, Page(5), "docs/a.txt")
    assert client.page.text == "hello"
    client.type(" world")
    assert folder.read() == {"docs/a.txt": "hello world"}
    folder.edit(entry, [Edit(0, 0, "> ")])
    assert client.page.text == "> hello world"


def test_two_clients_and_a_folder_share_a_text() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    ann, bob = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    ann.type("A", 0)
    bob.type("B")
    assert ann.page.text == bob.page.text == folder.read()["a.txt"] == "AxB"


def test_a_step_2_is_for_the_one_who_asked() -> None:
    bench = Bench()
    Folder(bench).create("a.txt", "x")
    ann = YjsClient(bench, Page(5))
    before = len(ann.got)
    YjsClient(bench, Page(6))
    assert ann.got[before:] == []


def test_a_file_is_made_with_its_first_character_and_not_before() -> None:
    bench = Bench()
    folder = Folder(bench)
    client = YjsClient(bench, Page(5), "new/ü 🎈.md")
    assert client.synced
    assert folder.read() == {}
    client.type("h")
    client.type("i")
    assert folder.read() == {"new/ü 🎈.md": "hi"}


def test_what_leaves_no_character_makes_no_file() -> None:
    bench = Bench()
    folder = Folder(bench)
    page = Page(5)
    page.type("abc")
    page.erase(0, 3)
    client = YjsClient(bench, page)
    assert folder.read() == {}
    client.type("d")
    assert folder.read() == {"a.txt": "d"}


def test_two_clients_make_one_file() -> None:
    bench = Bench()
    folder = Folder(bench)
    ann, bob = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    ann.say(SyncUpdate(ann.page.type("A")))
    bob.say(SyncUpdate(bob.page.type("B")))
    bench.settle()
    assert ann.page.text == bob.page.text
    assert sorted(ann.page.text) == ["A", "B"]
    assert folder.read() == {"a.txt": ann.page.text}


def test_a_client_that_waits_at_a_new_path_goes_on_with_the_file_that_appears_there() -> None:
    bench = Bench()
    folder = Folder(bench)
    client = YjsClient(bench, Page(5))
    folder.create("a.txt", "from disk")
    assert client.page.text == "from disk"
    client.type("!")
    assert folder.read() == {"a.txt": "from disk!"}


def test_what_is_typed_while_a_file_appears_is_kept() -> None:
    bench = Bench()
    folder = Folder(bench)
    client = YjsClient(bench, Page(5))
    bench.hold = {LoadDocuments}
    folder.create("a.txt", "from disk")
    client.page.type("typed")  # the hub does not listen just now: it comes with the client's step 2
    bench.release()
    assert sorted(client.page.text) == sorted("from disktyped")
    assert folder.read() == {"a.txt": client.page.text}


def test_a_client_at_a_new_path_types_into_a_file_beside_what_appears_there() -> None:
    bench = Bench()
    folder = Folder(bench)
    client = YjsClient(bench, Page(5))
    folder.create_blob("a.txt")
    assert client.closed is None
    assert folder.read() == {"a.txt": "<blob>"}
    client.type("typed")
    assert sorted(folder.read().values()) == ["<blob>", "typed"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("picture.png", "is not a text"),
        ("docs", "is a folder"),
        ("docs/a.txt/x", "is a file, so there can be nothing in it"),
        (".git/config", "never shared"),
        ("docs/.crdtsync/x", "never shared"),
        ("a.txt~", "never shared"),
        ("../x", "can have the path"),
        ("", "can have the path"),
        ("a\0b", "can have the path"),
        ("a//b", "can have the path"),
        ("x" * 300, "can have the path"),
    ],
)
def test_what_is_no_text_is_refused_with_the_reason(path: str, reason: str) -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("docs/a.txt", "x")
    folder.create_blob("picture.png")
    client = YjsClient(bench, Page(5), path)
    assert client.closed is not None
    assert 4400 <= client.closed.code < 4500
    assert reason in client.closed.reason
    assert client.denied == client.closed.reason


def test_a_room_with_an_impossible_name_is_refused() -> None:
    client = YjsClient(Bench(), Page(5), room="no way")
    assert client.closed is not None
    assert client.closed.code == 4404


def test_a_file_renamed_while_open_stays_open() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "text")
    client = YjsClient(bench, Page(5))
    folder.rename(entry, "b.txt")
    client.type("!")
    assert folder.read() == {"b.txt": "text!"}


def test_a_client_that_comes_back_under_the_old_name_goes_on_with_the_renamed_file() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "text")
    page = Page(5)
    YjsClient(bench, page).leave()
    other = YjsClient(bench, Page(6), "other.txt")  # so that the hub goes on knowing the room
    folder.rename(entry, "b.txt")
    client = YjsClient(bench, page)
    client.type("!")
    assert folder.read() == {"b.txt": "text!"}
    assert other.closed is None


def test_the_hub_remembers_what_was_opened_where_after_everyone_has_left() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "text")
    page = Page(5)
    YjsClient(bench, page).leave()
    bench.settle()
    folder.rename(entry, "b.txt")
    YjsClient(bench, page).type("!")
    assert folder.read() == {"b.txt": "text!"}


@pytest.mark.parametrize("stored", [True, False])
def test_the_hub_knows_what_was_opened_where_over_a_restart(stored: bool) -> None:
    """If it was killed before it had stored that, the log of the tree tells where the text stood."""
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "text")
    page = Page(5)
    YjsClient(bench, page).type("!")
    bench.settle()
    folder.rename(entry, "b.txt")
    if not stored:
        bench.store.remember_opened([("notes", "b.txt", DocumentId(entry))], kept=1)
    again = Bench(bench.store, "e2")
    YjsClient(again, page).type("?")
    again.settle()
    assert Folder(again).read() == {"b.txt": "text!?"}


def test_a_file_deleted_while_open_comes_back_with_the_next_character() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "text")
    client = YjsClient(bench, Page(5))
    folder.delete(entry)
    assert folder.read() == {}
    assert client.page.text == "text"
    client.type("!")
    assert folder.read() == {"a.txt": "text!"}


def at_deleted_path() -> tuple[Folder, EntryId, YjsClient]:
    """A folder that had a text, which text, and a new client where it was."""
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "text")
    folder.delete(entry)
    client = YjsClient(bench, Page(5))
    assert client.page.text == ""
    return folder, entry, client


def test_a_new_client_at_a_deleted_path_begins_an_empty_file() -> None:
    folder, _, client = at_deleted_path()
    client.type("new")
    assert folder.read() == {"a.txt": "new"}


def test_a_client_at_a_deleted_path_goes_on_with_the_file_that_an_unseen_edit_brings_back() -> None:
    folder, entry, client = at_deleted_path()
    folder.edit(entry, [Edit(4, 4, "!")])
    assert client.page.text == "text!"
    client.type("?")
    assert folder.read() == {"a.txt": "text!?"}


def test_what_is_typed_at_a_deleted_path_while_an_edit_brings_the_file_back_is_beside_it() -> None:
    folder, entry, client = at_deleted_path()
    client.say(SyncUpdate(client.page.type("mine")))
    folder.edit(entry, [Edit(4, 4, "!")])
    assert client.page.text == "mine"
    assert sorted(folder.read().values()) == ["mine", "text!"]


def test_a_client_at_a_deleted_path_goes_on_with_the_file_that_another_client_brings_back() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "text")
    ann = YjsClient(bench, Page(5))
    folder.delete(entry)
    bob = YjsClient(bench, Page(6))
    assert bob.page.text == ""
    ann.type("!")
    assert bob.page.text == "text!"


def test_a_text_that_an_unseen_edit_brought_back_opens() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "text")
    folder.delete(entry)
    folder.edit(entry, [Edit(4, 4, "!")])
    client = YjsClient(bench, Page(5))
    assert client.page.text == "text!"


# -- documents that clients kept --------------------------------------------------------------------------


def kept(bench: Bench, folder: Folder) -> Page:
    """A page that has a.txt, which was deleted and made anew with the same text since."""
    entry = folder.create("a.txt", "text")
    page = Page(5)
    YjsClient(bench, page).leave()
    folder.delete(entry)
    folder.create("a.txt", "text")
    return page


def test_a_kept_document_of_a_file_made_anew_doubles_nothing() -> None:
    bench = Bench()
    folder = Folder(bench)
    page = kept(bench, folder)
    client = YjsClient(bench, page)
    assert page.text == "text"
    assert folder.read() == {"a.txt": "text"}
    assert client.closed is None


def test_edits_in_a_kept_document_come_back_beside_the_file_made_anew() -> None:
    bench = Bench()
    folder = Folder(bench)
    page = kept(bench, folder)
    page.type(" and mine")
    client = YjsClient(bench, page)
    client.type("!")
    files = folder.read()
    assert files.pop("a.txt") == "text"
    ((path, text),) = files.items()
    assert path.startswith("a (conflict of ")
    assert text == "text and mine!"


def test_a_client_that_filled_its_document_by_itself_is_refused_and_nothing_is_doubled() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "text")
    page = Page(5)
    page.type("text")
    client = YjsClient(bench, page)
    assert client.closed is not None
    assert client.closed.code == 4409
    assert "double" in client.denied
    assert (page.text, folder.read()["a.txt"]) == ("text", "text")


def test_two_who_typed_into_a_new_file_while_both_were_offline_are_merged() -> None:
    bench = Bench()
    folder = Folder(bench)
    pages = [Page(5), Page(6), Page(7)]
    for page, text in zip(pages, ("Ann was here\n", "Bob too\n", "and Cid\n"), strict=True):
        page.type(text)
    clients = [YjsClient(bench, page) for page in pages]
    bench.settle()
    assert not any(client.closed for client in clients)
    (text,) = folder.read().values()
    assert sorted(text.splitlines()) == ["Ann was here", "Bob too", "and Cid"]
    assert [page.text for page in pages] == [text] * 3
    clients[2].type("!")
    assert folder.read() == {"a.txt": pages[0].text} and "!" in pages[0].text


def test_a_stranger_that_shows_what_cannot_be_read_is_refused() -> None:
    class Liar(YjsClient):
        def say(self, message: YjsMessage) -> None:
            super().say(SyncStep2(b"\x01\x01nonsense") if isinstance(message, SyncStep2) else message)

    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "text")
    page = Page(5)
    page.type("mine")
    client = Liar(bench, page)
    assert client.closed is not None and client.closed.code == 4400
    assert folder.read() == {"a.txt": "text"}


def test_a_client_that_filled_its_document_by_itself_may_open_an_empty_file() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt")
    page = Page(5)
    page.type("mine")
    YjsClient(bench, page)
    assert folder.read() == {"a.txt": "mine"}


def test_a_client_that_typed_before_it_ever_connected_makes_the_file() -> None:
    bench = Bench()
    folder = Folder(bench)
    page = Page(5)
    page.type("written on a train")
    YjsClient(bench, page)
    assert folder.read() == {"a.txt": "written on a train"}


def test_offline_edits_of_both_sides_merge() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "middle")
    page = Page(5)
    YjsClient(bench, page).leave()
    page.type("client ", 0)
    folder.edit(entry, [Edit(6, 6, " folder")])
    YjsClient(bench, page)
    assert page.text == folder.read()["a.txt"] == "client middle folder"


def test_a_deletion_made_offline_is_not_undone_by_the_hub() -> None:
    """A state vector does not show deletions."""
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "abcdef")
    page = Page(5)
    YjsClient(bench, page).leave()
    page.erase(1, 3)
    YjsClient(bench, page)
    assert page.text == folder.read()["a.txt"] == "adef"


# -- the store ----------------------------------------------------------------------------------------


def test_what_is_not_durable_yet_is_given_to_a_client_that_comes() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    bench.hold = {Append}
    first = YjsClient(bench, Page(5))
    first.type("y")
    first.leave()
    second = YjsClient(bench, Page(6))
    assert second.page.text == "xy"


def test_what_comes_while_a_text_is_read_is_not_missed() -> None:
    bench = Bench()
    folder = Folder(bench)
    entry = folder.create("a.txt", "x")
    bench.hold = {LoadDocuments}
    client = YjsClient(bench, Page(5))
    folder.edit(entry, [Edit(1, 1, "y")])
    bench.release()
    client.say(SyncStep1(client.page.doc.get_state()))
    bench.settle()
    assert client.page.text == "xy"


def test_a_store_that_fails_sends_clients_away_to_come_back_and_they_have_kept_everything() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    client = YjsClient(bench, Page(5))
    bench.memory.full = True
    client.type("y")
    assert client.closed is not None
    assert client.closed.code == 1013
    bench.memory.full = False
    back = YjsClient(bench, client.page)
    assert back.page.text == "xy"
    assert Folder(bench).read() == {"a.txt": "xy"}


def test_the_next_life_of_the_hub_goes_on_with_a_client_that_kept_its_document() -> None:
    bench = Bench()
    Folder(bench).create("a.txt", "x")
    page = Page(5)
    YjsClient(bench, page).type("y")
    again = Bench(bench.store, "e2")
    page.type("z")
    YjsClient(again, page)
    assert Folder(again).read() == {"a.txt": "xyz"}


def test_an_unused_room_is_let_go() -> None:
    bench = Bench()
    client = YjsClient(bench, Page(5))
    client.type("x")
    assert (bench.engine.rooms, bench.engine.members) == (1, 1)
    client.leave()
    bench.settle()
    assert (bench.engine.rooms, bench.engine.members) == (0, 0)


# -- bad input ----------------------------------------------------------------------------------------


def test_a_malformed_update_ends_its_author_and_no_other() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    good, bad = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    bad.say(SyncUpdate(b"\x01\x01\x05\x00\xff\xff"))
    bench.settle()
    assert bad.closed is not None
    assert bad.closed.code == 4400
    assert "refused" in bad.denied
    good.type("y")
    assert folder.read() == {"a.txt": "xy"}


def test_a_character_that_no_text_file_holds_is_refused() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    client = YjsClient(bench, Page(5))
    client.type("y\0")
    assert client.closed is not None
    assert "NUL" in client.closed.reason
    assert folder.read() == {"a.txt": "x"}


@pytest.mark.parametrize(
    "frame", [b"", b"\x05", b"\x00\x00\x02\x01", b"\x00\x00\x01\xff", b"\x01\x02\x01\x01"]
)
def test_a_frame_that_cannot_be_read_ends_the_connection(frame: bytes) -> None:
    bench = Bench()
    client = YjsClient(bench, Page(5))
    bench.do(BinaryFrame(client.number, frame, 0))
    bench.settle()
    assert client.closed is not None
    assert client.closed.code == 4400


def test_a_text_that_would_grow_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TEXT_REMAINS_MAX_BYTES", 1000)
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x" * 800)
    client = YjsClient(bench, Page(5))
    client.type("y" * 100)
    client.erase(0, 900)
    client.type("z" * 500)
    assert not client.is_closed()
    client.type("z" * 500)
    assert client.closed is not None
    assert client.closed.code == 4413
    assert folder.read() == {"a.txt": "z" * 500}


def test_a_full_room_takes_nothing_new_and_can_still_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x" * 800)
    monkeypatch.setattr(limits, "ROOM_UPDATES_MAX_BYTES", 1200)
    client, other = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    client.type("y" * 600)
    assert client.closed is not None and client.closed.code == 4413
    assert not other.is_closed() and other.page.text == "x" * 800
    assert folder.read() == {"a.txt": "x" * 800}


def test_a_client_that_does_not_keep_up_gets_all_it_lacks_as_one_update() -> None:
    bench = Bench()
    Folder(bench).create("a.txt", "x")
    slow, busy = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    slow.reads = False
    for number in range(30):
        busy.type("y" * 100_000)
        busy.say(busy.page.present(f"name {number}"))
        bench.settle()
    busy.erase(10, 1_000_000)
    assert slow.closed is None
    assert slow.max_waiting < bounds.QUEUE_LOW_BYTES + 101_000
    frames = [frame for frame in slow.waiting if isinstance(frame, bytes)]
    waiting = sum(isinstance(decode_yjs(frame), SyncUpdate) for frame in frames)
    slow.read()
    bench.settle()
    assert slow.page.text == busy.page.text
    assert waiting < 5 and len(slow.all(SyncUpdate)) == waiting + 1
    assert json.loads(slow.page.people[6])["user"]["name"] == "name 29"
    busy.type("and on")
    assert slow.page.text == busy.page.text


def test_what_a_client_that_does_not_keep_up_types_reaches_the_others() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    slow, busy = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    slow.reads = False
    for _ in range(5):
        busy.type("y" * 100_000)
        slow.type("z", at=0)
    slow.read()
    bench.settle()
    assert slow.page.text == busy.page.text == folder.read()["a.txt"]
    assert slow.page.text.count("z") == 5


def test_a_client_that_leaves_while_it_is_behind_is_forgotten() -> None:
    bench = Bench()
    Folder(bench).create("a.txt", "x")
    slow, busy = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    slow.reads = False
    for _ in range(5):
        busy.type("y" * 100_000)
    slow.leave()
    busy.type("and on")
    assert YjsClient(bench, slow.page).page.text == busy.page.text


@pytest.mark.parametrize("authors", [2, 7])
def test_what_is_typed_in_one_turn_goes_out_as_one_update(authors: int) -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    reader = YjsClient(bench, Page(100))
    typing = [YjsClient(bench, Page(number)) for number in range(5, 5 + authors)]
    for client in (reader, *typing):
        client.got.clear()
    for _ in range(3):
        for client in typing:
            client.say(SyncUpdate(client.page.type(str(client.number), at=0)))
    typing[0].say(SyncUpdate(typing[0].page.erase(0, 1)))
    bench.settle()
    assert len(reader.all(SyncUpdate)) == 1
    assert len(typing[0].all(SyncUpdate)) == 1
    assert {client.page.text for client in (reader, *typing)} == {folder.read()["a.txt"]}


def test_resynchronising_costs_nothing_and_changes_nothing() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    client = YjsClient(bench, Page(5))
    rows = len(folder.member.entries)
    for _ in range(3):
        client.say(SyncStep1(client.page.doc.get_state()))
        client.say(SyncStep2(client.page.doc.get_update()))
        bench.settle()
    assert len(folder.member.entries) == rows
    assert client.page.text == "x"


def test_a_large_update_is_read_by_a_worker_while_the_others_go_on() -> None:
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    pasting, typing = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    bench.hold.add(CheckUpdates)
    pasting.say(SyncUpdate(pasting.page.type("y" * (bounds.CHECK_INLINE_MAX_BYTES + 1))))
    pasting.say(SyncUpdate(pasting.page.type("z")))
    typing.type("t", at=0)
    assert pasting.is_paused() and folder.read()["a.txt"] == "tx"
    bench.release()
    assert not pasting.is_paused()
    assert pasting.page.text == typing.page.text == folder.read()["a.txt"]
    assert typing.page.text.endswith("yz")


def test_a_large_update_that_cannot_be_applied_is_refused_and_one_of_a_client_that_left_is_forgotten() -> (
    None
):
    bench = Bench()
    folder = Folder(bench)
    folder.create("a.txt", "x")
    evil, gone = YjsClient(bench, Page(5)), YjsClient(bench, Page(6))
    bench.hold.add(CheckUpdates)
    evil.say(SyncUpdate(b"\xff" * (bounds.CHECK_INLINE_MAX_BYTES + 1)))
    gone.say(SyncUpdate(gone.page.type("y" * (bounds.CHECK_INLINE_MAX_BYTES + 1))))
    gone.leave()
    bench.release()
    assert evil.closed is not None and evil.closed.code == 4400
    assert folder.read() == {"a.txt": "x"}
    assert YjsClient(bench, Page(7)).page.text == "x"
