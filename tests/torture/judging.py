"""Brings real folders to rest and judges them by what the simulator's worlds are judged by.

What must hold is in ``crdtsync.testing.oracles``; here is how real folders and logs are read.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from crdtsync.adapters.control_client import call
from crdtsync.adapters.staging import BLOB_PREFIX, TEMPORARY_PREFIX
from crdtsync.core.values.reserved import STATE_FOLDER, reserved_name
from crdtsync.errors import CrdtsyncError
from crdtsync.testing.oracles import Broken, Ledger, Picture, check_kept, check_once, compare
from crdtsync.testing.virtual_inodes import NodeKind
from tests.processes.harness import run
from tests.torture.machines import Machine, pause

ROUNDS_MAX: Final = 25
FLUSH_S: Final = 60.0
ALARMS: Final = re.compile(r"Traceback|never retrieved|never awaited|panicked|Fatal Python|\b[A-Z]\w*Error\b")
KEPT: Final = b"\0kept"
"""Stands for what a folder holds that never enters a room."""
OURS: Final = re.compile(rf"{TEMPORARY_PREFIX}|{BLOB_PREFIX}")
"""Names of files on their way to a path, which nobody may see there."""
ENDED_WELL: Final = frozenset({0, 1, 3, -9})
"""Also 1 and 3, which say why; what a process was killed by is known to who killed it."""


def picture_of(folder: Path) -> Picture:
    """Everything in a folder that a room can hold. Raises Broken for what has no business to stay there."""
    found: dict[str, tuple[NodeKind, bytes, bool]] = {}
    for at, folders, files in os.walk(os.fsencode(folder)):
        below = Path(os.fsdecode(at))
        names = [os.fsdecode(name) for name in [*folders, *files]]
        folders[:] = [name for name in folders if not reserved_name(os.fsdecode(name))]
        for name in names:
            path = below / name
            shown = str(path.relative_to(folder))
            if OURS.match(name) or (name == STATE_FOLDER and below != folder):
                raise Broken("litter", f"{path} is visible")
            if reserved_name(name):
                continue
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                found[shown] = NodeKind.LINK, os.fsencode(os.readlink(path)), False
            elif stat.S_ISREG(mode):
                found[shown] = NodeKind.FILE, path.read_bytes(), bool(mode & stat.S_IXUSR)
            elif all(map(reserved_name, inside := os.listdir(path))):
                found[shown] = NodeKind.FOLDER, KEPT if inside else b"", False
    return found


def pictures_of(folders: Sequence[Path]) -> list[Picture]:
    """Of each. A folder that some disk keeps, since it has there what is never shared, counts for none."""
    found = [picture_of(folder) for folder in folders]
    kept = {path for each in found for path, (_, data, _) in each.items() if data == KEPT}
    return [{path: node for path, node in each.items() if path not in kept} for each in found]


def trash_of(folder: Path) -> list[bytes]:
    """The contents of all that is in the trash."""
    found = [path for path in (folder / STATE_FOLDER / "trash").rglob("*") if not path.is_dir()]
    return [os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes() for path in found]


def outside_of(base: Path, replicas: Sequence[Path]) -> dict[str, bytes]:
    """All files beside the folders that are no business of the product."""
    watched = base / "outside"
    return {str(path): path.read_bytes() for path in watched.rglob("*") if path.is_file()}


def status_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = _asked(folder, "status")
    return found


def _asked(folder: Path, method: str, **parameters: float) -> Any:
    """As the command of that name asks a replica. Raises Broken."""
    try:
        return call(folder, method, answer_within_s=2 * FLUSH_S, **parameters)
    except CrdtsyncError as error:
        raise Broken("stuck", f"{method} {folder}: {type(error).__name__} {error}") from error


def settle(folders: Sequence[Path], rng: Random) -> int:
    """Flush each until two rounds end alike; how many it took. Raises Broken when they never do."""
    before: list[Picture] | None = None
    for number in range(ROUNDS_MAX):
        for folder in folders:
            _decide_held(folder, rng)
            try:
                _asked(folder, "flush", timeout_s=FLUSH_S)
            except Broken as error:
                status = {key: value for key, value in status_of(folder).items() if key != "peers"}
                raise Broken("stuck", f"{error} {status}") from error
        with contextlib.suppress(FileNotFoundError):  # something has just gone: this is no rest
            now = pictures_of(folders)
            if now == before and all(each == now[0] for each in now):
                return number + 1
            before = now
        pause(0.2)
    assert before is not None, f"{folders} never held still"
    for folder, found in zip(folders[1:], before[1:], strict=True):
        compare("equal", str(folders[0]), before[0], str(folder), found)
    raise Broken("rest", f"no rest after {ROUNDS_MAX} rounds")


def _decide_held(folder: Path, rng: Random) -> None:
    if any(each["kind"] == "held" for each in status_of(folder)["attention"]):
        _asked(folder, "restore" if rng.random() < 0.3 else "confirm")


def judge(folders: Sequence[Path], ledger: Ledger) -> Picture:
    """What must hold of folders at rest; returns what all of them hold."""
    pictures = pictures_of(folders)
    for folder, found in zip(folders[1:], pictures[1:], strict=True):
        compare("equal", str(folders[0]), pictures[0], str(folder), found)
    check_once(pictures[0])
    check_kept(ledger, pictures[0], [data for folder in folders for data in trash_of(folder)])
    done = run("status", str(folders[0]), "--json")
    if done.returncode or json.loads(done.stdout)["state"] != "settled":
        raise Broken("status", f"{folders[0]}: {done.returncode} {done.stdout} {done.stderr}")
    for folder in folders:
        status = status_of(folder)
        pending = sum(status["pending"].values())
        if status["state"] != "settled" or pending or not status["connected"]:
            raise Broken("status", f"{folder.name} says {status}")
    return pictures[0]


def judge_logs(machines: Sequence[Machine], allowed: frozenset[int] = ENDED_WELL) -> None:
    """No run ended in another way than it may, or wrote what only a programmer understands."""
    for machine in machines:
        found = ALARMS.search(machine.errors())
        if found:
            raise Broken("log", f"{machine.name}: {machine.errors()[max(0, found.start() - 200) :][:3000]}")
        bad = [code for code in machine.ends if code not in allowed]
        if bad:
            raise Broken("ended", f"{machine.name} ended with {bad}: {machine.errors()[-2000:]}")
