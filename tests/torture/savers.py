"""How the tools of people save a text: each takes another way to the same file.

``STILL`` are given the whole new text; ``RACING`` put one line in, whatever stands in the file by then,
and tell whether they did. They do so anywhere: where two insert lines at one place, and one of them had not
loaded the other's, nothing tells an insertion from a replacement.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final


def aside(path: Path, data: bytes) -> None:
    """Write beside, then rename over: most editors, and every careful program."""
    other = path.with_name(f".{path.name}.swx")
    try:
        with open(other, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(other, path.stat().st_mode)
        other.rename(path)
    finally:
        other.unlink(missing_ok=True)


def aside_by_another_name(path: Path, data: bytes) -> None:
    """As above, under a name that no rule calls temporary."""
    other = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        other.write_bytes(data)
        other.rename(path)
    finally:
        other.unlink(missing_ok=True)


def truncate(path: Path, data: bytes) -> None:
    """Into the file itself: nano, shells, scripts."""
    path.write_bytes(data)


def in_pieces(path: Path, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        for start in range(0, len(data), 40):
            file.write(data[start : start + 40])


def backup(path: Path, data: bytes) -> None:
    """The old one becomes ``f~``, a new one is written, the old one goes: vim, Emacs."""
    old = path.with_name(path.name + "~")
    path.rename(old)
    try:
        path.write_bytes(data)
    except OSError:
        old.rename(path)
        raise
    old.unlink()


def remove_first(path: Path, data: bytes) -> None:
    """Delete, then create: git, tar, many a script."""
    path.unlink()
    path.write_bytes(data)


def append(path: Path, line: str, at: int) -> bool:
    """``>>`` of a shell, at the end whatever ``at`` says."""
    command = ["sh", "-c", 'printf %s "$1" >> "$2"', "sh", line, str(path)]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0


def by_sed(path: Path, line: str, at: int) -> bool:
    """``sed -i``, which writes aside and renames; before a line that must be there."""
    script = ["-e", f"{at}i\\\n{line.rstrip()}", "-e", f"{at}w /dev/stderr"]
    done = subprocess.run(["sed", "-i", *script, str(path)], capture_output=True, check=False)
    return done.returncode == 0 and bool(done.stderr)


def by_ed(path: Path, line: str, at: int) -> bool:
    """``ed``, which writes into the file itself. It says ``?`` when something is wrong."""
    script = f"{at}i\n{line.rstrip()}\n.\nw\nq\n"
    done = subprocess.run(["ed", "-s", str(path)], input=script.encode(), capture_output=True, check=False)
    return done.returncode == 0 and b"?" not in done.stdout


def by_vim(path: Path, line: str, at: int) -> bool:
    """As vim saves by default: into the file, or aside and renamed.

    Where the file has changed since vim read it, it asks whether to write; the person says yes.
    """
    insert = f"call append(min([{at - 1}, line('$')]), '{line.rstrip()}')"
    command = ["vim", "-Nu", "NONE", "-es", "-c", insert, "-c", "wq!", str(path)]
    done = subprocess.run(command, input=b"y\n", capture_output=True, check=False)
    return done.returncode == 0


STILL: Final[tuple[Callable[[Path, bytes], None], ...]] = (
    aside, aside, aside_by_another_name, truncate, in_pieces, backup, remove_first,
)  # fmt: skip
RACING: Final[tuple[Callable[[Path, str, int], bool], ...]] = (append, append, by_sed, by_ed, by_vim)
