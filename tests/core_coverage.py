"""``make coverage``: the unit tests of ``crdtsync.core``, and how much of it each package may leave out.

No test here starts a process, opens a socket or waits for a clock. The floors stand in ``pyproject.toml``; a
package that has more than its floor by a tenth of a point is to have its floor raised.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
DATA: Final = ROOT / "build" / "coverage"
UNITS: Final = (
    "values",
    "text",
    "tree",
    "wire",
    "replica",
    "room",
    "editor",
    "hub",
    "doors",
    "simulation",
    "store/test_memory_store.py",
    "blobs/test_manifests.py",
    "blobs/test_blob_frames.py",
)
WHOLE_PROCESSES: Final = (
    "editor/test_neovim.py",
    "editor/test_example.py",
    "editor/test_plugins.py",
    "hub/test_command.py",
    "hub/test_server.py",
    "hub/test_socket.py",
    "hub/test_store.py",
    "hub/test_gate.py",
    "doors/test_real_clients.py",
    "doors/test_page.py",
    "doors/test_script.py",
)
MANY_WORLDS: Final = (
    "simulation/test_small_worlds.py",
    "simulation/test_crash_points.py",
    "simulation/test_newcomers.py",
    "simulation/test_readers.py",
    "simulation/test_working_readers.py",
    "simulation/test_mutants.py",
    "simulation/test_worlds.py",
    "simulation/test_ignore_files.py",
    "replica/test_at_once.py",
    "editor/test_worlds.py",
)
"""They meet by chance what others show by a story."""


def run(jobs: str) -> int:
    """The tests; returns pytest's exit code."""
    DATA.mkdir(parents=True, exist_ok=True)
    left_out = [f"--ignore=tests/{each}" for each in (*WHOLE_PROCESSES, *MANY_WORLDS)]
    command = [sys.executable, "-m", "pytest", "-q", "-n", jobs, "--dist", "loadfile"]
    command += ["--hypothesis-profile=repeatable", "--cov", "--cov-report=", *left_out]
    command += [f"tests/{each}" for each in UNITS]
    environment = {**os.environ, "COVERAGE_FILE": str(DATA / "data")}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def shares() -> dict[str, float]:
    """By package of the core, how many percent of its statements and branches ran, rounded down."""
    report = DATA / "report.json"
    files = [f"--data-file={DATA / 'data'}"]
    subprocess.run(
        [sys.executable, "-m", "coverage", "report", *files, "--fail-under=0"], cwd=ROOT, check=True
    )
    told = [sys.executable, "-m", "coverage", "json", "-q", *files, "--fail-under=0", "-o", str(report)]
    subprocess.run(told, cwd=ROOT, check=True)
    ran: dict[str, int] = defaultdict(int)
    all_there: dict[str, int] = defaultdict(int)
    for file, each in json.loads(report.read_text())["files"].items():
        package = Path(file).relative_to("crdtsync/core").parts[0]
        summary = each["summary"]
        ran[package] += summary["covered_lines"] + summary["covered_branches"]
        all_there[package] += summary["num_statements"] + summary["num_branches"]
    return {name: ran[name] * 1000 // total / 10 for name, total in sorted(all_there.items()) if total}


def main() -> int:
    code = run(sys.argv[1] if len(sys.argv) > 1 else "2")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    floors: dict[str, float] = settings["tool"]["crdtsync"]["coverage"]
    below = 0
    for name, share in shares().items():
        floor = floors.get(name, 100.0)
        below += share < floor
        print(f"{name}: {share} %, at least {floor}{' <-- below' if share < floor else ''}")
    return code or (1 if below else 0)


if __name__ == "__main__":
    sys.exit(main())
