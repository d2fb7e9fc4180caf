"""A hub that lost everything gets it again at its own pace, and no cursor hides what it still lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from crdtsync.core.replica.documents import Documents
from crdtsync.core.replica.effects import SendBinary
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.session import HubSession, Identity
from crdtsync.core.replica.trees import SyncedTree
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import DocumentId, EntryId
from crdtsync.core.wire.codec import decode_from_replica, encode_from_hub
from crdtsync.core.wire.control import Presence, Refused, Welcome, encode_control
from crdtsync.core.wire.messages import PROTOCOL_VERSION, Ack, CaughtUp, Differ, Difference, Push
from crdtsync.testing.memory_store import MemoryReplicaStore

DOCUMENTS = [DocumentId(f"{number:024x}") for number in range(600)]
UPDATE = bytes(8 * limits.KiB)


class Holder:
    """Has all of the documents, each with something that the hub lacks."""

    def __init__(self) -> None:
        self.asked: list[DocumentId] = []

    def on_update(self, document: DocumentId, update: bytes, at_ms: int, tentative: bool) -> None: ...

    def on_heard(self) -> None: ...
    def on_caught_up(self, reseed: bool) -> None: ...
    def on_unresumed(self) -> None: ...
    def on_accepted(self, updates: Iterable[tuple[DocumentId, bytes]]) -> None: ...
    def on_stored(self, updates: Iterable[tuple[DocumentId, bytes]]) -> None: ...
    def on_away(self) -> None: ...
    def on_clean(self, document: DocumentId) -> None: ...
    def on_presence(self, presence: Presence) -> None: ...
    def on_left(self, member: int) -> None: ...
    def on_wanted(self, digests: Iterable[Digest]) -> None: ...
    def on_probed(self, number: int) -> None: ...
    def on_refused(self, refused: Refused) -> None: ...

    def state_vectors(self) -> Mapping[DocumentId, bytes]:
        return dict.fromkeys(DOCUMENTS, b"\1\1\1")

    def state_vector(self, document: DocumentId) -> bytes:
        return b"\1\1\1"

    def difference(self, document: DocumentId, state_vector: bytes) -> bytes:
        self.asked.append(document)
        return UPDATE


def pushes(session: HubSession, out: Outbox) -> list[Push]:
    """What is sent until the session would wait for the hub."""
    sent: list[Push] = []
    while True:
        session.advance()
        session.flush()
        frames = [effect.data for effect in out.take() if isinstance(effect, SendBinary)]
        sent += [push for push in map(decode_from_replica, frames) if isinstance(push, Push)]
        if not session.eager:
            return sent


def test_what_the_hub_lost_is_pushed_as_it_acknowledges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IN_FLIGHT_MAX_BYTES", 1 * limits.MiB)
    out, holder = Outbox(), Holder()
    session = HubSession(Identity("room", "1", "Ann", None), holder, out, None, ())
    session.connected()
    welcome = Welcome(version=PROTOCOL_VERSION, member=1, epoch="new", sequence=0, resume=False)
    session.text_frame(encode_control(welcome))
    session.binary_frame(encode_from_hub(Differ(tuple(Difference(d, b"\0", b"") for d in DOCUMENTS))))
    session.binary_frame(encode_from_hub(CaughtUp(0)))
    under_way = pushes(session, out)
    received: list[DocumentId] = []
    sequence = 0
    while under_way:
        in_flight_bytes = sum(len(update) for push in under_way for _, update in push.updates)
        assert in_flight_bytes <= limits.IN_FLIGHT_MAX_BYTES + 2 * limits.FRAME_BATCH_BYTES
        assert session.unsent == len(DOCUMENTS) - len(received)
        if len(holder.asked) < len(DOCUMENTS):
            assert session.cursor is None
        push = under_way.pop(0)
        received += [document for document, _ in push.updates]
        sequence += len(push.updates)
        session.binary_frame(encode_from_hub(Ack(push.batch, sequence)))
        under_way += pushes(session, out)
    assert received == DOCUMENTS
    assert session.unsent == 0
    assert session.cursor is not None
    assert (session.cursor.epoch, session.cursor.sequence) == ("new", len(DOCUMENTS))


def test_who_is_tired_goes_on_in_the_next_event() -> None:
    out, holder = Outbox(), Holder()
    session = HubSession(Identity("room", "1", "Ann", None), holder, out, None, ())
    session.connected()
    welcome = Welcome(version=PROTOCOL_VERSION, member=1, epoch="new", sequence=0, resume=False)
    session.text_frame(encode_control(welcome))
    session.binary_frame(encode_from_hub(Differ(tuple(Difference(d, b"\0", b"") for d in DOCUMENTS[:3]))))
    session.binary_frame(encode_from_hub(CaughtUp(0)))
    session.advance(lambda: bool(holder.asked))
    assert (holder.asked, session.eager) == (DOCUMENTS[:1], True)
    session.advance()
    assert (holder.asked, session.eager) == (DOCUMENTS[:3], False)


def test_documents_that_were_only_read_are_let_go() -> None:
    store = MemoryReplicaStore()
    documents = Documents(1, store, (), SyncedTree(()), Outbox())
    for number in range(3 * limits.DOCUMENTS_WARM_MAX):
        documents.diff_update(EntryId(f"{number:024x}"), b"\0")
        documents.settle()
    assert len(documents._warm) <= limits.DOCUMENTS_WARM_MAX
