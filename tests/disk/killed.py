"""Carries out one step in processes of its own, each gone at another system call, without any clean-up.

Run as ``python -m tests.disk.killed FOLDER SCENARIO``. Makes a folder ``before-1``, ``before-2``, ...,
``after-1``, ... below FOLDER, one for each call that the step makes, and leaves each as it was left.
Every second one is then opened again, and its recovery is killed too. A process of its own, since it forks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from crdtsync.adapters import staging
from crdtsync.adapters.kernel import Unsupported
from crdtsync.core.replica.steps import MoveFile, RemoveFile, Step, SwapFiles
from crdtsync.core.values.digests import digest_of

from .support import ENTRY, HookedCalls, Joined, blob_step, link_step, number, text_step

CHANGING = (
    *("write_all", "fsync", "syncfs", "rename", "rename_noreplace", "exchange", "link", "symlink", "unlink"),
    *("mkdir", "rmdir", "fchmod", "copy_attribute"),
)
BLOB = b"\0theirs"
NOTED = "-noted"
"""As with a path that a name in staging has no room for."""
SCENARIOS = (
    *(
        "write",
        "write-raced",
        "write-trash",
        "write-without-exchange",
        "new",
        "new-without-noreplace",
        "link",
    ),
    *("blob", "remove", "remove-raced", "move", "swap", "swap-without-exchange"),
    *(f"{each}{NOTED}" for each in ("write", "write-trash", "write-raced", "blob", "remove", "remove-raced")),
)


def _kill_at(calls: HookedCalls, at: int, when: str) -> None:
    """End the process before or after the ``at``-th call from now on that changes something."""
    made = 0

    def count(*_: object, **__: object) -> None:
        nonlocal made
        made += 1
        if made == at:
            os._exit(1)

    for name in CHANGING:
        (calls.before if when == "before" else calls.after).setdefault(name, count)


def _save_before(calls: HookedCalls, name: str, path: Path) -> None:
    """Have someone save the file just before the first of these calls."""

    def save(*_: object) -> None:
        if path.read_text() == "base\n":
            path.write_text("saved\n")

    calls.before[name] = save


def _refuse(*_: object) -> None:
    raise Unsupported(22, "Invalid argument")


def _step(joined: Joined, scenario: str) -> Step:
    path = joined.root / "a"
    expected = joined.expected("a")
    match scenario:
        case "write" | "write-without-exchange":
            return text_step("a", "theirs\n", expected)
        case "write-trash":
            return text_step("a", "theirs\n", expected, trash="shortened by others")
        case "write-raced":
            _save_before(joined.calls, "exchange", path)
            return text_step("a", "theirs\n", expected)
        case "new" | "new-without-noreplace":
            return text_step("b/c", "theirs\n")
        case "link":
            return link_step("a", "elsewhere", expected)
        case "blob":
            (joined.staging / f"blob-{digest_of(BLOB)}").write_bytes(BLOB)
            return blob_step("a", BLOB, expected, trash="replaced by others")
        case "remove":
            return RemoveFile(number(), ENTRY, "a", expected, "deleted by others")
        case "remove-raced":
            _save_before(joined.calls, "rename", path)
            return RemoveFile(number(), ENTRY, "a", expected, "deleted by others")
        case "move":
            return MoveFile(number(), ENTRY, "a", "b/c", expected)
        case "swap" | "swap-without-exchange":
            return SwapFiles(number(), "a", "other")
        case _:
            raise AssertionError(scenario)


def _in_child(work: Callable[[], object]) -> bool:
    """Whether it was killed before it came to its end."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(2)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 1), code
    return code == 1


def _perform(folder: Path, scenario: str, at: int, when: str) -> None:
    joined = Joined(folder)
    (joined.root / "a").write_text("base\n")
    (joined.root / "other").write_text("other\n")
    if scenario.endswith(NOTED):
        staging.TOLD_MAX_CHARS = 0  # type: ignore[misc]
    step = _step(joined, scenario.removesuffix(NOTED))
    if scenario.endswith("without-exchange"):
        joined.calls.instead["exchange"] = _refuse
    if scenario.endswith("without-noreplace"):
        joined.calls.instead["rename_noreplace"] = _refuse
    _kill_at(joined.calls, at, when)
    joined.disk.perform([step])


def _recover(folder: Path, at: int, when: str) -> None:
    joined = Joined(folder)
    _kill_at(joined.calls, at, when)
    joined.disk.recover()


def main() -> None:
    top, scenario = Path(sys.argv[1]), sys.argv[2]
    for when in ("before", "after"):
        at = 1
        while _in_child(lambda: _perform(top / f"{when}-{at}", scenario, at, when)):  # noqa: B023
            if at % 2:
                _in_child(lambda: _recover(top / f"{when}-{at}", 1 + at % 3, when))  # noqa: B023
            at += 1


if __name__ == "__main__":
    main()
