"""The hub's chunks on disk: durable, whole, apart by room; what is damaged or does not fit is told."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtsync.adapters import chunk_store
from crdtsync.adapters.chunk_store import ChunkStore, NewChunk, kept_free_bytes, room_folder
from crdtsync.adapters.compression import seal, unseal
from crdtsync.adapters.durability import write_new_file
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.limits import GiB, MiB


def new_chunk(data: bytes, room: str = "room") -> NewChunk:
    return NewChunk(room, digest_of(data), seal(data))


def some_chunks(count: int, size_bytes: int = 100) -> list[NewChunk]:
    return [new_chunk(random.Random(seed).randbytes(size_bytes)) for seed in range(count)]


def file_of(root: Path, chunk: NewChunk) -> Path:
    return root / room_folder(chunk.room) / chunk.digest[:2] / chunk.digest[2:]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "chunks"


@pytest.fixture
def store(root: Path) -> Iterator[ChunkStore]:
    made = ChunkStore(root)
    yield made
    made.close()


@pytest.mark.parametrize("count", [1, 3, 50])
def test_what_is_written_is_had_and_read(store: ChunkStore, count: int) -> None:
    chunks = some_chunks(count)
    digests = [chunk.digest for chunk in chunks]
    assert store.has("room", digests) == (False,) * count
    store.write(chunks)
    assert store.has("room", digests) == (True,) * count
    assert store.read("room", digests, 10**9) == [chunk.sealed for chunk in chunks]


def test_a_read_takes_chunks_until_it_has_enough(store: ChunkStore) -> None:
    chunks = some_chunks(5, 1000)
    store.write(chunks)
    digests = [chunk.digest for chunk in chunks]
    assert len(store.read("room", digests, 1)) == 1
    assert len(store.read("room", digests, 2000)) == 2
    assert len(store.read("room", digests, 2001)) == 3
    assert store.read("room", [digest_of(b"not there"), *digests], 1) == [None, chunks[0].sealed]


def test_to_write_a_chunk_again_changes_nothing(store: ChunkStore, root: Path) -> None:
    chunk = new_chunk(b"once" * 100)
    store.write([chunk, chunk])
    before = file_of(root, chunk).stat()
    store.write([chunk])
    assert file_of(root, chunk).stat() == before


def test_a_room_sees_nothing_of_another(store: ChunkStore) -> None:
    chunk = new_chunk(b"secret", "mine")
    store.write([chunk])
    for other in ("yours", "Mine", "mine/", "../mine", "min", ""):
        assert store.has(other, [chunk.digest]) == (False,)
        assert store.read(other, [chunk.digest], MiB) == [None]


@pytest.mark.parametrize(
    "room", ["notes", "..", "a/b", "日本" * 64, "x" * 128, "CON", "-", "\0", ".tmp", "tmp"]
)
def test_every_room_has_a_folder_of_its_own_below_the_root(room: str, root: Path) -> None:
    name = room_folder(room)
    assert "/" not in name
    assert name.isascii()
    assert len(name) <= 80
    assert (root / name).resolve().parent == root.resolve()
    assert name != "tmp"
    assert len({room_folder(other) for other in (room, room.upper(), room.lower(), room + "x")}) == len(
        {room, room.upper(), room.lower(), room + "x"}
    )


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "codec", "grow"])
def test_a_damaged_chunk_is_set_aside_and_can_be_stored_again(
    store: ChunkStore, root: Path, damage: str
) -> None:
    chunk = new_chunk(random.Random(1).randbytes(5000))
    store.write([chunk])
    path = file_of(root, chunk)
    content = path.read_bytes()
    path.write_bytes(
        {
            "flip": content[:100] + bytes([content[100] ^ 1]) + content[101:],
            "cut": content[:-1],
            "empty": b"",
            "codec": b"\x07" + content[1:],
            "grow": content + bytes(2 * MiB),
        }[damage]
    )
    assert store.read("room", [chunk.digest], MiB) == [None]
    assert store.has("room", [chunk.digest]) == (False,)
    assert path.with_name(path.name + ".corrupt").exists()
    store.write([chunk])
    assert store.read("room", [chunk.digest], MiB) == [chunk.sealed]


def test_a_chunk_that_could_only_not_be_read_for_a_while_is_found_again(
    store: ChunkStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = new_chunk(b"x" * 1000)
    store.write([chunk])
    with monkeypatch.context() as broken:
        broken.setattr(chunk_store, "read_chunk", _unreadable)
        assert store.read("room", [chunk.digest], MiB) == [None]
    assert not file_of(root, chunk).exists()
    assert store.read("room", [chunk.digest], MiB) == [chunk.sealed]
    assert store.has("room", [chunk.digest]) == (True,)


def _unreadable(*_: object) -> bytes:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_full_disk_is_refused_before_anything_is_written(root: Path) -> None:
    free = 1000
    store = ChunkStore(root, free_min_bytes=500, free=lambda _: free)
    chunks = some_chunks(10)
    with pytest.raises(OSError, match="kept free") as raised:
        store.write(chunks)
    assert raised.value.errno == errno.ENOSPC
    assert store.has("room", [chunk.digest for chunk in chunks]) == (False,) * 10
    free = 10_000
    store.write(chunks)
    assert all(store.has("room", [chunk.digest for chunk in chunks]))
    store.close()


def test_a_small_disk_keeps_a_share_of_itself_free() -> None:
    assert kept_free_bytes(100 * MiB) == 5 * MiB
    assert kept_free_bytes(1024 * GiB) == 256 * MiB


def test_a_disk_that_fills_up_in_mid_batch_leaves_nothing_half_written(
    store: ChunkStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = some_chunks(10)
    real = write_new_file
    written: list[str] = []

    def fills_up(path: str, *parts: bytes) -> None:
        if len(written) == 5:
            real(path, parts[0])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        real(path, *parts)

    monkeypatch.setattr(chunk_store, "write_new_file", fills_up)
    with pytest.raises(OSError, match="No space"):
        store.write(chunks)
    assert list((root / "tmp").iterdir()) == []
    assert not any(store.has("room", [chunk.digest for chunk in chunks]))
    monkeypatch.undo()
    store.write(chunks)
    assert all(store.has("room", [chunk.digest for chunk in chunks]))


def test_a_chunk_whose_name_may_not_survive_a_power_cut_is_not_called_stored(
    store: ChunkStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = new_chunk(b"x" * 1000)
    calls = []

    def second_fails(_fd: int, paths: list[str]) -> None:
        calls.append(paths)
        if len(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(chunk_store, "make_durable", second_fails)
    with pytest.raises(OSError, match="Input/output"):
        store.write([chunk])
    assert file_of(root, chunk).exists()
    assert store.has("room", [chunk.digest]) == (False,)
    store.write([chunk])
    assert len(calls) == 4
    assert store.has("room", [chunk.digest]) == (True,)


def test_contents_are_durable_before_their_names_and_names_before_the_end(
    store: ChunkStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = new_chunk(b"y" * 1000)
    seen: list[tuple[set[str], bool]] = []

    def record(_fd: int, paths: list[str]) -> None:
        seen.append((set(paths), file_of(root, chunk).exists()))

    monkeypatch.setattr(chunk_store, "make_durable", record)
    store.write([chunk])
    (contents, named_before), (folders, named_after) = seen
    assert (named_before, named_after) == (False, True)
    assert {Path(path).parent for path in contents} == {root / "tmp"}
    folder = file_of(root, chunk).parent
    assert folders == {str(folder), str(folder.parent), str(root)}


WRITER = """
import random, sys
from pathlib import Path
from crdtsync.adapters.chunk_store import ChunkStore, NewChunk
from crdtsync.adapters.compression import seal
from crdtsync.core.values.digests import digest_of
store = ChunkStore(Path(sys.argv[1]))
rng = random.Random(int(sys.argv[2]))
while True:
    chunks = [NewChunk("room", digest_of(d), seal(d)) for d in (rng.randbytes(60_000) for _ in range(6))]
    store.write(chunks)
    print(*(chunk.digest for chunk in chunks), flush=True)
"""


@pytest.mark.parametrize("acknowledged", [0, 1, 3, 8])
def test_a_kill_leaves_only_whole_chunks_and_all_that_were_acknowledged(
    root: Path, acknowledged: int
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(acknowledged)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    stored: list[Digest] = []
    for _ in range(acknowledged):
        stored += [Digest(word) for word in writer.stdout.readline().split()]
    writer.send_signal(signal.SIGKILL)
    stored += [Digest(word) for line in writer.stdout.read().splitlines() for word in line.split()]
    writer.stdout.close()
    assert writer.wait() == -signal.SIGKILL
    assert len(stored) >= 6 * acknowledged

    store = ChunkStore(root)
    assert list((root / "tmp").iterdir()) == []
    assert all(store.has("room", stored))
    for path in (root / room_folder("room")).glob("*/*"):
        digest = Digest(path.parent.name + path.name)
        (sealed,) = store.read("room", [digest], MiB)
        assert sealed is not None
        unseal(sealed, digest)
    store.close()
