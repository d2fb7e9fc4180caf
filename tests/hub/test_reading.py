"""Catching up, falling behind, comparing: members that read the log instead of living on relays."""

from __future__ import annotations

import pytest

from crdtsync.core.hub import bounds
from crdtsync.core.hub.effects import Append, CompareDocuments, ReadLog
from crdtsync.core.values import limits
from crdtsync.core.wire.control import Cursor
from crdtsync.core.wire.messages import (
    Accepted,
    Ack,
    CaughtUp,
    Committed,
    Compare,
    Differ,
    Difference,
    Probed,
    Relay,
)
from tests.hub.bench import Bench, Replica, sequences
from tests.hub.material import DRAFT, NOTES, TASKS, TREE, Author, document, lone_update, map_update, text_of

STRANGER = Cursor(epoch="unknown", sequence=9)
KIB_100 = "x" * 100_000


def filled(rows: int = 10, text: str = "x") -> Bench:
    bench = Bench()
    author = bench.join()
    for number in range(rows):
        author.push((document(number), lone_update(text, number + 1)))
        bench.settle()
    author.leave()
    bench.settle()
    return bench


def differences(replica: Replica) -> dict[str, Difference]:
    return {each.document: each for differ in replica.all(Differ) for each in differ.documents}


def test_a_fresh_replica_is_given_the_whole_log_in_order_then_told_so() -> None:
    bench = filled(10)
    replica = bench.join()
    assert replica.welcome.resume
    assert replica.welcome.sequence == 10
    assert sequences(replica.entries) == list(range(1, 11))
    assert replica.binary[-1] == CaughtUp(10)
    assert len(replica.all(Relay)) == 1


def test_a_returning_replica_is_given_what_it_lacks() -> None:
    bench = filled(10)
    replica = bench.join(cursor=Cursor(epoch="e1", sequence=7))
    assert sequences(replica.entries) == [8, 9, 10]
    assert replica.one(CaughtUp).sequence == 10


def test_a_long_log_is_given_in_pages_never_many_at_a_time() -> None:
    bench = filled(40, KIB_100)
    replica = bench.connect()
    replica.reads = False
    replica.hello()
    bench.settle()
    assert replica.waiting_size < bounds.QUEUE_LOW_BYTES + 2 * limits.FRAME_BATCH_BYTES
    replica.read()
    assert sequences(replica.entries) == list(range(1, 41))
    assert replica.max_waiting < bounds.QUEUE_LOW_BYTES + 2 * limits.FRAME_BATCH_BYTES
    assert replica.all(CaughtUp) == [CaughtUp(40)]


def test_a_catch_up_tells_how_far_it_is_safe() -> None:
    bench = filled(40, KIB_100)
    replica = bench.join()
    assert [committed.sequence for committed in replica.all(Committed)][:2] == [2, 4]


def test_what_is_written_while_a_newcomer_reads_reaches_it_once_it_is_live() -> None:
    bench = filled(3)
    author = bench.join()
    bench.hold = {ReadLog, Append}
    newcomer = bench.connect().hello()
    author.push((NOTES, lone_update("during", 50)))
    bench.settle()
    assert newcomer.entries == []
    bench.hold = {Append}
    while any(isinstance(request, ReadLog) for request in bench.held):
        bench.answer(bench.held.popleft())
    bench.settle()
    assert sequences(newcomer.entries) == [1, 2, 3, 4]
    assert newcomer.one(CaughtUp).sequence == 3  # the fourth is not durable yet
    author.push((NOTES, lone_update("after", 51)))
    bench.release()
    bench.tick()
    assert sequences(newcomer.entries) == [1, 2, 3, 4, 5]
    assert newcomer.all(Committed)[-1].sequence == 5


def test_a_slow_reader_does_not_make_the_hub_grow_and_loses_nothing() -> None:
    bench = Bench()
    author, slow, quick = bench.join(), bench.join(), bench.join()
    slow.reads = False
    for number in range(300):
        author.push((document(number), lone_update(KIB_100, number + 1)))
        bench.settle()
    assert bench.engine.counts.fell_behind == 1
    assert slow.max_waiting <= bounds.QUEUE_HIGH_BYTES
    assert sequences(quick.entries) == list(range(1, 301))
    slow.read()
    bench.settle()
    assert sequences(slow.entries) == list(range(1, 301))
    assert slow.max_waiting <= bounds.QUEUE_HIGH_BYTES
    assert slow.all(Committed)[-1].sequence == 300
    assert len(slow.all(CaughtUp)) == 1
    author.push((NOTES, lone_update()))
    bench.settle()
    assert sequences(slow.entries)[-1] == 301


