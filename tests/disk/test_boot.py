"""The name of this start of the machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crdtsync.adapters.boot import boot_id


def test_a_boot_that_the_system_does_not_tell_is_none(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(b"\n")
    strange = tmp_path / "strange"
    strange.write_bytes(b"\xff\xfe")
    assert [boot_id(path) for path in (empty, strange, tmp_path / "missing")] == [None, None, None]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_linux_tells_the_same_boot_twice() -> None:
    first = boot_id()
    assert first is not None
    assert first == boot_id()
