"""The blob socket's frames: what is encoded is decoded, and malformed frames only ever raise PeerError."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.core.values.digests import DIGEST_BYTES, Digest
from crdtsync.core.wire import blobs as wire
from crdtsync.core.wire.blobs import Chunks, Codec, Get, Had, Have, Put, Sealed, Stored, Unstored
from crdtsync.core.wire.lib0 import MAX_VARUINT, varuint
from crdtsync.errors import PeerError

requests = st.integers(0, MAX_VARUINT)
digests = st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES).map(lambda data: Digest(data.hex()))
several_digests = st.lists(digests, max_size=20).map(tuple)
sealed = st.builds(Sealed, st.sampled_from(Codec), st.binary(max_size=200))

from_replica = st.one_of(
    st.builds(Have, requests, several_digests),
    st.builds(Get, requests, several_digests),
    st.builds(Put, requests, st.lists(st.tuples(digests, sealed), max_size=10).map(tuple)),
)
from_hub = st.one_of(
    st.builds(Had, requests, st.lists(st.booleans(), max_size=40).map(tuple)),
    st.builds(Stored, st.lists(requests, max_size=20).map(tuple)),
    st.builds(Unstored, st.lists(requests, max_size=20).map(tuple), st.text(max_size=50)),
    st.builds(Chunks, requests, st.lists(st.none() | sealed, max_size=10).map(tuple)),
)


@given(from_replica)
def test_a_replicas_message_is_decoded_as_it_was(message: wire.BlobsFromReplica) -> None:
    assert wire.decode_from_replica(wire.encode_from_replica(message)) == message


@given(from_hub)
def test_a_hubs_message_is_decoded_as_it_was(message: wire.BlobsFromHub) -> None:
    assert wire.decode_from_hub(wire.encode_from_hub(message)) == message


@given(st.binary(max_size=400))
def test_arbitrary_bytes_raise_nothing_but_peer_error(frame: bytes) -> None:
    for decode in (wire.decode_from_replica, wire.decode_from_hub):
        try:
            decode(frame)
        except PeerError:
            continue


@given(from_replica, st.data())
def test_a_cut_or_lengthened_frame_of_a_replica_is_refused(
    message: wire.BlobsFromReplica, data: st.DataObject
) -> None:
    frame = wire.encode_from_replica(message)
    cut = data.draw(st.integers(0, len(frame) - 1))
    for wrong in (frame[:cut], frame + b"\0"):
        with pytest.raises(PeerError):
            wire.decode_from_replica(wrong)


@given(from_hub, st.data())
def test_a_cut_or_lengthened_frame_of_a_hub_is_refused(
    message: wire.BlobsFromHub, data: st.DataObject
) -> None:
    frame = wire.encode_from_hub(message)
    cut = data.draw(st.integers(0, len(frame) - 1))
    for wrong in (frame[:cut], frame + b"\0"):
        with pytest.raises(PeerError):
            wire.decode_from_hub(wrong)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (bytes(wire.BLOB_FRAME_MAX_BYTES + 1), "above"),
        (varuint(wire.HAVE) + varuint(1) + varuint(2**40), "1099511627776 items"),
        (varuint(wire.PUT) + varuint(1) + varuint(1) + bytes(32) + varuint(2), "without data"),
        (varuint(wire.PUT) + varuint(1) + varuint(1) + bytes(32) + varuint(9) + varuint(0), "codec 9"),
        (varuint(99), "unknown kind 99"),
    ],
)
def test_a_frame_beyond_the_bounds_says_what_is_wrong(frame: bytes, why: str) -> None:
    with pytest.raises(PeerError, match=why):
        wire.decode_from_replica(frame)


def test_a_bitmap_with_bits_beyond_its_end_is_refused() -> None:
    with pytest.raises(PeerError, match="beyond its end"):
        wire.decode_from_hub(varuint(wire.HAD) + varuint(1) + varuint(3) + b"\x08")


def test_a_long_reason_is_cut() -> None:
    decoded = wire.decode_from_hub(wire.encode_from_hub(Unstored((1,), "é" * 5000)))
    assert isinstance(decoded, Unstored)
    assert decoded.reason.startswith("é" * 500)
    assert len(decoded.reason.encode()) <= wire.REASON_MAX_BYTES + 3
