"""Large blobs that are written from their start on: past the page cache, hashed on their way."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from blake3 import blake3

from crdtsync.adapters import alike, in_order, part_file
from crdtsync.adapters.alike import take_alike
from crdtsync.adapters.blob_staging import offsets_of
from crdtsync.adapters.chunker import digest_of_file, manifest_of_bytes
from crdtsync.adapters.part_file import PartFile
from crdtsync.adapters.past_cache import BLOCK_BYTES, aligned_memory, past_cache
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Chunk, Manifest
from tests.blobs.parts import cut, never

DATA = random.Random(4).randbytes(300_000) + bytes(60_000) + random.Random(5).randbytes(40_001)
LARGE = random.Random(6).randbytes(9_000_000)


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_file, "IN_ORDER_FROM_BYTES", 1)
    monkeypatch.setattr(part_file, "HELD_MAX_BYTES", 50_000)
    monkeypatch.setattr(in_order, "GATHERED_BYTES", 8 * BLOCK_BYTES)


@pytest.fixture
def open_part(tmp_path: Path) -> Iterator[Callable[[Manifest], PartFile]]:
    opened: list[PartFile] = []

    def open_one(manifest: Manifest) -> PartFile:
        opened.append(PartFile(str(tmp_path / "part"), manifest, never))
        return opened[-1]

    yield open_one
    for part in opened:
        part.close()


@pytest.fixture
def read_again(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much of each whole was hashed when its file was read again."""
    found: list[int] = []

    def digest(fd: int, *, stopped: Callable[[], bool], begun: tuple[blake3, int]) -> Digest:
        found.append(os.fstat(fd).st_size - begun[1])
        return digest_of_file(fd, stopped=stopped, begun=begun)

    monkeypatch.setattr(part_file, "digest_of_file", digest)
    return found


def put(part: PartFile, data: bytes, position: int) -> None:
    begin, end = part.offset(position), part.offset(position + 1)
    part.write(part.chunk(position).digest, data[begin:end])


