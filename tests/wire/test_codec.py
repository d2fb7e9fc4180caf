"""Frames survive the wire unchanged, and nothing malformed gets further than a PeerError."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.values import limits
from crdtsync.core.values.ids import TREE, DocumentId
from crdtsync.core.wire import codec
from crdtsync.core.wire.control import (
    Cursor,
    Hello,
    Left,
    Presence,
    Refused,
    Welcome,
    decode_control,
    encode_control,
)
from crdtsync.core.wire.lib0 import MAX_VARUINT, Reader, varbytes, varuint
from crdtsync.core.wire.messages import (
    Accepted,
    Ack,
    CaughtUp,
    Committed,
    Compare,
    Differ,
    Difference,
    FromHub,
    FromReplica,
    LogEntry,
    Probe,
    Probed,
    Push,
    Relay,
)
from crdtsync.errors import PeerError

numbers = st.integers(0, MAX_VARUINT)
documents = st.one_of(
    st.just(TREE), st.binary(min_size=12, max_size=12).map(lambda data: DocumentId(data.hex()))
)
named = st.lists(st.tuples(documents, st.binary(max_size=40)), max_size=5).map(tuple)
from_replica = st.one_of(
    st.builds(Push, numbers, named), st.builds(Compare, st.booleans(), named), st.builds(Probe, numbers)
)
from_hub = st.one_of(
    st.builds(
        Relay,
        st.lists(st.builds(LogEntry, numbers, numbers, documents, st.binary(max_size=40)), max_size=5).map(
            tuple
        ),
    ),
    st.builds(Accepted, numbers, numbers),
    st.builds(Ack, numbers, numbers),
    st.builds(Committed, numbers),
    st.builds(
        Differ,
        st.lists(
            st.builds(Difference, documents, st.binary(max_size=20), st.binary(max_size=40)), max_size=5
        ).map(tuple),
    ),
    st.builds(CaughtUp, numbers),
    st.builds(Probed, numbers, numbers),
)


@given(from_replica)
def test_what_a_replica_says_arrives_as_it_was_said(message: FromReplica) -> None:
    assert codec.decode_from_replica(codec.encode_from_replica(message)) == message


@given(from_hub)
def test_what_a_hub_says_arrives_as_it_was_said(message: FromHub) -> None:
    assert codec.decode_from_hub(codec.encode_from_hub(message)) == message


@given(st.binary(max_size=200))
def test_noise_is_refused_and_never_crashes(noise: bytes) -> None:
    for decode in (codec.decode_from_hub, codec.decode_from_replica):
        with suppress(PeerError):
            decode(noise)


@given(from_hub, st.data())
def test_a_frame_that_is_cut_or_continued_is_refused(message: FromHub, data: st.DataObject) -> None:
    frame = codec.encode_from_hub(message)
    cut = data.draw(st.integers(0, len(frame) - 1))
    for broken in (frame[:cut], frame + b"\0"):
        with pytest.raises(PeerError):
            codec.decode_from_hub(broken)


def test_a_frame_may_not_claim_more_documents_than_are_allowed() -> None:
    frame = varuint(codec.PUSH) + varuint(1) + varuint(limits.DOCUMENTS_PER_BATCH_MAX + 1)
    with pytest.raises(PeerError, match="documents"):
        codec.decode_from_replica(frame)


def test_a_document_name_has_twelve_bytes_or_none() -> None:
    frame = varuint(codec.PUSH) + varuint(1) + varuint(1) + varbytes(b"short") + varbytes(b"")
    with pytest.raises(PeerError, match="document name"):
        codec.decode_from_replica(frame)


@given(numbers)
def test_numbers_up_to_53_bits_are_read_back(number: int) -> None:
    reader = Reader(varuint(number))
    assert reader.varuint() == number
    reader.end()


@pytest.mark.parametrize("data", [b"\xff" * 8 + b"\x01", b"\xff" * 7 + b"\x1f", b"\x80"])
def test_longer_or_unfinished_numbers_are_refused(data: bytes) -> None:
    with pytest.raises(PeerError):
        Reader(data).varuint()


@pytest.mark.parametrize(
    "message",
    [
        Hello(room="notes", replica="r", name="Ann", cursor=Cursor(epoch="e", sequence=3)),
        Welcome(member=1, epoch="e", sequence=2, resume=True),
        Refused(code="room", message="no"),
        Presence(member=1, name="Ann", editing=("a.txt",)),
        Left(member=1),
    ],
)
def test_control_messages_survive_the_wire(message: Hello | Welcome | Refused | Presence | Left) -> None:
    assert decode_control(encode_control(message)) == message


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "[]",
        "{}",
        '{"type": "nonsense"}',
        '{"type": "left"}',
        '{"type": "left", "member": "x"}',
        "[" * 100_000,
        "[" * 60_000,
        '{"type": "\\ud800"}',
        "\ud800",
        '{"type": "presence", "editing": ["a","a","a","a","a","a","a","a","a"]}',
        '{"type": "hello", "room": "' + "x" * 70_000 + '", "replica": "r"}',
    ],
)
def test_control_messages_that_are_wrong_are_refused_with_a_reason(frame: str) -> None:
    with pytest.raises(PeerError):
        decode_control(frame)
