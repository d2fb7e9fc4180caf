"""One hub and two joined folders, as processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.harness import Hub, Joined, settle


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def pair(hub: Hub, tmp_path: Path) -> Iterator[tuple[Joined, Joined]]:
    """Ann's and Bob's folders, joined to one room, empty and settled."""
    with (
        Joined(hub.url, tmp_path / "ann", name="Ann") as ann,
        Joined(hub.url, tmp_path / "bob", name="Bob") as bob,
    ):
        ann.wait_for("state", state="settled")
        bob.wait_for("state", state="settled")
        settle(ann, bob)
        yield ann, bob
