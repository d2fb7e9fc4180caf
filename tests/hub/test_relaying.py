"""Live members: order of relays, places, acknowledgements and probes; what waits for the disk or does not."""

from __future__ import annotations

from crdtsync.core.hub import bounds
from crdtsync.core.hub.effects import Append, CheckUpdates, Send
from crdtsync.core.hub.events import BinaryFrame, Flush
from crdtsync.core.values import limits
from crdtsync.core.wire.codec import encode_from_replica
from crdtsync.core.wire.messages import Accepted, Ack, CaughtUp, Committed, Probed, Push, Relay
from tests.hub.bench import AT_MS, Bench, sequences
from tests.hub.material import NOTES, TASKS, Author, lone_update, v2_update


def test_an_update_reaches_the_others_before_it_is_durable_and_its_author_gets_no_copy() -> None:
    bench = Bench()
    author, reader = bench.join(), bench.join()
    bench.hold = {Append}
    update = lone_update()
    author.push((NOTES, update))
    bench.settle()
    (entry,) = reader.entries
    assert (entry.sequence, entry.at_ms, entry.document, entry.update) == (1, AT_MS, NOTES, update)
    assert author.entries == []
    assert author.all(Ack) == []
    assert reader.all(Committed) == []
    bench.release()
    assert author.one(Ack) == Ack(1, 1)
    assert reader.one(Committed).sequence == 1


def test_who_may_only_read_is_told_what_is_durable_and_then_what_it_had_asked_for() -> None:
    bench = Bench()
    author, other, reader = bench.join(), bench.join(), bench.join(read_only=True)
    bench.hold = {Append}
    author.push((NOTES, lone_update("1", 1)))
    bench.settle()
    late = bench.join(read_only=True)
    reader.probe(7)
    bench.settle()
    assert sequences(other.entries) == [1]
    for each in (reader, late):
        assert each.entries == [] and each.all(Probed) == []
    bench.release()
    assert [type(message) for message in reader.binary[1:3]] == [Relay, Probed]
    assert sequences(reader.entries) == sequences(late.entries) == [1]
    author.push((NOTES, lone_update("2", 2)))
    bench.settle()
    assert sequences(reader.entries) == sequences(late.entries) == [1, 2]


def test_who_may_only_read_is_not_told_what_the_store_did_not_take() -> None:
    bench = Bench()
    author, reader = bench.join(), bench.join(read_only=True)
    bench.memory.full = True
    author.push((NOTES, lone_update()))
    bench.settle()
    assert reader.closed is not None and reader.entries == []


def test_rooms_are_apart() -> None:
    bench = Bench()
    here, there = bench.join("here"), bench.join("there")
    here.push((NOTES, lone_update()))
    bench.settle()
    assert there.binary == [CaughtUp(0)]


def test_what_comes_within_one_turn_goes_out_as_one_frame_made_once() -> None:
    bench = Bench()
    a, b, *readers = (bench.join() for _ in range(6))
    a.push((NOTES, lone_update("a", 1)))
    b.push((TASKS, lone_update("b", 2)))
    a.push((TASKS, lone_update("c", 3)))
    relays = [
        effect
        for effect in bench.engine.handle(Flush(), bench.now)
        if isinstance(effect, Send) and isinstance(effect.frame, bytes) and effect.frame[0] == 16
    ]
    to_readers = [effect for effect in relays if readers[0].number in effect.members]
    assert [effect.members for effect in to_readers] == [tuple(reader.number for reader in readers)]


def test_an_author_learns_its_place_among_the_relays() -> None:
    bench = Bench()
    a, b = bench.join(), bench.join()
    b.push((NOTES, lone_update("1", 1)))
    a.push((NOTES, lone_update("2", 2)), (TASKS, lone_update("3", 3)))
    b.push((NOTES, lone_update("4", 4)))
    a.push((NOTES, lone_update("5", 5)))
    bench.settle()

    def story(messages: list[object]) -> list[object]:
        told: list[object] = []
        for message in messages:
            if isinstance(message, Relay):
                told += sequences(message.entries)
            elif isinstance(message, Accepted):
                told.append(message)
        return told

    assert story(a.got) == [1, Accepted(1, 3), 4, Accepted(2, 5)]
    assert story(b.got) == [Accepted(1, 1), 2, 3, Accepted(2, 4), 5]


def test_a_batch_is_accepted_at_once_and_acknowledged_when_it_is_durable_in_order() -> None:
    bench = Bench()
    author = bench.join()
    bench.hold = {Append}
    for number in range(5):
        author.push((NOTES, lone_update(str(number), number + 1)))
        bench.settle()
    assert [accepted.batch for accepted in author.all(Accepted)] == [1, 2, 3, 4, 5]
    assert author.all(Ack) == []
    bench.release()
    assert author.all(Ack) == [Ack(1, 1), Ack(2, 5), Ack(3, 5), Ack(4, 5), Ack(5, 5)]
    appends = [len(request.rows) for request in bench.answered if isinstance(request, Append)]
    assert appends == [1, 4]


def test_what_changes_nothing_is_acknowledged_in_its_turn_and_not_stored() -> None:
    bench = Bench()
    author, reader = bench.join(), bench.join()
    author.push((NOTES, b"\0\0"))
    bench.settle()
    assert author.one(Ack) == Ack(1, 0)
    bench.hold = {Append}
    author.push((NOTES, lone_update()), (TASKS, b"\0\0"))
    author.push((NOTES, b"\0\0"))
    author.push()
    bench.settle()
    assert author.all(Ack) == [Ack(1, 0)]
    bench.release()
    assert author.all(Accepted)[1:] == [Accepted(2, 1), Accepted(3, 1), Accepted(4, 1)]
    assert author.all(Ack)[1:] == [Ack(2, 1), Ack(3, 1), Ack(4, 1)]
    assert sequences(reader.entries) == [1]


