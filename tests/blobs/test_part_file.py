"""Blobs that are put together in staging: from any source, verified, and never forgotten by a restart."""

from __future__ import annotations

import errno
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crdtsync.adapters import part_file
from crdtsync.adapters.alike import NOT_WORTH_CUTTING, take_alike
from crdtsync.adapters.blob_staging import KEPT_S, Arrived, BlobStaging, offsets_of
from crdtsync.adapters.chunker import manifest_of_bytes
from crdtsync.adapters.filesystem import Blocked
from crdtsync.adapters.part_file import PartFile
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Manifest
from tests.blobs.parts import cut, never


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[BlobStaging]:
    made = BlobStaging(tmp_path / "staging")
    yield made
    made.close()


@pytest.fixture
def open_part(tmp_path: Path) -> Iterator[Callable[..., PartFile]]:
    opened: list[PartFile] = []

    def open_one(manifest: Manifest, stopped: Callable[[], bool] = never) -> PartFile:
        opened.append(PartFile(str(tmp_path / "part"), manifest, stopped))
        return opened[-1]

    yield open_one
    for part in opened:
        part.close()


DATA = random.Random(1).randbytes(95_000)


def test_chunks_in_any_order_make_up_the_blob(open_part: Callable[..., PartFile], tmp_path: Path) -> None:
    manifest = cut(DATA)
    part = open_part(manifest)
    order = list(offsets_of(manifest).items())
    random.Random(2).shuffle(order)
    for count, (digest, offset) in enumerate(order):
        assert len(part.missing()) == len(order) - count
        assert not part.is_whole()
        part.write(digest, DATA[offset : offset + 10_000])
    assert part.missing() == []
    assert part.present_bytes == len(DATA)
    assert part.is_whole()
    assert (tmp_path / "part").read_bytes() == DATA


def test_what_was_written_is_taken_up_again_and_what_is_damaged_is_not(
    open_part: Callable[..., PartFile], tmp_path: Path
) -> None:
    manifest = cut(DATA)
    part = open_part(manifest)
    for position in (0, 3, 4, 9):
        chunk = manifest.chunks[position]
        part.write(chunk.digest, DATA[position * 10_000 : position * 10_000 + chunk.size_bytes])
    with open(tmp_path / "part", "r+b") as file:
        file.seek(35_000)
        file.write(b"damage")
    again = open_part(manifest)
    again.resume()
    assert again.missing() == [manifest.chunks[position] for position in (1, 2, 3, 5, 6, 7, 8)]
    assert again.present_bytes == 25_000


