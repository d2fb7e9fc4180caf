"""``python -m tests.torture``: rounds of real processes among real faults; a failure tells its replay."""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import NoReturn

from crdtsync.testing.oracles import Broken
from tests.torture.machines import clock_s
from tests.torture.scenarios import SCENARIOS, impossible
from tests.torture.world import BUSY_S, discard, play


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="begin no round after so long")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each next one has the next")
    parser.add_argument("--only", action="append", help="a scenario, or the beginning of its name")
    parser.add_argument("--rounds", type=int, help="at most so many")
    parser.add_argument("--busy", type=float, default=BUSY_S, help="seconds of work in each round")
    parser.add_argument("--from-call", type=int, default=0, help="kill at this call, then at each next one")
    parser.add_argument("--place", type=Path, default=Path("build/torture"), help="where folders are made")
    parser.add_argument("--keep-going", action="store_true", help="go on after a failure")
    parser.add_argument("--list", action="store_true", help="name the scenarios and what each needs")
    options = parser.parse_args(arguments)
    chosen = [name for name in SCENARIOS if not options.only or any(map(name.startswith, options.only))]
    if options.list:
        for name in chosen:
            print(name, impossible(name) or "")
        return 0
    if not chosen:
        parser.error(f"no scenario begins so: {options.only}; --list names them")
    Random(options.seed).shuffle(chosen)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)  # whoever ends this ends its processes, mounts and networks
    return _rounds(chosen, options)


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _rounds(chosen: list[str], options: argparse.Namespace) -> int:
    end_s = clock_s() + options.seconds
    ran: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    skipped: dict[str, str] = {}
    faults: Counter[str] = Counter()
    deeds = number = 0
    while clock_s() < end_s and (options.rounds is None or number < options.rounds):
        name, seed = chosen[number % len(chosen)], options.seed + number // len(chosen)
        number += 1
        why = impossible(name)
        if why:
            skipped[name] = why
            if len(skipped) == len(chosen):
                break
            continue
        base = options.place.absolute() / f"{name}-{seed}"
        discard(base)
        ran[name] += 1
        try:
            told = play(SCENARIOS[name], base, seed, options.busy, options.from_call)
        except Exception as error:
            broken[name] += 1
            kind = error.promise if isinstance(error, Broken) else type(error).__name__
            print(f"{name} seed {seed} BROKE {kind}: {str(error)[:3000]}", file=sys.stderr)
            if not isinstance(error, Broken):
                traceback.print_exc()
            print(f"  kept in {base}\n  python -m tests.torture --only {name} --seed {seed} --rounds 1",
                  file=sys.stderr, flush=True)  # fmt: skip
            if not options.keep_going:
                return 1
        else:
            deeds += told.deeds
            faults.update(told.faults)
            shown = ", ".join(f"{count} {what}" for what, count in sorted(told.faults.items()))
            print(f"{name} seed {seed}: {told.deeds} deeds, {told.files} files, {told.flushes} flushes, "
                  f"{told.took_s:.0f} s; {shown}{f', up to call {told.last_call}' if told.last_call else ''}",
                  flush=True)  # fmt: skip
            for words in told.last_words:
                print(f"  ended: {words}", flush=True)
            discard(base)
    for name, why in skipped.items():
        print(f"{name} skipped: {why}")
    print(f"{sum(ran.values())} rounds of {len(ran)} scenarios, {deeds} deeds, faults: {dict(faults)}")
    print(f"broken: {dict(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
