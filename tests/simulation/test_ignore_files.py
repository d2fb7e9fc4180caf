"""Worlds in which people change ignore files, and rename what one disk ignores and another not yet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crdtsync.testing.plan import Plan
from crdtsync.testing.world import World


@pytest.mark.parametrize("first", range(2001, 2041, 10))
def test_once_nobody_ignores_anything_all_have_the_same(first: int) -> None:
    for seed in range(first, first + 10):
        plan = Plan.of_seed(seed)
        World(seed, replace(plan, groups=plan.groups | {"ignores"}, turns=0, disks=())).run()
