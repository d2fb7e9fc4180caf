"""Heads and agreements of a large replica, told together in one value, or apart from it."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from crdtsync.adapters.replica_store import ReplicaStore
from crdtsync.adapters.replica_store_codec import DamagedRow
from crdtsync.adapters.replica_store_gathered import gathered, taken_apart
from crdtsync.core.replica.records import DropSynced, Head, PutHead, PutSynced, Record, Remembered, Synced
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Fingerprint, Kind
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.testing.memory_store import MemoryReplicaStore

GATHERED_FROM = 20


def plain(number: int, save: int = 0) -> tuple[Head, Synced]:
    """A text of which there is nothing special to tell, after so many saves."""
    entry = EntryId(f"{number:024x}")
    content = Digest(f"{number << 32 | save:064x}")
    vector = bytes([1, number % 128, save % 128]) * (1 + number % 3)
    seen = Fingerprint(7, (1 << 63) + number, 100 + save, -number, number + save % 2, False)
    head = Head(DocumentId(entry), vector, content, 100 + save, 1_700_000_000_000 + save, False)
    path, here = f"añ\ud800/{number:03}.txt", number % 3 == 1
    return head, Synced(entry, path, Kind.TEXT, content, False, vector, seen, None, here)


def records(*numbers: int, save: int = 0) -> list[Record]:
    return [
        record
        for number in numbers
        for head, agreed in (plain(number, save),)
        for record in (PutHead(head), PutSynced(agreed))
    ]


def told(remembered: Remembered) -> tuple[set[Head], set[Synced]]:
    assert len(set(remembered.heads)) == len(remembered.heads)
    assert len(set(remembered.synced)) == len(remembered.synced)
    return set(remembered.heads), set(remembered.synced)


def opened(folder: Path) -> ReplicaStore:
    return ReplicaStore(folder / "state.db", gathered_from=GATHERED_FROM)


def in_the_value(folder: Path) -> set[str]:
    """Whose rows are told together, at the next start."""
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        found = connection.execute("SELECT row FROM gathered").fetchone()
        apart = {key.hex() for (key,) in connection.execute("SELECT key FROM apart")}
    return set() if found is None else {str(head.document) for head in taken_apart(found[0])[0]} - apart


def special(number: int) -> list[Synced]:
    """Agreements of which there is more to tell than the columns hold, or something else."""
    _, agreed = plain(number)
    seen = agreed.fingerprint
    assert seen is not None
    return [
        agreed._replace(executable=True),
        agreed._replace(fingerprint=None),
        agreed._replace(fingerprint=seen._replace(executable=True)),
        agreed._replace(fingerprint=seen._replace(device=8)),
        agreed._replace(fingerprint=seen._replace(size_bytes=99)),
        agreed._replace(state_vector=b""),
        agreed._replace(digest=None),
        agreed._replace(digest=Digest("e" * 64)),
        agreed._replace(kind=Kind.BLOB),
        agreed._replace(path="a\0b"),
        agreed._replace(provisional=agreed._replace(path="elsewhere")),
    ]


def test_plain_texts_come_back_from_the_columns_as_they_were() -> None:
    pairs = [plain(number) for number in range(30)]
    heads, agreements = [head for head, _ in pairs], [agreed for _, agreed in pairs]
    value, entries = gathered(heads, agreements)
    assert entries == {agreed.entry for agreed in agreements}
    assert taken_apart(value) == (heads, agreements)
    assert taken_apart(gathered([], [])[0]) == ([], [])


def test_what_the_columns_cannot_tell_is_left_out_of_them() -> None:
    first, other = plain(0), plain(1)
    for agreed in special(1):
        _, entries = gathered([first[0], other[0]], [first[1], agreed])
        assert entries == {first[1].entry}
    _, entries = gathered([first[0], other[0]._replace(dirty=True)], [first[1], other[1]])
    assert entries == {first[1].entry}
    _, entries = gathered([first[0]], [first[1], other[1]])
    assert entries == {first[1].entry}


@pytest.mark.parametrize("seed", range(4))
def test_whatever_changed_since_rows_were_gathered_is_told_as_it_is_now(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    model = MemoryReplicaStore()
    store = opened(tmp_path)
    first: list[Record] = [*records(*range(40)), PutHead(Head(TREE, b"\1\2", None, 0, 0, True))]
    for written in (model, store):
        written.persist(first)
    gathered_once = False
    for number in range(40):
        save, at = number + 1, rng.randrange(44)
        batches: list[list[Record]] = [
            records(at, save=save),
            records(at, save=save)[:1],
            [PutSynced(rng.choice(special(at)))],
            [DropSynced(plain(at)[1].entry)],
            records(*range(40, 44)),
        ]
        batch = rng.choice(batches)
        model.persist(batch)
        store.persist(batch)
        if rng.random() < 0.15:
            killed = tmp_path / f"killed-{number}"
            killed.mkdir()
            for name in ("state.db", "state.db-wal"):
                shutil.copy(tmp_path / name, killed / name)
            with closing(opened(killed)) as again:
                assert told(again.remembered()) == told(model.remembered())
        if rng.random() < 0.2:
            store.close()
            gathered_once |= bool(in_the_value(tmp_path))
            store = opened(tmp_path)
            assert told(store.remembered()) == told(model.remembered())
    store.close()
    assert gathered_once


def test_rows_are_gathered_anew_only_once_half_of_them_changed(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.persist(records(*range(40)))
    store.close()
    assert len(in_the_value(tmp_path)) == 40
    for changed, left in ((range(10), 30), (range(10, 19), 21), (range(19, 21), 40)):
        store = opened(tmp_path)
        store.persist(records(*changed, save=1))
        store.close()
        assert len(in_the_value(tmp_path)) == left


def test_few_rows_and_such_as_are_mostly_special_are_not_gathered(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.persist(records(*range(GATHERED_FROM - 1)))
    store.close()
    assert not in_the_value(tmp_path)
    store = opened(tmp_path)
    store.persist(records(*range(40)))
    store.persist([PutSynced(special(number)[0]) for number in range(10)])
    store.close()
    assert not in_the_value(tmp_path)


def test_gathered_rows_that_are_damaged_are_read_one_by_one_and_gathered_anew(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.persist(records(*range(40)))
    remembered = told(store.remembered())
    store.close()
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        (value,) = connection.execute("SELECT row FROM gathered").fetchone()
        spoiled = value[:200] + bytes([value[200] ^ 1]) + value[201:]
        connection.execute("UPDATE gathered SET row = ?", (spoiled,))
        connection.commit()
    with pytest.raises(DamagedRow):
        taken_apart(spoiled)
    with closing(opened(tmp_path)) as store:
        assert told(store.remembered()) == remembered
        store.persist(records(3, save=1))
    with closing(opened(tmp_path)) as store:
        assert plain(3, 1)[1] in store.remembered().synced
    assert len(in_the_value(tmp_path)) == 40


@pytest.mark.parametrize("cut", [0, 3, 40, 300, -1])
def test_a_value_that_is_cut_short_is_refused(cut: int) -> None:
    value, _ = gathered(*zip(*[plain(number) for number in range(9)], strict=True))
    with pytest.raises(DamagedRow):
        taken_apart(value[:cut])
