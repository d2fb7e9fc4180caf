"""What the tests of blobs share: a hub, and two replicas of one room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.blobs.harness import Hub, Replica, replica, running_hub


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(tmp_path / "chunks") as made:
        yield made


@pytest.fixture
async def here(tmp_path: Path, hub: Hub) -> AsyncIterator[Replica]:
    async with replica(tmp_path / "here", hub) as made:
        yield made


@pytest.fixture
async def there(tmp_path: Path, hub: Hub) -> AsyncIterator[Replica]:
    async with replica(tmp_path / "there", hub) as made:
        yield made
