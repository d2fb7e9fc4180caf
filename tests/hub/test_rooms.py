"""Who is here, limits, loading and unloading, whose turn to be compacted, the end: all around the log."""

from __future__ import annotations

from random import Random

import pytest

from crdtsync.core.hub import bounds
from crdtsync.core.hub.admission import Asking, Denied, Granted
from crdtsync.core.hub.compaction import Compactor
from crdtsync.core.hub.documents import problem_of
from crdtsync.core.hub.effects import Append, Compact, FindDocuments, OpenRoom, ReadLog
from crdtsync.core.hub.engine import HubEngine
from crdtsync.core.hub.store import EVERYTHING, Size
from crdtsync.core.values import limits
from crdtsync.core.wire.control import Hello, Left, Presence, Refused, encode_control
from crdtsync.core.wire.messages import Ack, CaughtUp
from tests.hub.bench import Bench
from tests.hub.material import DRAFT, NOTES, TASKS, Author, lone_update, text_of

# -- presence -----------------------------------------------------------------------------------------


def test_members_see_each_other_come_move_and_go() -> None:
    bench = Bench()
    ann = bench.join(name="ann")
    bob = bench.join(name="bob")
    assert bob.one(Presence) == Presence(member=1, name="ann")
    bench.tick()
    assert ann.one(Presence) == Presence(member=2, name="bob")
    bob.text(Presence(member=77, name="bob", editing=("todo.md",)))
    bench.settle()
    bench.tick()
    assert ann.all(Presence)[-1] == Presence(member=2, name="bob", editing=("todo.md",))
    carl = bench.join(name="carl")
    assert {(p.member, p.editing) for p in carl.all(Presence)} == {(1, ()), (2, ("todo.md",))}
    bob.leave()
    bench.settle()
    bench.tick()
    assert ann.one(Left).member == 2
    assert carl.one(Left).member == 2
    dora = bench.join()
    assert {p.member for p in dora.all(Presence)} == {1, 3}


def test_presence_without_end_is_told_now_and_then_and_only_the_last() -> None:
    bench = Bench()
    ann, bob = bench.join(), bench.join()
    for number in range(100):
        bob.text(Presence(name="bob", editing=(f"{number}.md",)))
        bench.settle()
    assert len(ann.all(Presence)) == 1
    bench.tick(bounds.TELL_EVERY_S)
    assert [p.editing for p in ann.all(Presence)] == [("0.md",), ("99.md",)]


def test_a_presence_too_large_keeps_the_first_paths() -> None:
    bench = Bench()
    ann, bob = bench.join(), bench.join()
    bob.text(Presence(name="bob", editing=tuple(f"{number}" * 1000 for number in range(8))))
    bench.settle()
    (presence,) = ann.all(Presence)
    assert 0 < len(presence.editing) < 8
    assert len(encode_control(presence)) <= limits.PRESENCE_MAX_BYTES


def test_one_who_does_not_read_is_owed_only_the_last_presence_of_each() -> None:
    bench = Bench()
    author, slow = bench.join(), bench.join()
    slow.reads = False
    for number in range(120):
        author.push((NOTES, lone_update("x" * 100_000, number + 1)))
        bench.settle()
    author.push(*[(NOTES, lone_update("y" * 60_000, 500 + number)) for number in range(8)])
    bench.settle()
    while slow.waiting_size <= bounds.QUEUE_HIGH_BYTES:
        author.text(Presence(name="a", editing=(str(slow.waiting_size), "x" * 3000)))
        bench.tick()
    before = slow.waiting_size
    for number in range(50):
        author.text(Presence(name="a", editing=(f"{number}.md",)))
        bench.tick()
    assert slow.waiting_size == before
    slow.read()
    assert slow.all(Presence)[-1].editing == ("49.md",)


# -- limits -------------------------------------------------------------------------------------------


def test_a_room_takes_so_many_members_and_one_more_when_one_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMBERS_PER_ROOM_MAX", 2)
    bench = Bench()
    first = bench.join()
    bench.join()
    third = bench.join()
    assert third.refused.code == "limit"
    assert "2 members" in third.refused.message
    assert bench.join("other").all(CaughtUp)
    first.leave()
    assert bench.join().all(CaughtUp)


def test_members_who_wait_for_the_room_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMBERS_PER_ROOM_MAX", 2)
    bench = Bench()
    bench.hold = {OpenRoom}
    replicas = [bench.join() for _ in range(3)]
    bench.release()
    assert [bool(replica.all(CaughtUp)) for replica in replicas] == [True, True, False]


def test_a_hub_takes_so_many_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROOMS_PER_HUB_MAX", 1)
    bench = Bench()
    bench.join("one")
    refused = bench.join("two").refused
    assert refused.code == "limit"
    assert "1 rooms" in refused.message
    assert bench.join("one").all(CaughtUp)


