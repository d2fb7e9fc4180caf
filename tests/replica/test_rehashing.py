"""Every file is read again about once a day, evenly, and nothing is read while there is nothing to read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from crdtsync.core.replica.looking import Looking
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.rehashing import Rehashing
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.trees import SyncedTree
from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Fingerprint, Kind
from crdtsync.core.values.ids import EntryId

FILES = 24


def agreed(number: int) -> Synced:
    return Synced(
        entry=EntryId(f"{number:024x}"),
        path=f"{number}.txt",
        kind=Kind.TEXT,
        digest=digest_of(b""),
        executable=False,
        state_vector=b"\0",
        fingerprint=Fingerprint(1, number, 0, 0, 0, False),
    )


def replica(files: int) -> tuple[Looking, Rehashing]:
    looking = Looking()
    synced = SyncedTree(agreed(number) for number in range(files))
    state = SimpleNamespace(running=True, synced=synced, looking=looking)
    return looking, Rehashing(cast(ReplicaState, state))


def test_in_a_day_every_file_is_read_once_and_never_two_at_a_time() -> None:
    looking, rehashing = replica(FILES)
    now = 1000.0
    rehashing.tick(now)
    read: list[str] = []
    while rehashing.deadline is not None and rehashing.deadline <= 1000.0 + limits.REHASH_PERIOD_S:
        now = rehashing.deadline
        rehashing.tick(now)
        for batch in looking.take_looks():
            assert len(batch) == 1
            looking.looked(batch)
            read += batch
    assert sorted(read) == sorted(f"{number}.txt" for number in range(FILES))


def test_an_empty_folder_is_left_in_peace() -> None:
    looking, rehashing = replica(0)
    rehashing.tick(1000.0)
    assert rehashing.deadline is None
    assert looking.idle


def test_files_that_are_gone_by_then_are_passed_over() -> None:
    looking, rehashing = replica(3)
    rehashing.tick(1000.0)
    first = rehashing.deadline
    assert first is not None
    rehashing.tick(first)
    [read] = looking.take_looks()
    for number in range(3):
        if f"{number}.txt" not in read:
            rehashing._state.synced.discard(agreed(number).entry)
    rehashing._state.synced.put(agreed(7))
    second = rehashing.deadline
    assert second is not None
    rehashing.tick(second)
    assert looking.take_looks() == []
    third = rehashing.deadline
    assert third is not None and third > second
