"""Files that are cut again along an earlier version: faster, and never otherwise than from scratch."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.adapters import chunker, recutting
from crdtsync.adapters.chunker import manifest_of_bytes, manifest_of_file
from crdtsync.adapters.recutting import Cuts, Earlier
from crdtsync.core.values import limits
from crdtsync.core.values.files import Manifest

EARLIER = random.Random(5).randbytes(6 * limits.MiB)


def along(path: Path, data: bytes, earlier: Manifest) -> Manifest:
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        return manifest_of_file(fd, earlier=Earlier(earlier))
    finally:
        os.close(fd)


@settings(max_examples=20, deadline=None)
@given(
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 700_000), st.binary(max_size=40)), max_size=5),
    moved=st.booleans(),
)
def test_a_file_is_cut_along_its_earlier_version_as_from_scratch(
    edits: list[tuple[float, int, bytes]], moved: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = EARLIER[2_500_000:] + EARLIER[:2_500_000] if moved else EARLIER
    for where, gone, new in edits:
        at = int(where * len(data))
        data = data[:at] + new + data[at + gone :]
    found = along(tmp_path_factory.mktemp("cut") / "file", data, manifest_of_bytes(EARLIER))
    assert found == manifest_of_bytes(data)


@pytest.mark.parametrize("end", [-1, -40_000, -300_000])
def test_the_last_chunk_of_a_file_that_grows_or_shrinks_is_cut_anew(tmp_path: Path, end: int) -> None:
    short = EARLIER[:end]
    assert along(tmp_path / "file", EARLIER, manifest_of_bytes(short)) == manifest_of_bytes(EARLIER)
    assert along(tmp_path / "file", short, manifest_of_bytes(EARLIER)) == manifest_of_bytes(short)


def test_only_what_changed_is_searched_for_cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []

    class Counting:
        def __init__(self) -> None:
            self._cutter = cutter()

        def cut_buf(self, buf: memoryview) -> object:
            searched.append(len(buf))
            return self._cutter.cut_buf(buf)

    earlier = manifest_of_bytes(EARLIER)
    cutter = chunker._cutter
    monkeypatch.setattr(chunker, "_cutter", Counting)
    changed = EARLIER[:3_000_000] + b"!" + EARLIER[3_000_001:]
    along(tmp_path / "file", changed, earlier)
    assert 1 <= len(searched) <= 3


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = manifest_of_bytes(EARLIER[: limits.MiB])
    monkeypatch.setattr(recutting, "REMEMBERED_MAX_BYTES", 1000)
    cuts = Cuts()
    for name in "abcd":
        cuts.remember(name, manifest)
        cuts.remember(name, manifest)
    known = [name for name in "abcd" if cuts.earlier(name) is not None]
    assert known == list("abcd"[-len(known) :])
    assert 0 < len(known) < 4
