"""A room in memory: what a program is told, what it may do, and a hub that does not behave."""

from __future__ import annotations

from typing import Literal

import pytest

from crdtsync.core.replica.effects import Disconnect, Halt, Notice, SendText
from crdtsync.core.replica.events import BinaryFrame, NetworkChanged, TextFrame
from crdtsync.core.room import engine, texts
from crdtsync.core.room.effects import CursorsMoved, Settled, TextChanged
from crdtsync.core.room.texts import RoomTexts
from crdtsync.core.text.diff import Edit
from crdtsync.core.tree.rows import Create, Origin, Version
from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of, digest_of_text
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.core.wire.codec import encode_from_hub
from crdtsync.core.wire.control import Presence, Refused, encode_control
from crdtsync.core.wire.messages import LogEntry, Probed, Relay
from crdtsync.errors import InvalidEdit, InvalidName, NameTaken, NoSuchFile, NotText, ReadOnly
from tests.doors.rooms import Folder
from tests.hub.bench import Bench
from tests.room.program import Program


def two() -> tuple[Bench, Program, Program]:
    bench = Bench()
    return bench, Program(bench, "Ann"), Program(bench, "Bob")


def opened(program: Program, path: str = "a.txt") -> EntryId:
    entry = program.engine.files.text_at(path)
    program.engine.open(entry)
    return entry


# -- texts and people ---------------------------------------------------------------------------------


def test_an_edit_reaches_the_other_programs_and_says_whose_it_is() -> None:
    bench, ann, bob = two()
    entry = ann.engine.write_text("a.txt", "one")
    ann.tick()
    assert opened(bob) == entry
    ann.engine.open(entry)
    ann.engine.edit(entry, [Edit(3, 3, " two")], 7)
    ann.tick()
    assert ann.all(TextChanged) == [TextChanged(entry, (Edit(3, 3, " two"),), "Ann", True, 7)]
    assert [each.edits for each in bob.all(TextChanged) if isinstance(each, TextChanged)] == [
        (Edit(3, 3, " two"),)
    ]
    assert bob.engine.files.text(entry) == "one two"
    assert ann.engine.caught_up and bob.engine.caught_up
    folder = Folder(bench)
    assert folder.read() == {"a.txt": "one two"}


def test_an_edit_of_nothing_goes_nowhere() -> None:
    _, ann, bob = two()
    entry = ann.engine.write_text("a.txt", "one")
    ann.tick()
    opened(bob)
    ann.engine.open(entry)
    ann.engine.edit(entry, [], 1)
    ann.engine.edit(entry, [Edit(1, 1, "")], 1)
    ann.engine.write_text("a.txt", "one")
    ann.tick()
    assert ann.all(TextChanged) == bob.all(TextChanged) == []
    with pytest.raises(InvalidEdit):
        ann.engine.edit(entry, [Edit(2, 9, "")], 1)
    assert ann.engine.files.text(entry) == "one"


def test_cursors_are_told_until_their_person_leaves_the_text_or_the_room() -> None:
    _, ann, bob = two()
    entry = ann.engine.write_text("a.txt", "one")
    other = ann.engine.write_text("b.txt", "two")
    ann.tick()
    for program in (ann, bob):
        program.engine.open(entry)
        program.engine.open(other)
    bob.engine.place(entry, ((1, 2),), 5)
    bob.engine.place(other, ((0, 0),), 5)
    bob.wait(1.0)
    assert bob.line is not None
    there = CursorsMoved(entry, str(bob.line.number), "Bob", ((1, 2),))
    assert ann.engine.cursors(entry) == [there]
    assert bob.engine.cursors(entry) == [CursorsMoved(entry, "here:5", "Bob", ((1, 2),), 5)]
    bob.lose()
    ann.bench.tick()
    gone = [each for each in ann.all(CursorsMoved) if isinstance(each, CursorsMoved) and not each.ranges]
    assert {each.entry for each in gone} == {entry, other}
    assert ann.engine.cursors(entry) == []


