"""Sealed chunks: smaller where it helps, and never larger in memory than a chunk may be."""

from __future__ import annotations

import os
import random
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.adapters.compression import seal, unseal
from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of
from crdtsync.core.wire.blobs import Codec, Sealed
from crdtsync.errors import PeerError


@given(st.binary(max_size=2000) | st.binary(max_size=30).map(lambda data: data * 100))
def test_what_is_sealed_is_unsealed(data: bytes) -> None:
    assert unseal(seal(data), digest_of(data)) == data


def test_compression_is_kept_only_where_it_helps() -> None:
    assert seal(b"def f(): pass\n" * 1000).codec is Codec.ZSTD
    assert len(seal(b"def f(): pass\n" * 1000).data) < 1000
    noise = random.Random(1).randbytes(100_000)
    assert seal(noise) == Sealed(Codec.RAW, noise)
    nearly_noise = noise + bytes(4000)
    assert seal(nearly_noise).codec is Codec.RAW


@given(st.sampled_from(Codec), st.binary(max_size=500))
def test_arbitrary_bytes_raise_nothing_but_peer_error(codec: Codec, data: bytes) -> None:
    with pytest.raises(PeerError):
        unseal(Sealed(codec, data), digest_of(b"something else"))


@pytest.mark.parametrize("size_bytes", [limits.CHUNK_MAX_BYTES + 1, 1 << 30])
def test_a_bomb_is_refused_before_it_is_unpacked(size_bytes: int) -> None:
    content = bytes(size_bytes)
    bomb = Sealed(Codec.ZSTD, zstandard.ZstdCompressor().compress(content))
    assert len(bomb.data) < 100_000
    digest = digest_of(content)
    del content
    tracemalloc.start()
    try:
        with pytest.raises(PeerError, match="above"):
            unseal(bomb, digest)
        assert tracemalloc.get_traced_memory()[1] < limits.MiB
    finally:
        tracemalloc.stop()


def test_a_bomb_that_hides_its_size_is_refused() -> None:
    content = bytes(10 * limits.MiB)
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(content)
    with pytest.raises(PeerError):
        unseal(Sealed(Codec.ZSTD, hidden), digest_of(content))


def test_a_bomb_that_lies_about_its_size_is_refused() -> None:
    content = bytes(300_000)
    honest = zstandard.ZstdCompressor().compress(content)
    lying = honest.replace((300_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"), 1)
    assert zstandard.frame_content_size(lying) == 1000
    with pytest.raises(PeerError, match="damaged"):
        unseal(Sealed(Codec.ZSTD, lying), digest_of(content))


def test_more_after_the_end_of_a_frame_is_refused() -> None:
    content = b"x" * 1000
    compressed = zstandard.ZstdCompressor().compress(content)
    for more in (b"\0", compressed):
        with pytest.raises(PeerError, match="damaged"):
            unseal(Sealed(Codec.ZSTD, compressed + more), digest_of(content))


def test_a_chunk_that_is_not_what_its_name_says_is_refused() -> None:
    with pytest.raises(PeerError, match="something else"):
        unseal(seal(b"one"), digest_of(b"two"))


def test_a_raw_chunk_above_the_limit_is_refused() -> None:
    data = os.urandom(limits.CHUNK_MAX_BYTES + 1)
    with pytest.raises(PeerError, match="above"):
        unseal(Sealed(Codec.RAW, data), digest_of(data))
