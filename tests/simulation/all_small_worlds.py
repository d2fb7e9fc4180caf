"""``make small-worlds``: all triples of deeds, and all pairs at every moment; the tests run a slice of these.

They come in an order that is mixed and always the same, so that any part of them tells of all, and that a run
can be ended anywhere and go on from there another day.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from random import Random

from tests.simulation.test_small_worlds import DEEDS, apart, at_every_moment, worlds

TOLD_EVERY = 500

World = Callable[[], object]


def triples() -> list[World]:
    """Three people, each with one deed, come back in each order."""
    return _mixed([partial(apart, deeds, order) for deeds, order in worlds(3)])


def moments() -> list[World]:
    """Two people; the second deed is done before each event that follows the first."""
    return _mixed([partial(at_every_moment, *deeds) for deeds in product(DEEDS, repeat=2)])


def _mixed(found: list[World]) -> list[World]:
    Random(5).shuffle(found)
    return found


def broken(world: World) -> str | None:
    """What a world breaks, with what it is; None if nothing."""
    try:
        world()
    except Exception as error:  # whatever it is, the others are to be run as well
        assert isinstance(world, partial)
        return f"{world.args}: {type(error).__name__}: {error}"
    return None


def run(found: Sequence[World], first: int, seconds: float, jobs: int) -> int:
    """Those from ``first`` on, for so long; tells each that breaks, and returns how many did."""
    ends, count, at = time.monotonic() + seconds, 0, first
    with ProcessPoolExecutor(jobs) as pool:
        while at < len(found) and time.monotonic() < ends:
            some = range(at, min(at + TOLD_EVERY, len(found)))
            for number, told in zip(
                some, pool.map(broken, found[some.start : some.stop], chunksize=5), strict=True
            ):
                if told is not None:
                    count += 1
                    print(f"BROKE {number} {told}", flush=True)
            at = some.stop
            print(f"{first} to {at} of {len(found)}: {count} broke; to go on: --first {at}", flush=True)
    return count


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.all_small_worlds", description=__doc__)
    parser.add_argument("which", choices=("triples", "moments"))
    parser.add_argument(
        "--first", type=int, default=0, help="the number of the first one, in the mixed order"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no more after so long")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args(arguments)
    found = triples() if given.which == "triples" else moments()
    return 1 if run(found, given.first, given.seconds, given.jobs) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