def test_a_slow_reader_that_writes_gets_its_places_in_the_order_of_the_log() -> None:
    bench = Bench()
    author, slow = bench.join(), bench.join()
    slow.reads = False
    for number in range(120):
        author.push((document(number), lone_update(KIB_100, number + 1)))
        bench.settle()
    assert bench.engine.counts.fell_behind == 1
    slow.push((NOTES, lone_update("mine", 500)))
    author.push((TASKS, lone_update("later", 501)))
    bench.settle()
    assert slow.all(Ack) == []
    slow.read()
    order = [
        entry
        for message in slow.got
        for entry in (sequences(message.entries) if isinstance(message, Relay) else [message])
        if isinstance(entry, int | Accepted | Ack)
    ]
    place = order.index(Accepted(1, 121))
    assert [entry for entry in order[:place] if isinstance(entry, int)] == list(range(1, 122))
    assert order[place + 1] == 122 or isinstance(order[place + 1], Ack)
    assert slow.one(Ack).sequence >= 121
    assert sequences(slow.entries)[-1] == 122


def test_what_came_before_an_edit_reaches_its_author_before_its_place_though_the_log_grows_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "COMPACT_AFTER_UPDATES", 4)
    bench = Bench()
    author, slow = bench.join(), bench.join()
    slow.reads = False
    big = "x" * (bounds.QUEUE_HIGH_BYTES + 1000)
    for number in range(2):
        author.push((document(number), lone_update(big, number + 1)))
        bench.settle()
    writer = Author(700)
    author.push((NOTES, writer.type("theirs ")))
    bench.settle()
    slow.push((NOTES, lone_update("mine", 500)))
    for _ in range(12):
        author.push((NOTES, writer.type("later ")))
        bench.settle()
    assert bench.engine.counts.fell_behind == 1
    slow.read()
    bench.settle()
    before = []
    for message in slow.got:
        if isinstance(message, Accepted):
            break
        if isinstance(message, Relay):
            before += [entry.update for entry in message.entries if entry.document == NOTES]
    assert "theirs" in text_of(before)
    assert "later" not in text_of(before)
    for _ in range(12):
        author.push((NOTES, writer.type("again ")))
        bench.settle()
    assert bench.engine.counts.compactions > 0, "now nobody is waited for"


def test_one_update_larger_than_the_queue_still_reaches_everyone() -> None:
    bench = Bench()
    author, reader, slow = bench.join(), bench.join(), bench.join()
    slow.reads = False
    big = "x" * (bounds.QUEUE_HIGH_BYTES + 1000)
    for number in range(3):
        author.push((document(number), lone_update(big, number + 1)))
        bench.settle()
    assert sequences(reader.entries) == [1, 2, 3]
    assert len(slow.waiting) < 4
    slow.read()
    assert sequences(slow.entries) == [1, 2, 3]


def test_a_probe_waits_for_what_was_there_when_it_came() -> None:
    bench = filled(40, KIB_100)
    replica = bench.connect()
    replica.reads = False
    replica.hello()
    bench.settle()
    replica.probe(1)
    bench.settle()
    replica.read()
    kinds = [type(message) for message in replica.binary]
    assert kinds.index(Probed) > max(index for index, kind in enumerate(kinds) if kind is Relay)


def test_probes_without_end_only_stop_their_sender() -> None:
    bench = filled(40, KIB_100)
    replica = bench.connect()
    replica.reads = False
    replica.hello()
    bench.settle()
    for number in range(bounds.PROBES_MAX + 1):
        assert not replica.is_paused()
        replica.probe(number)
    assert replica.is_paused()
    replica.read()
    assert not replica.is_paused()
    assert len(replica.all(Probed)) == bounds.PROBES_MAX + 1


# -- comparing ----------------------------------------------------------------------------------------


def test_a_replica_with_a_strange_cursor_compares_and_is_given_the_difference() -> None:
    bench = Bench()
    writer = Author(5)
    first, second = writer.type("one "), writer.type("two")
    author = bench.join()
    author.push((NOTES, first), (NOTES, second), (TASKS, lone_update("todo", 6)))
    bench.settle()
    mine = Author(8)
    mine.take(first)
    replica = bench.join(cursor=STRANGER)
    assert not replica.welcome.resume
    replica.send(Compare(False, ((NOTES, mine.doc.get_state()),)))
    bench.settle()
    replica.send(Compare(True, ((DRAFT, b"\1\3\4"),)))
    bench.settle()
    found = differences(replica)
    mine.take(found[NOTES].update)
    assert str(mine) == "one two"
    assert found[NOTES].state_vector == writer.doc.get_state()
    assert found[DRAFT] == Difference(DRAFT, b"\0", b"")
    assert [entry.document for entry in replica.entries] == [TASKS]
    assert replica.binary[-1] == CaughtUp(3)
    mine_too = Author(9).type("mine")
    replica.push((DRAFT, mine_too))
    bench.settle()
    assert author.updates == [mine_too]