def test_connections_without_a_hello_are_few_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_BEFORE_HELLO_MAX", 2)
    bench = Bench()
    early = bench.connect()
    bench.now += 3
    late, third = bench.connect(), bench.connect()
    bench.settle()
    assert third.refused.code == "limit"
    assert bench.engine.deadline == 1000 + limits.HELLO_TIMEOUT_S
    bench.now = 1000 + limits.HELLO_TIMEOUT_S
    bench.tick(0)
    assert early.closed is not None
    assert early.refused.message == "No hello came within 10 seconds."
    assert late.closed is None
    late.hello()
    bench.settle()
    assert late.all(CaughtUp)
    assert bench.engine.deadline is None


def test_a_full_room_takes_updates_of_the_documents_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DOCUMENTS_PER_ROOM_MAX", 2)
    bench = Bench()
    author = bench.join()
    author.push((NOTES, lone_update("1", 1)), (TASKS, lone_update("2", 2)))
    bench.settle()
    author.push((NOTES, lone_update("3", 3)))
    bench.settle()
    assert len(author.all(Ack)) == 2
    assert any(isinstance(request, FindDocuments) for request in bench.answered)
    author.push((NOTES, lone_update("4", 4)), (DRAFT, lone_update("5", 5)))
    bench.settle()
    assert author.refused.code == "limit"
    assert "2 documents" in author.refused.message
    assert bench.store.read_log("notes", 0, EVERYTHING, 1 << 20, 100).through == 3


def test_a_room_that_is_full_of_bytes_takes_no_more_and_is_read_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    author, other = bench.join(), bench.join()
    update = lone_update("x" * 1000, 1)
    monkeypatch.setattr(limits, "ROOM_UPDATES_MAX_BYTES", 2 * len(update) + 100)
    for client in (2, 3):
        author.push((NOTES, lone_update("x" * 1000, client)))
        bench.settle()
    author.push((TASKS, update))
    bench.settle()
    assert author.refused.code == "limit" and "Use another room" in author.refused.message
    assert author.closed is not None and author.closed.code == 1013
    assert len(other.updates) == 2 and other.closed is None
    assert len(bench.join().updates) == 2
    bench.join("elsewhere").push((NOTES, update))
    bench.settle()
    assert bench.engine.counts.refusals == {"limit": 1}


def test_what_compaction_frees_can_be_used_and_a_room_remembers_how_full_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", 20)
    bench = Bench()
    author, writer = bench.join(), Author()
    for _ in range(60):
        author.push((NOTES, writer.type("a")))
        bench.settle()
    (room,) = bench.engine._rooms.values()
    stored = sum(
        len(entry.update) for entry in bench.store.read_log("notes", 0, EVERYTHING, 1 << 20, 99).entries
    )
    assert room.size_bytes == stored < 60 * 20
    author.leave()
    bench.settle()
    assert not bench.engine._rooms
    bench.join()
    assert [room.size_bytes for room in bench.engine._rooms.values()] == [stored]


def test_who_is_not_admitted_is_told_why() -> None:
    bench = Bench()

    def admit(asking: Asking) -> Granted | Denied:
        return Granted() if asking.token == "sesame" else Denied("Wrong token.")

    bench.engine = HubEngine("e1", Random(1), admit=admit)
    replica = bench.join()
    assert replica.refused == Refused(code="denied", message="Wrong token.")
    insider = bench.connect()
    insider.text(Hello(room="notes", replica="r", token="sesame"))
    bench.settle()
    assert insider.all(CaughtUp)


# -- loading ------------------------------------------------------------------------------------------


def test_a_room_is_unloaded_when_the_last_member_has_left_and_all_is_stored() -> None:
    bench = Bench()
    author = bench.join()
    bench.hold = {Append}
    author.push((NOTES, lone_update()))
    bench.settle()
    author.leave()
    bench.settle()
    assert bench.engine.rooms == 1
    bench.release()
    assert bench.engine.rooms == 0
    assert bench.engine.members == 0
    again = bench.join()
    assert len(again.entries) == 1


def test_a_member_that_leaves_while_its_room_is_loaded_leaves_nothing_behind() -> None:
    bench = Bench()
    bench.hold = {OpenRoom}
    replica = bench.join()
    replica.leave()
    bench.release()
    assert bench.engine.rooms == 0
    assert replica.got == []


def test_answers_for_members_that_left_are_nobodys() -> None:
    bench = Bench()
    bench.join().push((NOTES, lone_update()))
    bench.settle()
    bench.hold = {ReadLog}
    gone = bench.join()
    gone.leave()
    bench.release()
    assert gone.all(CaughtUp) == []
    assert gone.closed is None


# -- compaction ---------------------------------------------------------------------------------------


