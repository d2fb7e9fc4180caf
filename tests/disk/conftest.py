"""Fixtures of the disk tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .support import Joined


@pytest.fixture
def joined(tmp_path: Path) -> Iterator[Joined]:
    joined = Joined(tmp_path / "root")
    yield joined
    joined.disk.close()
