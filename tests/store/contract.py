"""What every store of a replica must do: subclass ``ReplicaStoreContract`` and say how a home is made."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings

from crdtsync.core.replica.records import (
    AddUpdate,
    AddVersion,
    DropSynced,
    DropVersions,
    Head,
    PutHead,
    PutMeta,
    PutSynced,
    Record,
    Remembered,
    ReplaceUpdates,
    Synced,
    Version,
)
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of_text
from crdtsync.core.values.files import Fingerprint, Kind
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.errors import StoreError
from crdtsync.testing.memory_store import MemoryReplicaStore
from tests.store.strategies import DIGESTS, DOCUMENTS, ENTRIES, agreements, heads, histories, texts, versions

ENTRY, OTHER = EntryId("0a" * 12), EntryId("0b" * 12)
DOCUMENT = DocumentId(ENTRY)
NOW_S = 1_700_000_000.5

COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
"""Each implementation runs the same test: to Hypothesis, each is another executor."""


class Store(Protocol):
    def persist(self, records: Sequence[Record]) -> None: ...

    def remembered(self) -> Remembered: ...

    def updates(self, document: DocumentId) -> Iterable[bytes]: ...

    def versions(self, entry: EntryId) -> list[Version]: ...

    def close(self) -> None: ...


class Home(Protocol):
    """Where one replica's state lives; every ``open`` after a ``close`` finds what was persisted."""

    def open(self) -> Store: ...


def noise(size_bytes: int) -> bytes:
    """What takes as much on disk: it does not compress."""
    return random.Random(size_bytes).randbytes(size_bytes)


def digest(number: int) -> Digest:
    return Digest(f"{number:064x}")


def version(number: int, at_s: float = NOW_S, text: str | None = None, entry: EntryId = ENTRY) -> Version:
    return Version(entry, digest(number), f"text {number}" if text is None else text, at_s)


def agreed(content: Digest, provisional: Digest | None = None, entry: EntryId = ENTRY) -> Synced:
    return Synced(
        entry=entry,
        path="notes/über.md",
        kind=Kind.TEXT,
        digest=content,
        executable=False,
        state_vector=b"\x01\x05\x02",
        fingerprint=Fingerprint(1, 2, 3, 4, 5, False),
        provisional=None if provisional is None else agreed(provisional, entry=entry),
        saved_here=provisional is None,
    )


def numbers(found: Iterable[Version]) -> list[int]:
    return [int(one.digest, 16) for one in found]


def contents(store: Store) -> tuple[object, ...]:
    """All that can be asked of a store, comparable with that of another."""
    remembered = store.remembered()
    return (
        dict(remembered.meta),
        {head.document: head for head in remembered.heads},
        len(remembered.heads),
        {synced.entry: synced for synced in remembered.synced},
        len(remembered.synced),
        {document: list(store.updates(document)) for document in DOCUMENTS},
        {entry: store.versions(entry) for entry in ENTRIES},
    )


