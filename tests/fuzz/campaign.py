"""``make fuzz``: every target for some seconds, guided by coverage where atheris is installed.

Input worth keeping, and all that breaks something, stays in a cache folder; a target goes on from there the
next time. Without atheris the input is random.

    python -m tests.fuzz.campaign --seconds 60 [--target NAME]... [--replay FILE]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.fuzz.where import CACHE, yjs_folder

INPUT_MAX_BYTES: Final = 3000
SLOWEST_INPUT_S: Final = 30
MEMORY_MAX_MIB: Final = 2048
GRACE_S: Final = 120
"""For a target to start and to end, besides its seconds."""
YJS: Final = "yjs@13"
COMPARISONS: Final = ("authors", "straight", "hostile")
Target = Callable[[bytes], object]


def names() -> list[str]:
    from crdtsync.testing.fuzzing.decoders import DECODERS

    with_yjs = [] if yjs_folder() is None else [f"yjs {each}" for each in COMPARISONS]
    return [*DECODERS, "hostile member", "hostile hub", *with_yjs]


def target_of(name: str) -> Target:
    """Imports what the target runs, so that it can be instrumented."""
    kind, _, comparison = name.partition(" ")
    if name in ("hostile member", "hostile hub"):
        run: Target = importlib.import_module(f"tests.fuzz.{name.replace(' ', '_')}").run
        return run
    if kind == "yjs":
        from tests.fuzz import yjs

        folder = yjs_folder()
        assert folder is not None
        peer = yjs.Yjs(folder)
        compare: Callable[[yjs.Yjs, bytes], None] = getattr(yjs, f"compare_{comparison}")
        return lambda entropy: compare(peer, entropy)
    from crdtsync.testing.fuzzing.decoders import DECODERS, case

    decoder = DECODERS[name]
    return lambda entropy: decoder.takes(case(decoder, entropy))


# -- one target, in a process of its own ------------------------------------------------------------------


def folder_of(name: str) -> Path:
    return CACHE / name.replace(" ", "-")


def guided(name: str, seconds: int) -> None:
    """Never returns: libFuzzer ends the process, with an error if it found something."""
    import atheris

    with atheris.instrument_imports(include=["crdtsync"]):
        target = target_of(name)
    folder = folder_of(name)
    options = {
        "max_total_time": seconds,
        "max_len": INPUT_MAX_BYTES,
        "timeout": SLOWEST_INPUT_S,
        "rss_limit_mb": MEMORY_MAX_MIB,
        "artifact_prefix": f"{folder}/broken-",
        "print_final_stats": 1,
    }
    arguments = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([sys.argv[0], *arguments, str(folder / "corpus")], lambda data: _run(target, data))
    atheris.Fuzz()


def _run(target: Target, data: bytes) -> None:
    target(data)


def unguided(name: str, seconds: int) -> None:
    """Random input, a seed per case; what breaks is written down as the input that it was."""
    target = target_of(name)
    until_s = time.monotonic() + seconds
    rng = random.Random()
    count = 0
    while time.monotonic() < until_s:
        entropy = rng.randbytes(rng.choice((10, 100, 400, INPUT_MAX_BYTES)))
        try:
            target(entropy)
        except BaseException:
            (folder_of(name) / f"broken-{rng.getrandbits(64):016x}").write_bytes(entropy)
            raise
        count += 1
    print(f"stat::number_of_executed_units: {count}", file=sys.stderr)


# -- all targets ------------------------------------------------------------------------------------------


def campaign(chosen: Sequence[str], seconds: int) -> int:
    """How many targets broke."""
    broken = 0
    for name in chosen:
        folder = folder_of(name)
        (folder / "corpus").mkdir(parents=True, exist_ok=True)
        log = folder / "log"
        command = [sys.executable, "-m", "tests.fuzz.campaign", "--one", name, "--seconds", str(seconds)]
        with open(log, "wb") as errors:
            code = subprocess.run(
                command,
                stdout=errors,
                stderr=errors,
                timeout=seconds + GRACE_S,
                check=False,
                env={**os.environ, "RUST_BACKTRACE": "0", "PYTHONHASHSEED": "0"},
            ).returncode
        told = log.read_text(errors="replace")
        counts = re.findall(r"number_of_executed_units: *(\d+)", told)
        print(f"{name}: {counts[-1] if counts else '?'} executions", end="", flush=True)
        if code:
            broken += 1
            print(f", BROKEN; see {log}, and replay the newest {folder}/broken-* with --replay", flush=True)
        else:
            print(flush=True)
    return broken


def prepare() -> None:
    """Fetch Yjs into the cache, and tell what is missing."""
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed (pip install atheris): input is random, not guided by coverage.")
    if yjs_folder() is None and shutil.which("npm") is not None and "CRDTSYNC_YJS" not in os.environ:
        CACHE.mkdir(parents=True, exist_ok=True)
        fetch = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(CACHE), YJS]
        subprocess.run(fetch, check=False)
    if yjs_folder() is None:
        print("Node or Yjs is not here (CRDTSYNC_YJS can name its folder): nothing is compared with Yjs.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.campaign")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", action="append", help="one of them; all by default")
    parser.add_argument("--replay", type=Path, help="run one target once, on this file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run = unguided if importlib.util.find_spec("atheris") is None else guided
        run(arguments.one, arguments.seconds)
        return 0
    if arguments.replay:
        target_of(arguments.target[0] if arguments.target else "")(arguments.replay.read_bytes())
        return 0
    prepare()
    known = names()
    chosen = arguments.target or known
    if unknown := [name for name in chosen if name not in known]:
        parser.error(f"no target {unknown[0]!r}; there are: {', '.join(known)}")
    return 1 if campaign(chosen, arguments.seconds) else 0


if __name__ == "__main__":
    sys.exit(main())
