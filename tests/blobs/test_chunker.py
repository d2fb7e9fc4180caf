"""The chunker: one content has one manifest, wherever and however it is read."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.adapters import chunker
from crdtsync.adapters.chunker import manifest_of_bytes, manifest_of_file, read_chunk
from crdtsync.core.values import limits
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Manifest


@pytest.fixture
def file(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    path = tmp_path / "file"
    path.touch()
    fd = os.open(path, os.O_RDONLY)
    yield fd, path
    os.close(fd)


def contents(manifest: Manifest, data: bytes) -> list[bytes]:
    found = []
    offset = 0
    for chunk in manifest.chunks:
        found.append(data[offset : offset + chunk.size_bytes])
        offset += chunk.size_bytes
    assert offset == len(data) == manifest.size_bytes
    return found


def test_chunks_cover_the_content_and_carry_its_digests() -> None:
    data = random.Random(1).randbytes(3 * limits.MiB)
    manifest = manifest_of_bytes(data)
    assert manifest.digest == digest_of(data)
    for chunk, content in zip(manifest.chunks, contents(manifest, data), strict=True):
        assert chunk.digest == digest_of(content)
        assert 0 < chunk.size_bytes <= limits.CHUNK_MAX_BYTES
    assert all(chunk.size_bytes >= limits.CHUNK_MIN_BYTES for chunk in manifest.chunks[:-1])


def test_the_cuts_are_the_same_on_every_machine_and_in_every_release() -> None:
    manifest = manifest_of_bytes(random.Random(2).randbytes(limits.MiB))
    assert manifest.digest == "f5d7ab245b74848fcd46e8f1fb0c7c8fc75212d1f8d2d45581a653d3b7b5dc3f"
    assert [chunk.size_bytes for chunk in manifest.chunks] == [
        169724,
        131420,
        173697,
        180866,
        138929,
        165426,
        88514,
    ]


@pytest.mark.parametrize(
    "size", [0, 1, limits.CHUNK_MIN_BYTES, limits.CHUNK_MIN_BYTES + 1, 700_001, 2_000_000]
)
def test_a_file_has_the_manifest_of_its_bytes(
    size: int, file: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunker, "WINDOW_BYTES", 100_003)
    fd, path = file
    data = random.Random(size).randbytes(size)
    path.write_bytes(data)
    assert manifest_of_file(fd) == manifest_of_bytes(data)
    assert os.lseek(fd, 0, os.SEEK_CUR) == 0


def test_a_file_of_zeros_is_cut_at_the_upper_bound(file: tuple[int, Path]) -> None:
    fd, path = file
    os.truncate(path, 12 * limits.MiB)
    manifest = manifest_of_file(fd)
    assert manifest == manifest_of_bytes(bytes(12 * limits.MiB))
    assert {chunk.size_bytes for chunk in manifest.chunks} == {limits.CHUNK_MAX_BYTES}
    assert len(manifest.chunks) == 24


@given(st.integers(0, 2**32), st.integers(0, 1_500_000), st.integers(0, 1000), st.integers(0, 1000))
def test_an_edit_leaves_the_chunks_around_it_alone(seed: int, at: int, removed: int, added: int) -> None:
    rng = random.Random(seed)
    data = rng.randbytes(1_500_000)
    edited = data[:at] + rng.randbytes(added) + data[at + removed :]
    before = {chunk.digest for chunk in manifest_of_bytes(data).chunks}
    changed = [chunk for chunk in manifest_of_bytes(edited).chunks if chunk.digest not in before]
    assert sum(chunk.size_bytes for chunk in changed) <= 4 * limits.CHUNK_MAX_BYTES
    assert len(changed) <= 8


def test_a_file_that_grows_while_it_is_opened_is_read_to_its_end(
    file: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fd, path = file
    data = random.Random(3).randbytes(1_000_000)
    path.write_bytes(data)
    before = os.fstat(fd)
    more = data + random.Random(4).randbytes(700_000)
    path.write_bytes(more)
    monkeypatch.setattr(os, "fstat", lambda _fd: before)
    assert manifest_of_file(fd) == manifest_of_bytes(more)


def test_a_file_above_the_largest_blob_is_refused(
    file: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BLOB_MAX_BYTES", 5 * limits.MiB)
    fd, path = file
    os.truncate(path, 10 * limits.MiB)
    with pytest.raises(OSError, match="larger than") as raised:
        manifest_of_file(fd)
    assert raised.value.errno == errno.EFBIG


def test_read_chunk_reads_what_is_there(file: tuple[int, Path]) -> None:
    fd, path = file
    path.write_bytes(b"0123456789")
    assert read_chunk(fd, 2, 5) == b"23456"
    assert read_chunk(fd, 8, 5) == b"89"
    assert read_chunk(fd, 20, 5) == b""
