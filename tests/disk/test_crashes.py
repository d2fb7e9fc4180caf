"""Killed at every system call: after a restart all that anyone saved is somewhere, and staging empties."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtsync.core.values.digests import digest_of

from .killed import BLOB, NOTED, SCENARIOS
from .support import Joined, digest, text_of

_REPOSITORY = Path(__file__).parents[2]


class _Left:
    """What a killed process left, after a restart."""

    def __init__(self, folder: Path) -> None:
        self.joined = Joined(folder)
        self.reports = list(self.joined.disk.recover().displaced)
        self.late = self.joined.poll(after_s=1)

    @property
    def visible(self) -> dict[str, bytes]:
        files = {}
        for path in self.joined.root.rglob("*"):
            name = path.relative_to(self.joined.root).as_posix()
            if not name.startswith(".crdtsync") and not path.is_dir():
                files[name] = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        return files

    @property
    def trashed(self) -> list[bytes]:
        listing = self.joined.disk.trash.listing()
        assert all(trashed.path == "a" for trashed in listing)
        return [(self.joined.root / trashed.location).read_bytes() for trashed in listing]

    def end(self) -> None:
        """Once everything is dropped, nothing stays in staging but a blob, and nothing is reported again."""
        for displaced in [*self.reports, *self.late]:
            self.joined.disk.drop_displaced(displaced.token)
        assert self.joined.restart() == []
        assert self.joined.poll(after_s=20) == []
        assert [name for name in self.joined.staged() if not name.startswith("blob-")] == []
        self.joined.disk.close()


def _killed(top: Path, scenario: str) -> Iterator[_Left]:
    subprocess.run(
        [sys.executable, "-m", "tests.disk.killed", str(top), scenario],
        cwd=_REPOSITORY,
        check=True,
        timeout=60,
    )
    folders = sorted(top.iterdir())
    assert len(folders) > 3
    for folder in folders:
        if (folder / ".crdtsync").exists():
            left = _Left(folder)
            yield left
            left.end()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_any_system_call_loses_nothing(tmp_path: Path, scenario: str) -> None:
    reached: set[str] = set()
    for left in _killed(tmp_path, scenario):
        visible = left.visible
        assert visible.pop("other") == (b"other\n" if visible.get("a") != b"other\n" else b"base\n")
        texts = [text_of(displaced) for displaced in [*left.reports, *left.late]]
        match scenario.removesuffix(NOTED):
            case "write" | "write-without-exchange":
                assert visible in ({"a": b"base\n"}, {"a": b"theirs\n"})
                assert texts == [] and left.trashed == []
            case "write-trash":
                assert visible == {"a": b"base\n"} or (visible, left.trashed) == (
                    {"a": b"theirs\n"},
                    [b"base\n"],
                )
                assert texts == []
            case "write-raced":
                if visible == {"a": b"theirs\n"}:
                    assert texts == ["saved\n"]
                    assert [each.replaced for each in [*left.reports, *left.late]] == [digest("base\n")]
                else:
                    assert (visible, texts) in (({"a": b"base\n"}, []), ({"a": b"saved\n"}, []))
            case "new" | "new-without-noreplace":
                assert visible.get("b/c") in (None, b"theirs\n") and visible.pop("a") == b"base\n"
                assert texts == []
            case "link":
                assert visible in ({"a": b"base\n"}, {"a": b"elsewhere"})
                assert texts == []
            case "blob":
                staged = left.joined.staging / f"blob-{digest_of(BLOB)}"
                if visible == {"a": b"base\n"}:
                    assert staged.read_bytes() == BLOB
                else:
                    assert (visible, left.trashed) == ({"a": BLOB}, [b"base\n"])
                assert texts == []
            case "remove":
                assert visible == {"a": b"base\n"} or (visible, left.trashed) == ({}, [b"base\n"])
                assert texts == []
            case "remove-raced":
                assert (visible, texts) in (
                    ({"a": b"base\n"}, []),
                    ({"a": b"saved\n"}, []),
                    ({}, ["saved\n"]),
                )
            case "move":
                assert visible in ({"a": b"base\n"}, {"b/c": b"base\n"})
                assert texts == []
            case "swap" | "swap-without-exchange":
                assert visible.pop("a") in (b"base\n", b"other\n") and visible == {}
                assert texts == [] and left.trashed == []
        reached.add(repr(sorted(left.visible.items())))
    assert len(reached) > 1, "some were killed before the change, some after it"