def test_who_loses_the_hub_sees_nobody_s_cursor_any_more() -> None:
    _, ann, bob = two()
    entry = ann.engine.write_text("a.txt", "one")
    ann.tick()
    ann.engine.open(entry)
    bob.engine.open(entry)
    bob.engine.place(entry, ((1, 1),), 5)
    bob.wait(1.0)
    assert ann.engine.cursors(entry) != []
    ann.lose()
    assert ann.engine.cursors(entry) == []
    [*_, last] = ann.all(CursorsMoved)
    assert isinstance(last, CursorsMoved) and (last.name, last.ranges) == ("Bob", ())


def test_of_a_text_that_stands_nowhere_nobody_is_named_as_the_author() -> None:
    bench, ann, bob = two()
    entry = ann.engine.write_text("a.txt", "one")
    ann.tick()
    opened(bob)
    carl = Folder(bench, name="Carl")
    carl.read()
    carl.edit(entry, [Edit(0, 0, "c")])
    carl.rename(entry, ".git/where nothing can be")
    assert bob.engine.get(entry) is None
    bob.told.clear()
    carl.edit(entry, [Edit(0, 0, "d")])
    bench.settle()
    assert [each.by for each in bob.all(TextChanged) if isinstance(each, TextChanged)] == [""]


def test_what_a_blob_lacks_is_asked_for_and_named_to_the_others() -> None:
    _, ann, bob = two()
    digests = [digest_of(bytes([number])) for number in range(limits.PRESENCE_WANTED_MAX + 2)]
    ann.engine.want(digests)
    ann.wait(1.0)
    assert bob.line is not None
    said = [effect.data for effect in ann.told if isinstance(effect, SendText)][-1]
    assert all(digest in said for digest in sorted(digests)[: limits.PRESENCE_WANTED_MAX])


# -- the connection -----------------------------------------------------------------------------------


def test_what_was_done_without_a_hub_is_settled_once_it_is_back() -> None:
    bench, ann, bob = two()
    entry = ann.engine.write_text("a.txt", "one")
    ann.tick()
    ann.lose()
    ann.engine.open(entry)
    ann.engine.edit(entry, [Edit(0, 0, "offline ")], 1)
    new = ann.engine.write_text("b.txt", "two")
    ann.engine.settle(4)
    ann.engine.settle(5)
    assert ann.engine.deadline is not None
    ann.engine.unsettle(5)
    ann.tick()
    assert not ann.engine.status.connected
    assert ann.all(Settled) == []
    ann.handle(NetworkChanged())
    bench.settle()
    ann.tick()
    assert ann.all(Settled) == [Settled(4)]
    assert bob.engine.files.text(entry) == "offline one"
    assert bob.engine.files.text(new) == "two"
    assert ann.engine.status.state == "settled"
    ann.engine.settle(6)
    ann.tick()
    assert ann.all(Settled) == [Settled(4), Settled(6)]


def test_an_answer_to_a_question_that_nobody_waits_for_is_nothing() -> None:
    _, ann, _ = two()
    before = len(ann.told)
    ann.handle(BinaryFrame(encode_from_hub(Probed(99, 0))))
    assert ann.told[before:] == []


def test_a_hub_that_knows_nothing_any_more_gets_the_whole_room_again() -> None:
    _, ann, bob = two()
    entry = ann.engine.write_text("a.txt", "one")
    bob.tick()
    ann.tick()
    ann.lose()
    lost = Bench(epoch="of another life")
    lost.now = ann.bench.now + 100
    ann.bench = lost
    ann.tick()
    lost.settle()
    ann.tick()
    folder = Folder(lost)
    assert folder.read() == {"a.txt": "one"}
    assert ann.engine.files.text(entry) == "one"


