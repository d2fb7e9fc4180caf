"""Folders to work on: the standard library, small files, a blob; does one have what another has?"""

from __future__ import annotations

import os
import random
import shutil
import sysconfig
from contextlib import suppress
from pathlib import Path

OF_TOOLS = frozenset({".crdtsync", ".stfolder", ".git", ".stversions"})
"""What the tools keep in the folder for themselves."""


def standard_library(target: Path) -> None:
    """Copy it, without what is installed or compiled beside it."""
    shutil.copytree(
        sysconfig.get_path("stdlib"),
        target,
        symlinks=True,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("site-packages", "dist-packages", "__pycache__", "*.pyc", "config-3*"),
    )


def small_files(target: Path, count: int, seed: int = 1) -> None:
    """Texts of 200 to 2,000 bytes, 100 to a folder."""
    rng = random.Random(seed)
    for number in range(count):
        if number % 100 == 0:
            folder = target / f"{number // 10_000:02d}" / f"{number // 100 % 100:02d}"
            folder.mkdir(parents=True)
        line = f"{number} {rng.getrandbits(160):040x}\n"
        (folder / f"{number:06d}.txt").write_text(line * rng.randrange(4, 40))


def blob(path: Path, size_bytes: int, seed: int = 1) -> None:
    """Bytes that no compression makes smaller."""
    rng = random.Random(seed)
    with open(path, "wb") as file:
        for _ in range(0, size_bytes, 1 << 20):
            file.write(rng.randbytes(1 << 20))


def listing(folder: Path) -> dict[str, int]:
    """Every file and its size, but for what tools keep there."""
    found: dict[str, int] = {}
    root = len(str(folder)) + 1
    stack = [str(folder)]
    while stack:
        with suppress(FileNotFoundError), os.scandir(stack.pop()) as entries:  # a tool renamed it
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in OF_TOOLS:
                        stack.append(entry.path)
                else:
                    with suppress(FileNotFoundError):
                        found[entry.path[root:]] = entry.stat(follow_symlinks=False).st_size
    return found


def walk(folder: Path) -> int:
    """The floor of a scan: ``scandir`` and ``stat`` of everything; returns how many."""
    return len(listing(folder))


def all_there(source: Path, target: Path) -> bool:
    """Whether ``target`` has every file of ``source``, by name and size."""
    there = listing(target)
    return all(there.get(name) == size for name, size in listing(source).items())