class ReplicaStoreContract(ABC):
    @abstractmethod
    def home(self) -> AbstractContextManager[Home]: ...

    def test_a_new_store_remembers_nothing(self) -> None:
        with self.home() as home:
            store = home.open()
            assert store.remembered() == Remembered()
            assert list(store.updates(TREE)) == []
            assert store.versions(ENTRY) == []
            store.close()

    @settings(COMMON, max_examples=40)
    @given(head=heads, synced=agreements, kept=versions, key=texts, value=texts.filter(bool))
    def test_every_row_comes_back_as_it_was(
        self, head: Head, synced: Synced, kept: Version, key: str, value: str
    ) -> None:
        with self.home() as home:
            store = home.open()
            store.persist([PutHead(head), PutSynced(synced), AddVersion(kept), PutMeta(key, value)])
            store.close()
            again = home.open()
            assert again.remembered() == Remembered({key: value}, (head,), (synced,))
            assert again.versions(kept.entry) == [kept]
            again.persist([PutMeta(key, "")])
            assert again.remembered().meta == {}
            again.close()

    @settings(COMMON, max_examples=60)
    @given(history=histories())
    def test_any_history_reads_like_that_of_the_model_also_after_restarts(
        self, history: list[list[Record]]
    ) -> None:
        model = MemoryReplicaStore()
        with self.home() as home:
            store = home.open()
            for number, batch in enumerate(history):
                store.persist(batch)
                model.persist(batch)
                if number % 3 == 2:
                    store.close()
                    store = home.open()
            assert contents(store) == contents(model)
            store.close()

    def test_a_version_that_is_named_in_the_transaction_in_which_it_aged_is_kept(self) -> None:
        old, new = digest_of_text("old\n"), digest_of_text("new\n")
        agreed = Synced(ENTRY, "a.md", Kind.TEXT, old, False, b"\0", None)
        with self.home() as home:
            store = home.open()
            store.persist([AddVersion(Version(ENTRY, old, "old\n", 0.0))])
            late = Version(ENTRY, new, "new\n", limits.VERSIONS_MAX_AGE_S + 1.0)
            store.persist([AddVersion(late), PutSynced(agreed)])
            assert [version.digest for version in store.versions(ENTRY)] == [new, old]
            store.close()

    def test_a_log_keeps_its_order_and_its_repetitions(self) -> None:
        with self.home() as home:
            store = home.open()
            store.persist([AddUpdate(DOCUMENT, b"b"), AddUpdate(TREE, b"t")])
            store.persist([AddUpdate(DOCUMENT, b"a"), AddUpdate(DOCUMENT, b"b")])
            assert list(store.updates(DOCUMENT)) == [b"b", b"a", b"b"]
            store.close()

    def test_a_compacted_log_goes_on_with_later_updates(self) -> None:
        with self.home() as home:
            store = home.open()
            store.persist([AddUpdate(DOCUMENT, bytes([n])) for n in range(20)] + [AddUpdate(TREE, b"t")])
            store.persist([ReplaceUpdates(DOCUMENT, (b"state", b"waiting"))])
            store.persist([AddUpdate(DOCUMENT, b"later")])
            assert list(store.updates(DOCUMENT)) == [b"state", b"waiting", b"later"]
            assert list(store.updates(TREE)) == [b"t"]
            store.persist([ReplaceUpdates(DOCUMENT, ())])
            assert list(store.updates(DOCUMENT)) == []
            store.close()

    def test_a_later_agreement_replaces_a_provisional_one(self) -> None:
        with self.home() as home:
            store = home.open()
            store.persist([PutSynced(agreed(digest(1), provisional=digest(2)))])
            store.persist([PutSynced(agreed(digest(2)))])
            assert store.remembered().synced == (agreed(digest(2)),)
            store.persist([DropSynced(ENTRY), DropSynced(OTHER)])
            assert store.remembered().synced == ()
            store.close()

    def test_a_large_text_and_a_large_update_come_back(self) -> None:
        text = "".join(f"line {number} äöü\n" for number in range(80_000))
        update = bytes(range(256)) * 12_000
        with self.home() as home:
            store = home.open()
            store.persist([AddVersion(version(1, text=text)), AddUpdate(DOCUMENT, update)])
            assert store.versions(ENTRY) == [version(1, text=text)]
            assert list(store.updates(DOCUMENT)) == [update]
            store.close()

    def test_versions_come_newest_first_and_a_repeated_one_is_the_newest(self) -> None:
        with self.home() as home:
            store = home.open()
            store.persist([AddVersion(version(1)), AddVersion(version(2)), AddVersion(version(3))])
            store.persist([AddVersion(version(1, at_s=NOW_S + 1))])
            assert store.versions(ENTRY) == [version(1, at_s=NOW_S + 1), version(3), version(2)]
            store.persist([DropVersions(ENTRY, (digest(3), digest(9)))])
            assert numbers(store.versions(ENTRY)) == [1, 2]
            store.close()

    def test_no_more_versions_are_kept_than_the_limit_of_their_number(self) -> None:
        with self.home() as home:
            store = home.open()
            count = limits.VERSIONS_MAX_COUNT
            for number in range(count + 5):
                store.persist([AddVersion(version(number)), AddVersion(version(number, entry=OTHER))])
            assert numbers(store.versions(ENTRY)) == list(range(count + 4, 4, -1))
            assert len(store.versions(OTHER)) == count
            store.close()

    def test_no_more_bytes_of_versions_are_kept_than_the_limit_but_the_newest_always_is(self) -> None:
        text = "é" * (limits.VERSIONS_MAX_BYTES // 5)
        with self.home() as home:
            store = home.open()
            store.persist([AddVersion(version(n, text=text + str(n))) for n in range(4)])
            assert numbers(store.versions(ENTRY)) == [3, 2]
            store.persist([AddVersion(version(9, text="x" * (limits.VERSIONS_MAX_BYTES + 1)))])
            assert numbers(store.versions(ENTRY)) == [9]
            store.close()

    def test_versions_age_by_the_times_told_in_the_records(self) -> None:
        old_s = NOW_S + limits.VERSIONS_MAX_AGE_S
        with self.home() as home:
            store = home.open()
            store.persist([AddVersion(version(1)), AddVersion(version(2, at_s=NOW_S + 1))])
            store.persist([AddVersion(version(3, at_s=old_s + 0.5))])
            assert numbers(store.versions(ENTRY)) == [3, 2]
            store.persist([AddVersion(version(4, at_s=old_s + 60, entry=OTHER))])
            assert numbers(store.versions(ENTRY)) == [3]
            store.close()

    def test_a_clock_that_was_set_back_ages_nothing(self) -> None:
        with self.home() as home:
            store = home.open()
            store.persist([AddVersion(version(1, at_s=NOW_S + 1e8))])
            store.persist([AddVersion(version(2)), AddVersion(version(3))])
            assert numbers(store.versions(ENTRY)) == [3, 2, 1]
            store.close()

    @pytest.mark.parametrize("restart", [False, True])
    def test_what_disk_and_room_agreed_on_outlives_every_limit(self, restart: bool) -> None:
        with self.home() as home:
            store = home.open()
            store.persist([PutSynced(agreed(digest(1), provisional=digest(2)))])
            store.persist([AddVersion(version(1)), AddVersion(version(2)), AddVersion(version(3))])
            if restart:
                store.close()
                store = home.open()
            for number in range(100, 100 + 2 * limits.VERSIONS_MAX_COUNT):
                later_s = NOW_S + limits.VERSIONS_MAX_AGE_S + number
                for entry in (ENTRY, OTHER):
                    store.persist([AddVersion(version(number, at_s=later_s, entry=entry))])
            assert numbers(store.versions(ENTRY))[-2:] == [2, 1]
            store.persist([PutSynced(agreed(digest(2))), AddVersion(version(200, at_s=later_s))])
            assert numbers(store.versions(ENTRY))[-1:] == [2]
            store.persist([DropSynced(ENTRY), AddVersion(version(201, at_s=later_s))])
            assert min(numbers(store.versions(ENTRY))) >= 100
            store.close()

    def test_a_closed_store_answers_with_an_error_of_ours(self) -> None:
        with self.home() as home:
            store = home.open()
            store.close()
            with pytest.raises(StoreError):
                store.persist([PutMeta("room", "notes")])
            with pytest.raises(StoreError):
                store.remembered()
            with pytest.raises(StoreError):
                store.versions(ENTRY)

    def test_the_pools_of_the_strategies_cover_the_extremes(self) -> None:
        assert TREE in DOCUMENTS
        assert {DIGESTS[0], DIGESTS[-1]} == {digest(0), digest((1 << 256) - 1)}