def shuffled(count: int, reach: int, seed: int) -> list[int]:
    """So many numbers, each about as far from its place as ``reach`` says."""
    rng = random.Random(seed)
    return sorted(range(count), key=lambda number: number + rng.uniform(0, reach))


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("reach", [0, 4, 41])
def test_chunks_in_nearly_any_order_make_up_the_blob(
    reach: int,
    direct: bool,
    open_part: Callable[[Manifest], PartFile],
    read_again: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not direct:
        monkeypatch.setattr(in_order, "open_past_cache", lambda _: None)
    part = open_part(cut(DATA))
    for position in shuffled(part.count, reach, 7):
        if not part.is_present(position):
            put(part, DATA, position)
    assert part.present_bytes == len(DATA)
    assert part.missing() == []
    assert part.is_whole()
    assert (tmp_path / "part").read_bytes() == DATA
    assert (read_again == [0]) is (reach < 41)


def test_what_came_is_in_the_file_for_whoever_takes_it_up_again(
    open_part: Callable[[Manifest], PartFile], tmp_path: Path
) -> None:
    part = PartFile(str(tmp_path / "part"), cut(DATA), never)
    for position in (0, 1, 2, 5, 6):
        put(part, DATA, position)
    part.close()
    again = open_part(cut(DATA))
    again.resume()
    assert [position for position in range(9) if again.is_present(position)] == [0, 1, 2, 5, 6]
    for position in range(again.count):
        if not again.is_present(position):
            put(again, DATA, position)
    assert again.is_whole()


def test_what_waits_for_the_disk_can_be_given_to_another_part(
    open_part: Callable[[Manifest], PartFile], tmp_path: Path
) -> None:
    part, other = open_part(cut(DATA)), PartFile(str(tmp_path / "other"), cut(DATA), never)
    for position in (0, 2):
        put(part, DATA, position)
        assert part.give(part.chunk(position).digest, other)
    put(part, DATA, 1)
    assert part.give(part.chunk(1).digest, other)
    other.close()
    assert (tmp_path / "other").read_bytes()[:30_000] == DATA[:30_000]


def test_a_blob_is_never_whole_once_the_disk_has_failed(
    open_part: Callable[[Manifest], PartFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = open_part(cut(DATA))

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "the disk fails")

    with monkeypatch.context() as failing:
        failing.setattr(os, "pwrite", fail)
        with pytest.raises(OSError, match="the disk fails"):
            for position in range(part.count):
                put(part, DATA, position)
    with pytest.raises(OSError, match="the disk fails"):
        put(part, DATA, 3)
    with pytest.raises(OSError, match="the disk fails"):
        part.flush()
    with pytest.raises(OSError, match="the disk fails"):
        part.is_whole()
    assert not part.is_whole()


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSPC])
def test_a_file_system_that_takes_no_whole_blocks_after_all_gets_them_by_the_cache(
    code: int,
    open_part: Callable[[Manifest], PartFile],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = open_part(cut(DATA))
    real = os.pwrite

    def write(fd: int, data: memoryview, offset: int) -> int:
        if len(data) > 6 * BLOCK_BYTES:
            if code == errno.ENOSPC:
                return real(fd, data[:BLOCK_BYTES], offset) - 1
            raise OSError(code, "no")
        return real(fd, data, offset)

    with monkeypatch.context() as refusing:
        refusing.setattr(os, "pwrite", write)
        refusing.setattr(in_order, "is_refusal", lambda error: error.errno == errno.EINVAL)
        put(part, DATA, 0)
    for position in range(1, part.count):
        if not part.is_present(position):
            put(part, DATA, position)
    assert part.is_whole()
    assert (tmp_path / "part").read_bytes() == DATA


def test_only_so_many_parts_are_written_in_order_at_a_time(tmp_path: Path) -> None:
    parts = [
        PartFile(str(tmp_path / f"part{number}"), cut(DATA), never)
        for number in range(part_file.IN_ORDER_MAX + 1)
    ]
    assert [part.is_in_order for part in parts] == [True] * part_file.IN_ORDER_MAX + [False]
    parts.pop(0).close()
    parts.append(PartFile(str(tmp_path / "one more"), cut(DATA), never))
    assert parts[-1].is_in_order
    for part in parts:
        part.close()


# -- beside an earlier version -----------------------------------------------------------------------------


def answered(data: bytes) -> Future[bytes | memoryview]:
    future: Future[bytes | memoryview] = Future()
    future.set_result(data)
    return future


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("length", [len(LARGE), len(LARGE) + 5])
def test_an_edit_in_place_is_hashed_on_its_way_since_what_is_missing_is_asked_for_at_once(
    length: int,
    cached: bool,
    open_part: Callable[[Manifest], PartFile],
    read_again: list[int],
    tmp_path: Path,
) -> None:
    wanted = (LARGE[:4_000_000] + b"!" + LARGE[4_000_001:] + bytes(5))[:length]
    manifest = manifest_of_bytes(wanted)
    offsets = offsets_of(manifest)
    (tmp_path / "earlier").write_bytes(LARGE)
    asked: list[Chunk] = []

    def ask(chunk: Chunk) -> Future[bytes | memoryview]:
        asked.append(chunk)
        return answered(wanted[offsets[chunk.digest] : offsets[chunk.digest] + chunk.size_bytes])

    part = open_part(manifest)
    with open(tmp_path / "earlier", "rb") as file:
        if not cached:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert not take_alike(part, file.fileno(), ask)
    assert 1 <= len(asked) <= 4
    assert part.missing() == []
    assert part.is_whole()
    assert read_again == [0]
    assert (tmp_path / "part").read_bytes() == wanted


def test_who_does_not_answer_is_not_waited_for_for_long(
    open_part: Callable[[Manifest], PartFile],
    read_again: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alike, "ASKED_S", 0.05)
    wanted = LARGE[:4_000_000] + b"!" + LARGE[4_000_001:]
    (tmp_path / "earlier").write_bytes(LARGE)
    futures: list[Future[bytes | memoryview]] = []

    def ask(_: Chunk) -> Future[bytes | memoryview]:
        futures.append(Future())
        return futures[-1]

    part = open_part(manifest_of_bytes(wanted))
    with open(tmp_path / "earlier", "rb") as file:
        take_alike(part, file.fileno(), ask)
    assert all(future.cancelled() for future in futures)
    (missing,) = part.missing()
    start = offsets_of(manifest_of_bytes(wanted))[missing.digest]
    part.write(missing.digest, wanted[start : start + missing.size_bytes])
    assert part.is_whole()
    assert read_again == [len(wanted) - start]


def test_reads_past_the_cache_end_with_their_purpose(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(LARGE)
    with open(tmp_path / "file", "rb") as file:
        os.fsync(file.fileno())
        with past_cache(file.fileno()) as direct:
            assert not direct, "all of it was just written"
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with past_cache(file.fileno()) as direct:
            memory = aligned_memory(2 * BLOCK_BYTES)
            assert os.preadv(file.fileno(), [memory], 0) == len(memory)
            assert memory == LARGE[: len(memory)]
        assert os.pread(file.fileno(), 3, 5) == LARGE[5:8]