def test_a_document_with_many_rows_is_compacted_and_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", 20)
    bench = Bench()
    writer = Author(3)
    author = bench.join()
    for number in range(50):
        author.push((NOTES, writer.type(f"{number} ")), (TASKS, lone_update(str(number), number + 10)))
        bench.settle()
    assert bench.engine.counts.compactions >= 4
    reader = bench.join()
    mine = [entry.update for entry in reader.entries if entry.document == NOTES]
    assert len(mine) < 20
    assert text_of(mine) == str(writer)
    assert reader.one(CaughtUp).sequence == 100


def test_one_document_is_compacted_at_a_time_and_not_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", 3)
    bench = Bench()
    author = bench.join()
    bench.hold = {Compact}
    for number in range(8):
        author.push(
            (NOTES, lone_update(str(number), number + 1)), (TASKS, lone_update(str(number), number + 1))
        )
        bench.settle()
    assert len(bench.held) == 1
    bench.release()
    assert {request.document for request in bench.answered if isinstance(request, Compact)} == {NOTES, TASKS}


def test_what_compaction_cannot_make_small_is_left_until_it_has_doubled() -> None:
    compactor = Compactor()

    def grown(rows: int) -> Compact | None:
        compactor.consider([Size("notes", NOTES, rows, rows, 0)], 1000)
        return compactor.next()

    rows = limits.COMPACT_AFTER_UPDATES
    assert grown(rows - 1) is None
    assert grown(rows) == Compact("notes", NOTES, 1000)
    assert compactor.next() is None
    assert compactor.done(None) == 0
    assert grown(rows + 1) is None
    assert grown(2 * rows - 1) is None
    assert grown(2 * rows) is not None
    assert compactor.done(Size("notes", NOTES, 1, 10, 10)) == 2 * rows - 1
    assert grown(2) is None
    assert grown(rows) is not None


@pytest.mark.parametrize(
    ("rows", "size_bytes", "compacted_bytes", "due"),
    [
        (2, bounds.COMPACT_AFTER_BYTES - 1, 0, False),
        (2, bounds.COMPACT_AFTER_BYTES, 0, True),
        (1, 10 * bounds.COMPACT_AFTER_BYTES, 0, False),
        (50, 4 * bounds.COMPACT_AFTER_BYTES, bounds.COMPACT_AFTER_BYTES, False),
        (50, 5 * bounds.COMPACT_AFTER_BYTES, bounds.COMPACT_AFTER_BYTES, True),
        (limits.COMPACT_AFTER_UPDATES, 500, 400, True),
        (limits.COMPACT_AFTER_UPDATES, 900_100, 900_000, False),
        (7 * limits.COMPACT_AFTER_UPDATES, 900_100, 900_000, False),
        (8 * limits.COMPACT_AFTER_UPDATES, 900_100, 900_000, True),
        (limits.COMPACT_AFTER_UPDATES, 900_000 + 112_500, 900_000, True),
    ],
)
def test_compaction_is_due_by_rows_or_by_growth(
    rows: int, size_bytes: int, compacted_bytes: int, due: bool
) -> None:
    compactor = Compactor()
    compactor.consider([Size("notes", NOTES, rows, size_bytes, compacted_bytes)], 5)
    assert (compactor.next() is not None) is due


# -- the end ------------------------------------------------------------------------------------------


def test_a_stop_stores_and_acknowledges_what_was_taken_then_says_goodbye() -> None:
    bench = Bench()
    author, reader, silent = bench.join(), bench.join(), bench.connect()
    bench.hold = {Append}
    author.push((NOTES, lone_update("1", 1)))
    bench.settle()
    author.push((NOTES, lone_update("2", 2)))
    bench.stop()
    author.push((NOTES, lone_update("too late", 3)))
    bench.settle()
    assert author.closed is None
    assert author.all(Ack) == []
    bench.release()
    assert bench.stopped
    assert author.all(Ack) == [Ack(1, 1), Ack(2, 2)]
    assert len(reader.entries) == 2
    for replica in (author, reader, silent):
        assert replica.got[-1] == replica.refused
        assert replica.refused.code == "shutdown"
        assert replica.closed is not None
        assert replica.closed.code == 1001


def test_a_stop_with_a_full_disk_still_ends() -> None:
    bench = Bench()
    author = bench.join()
    bench.memory.full = True
    author.push((NOTES, lone_update()))
    bench.stop()
    bench.settle()
    assert bench.stopped
    assert author.all(Ack) == []
    assert bench.connect().closed is not None


def test_honest_updates_are_never_refused_whatever_they_wait_for() -> None:
    writer = Author(1)
    updates = [writer.type("hello world")]
    updates += [writer.type("x", at) for at in (3, 1, 7)]
    updates += [writer.erase(2, 6), writer.type("tail"), writer.erase(0, 1)]
    assert problem_of((NOTES, update) for update in updates) is None
