"""What a replica builds on while its store is behind."""

from __future__ import annotations

import pytest

from crdtsync.core.replica.effects import Connect, Effect, Persist
from crdtsync.core.replica.records import AddUpdate, AddVersion, DropVersions, ReplaceUpdates
from crdtsync.core.replica.unstored import Unstored
from crdtsync.core.values import limits
from crdtsync.core.values.ids import DocumentId, EntryId
from crdtsync.errors import StoreError
from crdtsync.testing.memory_store import MemoryReplicaStore
from tests.replica.stories import shared
from tests.replica.test_live import opened
from tests.store.contract import ENTRY, version

DOCUMENT, OTHER = DocumentId(ENTRY), DocumentId("00" * 16)


def test_who_types_in_more_texts_than_are_kept_decoded_while_nothing_can_be_stored_goes_on_in_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else what is typed next would get the places of what was typed before."""
    monkeypatch.setattr(limits, "DOCUMENTS_WARM_MAX", 1)
    scene = shared()
    scene.save(scene.a, "b.md", "zero\n")
    scene.rest()
    program = opened(scene, scene.a, "a.md")
    program.open("b.md")
    assert scene.within(5.0, lambda: "b.md" in program.texts)
    scene.a.store.failure = StoreError("the disk is full")
    for line in ("1\n", "2\n", "3\n"):
        program.type("a.md", line)
        program.type("b.md", line)
    scene.a.store.failure = None
    scene.rest()
    assert scene.read(scene.b, "a.md") == program.read("a.md") == "one\ntwo\n1\n2\n3\n"
    assert scene.read(scene.b, "b.md") == program.read("b.md") == "zero\n1\n2\n3\n"


def test_all_that_was_given_out_is_read_as_if_it_were_stored() -> None:
    store = MemoryReplicaStore()
    unstored, old, new = Unstored(store), version(1), version(2)
    store.persist([AddUpdate(OTHER, b"1"), AddUpdate(DOCUMENT, b"2"), AddVersion(old)])
    first, then, last = (
        Persist((ReplaceUpdates(OTHER, (b"3",)), AddVersion(new))),
        Persist((AddUpdate(OTHER, b"4"), AddUpdate(DOCUMENT, b"5"))),
        Persist((DropVersions(ENTRY, (old.digest,)), DropVersions(EntryId(OTHER), (new.digest,)))),
    )
    effects: list[Effect] = [first, Connect(), then, last]
    assert unstored.owing(effects) == effects
    for persist in (first, then, last, None):
        assert bool(unstored) == (persist is not None)
        assert unstored.updates(OTHER) == [b"3", b"4"]
        assert unstored.updates(DOCUMENT) == [b"2", b"5"]
        assert unstored.versions(ENTRY) == [new]
        if persist is not None:
            store.persist(persist.records)
            unstored.stored(persist.records)
