"""The index of a blob: one encoding, and nothing but that is accepted."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.adapters import chunker
from crdtsync.adapters.chunker import index_of, manifest_of_bytes
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.files import Chunk, Manifest
from crdtsync.core.values.manifests import Describes, decode_manifest, encode_manifest
from crdtsync.errors import PeerError

digests = st.binary(min_size=32, max_size=32).map(lambda data: Digest(data.hex()))
chunks = st.builds(Chunk, digests, st.integers(1, limits.CHUNK_MAX_BYTES))


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    parts = tuple(draw(st.lists(chunks, max_size=20)))
    return Manifest(draw(digests), sum(chunk.size_bytes for chunk in parts), parts)


@given(manifests(), st.sampled_from(Describes))
def test_what_is_encoded_is_decoded(manifest: Manifest, describes: Describes) -> None:
    assert decode_manifest(encode_manifest(manifest, describes)) == (manifest, describes)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_peer_error(data: bytes) -> None:
    with pytest.raises(PeerError):
        decode_manifest(data)


@given(manifests(), st.data())
def test_a_changed_index_is_refused_or_has_one_encoding(manifest: Manifest, data: st.DataObject) -> None:
    encoded = bytearray(encode_manifest(manifest, Describes.CONTENT))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded, describes = decode_manifest(bytes(encoded))
    except PeerError:
        return
    assert encode_manifest(decoded, describes) == bytes(encoded)


HEAD = ">BB32sQI"


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (b"", "cut short"),
        (struct.pack(HEAD, 2, 0, bytes(32), 0, 0), "version 2"),
        (struct.pack(HEAD, 1, 2, bytes(32), 0, 0), "kind 2"),
        (struct.pack(HEAD, 1, 0, bytes(32), 0, 2**32 - 1), "4294967295 chunks"),
        (struct.pack(HEAD, 1, 0, bytes(32), 1, 0), "whose chunks are 0"),
        (struct.pack(HEAD, 1, 0, bytes(32), 2**63, 0), "above"),
        (struct.pack(HEAD, 1, 1, bytes(32), limits.MANIFEST_MAX_BYTES + 1, 0), "above"),
        (struct.pack(HEAD + "32sI", 1, 0, bytes(32), 0, 1, bytes(32), 0), "empty chunk"),
        (struct.pack(HEAD + "32sI", 1, 0, bytes(32), 2**20, 1, bytes(32), 2**20), "above"),
    ],
)
def test_an_index_that_no_honest_replica_makes_is_refused(encoded: bytes, why: str) -> None:
    with pytest.raises(PeerError, match=why):
        decode_manifest(encoded)


def test_an_index_above_its_limit_is_neither_made_nor_read(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = Manifest(digest_of(b""), 100, tuple(Chunk(digest_of(b""), 1) for _ in range(100)))
    encoded = encode_manifest(manifest, Describes.CONTENT)
    monkeypatch.setattr(limits, "MANIFEST_MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="100 chunks"):
        encode_manifest(manifest, Describes.CONTENT)
    with pytest.raises(PeerError, match="above 1000"):
        decode_manifest(encoded)


def test_a_blob_of_one_chunk_is_its_own_index() -> None:
    manifest = manifest_of_bytes(b"small")
    assert index_of(manifest) == (manifest.digest, {})


def test_the_index_is_the_encoded_manifest() -> None:
    manifest = manifest_of_bytes(random.Random(1).randbytes(1_000_000))
    encoded = encode_manifest(manifest, Describes.CONTENT)
    assert index_of(manifest) == (digest_of(encoded), {digest_of(encoded): encoded})


def test_a_large_index_is_stored_in_chunks_that_an_edit_mostly_leaves_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = random.Random(2)
    content = [Chunk(Digest(rng.randbytes(32).hex()), 1000) for _ in range(30_000)]
    manifest = Manifest(digest_of(b"one"), 30_000_000, tuple(content))
    index, stored = index_of(manifest)
    nested, describes = decode_manifest(stored[index])
    assert describes is Describes.MANIFEST
    encoded = b"".join(stored[chunk.digest] for chunk in nested.chunks)
    assert decode_manifest(encoded) == (manifest, Describes.CONTENT)
    assert max(map(len, stored.values())) <= limits.CHUNK_MAX_BYTES

    content[15_000] = Chunk(Digest(rng.randbytes(32).hex()), 1000)
    _, after = index_of(Manifest(digest_of(b"one"), 30_000_000, tuple(content)))
    assert len(after.keys() - stored.keys()) <= 3
    assert len(encoded) > chunker.INDEX_WHOLE_MAX_BYTES
