"""``make bench-check``: counts of work in small slices against those that are committed; never seconds.

The kernel of a virtual machine rarely counts instructions, so this counts what does not depend on the
machine: calls made by the functions of ``crdtsync`` (Python's own profiler hook), what a start loads, bytes
of a document. A count above the committed one by more than TOLERANCE fails; ``--update`` takes these. They
are of one version of Python: another one makes other calls for the same code.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import crdtsync
from benchmarks.load.client import typed_updates
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.rebase import rebase
from crdtsync.testing.plan import Plan
from crdtsync.testing.world import World
from tests.hub.bench import Bench
from tests.hub.material import NOTES

BASELINE = Path(__file__).parent / "baseline.json"
TOLERANCE = 0.10
PYTHON = ".".join(map(str, sys.version_info[:2]))
PRODUCT = f"{Path(crdtsync.__file__).parent}{os.sep}"
SIMULATOR = f"{PRODUCT}testing{os.sep}"


def calls_of(work: Callable[[], object]) -> int:
    """Calls to and from functions of the product while ``work`` runs; the simulator is not the product."""
    count = 0
    ours: dict[str, bool] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            name = frame.f_code.co_filename
            known = ours.get(name)
            if known is None:
                known = ours[name] = name.startswith(PRODUCT) and not name.startswith(SIMULATOR)
            count += known

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def relaying() -> None:
    """200 updates of one member of a room, to ten others."""
    hub = Bench()
    writer, *_ = [hub.join() for _ in range(11)]
    for update in typed_updates(200, client=7):
        writer.push((NOTES, update))
        hub.settle()


def two_replicas() -> None:
    """Two folders and a hub in the simulator: 30 deeds, no faults, until settled."""
    World(5, Plan(acts=30, groups=frozenset({"structure", "blobs"}), turns=2)).run()


def rebasing() -> None:
    """Two edits of one text of 2,000 lines, carried over one another."""
    rng = random.Random(1)
    base = [f"line {number} {rng.getrandbits(80):020x}\n" for number in range(2000)]
    ours, theirs = list(base), list(base)
    for lines in (ours, theirs):
        for _ in range(20):
            lines[rng.randrange(2000)] = f"{rng.getrandbits(80):020x}\n"
    rebase("".join(base), "".join(ours), "".join(theirs))


def history_bytes() -> int:
    """The state of a text that was typed in 2,000 steps."""
    return len(TextDocument(7, typed_updates(2000, client=8)).encode_state())


def modules_of(*arguments: str) -> int:
    """How many of our modules, and how many packages of others, a command has loaded when it ends."""
    program = (
        "import sys, atexit; sys.argv = ['crdtsync', *sys.argv[1:]]\n"
        "count = lambda: len({n if n.startswith('crdtsync') else n.split('.')[0] for n in sys.modules})\n"
        "atexit.register(lambda: sys.stderr.write(f'\\n{count()}'))\n"
        "from crdtsync.cli.main import main\nsys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    return int(done.stderr.split()[-1])


def measured() -> dict[str, int]:
    warm = rebasing, relaying, two_replicas
    for work in warm:  # what is made once, such as caches and compiled patterns, is not counted
        work()
    return {
        "calls: 200 updates relayed to 10 members": calls_of(relaying),
        "calls: two replicas, 30 deeds": calls_of(two_replicas),
        "calls: rebase of 2,000 lines": calls_of(rebasing),
        "bytes: a text typed in 2,000 steps": history_bytes(),
        "modules: crdtsync --help": modules_of("--help"),
        "modules: crdtsync status": modules_of("status", "/nonexistent"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write these counts as the ones to keep to")
    options = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order in sets decides on some calls
        return subprocess.call(
            [sys.executable, "-m", "benchmarks.guard", *sys.argv[1:]],
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
    if not options.update and json.loads(BASELINE.read_text())["python"] != PYTHON:
        print(f"The committed counts are of another Python than {PYTHON}: nothing to compare")
        return 0
    now = measured()
    if options.update:
        BASELINE.write_text(json.dumps({"python": PYTHON, "counts": now}, indent=1) + "\n")
    before: dict[str, int] = json.loads(BASELINE.read_text())["counts"]
    worse = 0
    for name, count in now.items():
        ratio = count / before[name]
        bad = ratio > 1 + TOLERANCE
        worse += bad
        hint = (
            "  <- more work than before" if bad else "  (better: --update)" if ratio < 1 - TOLERANCE else ""
        )
        print(f"{name:45} {count:>9,} of {before[name]:>9,}  {ratio:.3f}{hint}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
