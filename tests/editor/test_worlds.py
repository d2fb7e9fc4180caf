"""Simulated worlds of editors behind bridges, tools, kills and cut links; more of them by hand:
``python -m crdtsync.testing.editing --seeds 1000``."""

from __future__ import annotations

import pytest

from crdtsync.testing.editing import EditingWorld

FOUND = (1075, 1125)
"""Killed while a text was written, and saved over before the next start: what it had added was doubled."""


@pytest.mark.parametrize("seed", [*range(1, 21), *FOUND])
def test_editors_tools_and_faults_end_equal_and_lose_no_token(seed: int) -> None:
    EditingWorld(seed).run()
