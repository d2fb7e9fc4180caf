"""``python -m benchmarks [MEASURE ...]``: take the measures, writing each result at once."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import measures, report
from benchmarks.bench import WHOLE, Bench
from benchmarks.figures import Results

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(measures.NAMES))
    parser.add_argument(
        "--quick", action="store_true", help="small amounts: does it run? Written to DIR/quick"
    )
    parser.add_argument("--only", action="append", default=[], metavar="SYSTEM", help="may be repeated")
    parser.add_argument("--place", type=Path, default=None, help="folders are made here; not on a tmpfs")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--minutes", type=float, default=0, help="begin no further measure after so long")
    options = parser.parse_args()
    unknown = set(options.measures) - set(measures.NAMES)
    if unknown:
        parser.error(f"no measure {', '.join(sorted(unknown))}; there are {', '.join(measures.NAMES)}")
    results = options.results / "quick" if options.quick else options.results
    results.mkdir(parents=True, exist_ok=True)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is not compiled at every start
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(
        prefix="crdtsync-bench-", dir=options.place and options.place.resolve(), ignore_cleanup_errors=True
    ) as at:
        for name in options.measures or measures.NAMES:
            if options.minutes and time.monotonic() - begun > options.minutes * 60:
                sys.stderr.write(f"out of time: {name} and what follows was not measured\n")
                break
            _take(name, Path(at), results, quick=options.quick, only=frozenset(options.only))
            report.write(results)
    return 0


def _take(name: str, place: Path, results: Path, *, quick: bool, only: frozenset[str]) -> None:
    module = measures.module_of(name)
    taken = Results(name, module.TITLE, quick, _file_system(place), getattr(module, "FLOOR", ""))
    bench = Bench(taken, place, quick=quick, only=only)
    begun = time.monotonic()
    bench.turn(WHOLE, lambda: module.run(bench))
    bench.say(f"took {time.monotonic() - begun:.0f} s")
    verdicts = [taken.judge(target) for target in module.TARGETS]
    taken.verdicts = [
        {
            "what": v.target.what,
            "value": v.value,
            "limit": v.target.limit,
            "word": v.word,
            "ratio": bool(v.target.over),
        }
        for v in verdicts
    ]
    taken.save(results / f"{name}.json")
    for verdict in verdicts:
        value = "-" if verdict.value is None else f"{verdict.value:.3g}"
        sys.stderr.write(f"    {verdict.word:12} {verdict.target.what}: {value}\n")


def _file_system(place: Path) -> str:
    done = subprocess.run(["df", "--output=fstype", place], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


if __name__ == "__main__":
    sys.exit(main())
