"""Which cursors are honoured, as a table; what follows when a hub was restored or lost its last instant."""

from __future__ import annotations

import pytest

from crdtsync.core.hub.epochs import resume_after
from crdtsync.core.hub.store import Epoch
from crdtsync.core.wire.control import Cursor
from crdtsync.core.wire.messages import Ack, CaughtUp, Compare
from crdtsync.testing.memory_hub_store import MemoryHubStore
from tests.hub.bench import Bench
from tests.hub.material import DRAFT, NOTES, TASKS, Author, lone_update, text_of

EPOCHS = (Epoch("a", 0), Epoch("b", 10), Epoch("c", 10), Epoch("d", 25))


@pytest.mark.parametrize(
    ("epoch", "sequence", "expected"),
    [
        ("a", 0, 0),
        ("a", 9, 9),
        ("a", 10, 10),
        ("a", 11, None),  # beyond what the log has of that life: a future that was lost
        ("b", 10, 10),
        ("b", 11, None),
        ("c", 25, 25),
        ("c", 26, None),
        ("d", 25, 25),
        ("d", 30, 30),
        ("d", 31, None),
        ("elsewhere", 0, None),
        ("elsewhere", 12, None),
    ],
)
def test_a_cursor_is_honoured_within_its_epoch_only(epoch: str, sequence: int, expected: int | None) -> None:
    assert resume_after(Cursor(epoch=epoch, sequence=sequence), EPOCHS, durable=30) == expected


def test_without_a_cursor_a_replica_reads_from_the_start() -> None:
    assert resume_after(None, EPOCHS, durable=30) == 0


def test_a_restart_honours_the_cursors_of_the_life_before() -> None:
    first = Bench(epoch="e1")
    author = first.join()
    author.push((NOTES, lone_update("one", 1)))
    first.settle()
    cursor = Cursor(epoch=author.welcome.epoch, sequence=author.one(Ack).sequence)
    second = Bench(first.store, epoch="e2")
    second.join(name="another").push((TASKS, lone_update("two", 2)))
    second.settle()
    back = second.join(cursor=cursor)
    assert back.welcome.resume
    assert back.welcome.epoch == "e2"
    assert [entry.document for entry in back.entries] == [TASKS]
    assert back.one(CaughtUp).sequence == 2


def test_a_restored_backup_never_honours_a_cursor_from_the_future_it_lost() -> None:
    store = MemoryHubStore()
    first = Bench(store, epoch="e1")
    author = first.join()
    author.push((NOTES, lone_update("kept", 1)))
    first.settle()
    backup = store.copy()
    author.push((TASKS, lone_update("lost", 2)))
    first.settle()
    future = Cursor(epoch="e1", sequence=2)
    second = Bench(backup, epoch="e2")
    stranger = second.join()
    stranger.push((DRAFT, lone_update("new", 3)))  # bears the number of the lost row
    second.settle()
    back = second.join(cursor=future)
    assert not back.welcome.resume
    back.send(Compare(True, ((NOTES, b"\1\1\4"), (TASKS, b"\1\2\4"))))
    second.settle()
    assert [entry.document for entry in back.entries] == [DRAFT]
    assert back.all(CaughtUp)


def test_rows_of_an_uncommitted_instant_are_under_no_cursor() -> None:
    store = MemoryHubStore()
    bench = Bench(store)
    author, reader = bench.join(), bench.join()
    author.push((NOTES, lone_update("one", 1)))
    bench.settle()
    store.full = True
    author.push((NOTES, lone_update("two", 2)))
    bench.settle()
    assert text_of(reader.updates) == text_of([lone_update("one", 1), lone_update("two", 2)])
    assert len(author.all(Ack)) == 1
    assert reader.closed is not None
    assert reader.closed.code == 1013
    assert bench.notices
    assert "no space" in bench.notices[0].message
    store.full = False
    again = bench.join(cursor=Cursor(epoch="e1", sequence=1))
    assert again.welcome.resume
    assert again.welcome.sequence == 1
    again.push((NOTES, lone_update("two", 2)))
    bench.settle()
    assert again.one(Ack).sequence == 2


def test_a_store_that_stays_full_is_told_of_once_and_again_once_it_is_well() -> None:
    store = MemoryHubStore()
    bench = Bench(store)
    for client in (1, 2, 3):
        author = bench.join()
        store.full = True
        author.push((NOTES, lone_update("lost", client)))
        bench.settle()
        store.full = False  # or nobody could enter the room anew
    assert bench.engine.counts.commit_failures == 3
    assert [notice.kind for notice in bench.notices] == ["store"]
    for client in (4, 5):
        bench.join().push((NOTES, lone_update("kept", client)))
        bench.settle()
    assert [notice.kind for notice in bench.notices] == ["store", "recovered"]


def test_a_full_disk_still_serves_those_who_only_read() -> None:
    store = MemoryHubStore()
    bench = Bench(store)
    bench.join().push((NOTES, Author().type("one")))
    bench.settle()
    store.full = True
    reader = bench.join()
    assert reader.all(CaughtUp)
    assert len(reader.updates) == 1


def test_a_room_that_cannot_be_opened_sends_its_members_away_to_come_back() -> None:
    store = MemoryHubStore()
    store.full = True
    bench = Bench(store)
    replica = bench.join()
    assert replica.closed is not None
    assert replica.closed.code == 1013
    store.full = False
    assert bench.join().all(CaughtUp)
