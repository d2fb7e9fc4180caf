"""Records of every kind, as Hypothesis strategies; identities come from small pools, so that rows meet."""

from __future__ import annotations

from hypothesis import strategies as st

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
    ReplaceUpdates,
    Synced,
    Version,
)
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Fingerprint, Kind
from crdtsync.core.values.ids import TREE, DocumentId, EntryId

ENTRIES = tuple(EntryId(f"{number:024x}") for number in (0, 1, 0xABCDEF, (1 << 96) - 1))
DOCUMENTS = (TREE, *(DocumentId(entry) for entry in ENTRIES))
DIGESTS = tuple(Digest(f"{number:064x}") for number in (0, 7, 8, 9, (1 << 256) - 1))

entries = st.sampled_from(ENTRIES)
documents = st.sampled_from(DOCUMENTS)
digests = st.sampled_from(DIGESTS)
vectors = st.binary(max_size=40)
updates = st.binary(max_size=60)
unsigned = st.one_of(st.integers(0, 5), st.integers(0, (1 << 64) - 1))
times_ns = st.integers(-(1 << 63), (1 << 63) - 1)
texts = st.text(st.characters(), max_size=40)
"""Any code point: NUL, astral characters and lone surrogates too."""

fingerprints = st.builds(
    Fingerprint,
    device=unsigned,
    inode=unsigned,
    size_bytes=unsigned,
    mtime_ns=times_ns,
    ctime_ns=times_ns,
    executable=st.booleans(),
)
heads = st.builds(
    Head,
    document=documents,
    state_vector=vectors,
    digest=st.none() | digests,
    size_bytes=unsigned,
    at_ms=st.integers(0, 1 << 50),
    dirty=st.booleans(),
)


def _agreements(entry: EntryId) -> st.SearchStrategy[Synced]:
    def layer(provisional: st.SearchStrategy[Synced | None]) -> st.SearchStrategy[Synced]:
        return st.builds(
            Synced,
            entry=st.just(entry),
            path=texts,
            kind=st.sampled_from(Kind),
            digest=st.none() | digests,
            executable=st.booleans(),
            state_vector=vectors,
            fingerprint=st.none() | fingerprints,
            provisional=provisional,
        )

    return layer(st.none() | layer(st.none() | layer(st.none())))


agreements = entries.flatmap(_agreements)
versions = st.builds(
    Version, entry=entries, digest=digests, text=texts, at_s=st.floats(0, 4e9, allow_nan=False, width=64)
)


def _of_each_kind(version: st.SearchStrategy[Version]) -> st.SearchStrategy[Record]:
    return st.one_of(
        st.builds(AddUpdate, documents, updates),
        st.builds(ReplaceUpdates, documents, st.lists(updates, max_size=4).map(tuple)),
        st.builds(PutHead, heads),
        st.builds(PutSynced, agreements),
        st.builds(DropSynced, entries),
        st.builds(AddVersion, version),
        st.builds(DropVersions, entries, st.lists(digests, max_size=3).map(tuple)),
        st.builds(PutMeta, texts, texts),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[list[Record]]:
    """Transactions of records; the times that they tell never go back."""
    now_s = 1.7e9
    batches: list[list[Record]] = []
    for batch in draw(st.lists(st.lists(_of_each_kind(versions), max_size=6), max_size=12)):
        timed: list[Record] = []
        for record in batch:
            if isinstance(record, AddVersion):
                now_s += draw(st.sampled_from((0.0, 0.125, 60.0, 900.0)))
                old = record.version
                record = AddVersion(Version(old.entry, old.digest, old.text, now_s))
            timed.append(record)
        batches.append(timed)
    return batches
