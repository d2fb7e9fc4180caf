"""Plans of seeds without what worlds learned later, so that what was found with them is found again."""

from __future__ import annotations

from dataclasses import replace

from crdtsync.testing.plan import LATER_FAULTS, Plan


def plain_plan(seed: int) -> Plan:
    """No Yjs clients, no ignore files, and none of the later faults."""
    plan = Plan.of_seed(seed)
    groups, faults = plan.groups - {"ignores"}, plan.faults - set(LATER_FAULTS)
    return replace(
        plan, typists=0, hocuspocus=0, neighbours=0, turns=Plan().turns, groups=groups, faults=faults
    )