@pytest.mark.parametrize(
    ("code", "denied", "mismatch"),
    [("denied", True, False), ("room", True, False), ("version", False, True)],
)
def test_a_hub_that_says_no_for_good_ends_it(
    code: Literal["denied", "room", "version"], denied: bool, mismatch: bool
) -> None:
    _, ann, _ = two()
    ann.handle(TextFrame(encode_control(Refused(code=code, message="no"))))
    assert ann.told[-1] == Halt("no", denied, mismatch)
    assert ann.engine.status.state == "halted"
    before = len(ann.told)
    ann.handle(NetworkChanged())
    assert ann.told[before:] == []


@pytest.mark.parametrize(
    ("code", "after_s"),
    [("limit", limits.RECONNECT_MAX_S / 2), ("protocol", limits.RECONNECT_MAX_S / 2), ("shutdown", 0)],
)
def test_a_hub_that_says_not_now_is_tried_again_at_its_pace(
    code: Literal["limit", "protocol", "shutdown"], after_s: float
) -> None:
    _, ann, _ = two()
    ann.handle(TextFrame(encode_control(Refused(code=code, message="not now"))))
    assert ann.told[-1] == Disconnect("not now")
    ann.lose("not now")
    due = ann.engine.deadline
    assert due is not None and due - ann.bench.now >= after_s
    assert due - ann.bench.now <= max(2 * after_s, limits.RECONNECT_FIRST_S) * 2
    ann.bench.now = due
    ann.tick()
    assert ann.engine.status.connected


@pytest.mark.parametrize("frame", [TextFrame("{}"), BinaryFrame(b"\x63"), BinaryFrame(b"")])
def test_a_hub_that_breaks_the_protocol_is_left_for_a_while(frame: TextFrame | BinaryFrame) -> None:
    _, ann, _ = two()
    ann.handle(frame)
    disconnect = next(each for each in ann.told if isinstance(each, Disconnect))
    assert "broke the protocol" in disconnect.reason
    ann.lose()
    due = ann.engine.deadline
    assert due is not None and due - ann.bench.now >= limits.RECONNECT_MAX_S / 2


@pytest.mark.parametrize("document", [TREE, DocumentId("ab" * 12)])
def test_an_update_that_cannot_be_applied_is_left_out_and_told(document: DocumentId) -> None:
    _, ann, _ = two()
    entry = ann.engine.write_text("a.txt", "one")
    ann.tick()
    assert ann.line is not None
    for each in (document, DocumentId(entry)) if document != TREE else (TREE,):
        ann.handle(BinaryFrame(encode_from_hub(Relay((LogEntry(90, 0, each, b"\xff\xff"),)))))
    notices = [each for each in ann.told if isinstance(each, Notice) and each.kind == "refused"]
    assert [each.path for each in notices] == ([""] if document == TREE else ["", "a.txt"])
    assert ann.engine.files.text(entry) == "one"


def test_two_rooms_that_made_one_name_apart_repair_it_alike() -> None:
    bench, ann, bob = two()
    ann.lose()
    bob.lose()
    for program, text in ((ann, "from Ann"), (bob, "from Bob")):
        program.engine.write_text("a.txt", text)
        program.tick()
    for program in (ann, bob):
        bench.now += 100
        program.tick()
    bench.settle()
    paths = {placed.path: ann.engine.files.text(placed.entry) for placed in ann.engine.files}
    assert paths == {placed.path: bob.engine.files.text(placed.entry) for placed in bob.engine.files}
    assert sorted(paths.values()) == ["from Ann", "from Bob"] and "a.txt" in paths
    assert len(ann.engine.conflicts) == 1
    for placed in ann.engine.files:
        assert ann.engine.get(placed.entry) == placed


def test_repairs_that_are_too_many_for_one_event_go_on_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "REPAIR_ROUNDS_MAX", 0)
    bench, ann, _ = two()
    folder, other = Folder(bench), Folder(bench, name="Carl")
    for each in (folder, other):
        each.create("a.txt", f"by {each.member.number}")
    ann.tick()
    assert [placed.path for placed in ann.engine.files] == ["a.txt", "a.txt"]
    monkeypatch.setattr(engine, "REPAIR_ROUNDS_MAX", 1)
    ann.tick()
    ann.tick()
    assert len({placed.path for placed in ann.engine.files}) == 2