def test_a_part_of_another_length_is_cut_to_size(open_part: Callable[..., PartFile], tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(DATA + b"more")
    part = open_part(cut(DATA))
    part.resume()
    assert part.missing() == []
    assert part.is_whole()


def test_a_repeated_chunk_is_needed_once(open_part: Callable[..., PartFile], tmp_path: Path) -> None:
    data = DATA[:10_000] * 3 + DATA[10_000:20_000] + DATA[:10_000]
    manifest = cut(data)
    part = open_part(manifest)
    assert part.missing() == [manifest.chunks[0], manifest.chunks[3]]
    part.write(manifest.chunks[0].digest, DATA[:10_000])
    part.write(manifest.chunks[3].digest, DATA[10_000:20_000])
    assert part.is_whole()
    with open(tmp_path / "part", "r+b") as file:
        file.truncate(10_000)
    again = open_part(manifest)
    again.resume()
    assert again.missing() == [manifest.chunks[3]]


def test_a_blob_with_chunks_of_zeros_is_resumed(open_part: Callable[..., PartFile]) -> None:
    manifest = cut(bytes(50_000))
    part = open_part(manifest)
    part.resume()
    part.write(manifest.chunks[0].digest, bytes(10_000))
    again = open_part(manifest)
    again.resume()
    assert again.missing() == []


@pytest.mark.parametrize("refused", [None, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_chunks_are_taken_from_another_file_wherever_they_are_in_it(
    open_part: Callable[..., PartFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: int | None
) -> None:
    if refused is not None:

        def refuse(*_: int) -> int:
            raise OSError(refused, os.strerror(refused))

        monkeypatch.setattr(os, "copy_file_range", refuse)
    other = b"in front" + DATA[50_000:] + DATA[:30_000] + b"behind"
    (tmp_path / "other").write_bytes(other)
    offsets = {
        digest: (offset - 50_000 + 8 if offset >= 50_000 else offset + 45_008)
        for digest, offset in offsets_of(cut(DATA)).items()
        if offset < 30_000 or offset >= 50_000
    }
    part = open_part(cut(DATA))
    fd = os.open(tmp_path / "other", os.O_RDONLY)
    part.take(fd, offsets)
    os.close(fd)
    assert part.missing() == list(cut(DATA).chunks[3:5])
    part.write(cut(DATA).chunks[3].digest, DATA[30_000:40_000])
    part.write(cut(DATA).chunks[4].digest, DATA[40_000:50_000])
    assert part.is_whole()


@pytest.mark.parametrize("change", ["edit", "cut"])
def test_a_file_that_changed_since_it_was_cut_gives_only_what_is_still_right(
    open_part: Callable[..., PartFile], tmp_path: Path, change: str
) -> None:
    other = tmp_path / "other"
    other.write_bytes(DATA[:42_000] + b"!" + DATA[42_001:] if change == "edit" else DATA[:42_000])
    part = open_part(cut(DATA))
    fd = os.open(other, os.O_RDONLY)
    part.take(fd, offsets_of(cut(DATA)))
    os.close(fd)
    assert part.missing() == list(cut(DATA).chunks[4:5] if change == "edit" else cut(DATA).chunks[4:])


def test_a_file_with_holes_gives_its_zeros(open_part: Callable[..., PartFile], tmp_path: Path) -> None:
    data = DATA[:20_000] + bytes(200_000) + DATA[20_000:40_000]
    with open(tmp_path / "sparse", "wb") as file:
        file.write(DATA[:20_000])
        file.seek(220_000)
        file.write(DATA[20_000:40_000])
    part = open_part(cut(data))
    fd = os.open(tmp_path / "sparse", os.O_RDONLY)
    part.take(fd, offsets_of(cut(data)))
    os.close(fd)
    assert part.missing() == []
    assert part.is_whole()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30), st.lists(st.integers(0, 5), max_size=30))
def test_any_arrangement_of_chunks_is_found_in_any_other(
    tmp_path: Path, wanted: list[int], there: list[int]
) -> None:
    pieces = [random.Random(seed).randbytes(1000) for seed in range(6)]
    data = b"".join(pieces[number] for number in wanted)
    other = b"".join(pieces[number] for number in there)
    (tmp_path / "source").write_bytes(other)
    (tmp_path / "part").unlink(missing_ok=True)
    part = PartFile(str(tmp_path / "part"), cut(data, 1000), never)
    fd = os.open(tmp_path / "source", os.O_RDONLY)
    part.take(fd, offsets_of(cut(other, 1000)))
    os.close(fd)
    assert {chunk.digest for chunk in part.missing()} == {
        digest_of(pieces[number]) for number in set(wanted) - set(there)
    }
    assert part.is_whole() == (not part.missing())
    part.close()


def test_work_on_a_large_part_stops_when_asked_to(open_part: Callable[..., PartFile], tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(DATA)
    stopped = threading.Event()
    part = open_part(cut(DATA), stopped.is_set)
    stopped.set()
    with pytest.raises(InterruptedError):
        part.resume()
    with pytest.raises(InterruptedError):
        part.is_whole()


def test_a_part_that_will_not_fit_is_refused_before_it_is_fetched(
    open_part: Callable[..., PartFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = open_part(cut(DATA))
    monkeypatch.setattr(part_file, "free_bytes", lambda _: 94_999)
    with pytest.raises(OSError, match="95000 bytes are needed and 94999 are free"):
        part.check_space()
    part.write(cut(DATA).chunks[0].digest, DATA[:10_000])
    part.check_space()


def test_blobs_come_into_a_staging_folder_that_someone_deleted(staging: BlobStaging, tmp_path: Path) -> None:
    data, manifest = b"small", cut(DATA)
    shutil.rmtree(tmp_path / "staging")
    staging.finish([Arrived(digest_of(data), data)])
    assert (tmp_path / "staging" / f"blob-{digest_of(data)}").read_bytes() == data
    shutil.rmtree(tmp_path / "staging")
    staging.open_part(manifest, never).close()
    assert sorted(os.listdir(tmp_path / "staging")) == [f"index-{manifest.digest}", f"part-{manifest.digest}"]
    shutil.rmtree(tmp_path / "staging")
    (tmp_path / "outside").mkdir()
    (tmp_path / "staging").symlink_to("outside")
    with pytest.raises(Blocked):
        staging.open_part(manifest, never)
    with pytest.raises(Blocked):
        BlobStaging(tmp_path / "staging")
    assert os.listdir(tmp_path / "outside") == []


def test_blobs_that_arrived_get_their_names(staging: BlobStaging, tmp_path: Path) -> None:
    small = {digest_of(data): data for data in (b"one", b"two", b"", b"four", b"five")}
    manifest = cut(DATA)
    part = staging.open_part(manifest, never)
    for digest, offset in offsets_of(manifest).items():
        part.write(digest, DATA[offset : offset + 10_000])
    part.close()
    (tmp_path / "staging" / f"part-{digest_of(b'one')}").write_bytes(b"half of an earlier attempt")
    staging.finish(
        [Arrived(digest, data) for digest, data in small.items()] + [Arrived(manifest.digest, None)]
    )
    for digest, data in [*small.items(), (manifest.digest, DATA)]:
        assert (tmp_path / "staging" / f"blob-{digest}").read_bytes() == data
        assert staging.is_complete(digest, len(data), stopped=never)


def test_a_staged_blob_that_is_not_what_its_name_says_is_deleted(
    staging: BlobStaging, tmp_path: Path
) -> None:
    digest = digest_of(DATA)
    blob = tmp_path / "staging" / f"blob-{digest}"
    for wrong in (DATA[:-1], DATA[:-1] + b"?", b""):
        blob.write_bytes(wrong)
        assert not staging.is_complete(digest, len(DATA), stopped=never)
        assert not blob.exists()


def test_a_torn_index_is_as_good_as_none(staging: BlobStaging, tmp_path: Path) -> None:
    manifest = cut(DATA)
    staging.open_part(manifest, never).close()
    assert staging.index(manifest.digest) == manifest
    path = tmp_path / "staging" / f"index-{manifest.digest}"
    path.write_bytes(path.read_bytes()[:-5])
    assert staging.index(manifest.digest) is None
    staging.open_part(manifest, never).close()
    assert staging.index(manifest.digest) == manifest


def test_chunks_come_from_other_parts_in_the_folder(staging: BlobStaging, tmp_path: Path) -> None:
    earlier = DATA[:40_000] + b"changed since" + DATA[40_013:]
    old = staging.open_part(cut(earlier), never)
    for position in range(8):
        old.write(cut(earlier).chunks[position].digest, earlier[position * 10_000 : (position + 1) * 10_000])
    old.close()
    part = staging.open_part(cut(DATA), never)
    staging.take_from_neighbours(part, digest_of(DATA))
    assert part.missing() == [cut(DATA).chunks[position] for position in (4, 8, 9)]
    part.close()


def test_only_what_nobody_came_back_for_is_tidied_away(staging: BlobStaging, tmp_path: Path) -> None:
    folder = tmp_path / "staging"
    old, new = digest_of(b"old"), digest_of(b"new")
    for digest, age_s in ((old, KEPT_S + 60), (new, KEPT_S - 60)):
        for kind in ("part", "index"):
            (folder / f"{kind}-{digest}").write_bytes(b"x")
            os.utime(folder / f"{kind}-{digest}", (1e9 - age_s, 1e9 - age_s))
    (folder / "d_somebody-elses").write_bytes(b"x")
    os.utime(folder / "d_somebody-elses", (0, 0))
    staging.tidy(1e9)
    assert {path.name for path in folder.iterdir()} == {
        f"part-{new}",
        f"index-{new}",
        f"index-{old}",
        "d_somebody-elses",
    }
    staging.tidy(1e9)
    assert not (folder / f"index-{old}").exists()


def test_real_chunks_of_an_edited_file_are_found_in_the_old_one(staging: BlobStaging, tmp_path: Path) -> None:
    old = random.Random(5).randbytes(2_000_000)
    new = old[:700_000] + b"inserted" + old[700_000:]
    (tmp_path / "old").write_bytes(old)
    part = staging.open_part(manifest_of_bytes(new), never)
    fd = os.open(tmp_path / "old", os.O_RDONLY)
    part.take(fd, offsets_of(manifest_of_bytes(old)))
    os.close(fd)
    assert 1 <= len(part.missing()) <= 2
    part.close()


EARLIER = random.Random(9).randbytes(3_000_000)


def alike(tmp_path: Path, open_part: Callable[..., PartFile], earlier: bytes, wanted: bytes) -> PartFile:
    """A part of ``wanted`` that took over what it could from a file of ``earlier``."""
    (tmp_path / "earlier").write_bytes(earlier)
    part = open_part(manifest_of_bytes(wanted))
    with open(tmp_path / "earlier", "rb") as file:
        take_alike(part, file.fileno())
    return part


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        ("changed in the middle", EARLIER[:1_500_000] + b"!" + EARLIER[1_500_001:]),
        ("grown in the middle", EARLIER[:1_500_000] + b"new" + EARLIER[1_500_000:]),
        ("cut in the middle", EARLIER[:1_500_000] + EARLIER[1_600_000:]),
        ("grown at the start", b"new" + EARLIER),
        ("grown at the end", EARLIER + b"new"),
        ("cut at the end", EARLIER[:2_900_000]),
    ],
)
def test_what_stands_as_far_from_an_end_is_taken_over_without_cutting(
    what: str, wanted: bytes, open_part: Callable[..., PartFile], tmp_path: Path
) -> None:
    part = alike(tmp_path, open_part, EARLIER, wanted)
    changed = {chunk.digest for chunk in manifest_of_bytes(wanted).chunks} - {
        chunk.digest for chunk in manifest_of_bytes(EARLIER).chunks
    }
    assert {chunk.digest for chunk in part.missing()} <= changed, what
    for chunk in part.missing():
        start = offsets_of(manifest_of_bytes(wanted))[chunk.digest]
        part.write(chunk.digest, wanted[start : start + chunk.size_bytes])
    assert part.is_whole()
    part.flush()
    assert (tmp_path / "part").read_bytes() == wanted


@settings(max_examples=25, deadline=None)
@given(
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 300_000), st.binary(max_size=40)), max_size=5)
)
def test_nothing_wrong_is_ever_taken_over(
    edits: list[tuple[float, int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    earlier = wanted = EARLIER[:1_000_000]
    for where, gone, new in edits:
        at = int(where * len(wanted))
        wanted = wanted[:at] + new + wanted[at + gone :]
    place = tmp_path_factory.mktemp("alike")
    (place / "earlier").write_bytes(earlier)
    part = PartFile(str(place / "part"), manifest_of_bytes(wanted), never)
    try:
        with open(place / "earlier", "rb") as file:
            take_alike(part, file.fileno())
        offsets = offsets_of(manifest_of_bytes(wanted))
        for chunk in part.missing():
            start = offsets[chunk.digest]
            part.write(chunk.digest, wanted[start : start + chunk.size_bytes])
        assert part.present_bytes == len(wanted)
        assert part.is_whole()
    finally:
        part.close()


def test_a_rearranged_file_is_worth_cutting_and_an_edit_in_place_is_not(
    open_part: Callable[..., PartFile], tmp_path: Path
) -> None:
    large = random.Random(3).randbytes(40_000_000)
    (tmp_path / "earlier").write_bytes(large)
    with open(tmp_path / "earlier", "rb") as file:
        edited = large[:20_000_000] + b"!" + large[20_000_001:]
        manifest = manifest_of_bytes(edited)
        part = PartFile(str(tmp_path / "edited"), manifest, never)
        assert take_alike(part, file.fileno()) is (
            sum(chunk.size_bytes for chunk in part.missing()) * NOT_WORTH_CUTTING > len(edited)
        )
        assert len(part.missing()) <= 2
        part.close()
        turned = open_part(manifest_of_bytes(large[25_000_000:] + large[:25_000_000]))
        assert take_alike(turned, file.fileno())


def test_taking_over_stops_when_nobody_wants_the_blob_any_more(
    open_part: Callable[..., PartFile], tmp_path: Path
) -> None:
    (tmp_path / "earlier").write_bytes(EARLIER)
    part = open_part(manifest_of_bytes(EARLIER), stopped=lambda: True)
    with open(tmp_path / "earlier", "rb") as file, pytest.raises(InterruptedError):
        take_alike(part, file.fileno())


def test_blocks_that_can_be_shared_are_copied_in_the_kernel_and_then_verified(
    open_part: Callable[..., PartFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PartFile, "can_share", lambda part, fd: True)
    wanted = EARLIER[:1_500_000] + b"!" + EARLIER[1_500_001:]
    part = alike(tmp_path, open_part, EARLIER, wanted)
    (missing,) = part.missing()
    start = offsets_of(manifest_of_bytes(wanted))[missing.digest]
    part.write(missing.digest, wanted[start : start + missing.size_bytes])
    assert part.is_whole()


def test_what_changed_between_the_comparison_and_the_copy_is_not_taken_over(
    open_part: Callable[..., PartFile], tmp_path: Path
) -> None:
    manifest = manifest_of_bytes(EARLIER)
    part = open_part(manifest)
    (tmp_path / "changed").write_bytes(EARLIER[:100] + b"!" + EARLIER[101:])
    with open(tmp_path / "changed", "rb") as file:
        part.copy_span(file.fileno(), 0, 0, 3)
    assert [part.is_present(position) for position in range(4)] == [False, True, True, False]
