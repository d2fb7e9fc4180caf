"""``python -m crdtsync.testing.simulate``: runs many worlds, and tells how to replay one that broke."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Final

from crdtsync.testing.oracles import Broken
from crdtsync.testing.plan import Plan
from crdtsync.testing.world import Result, World

_CHUNK: Final = 8
"""Worlds that a process takes at a time."""


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
    if plan.typists:
        yield replace(plan, typists=plan.typists - 1)
    if plan.replicas > 2:
        yield replace(plan, replicas=plan.replicas - 1)


def _broken(seed: int, plan: Plan) -> str | None:
    try:
        World(seed, plan).run()
    except Exception as error:
        return _promise(error)
    return None


def _promise(error: Exception) -> str:
    return error.promise if isinstance(error, Broken) else type(error).__name__


@dataclass(frozen=True, slots=True)
class _Told:
    """How one world went: what to say of it, which promise was broken, if any."""

    lines: tuple[str, ...]
    broken: str | None = None
    events: int = 0
    acts: int = 0


def _told(seed: int, options: argparse.Namespace) -> _Told:
    plan = Plan.parse(options.plan) if options.plan else None
    world = World(seed, plan, shown=print if options.trace else None)
    try:
        result = world.run()
    except Exception as error:
        kind = promise = _promise(error)
        if not isinstance(error, Broken):
            where = traceback.extract_tb(error.__traceback__)[-1]
            error.add_note(f"{where.filename.rpartition('/')[2]}:{where.lineno}")
            if options.trace:
                traceback.print_exc()
            kind += " at " + "; ".join(error.__notes__)
        replay = f"python -m crdtsync.testing.simulate --seeds 1 --first-seed {seed} --trace"
        if options.shrink:
            replay += f' --plan "{shrunk(seed, world.plan, promise)}"'
        lines = f"seed {seed} {kind}: {str(error)[:600]}", f"  {world.plan}", f"  {replay}"
        return _Told(lines, promise)
    return _Told((f"{seed} {result.digest}",) if options.digests else (), None, result.events, result.acts)


@contextmanager
def _each(seeds: Sequence[int], options: argparse.Namespace) -> Iterator[Iterator[_Told]]:
    """How each of them goes, in order, in as many processes as were asked for."""
    if options.jobs < 2:
        yield (_told(seed, options) for seed in seeds)
        return
    with get_context("spawn").Pool(options.jobs) as pool:
        yield pool.imap(partial(_told, options=options), seeds, chunksize=_CHUNK)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m crdtsync.testing.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="how many processes share them")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    parser.add_argument("--keep-going", action="store_true", help="go on after a failure")
    parser.add_argument("--shrink", action="store_true", help="look for a smaller plan that breaks the same")
    parser.add_argument("--plan", help="a plan to use instead of the seed's own, as a shrink printed it")
    parser.add_argument("--digests", action="store_true", help="print the digest of each world's trace")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    broken: Counter[str] = Counter()
    events = acts = worlds = 0
    with _each(range(options.first_seed, options.first_seed + options.seeds), options) as each:
        for told in each:
            worlds += 1
            events += told.events
            acts += told.acts
            for line in told.lines:
                print(line, flush=True)
            if told.broken is not None:
                broken[told.broken] += 1
                if not options.keep_going:
                    break
    took_s = time.perf_counter() - started
    counted = f"{worlds} worlds, {acts} user operations, {events} events"
    print(f"{counted} in {took_s:.1f} s; broken: {dict(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