def test_commits_are_told_to_the_others_at_once_then_not_too_often() -> None:
    bench = Bench()
    author, reader = bench.join(), bench.join()
    for number in range(20):
        author.push((NOTES, lone_update(str(number), number + 1)))
        bench.settle()
    assert [committed.sequence for committed in reader.all(Committed)] == [1]
    due = bench.engine.deadline
    assert due is not None
    bench.tick(bounds.TELL_EVERY_S)
    assert [committed.sequence for committed in reader.all(Committed)] == [1, 20]
    assert author.all(Committed) == []
    assert bench.engine.deadline is None


def test_a_probe_is_answered_after_everything_that_was_there() -> None:
    bench = Bench()
    author, reader = bench.join(), bench.join()
    author.push((NOTES, lone_update()))
    reader.probe(7)
    author.probe(8)
    bench.settle()
    assert [type(message) for message in reader.binary[1:3]] == [Relay, Probed]
    assert reader.one(Probed) == Probed(7, 1)
    assert author.one(Probed) == Probed(8, 1)
    reader.probe(9)
    bench.settle()
    assert reader.all(Probed)[1:] == [Probed(9, 1)]


def test_a_malformed_update_is_refused_by_name_and_reaches_nobody() -> None:
    for update in (b"", b"\1", b"\xff" * 30, lone_update()[:-1], lone_update() + b"\0", v2_update()):
        bench = Bench()
        author, reader = bench.join(), bench.join()
        author.push((TASKS, lone_update()), (NOTES, update))
        bench.settle()
        assert author.refused.code == "protocol"
        assert NOTES in author.refused.message
        assert author.closed is not None
        assert reader.entries == []
        assert bench.join().entries == []


def test_an_update_that_waits_for_others_is_stored_and_relayed_as_it_is() -> None:
    bench = Bench()
    author, reader = bench.join(), bench.join()
    writer = Author()
    first, second = writer.type("one "), writer.type("two")
    author.push((NOTES, second))
    author.push((NOTES, first))
    bench.settle()
    assert reader.updates == [second, first]


def test_a_large_push_is_checked_by_a_worker_while_its_member_waits() -> None:
    bench = Bench()
    author, reader = bench.join(), bench.join()
    bench.hold = {CheckUpdates}
    update = lone_update("x" * (bounds.CHECK_INLINE_MAX_BYTES + 1))
    author.push((NOTES, update))
    bench.settle()
    assert author.is_paused()
    assert reader.entries == []
    bench.release()
    assert not author.is_paused()
    assert reader.updates == [update]
    assert author.all(Ack)


def test_a_large_malformed_push_is_refused_too() -> None:
    bench = Bench()
    author = bench.join()
    author.push((NOTES, lone_update("x" * bounds.CHECK_INLINE_MAX_BYTES)[:-1]))
    bench.settle()
    assert author.refused.code == "protocol"


def test_an_update_too_large_to_be_relayed_is_refused() -> None:
    bench = Bench()
    author = bench.join()
    author.push((NOTES, b"x" * (bounds.UPDATE_MAX_BYTES + 1)))
    bench.settle()
    assert author.refused.code == "limit"
    assert str(bounds.UPDATE_MAX_BYTES) in author.refused.message


def test_the_largest_update_that_is_taken_fits_every_frame_that_carries_it() -> None:
    bench = Bench()
    author, reader = bench.join(), bench.join()
    update = lone_update("x" * (bounds.UPDATE_MAX_BYTES - 40))
    frame = encode_from_replica(Push(1 << 50, ((NOTES, update),)))
    assert len(frame) < limits.FRAME_MAX_BYTES
    bench.do(BinaryFrame(author.number, frame, AT_MS))
    bench.settle()
    assert reader.updates == [update]
    assert reader.max_waiting < limits.FRAME_MAX_BYTES


def test_members_are_not_read_from_while_the_disk_cannot_keep_up() -> None:
    bench = Bench()
    author, other = bench.join(), bench.join("other")
    bench.hold = {Append}
    number = 0
    while not author.is_paused():
        number += 1
        author.push((NOTES, lone_update("x" * (1 << 20), number)))
        bench.settle()
    assert number <= bounds.UNCOMMITTED_MAX_BYTES // (1 << 20) + 2
    other.push((NOTES, lone_update()))
    assert other.is_paused()
    bench.release()
    assert not author.is_paused()
    assert not other.is_paused()
    assert bench.engine.uncommitted_bytes == 0
    assert len(author.all(Ack)) == number


def test_a_failed_commit_leaves_other_rooms_alone() -> None:
    bench = Bench()
    author, other = bench.join("full"), bench.join("other")
    store = bench.memory
    store.full = True
    bench.hold = {Append}
    author.push((NOTES, lone_update()))
    bench.settle()
    other.push((NOTES, lone_update()))
    bench.settle()
    bench.answer(bench.held.popleft())
    store.full = False
    bench.release()
    assert author.closed is not None
    assert other.closed is None
    assert other.all(Ack)
    assert bench.engine.uncommitted_bytes == 0
    assert bench.engine.counts.commit_failures == 1
