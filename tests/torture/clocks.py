"""Gives a process another date than the machine's, by a small library that is compiled when it is needed."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Final

SHIFTS_S: Final = (0, 1, -1, 3600, -3600, 86_400, -86_400, 40 * 86_400, -40 * 86_400)
"""Up to more than the trash's thirty days."""
_SOURCE: Final = Path(__file__).with_name("clock_shift.c")


def shim(folder: Path) -> Path:
    """The library, compiled into ``folder``. Raises CalledProcessError."""
    library = folder / "clock_shift.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"], check=True)
    return library


class Clock:
    """What one process takes for the date."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(bytes(8))

    def set(self, shift_s: int) -> None:
        """From now on, also for a process that runs; the file keeps its place in memory."""
        with open(self._path, "r+b", buffering=0) as file:
            file.write(struct.pack("=q", shift_s))

    def environment(self, library: Path) -> dict[str, str]:
        return {"LD_PRELOAD": str(library), "TORTURE_CLOCK": str(self._path)}


def may_shift() -> str | None:
    """Why dates cannot be shifted here; None when they can."""
    return None if shutil.which("gcc") else "gcc is not there; install it (apt-get install gcc libc6-dev)"