def test_who_may_only_read_changes_and_repairs_nothing() -> None:
    bench, ann, _ = two()
    entry = ann.engine.write_text("a.txt", "one")
    ann.tick()
    reader = Program(bench, "Rita", read_only=True)
    assert reader.engine.read_only and not ann.engine.read_only
    reader.engine.open(entry)
    for change in (
        lambda: reader.engine.edit(entry, [Edit(0, 0, "x")], 1),
        lambda: reader.engine.write_text("b.txt", "x"),
        lambda: reader.engine.files.delete("a.txt"),
        lambda: reader.engine.files.make_folder("d"),
    ):
        with pytest.raises(ReadOnly):
            change()
    assert reader.engine.files.text(entry) == "one"


# -- files --------------------------------------------------------------------------------------------


def blob(content: bytes, target: str | None = None) -> Version:
    return Version(digest_of(content), len(content), "Ann", 1, None, target)


def test_files_are_made_moved_replaced_and_deleted_as_on_a_disk() -> None:
    bench, ann, _ = two()
    files = ann.engine.files
    files.make_folder("d")
    ann.engine.write_text("empty.txt", "")
    files.delete("empty.txt")
    text = ann.engine.write_text("d/a.txt", "one")
    files.put_blob("d/b.bin", files.version(digest_of(b"1"), 1, None))
    first = files.at("d/b.bin")
    files.put_blob("d/b.bin", files.version(digest_of(b"2"), 1, None))
    again = files.at("d/b.bin")
    assert first is not None and again is not None and again.entry == first.entry
    assert again.version is not None and again.version.digest == digest_of(b"2")
    files.move("d", "e")
    files.move("e/a.txt", "e/a.txt")
    ann.tick()
    assert Folder(bench).read() == {"e/a.txt": "one", "e/b.bin": "<blob>"}
    assert files.text_at("e/a.txt") == text
    files.make_folder("empty")
    files.delete("empty")
    ann.engine.write_text("e/b.bin", "now a text")
    ann.tick()
    assert Folder(bench).read() == {"e/a.txt": "one", "e/b.bin": "now a text"}
    files.delete("e")
    ann.tick()
    assert Folder(bench).read() == {}


def test_what_cannot_be_done_is_refused_and_changes_nothing() -> None:
    bench, ann, _ = two()
    files = ann.engine.files
    ann.engine.write_text("a.txt", "one")
    ann.engine.write_text("d/b.txt", "two")
    link = Create(EntryId("ab" * 12), Kind.LINK, "link", False, Origin("Ann", 1), blob(b"a.txt", "a.txt"))
    ann.engine._perform([link])
    for error, change in (
        (NameTaken, lambda: files.move("a.txt", "d")),
        (NameTaken, lambda: files.move("a.txt", "d/b.txt")),
        (NameTaken, lambda: files.make_folder("a.txt/below")),
        (NameTaken, lambda: ann.engine.write_text("d", "x")),
        (InvalidName, lambda: files.move("d", "d/inside")),
        (InvalidName, lambda: files.make_text(".git/config", "x")),
        (NoSuchFile, lambda: files.delete("nothing")),
        (NoSuchFile, lambda: files.move("nothing", "x")),
        (NoSuchFile, lambda: files.text_at("nothing")),
        (NotText, lambda: files.text_at("link")),
    ):
        with pytest.raises(error):
            change()
    ann.tick()
    assert Folder(bench).read() == {"a.txt": "one", "d/b.txt": "two", "link": "<link>"}
    files.delete("link")
    ann.tick()
    assert "link" not in Folder(bench).read()
    assert files.is_folder("d") and not files.is_folder("a.txt")
    assert files.holds_below("d") and not files.holds_below("d/b.txt")


