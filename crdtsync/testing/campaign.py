"""Runs many worlds, in as many processes as are asked for, and counts those that broke. What a world is,
and how it is replayed, is told by the caller (``simulate``, ``editing``)."""

from __future__ import annotations

import argparse
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from signal import SIG_IGN, SIGINT, signal
from typing import Final

from crdtsync.testing.oracles import Broken

_CHUNK: Final = 8
"""Worlds that a process takes at a time."""


@dataclass(frozen=True, slots=True)
class Told:
    """How one world went: what to say of it, which promise was broken, and how much happened in it."""

    lines: tuple[str, ...] = ()
    broken: str | None = None
    acts: int = 0
    events: int = 0


RunWorld = Callable[[int, argparse.Namespace], Told]
"""Runs the world of a seed. A function of a module, since other processes run it, too."""


def promise_of(error: Exception) -> str:
    """The promise that was broken, or what else ended a world."""
    return error.promise if isinstance(error, Broken) else type(error).__name__


def told_of(seed: int, error: Exception, *replay: str, trace: bool = False) -> Told:
    """A world that ended with this error, and how it is replayed."""
    kind = promise = promise_of(error)
    if not isinstance(error, Broken):
        where = traceback.extract_tb(error.__traceback__)[-1]
        error.add_note(f"{where.filename.rpartition('/')[2]}:{where.lineno}")
        if trace:
            traceback.print_exc()
        kind += " at " + "; ".join(error.__notes__)
    return Told((f"seed {seed} {kind}: {str(error)[:600]}", *(f"  {line}" for line in replay)), promise)


def options_of(program: str, about: str) -> argparse.ArgumentParser:
    """The options that every campaign has."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="how many processes share them")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    parser.add_argument("--keep-going", action="store_true", help="go on after a failure")
    return parser


def campaign(run_world: RunWorld, options: argparse.Namespace) -> int:
    """Runs the seeds that the options name, and prints what each world says and how many broke. Returns the
    process's exit code: 0 when none did, 130 when a person ended it before all had been run."""
    started = time.perf_counter()
    broken: Counter[str] = Counter()
    events = acts = worlds = 0
    ended = False
    try:
        with _each(run_world, options) as each:
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
    except KeyboardInterrupt:
        ended = True
        print(f"ended; to go on: --first-seed {options.first_seed + worlds}")
    took_s = time.perf_counter() - started
    counted = f"{worlds} worlds, {acts} user operations, {events} events"
    print(f"{counted} in {took_s:.1f} s; broken: {dict(broken)}")
    if broken:
        return 1
    return 130 if ended else 0


@contextmanager
def _each(run_world: RunWorld, options: argparse.Namespace) -> Iterator[Iterator[Told]]:
    """How each of them goes, in order."""
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    if options.jobs < 2:
        yield (run_world(seed, options) for seed in seeds)
        return
    with get_context("spawn").Pool(options.jobs, partial(signal, SIGINT, SIG_IGN)) as pool:
        yield pool.imap(partial(_run, run_world, options), seeds, chunksize=_CHUNK)


def _run(run_world: RunWorld, options: argparse.Namespace, seed: int) -> Told:
    return run_world(seed, options)
