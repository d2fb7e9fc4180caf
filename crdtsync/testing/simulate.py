"""``python -m crdtsync.testing.simulate``: runs many worlds, and tells how to replay one that broke."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace

from crdtsync.testing.campaign import Told, campaign, options_of, promise_of, told_of
from crdtsync.testing.plan import WORLDS, Plan
from crdtsync.testing.world import Result, World


def run(seed: int, shown: bool = False) -> Result:
    """One world. Raises Broken, or whatever an engine raised."""
    return World(seed, shown=print if shown else None).run()


def shrunk(seed: int, plan: Plan, promise: str) -> Plan:
    """A smaller plan with which the seed breaks the same promise, found by leaving things out."""
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(plan):
            if _broken(seed, candidate) == promise:
                plan, smaller = candidate, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    for fault in sorted(plan.faults):
        yield replace(plan, faults=plan.faults - {fault})
    if any(disk != "plain" for disk in plan.disks):
        yield replace(plan, disks=())
        for number, disk in enumerate(plan.disks):
            if disk != "plain":
                yield replace(plan, disks=(*plan.disks[:number], "plain", *plan.disks[number + 1 :]))
    for group in sorted(plan.groups):
        yield replace(plan, groups=plan.groups - {group})
    if plan.turns:
        yield replace(plan, turns=0)
        yield replace(plan, turns=plan.turns - 1)
    for fewer in sorted({plan.acts // 2, plan.acts * 3 // 4, plan.acts - 1}):
        if 0 <= fewer < plan.acts:
            yield replace(plan, acts=fewer)
    if plan.neighbours:
        yield replace(plan, neighbours=0)
    if plan.typists:
        yield replace(plan, typists=plan.typists - 1)
    if plan.readers:
        yield replace(plan, readers=0, working=False)
    if plan.newcomer:
        yield replace(plan, newcomer="")
    if plan.bots:
        yield replace(plan, bots=plan.bots - 1)
    if plan.hocuspocus:
        yield replace(plan, hocuspocus=plan.hocuspocus - 1)
    if plan.replicas > 2:
        yield replace(plan, replicas=plan.replicas - 1)


def _broken(seed: int, plan: Plan) -> str | None:
    try:
        World(seed, plan).run()
    except Exception as error:
        return promise_of(error)
    return None


def _told(seed: int, options: argparse.Namespace) -> Told:
    plan = Plan.parse(options.plan) if options.plan else None
    if options.worlds:
        plan = WORLDS[options.worlds](seed)
    world = World(seed, plan, shown=print if options.trace else None)
    try:
        result = world.run()
    except Exception as error:
        replay = f"python -m crdtsync.testing.simulate --seeds 1 --first-seed {seed} --trace"
        replay += f" --worlds {options.worlds}" if options.worlds and not options.shrink else ""
        if options.shrink:
            replay += f' --plan "{shrunk(seed, world.plan, promise_of(error))}"'
        return told_of(seed, error, str(world.plan), replay, trace=options.trace)
    lines = (f"{seed} {result.digest}",) if options.digests else ()
    return Told(lines, acts=result.acts, events=result.events)


def main(arguments: list[str] | None = None) -> int:
    parser = options_of("crdtsync.testing.simulate", "Worlds of people, tools, disks and faults.")
    parser.add_argument("--shrink", action="store_true", help="look for a smaller plan that breaks the same")
    parser.add_argument("--plan", help="a plan to use instead of the seed's own, as a shrink printed it")
    parser.add_argument("--worlds", choices=sorted(WORLDS), help="worlds that are run only where asked for")
    parser.add_argument("--digests", action="store_true", help="print the digest of each world's trace")
    return campaign(_told, parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
