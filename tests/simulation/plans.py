"""Plans of seeds without what worlds learned later, so that what was found with them is found again."""

from __future__ import annotations

from dataclasses import replace

from crdtsync.testing.plan import LATER_FAULTS, Plan


def plain_plan(seed: int) -> Plan:
    """No Yjs clients, and none of the later faults."""
    plan = Plan.of_seed(seed)
    return replace(plan, typists=0, faults=plan.faults - set(LATER_FAULTS))