def test_a_text_that_no_file_can_hold_replaces_nothing() -> None:
    bench, ann, _ = two()
    files = ann.engine.files
    files.put_blob("a.bin", blob(b"1"))
    with pytest.raises(InvalidEdit):
        ann.engine.write_text("a.bin", "half a character: \ud83d")
    ann.tick()
    assert Folder(bench).read() == {"a.bin": "<blob>"}


# -- the texts in memory ------------------------------------------------------------------------------


def test_of_many_texts_that_nobody_has_open_the_last_stay_decoded_and_all_are_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(texts, "RECENT_MAX", 2)
    room = RoomTexts(77)
    entries = [EntryId(f"{number:024x}") for number in range(5)]
    for number, entry in enumerate(entries):
        room.open(entry)
        room.open(entry)
        room.edit(entry, [Edit(0, 0, f"text {number}")])
        room.close(entry)
    assert [room.text(entry) for entry in entries] == [f"text {number}" for number in range(5)]
    assert room.entries == entries
    assert room.text_digest(entries[3]) == digest_of_text("text 3")
    assert room.state_vector(EntryId("ff" * 12)) == b"\0"
    assert len(room._recent) == 2


def test_a_text_of_which_a_part_waits_is_not_folded_into_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", 3)
    author, reader, entry = RoomTexts(1), RoomTexts(2), EntryId("ab" * 12)
    author.open(entry)
    updates = [author.edit(entry, [Edit(at, at, "x")]) for at in range(5)]
    for update in updates[1:]:
        assert reader.apply(entry, update) == ()
    assert reader.text(entry) == ""
    assert reader.apply(entry, b"") == ()
    reader.open(entry)
    reader.apply(entry, updates[0])
    assert reader.text(entry) == "x" * 5
    assert reader.diff_update(entry, reader.state_vector(entry)) == b""
    assert RoomTexts(3).apply(entry, reader.diff_update(entry, b"\0")) == ()


def test_a_presence_of_a_program_reaches_a_folder() -> None:
    bench, ann, _ = two()
    folder = Folder(bench)
    entry = ann.engine.write_text("a.txt", "one")
    ann.engine.open(entry)
    ann.engine.edit(entry, [Edit(0, 0, "x")], 1)
    ann.wait(1.0)
    said = [each for each in folder.member.all(Presence) if each.name == "Ann"]
    assert said[-1].editing == ("a.txt",)
    due = ann.engine.deadline
    assert due is not None and due - bench.now <= limits.EDITING_SHOWN_S
    ann.engine.close(entry, 1)
    ann.wait(limits.EDITING_SHOWN_S + 1)
    assert [each for each in folder.member.all(Presence) if each.name == "Ann"][-1].editing == ()


def test_a_text_stays_open_as_long_as_one_of_its_holders_is_there() -> None:
    _, ann, bob = two()
    entry = ann.engine.write_text("a.txt", "one")
    ann.tick()
    for _ in range(2):
        ann.engine.open(entry)
    opened(bob)
    ann.engine.close(entry, 1)
    bob.engine.edit(entry, [Edit(0, 0, "x")], 1)
    bob.tick()
    assert len(ann.all(TextChanged)) == 1
    ann.engine.close(entry, 2)
    bob.engine.edit(entry, [Edit(0, 0, "y")], 1)
    bob.tick()
    assert len(ann.all(TextChanged)) == 1
    assert ann.engine.files.text(entry) == "yxone"


def test_a_cursor_that_moves_often_is_told_now_and_then() -> None:
    _, ann, bob = two()
    entry = ann.engine.write_text("a.txt", "one")
    ann.tick()
    ann.engine.open(entry)
    opened(bob)
    bob.wait(1.0)
    for at in range(3):
        bob.engine.place(entry, ((at, at),), 1)
        bob.tick()
    due = bob.engine.deadline
    assert due is not None and due - bob.bench.now <= limits.PRESENCE_EVERY_S
    bob.wait(limits.PRESENCE_EVERY_S)
    assert [each.ranges for each in ann.engine.cursors(entry)] == [((2, 2),)]