def test_a_difference_carries_deletions_that_a_state_vector_does_not_show() -> None:
    bench = Bench()
    writer = Author(5)
    first = writer.type("hello world")
    mine = Author(8)
    mine.take(first)
    author = bench.join()
    author.push((NOTES, first), (NOTES, writer.erase(5, 11)))
    bench.settle()
    replica = bench.join(cursor=STRANGER)
    replica.send(Compare(True, ((NOTES, mine.doc.get_state()),)))
    bench.settle()
    mine.take(differences(replica)[NOTES].update)
    assert str(mine) == "hello"


def test_nothing_to_compare_gives_everything() -> None:
    bench = filled(4)
    replica = bench.join(cursor=STRANGER)
    replica.send(Compare(True, ()))
    bench.settle()
    assert sequences(replica.entries) == [1, 2, 3, 4]
    assert replica.all(Differ) == []
    assert replica.all(CaughtUp) == [CaughtUp(4)]


def test_what_comes_while_a_replica_compares_reaches_it() -> None:
    bench = filled(2)
    author = bench.join()
    replica = bench.join(cursor=STRANGER)
    bench.hold = {CompareDocuments}
    replica.send(Compare(True, ((document(0), b"\0"), (document(1), b"\0"))))
    author.push((document(0), lone_update("later", 70)))
    bench.settle()
    assert replica.is_paused()
    bench.release()
    assert not replica.is_paused()
    assert 3 in sequences(replica.entries)
    assert set(differences(replica)) == {document(0), document(1)}
    assert replica.one(CaughtUp).sequence == 3


def test_rows_that_wait_for_others_are_sent_with_the_difference() -> None:
    bench = Bench()
    writer = Author(5)
    first, second = writer.type("one "), writer.type("two")
    author = bench.join()
    author.push((NOTES, second), (TASKS, lone_update("todo", 6)))
    bench.settle()
    replica = bench.join(cursor=STRANGER)
    replica.send(Compare(True, ((NOTES, b"\0"), (TASKS, b"\0"))))
    bench.settle()
    assert differences(replica)[NOTES] == Difference(NOTES, b"\0", b"")
    assert replica.updates == [second]
    assert text_of([*replica.updates, first]) == "one two"


def test_a_live_member_may_compare_and_is_sent_rows_that_wait() -> None:
    bench = Bench()
    writer = Author(5)
    writer.type("one ")
    second = writer.type("two")
    author, replica = bench.join(), bench.join()
    author.push((NOTES, second))
    author.push((TREE, map_update({"a": "b"})))
    bench.settle()
    before = len(replica.entries)
    replica.send(Compare(False, ((NOTES, b"\0"), (TREE, b"\0"))))
    bench.settle()
    assert set(differences(replica)) == {NOTES, TREE}
    assert [entry.update for entry in replica.entries[before:]] == [second]
    author.push((TASKS, lone_update()))
    bench.settle()
    assert replica.entries[-1].document == TASKS
    assert replica.all(Committed)[-1].sequence >= 2


def test_a_wrong_state_vector_is_refused() -> None:
    for wrong in (b"", b"\5", b"\1\2", b"\xff" * 20, b"\0\0"):
        bench = filled(1)
        replica = bench.join(cursor=STRANGER)
        replica.send(Compare(True, ((document(0), wrong),)))
        bench.settle()
        assert replica.refused.code == "protocol"


def test_one_compared_document_never_waits_for_the_room_of_many() -> None:
    bench = filled(30, KIB_100)
    replica = bench.connect()
    replica.reads = False
    replica.hello(cursor=STRANGER)
    bench.settle()
    replica.send(Compare(True, tuple((document(number), b"\0") for number in range(30))))
    bench.settle()
    assert replica.waiting_size < bounds.QUEUE_LOW_BYTES + 2 * limits.FRAME_BATCH_BYTES
    assert replica.is_paused()
    replica.read()
    assert len(differences(replica)) == 30
    assert replica.entries == []
    assert replica.all(CaughtUp)
