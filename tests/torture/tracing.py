"""Has strace end a process at one of its system calls, or fail some calls. Sole user of strace."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.torture.machines import Machine
from tests.waiting import eventually

CALLS: Final[dict[str, str]] = {
    "write": "write,writev,pwrite64,pwritev",
    "rename": "rename,renameat,renameat2",
    "sync": "fsync,fdatasync,syncfs",
    "link": "link,linkat,symlinkat,mkdir,mkdirat",
    "unlink": "unlink,unlinkat,rmdir",
    "send": "sendto,sendmsg",
    "open": "open,openat,openat2",
    "mark": "fchmod,fchmodat,utimensat,ftruncate,flock,fcntl",
}
"""Groups of calls, each of which is counted by thread and by call."""


def killed_at(group: str, number: int, note: Path) -> list[str]:
    """The command line before a command that is to be killed as it enters its ``number``-th call of a kind.

    ``-D`` makes the command the child and strace its descendant, so that signals and exit codes are its own.
    (With ``--seccomp-bpf``, which is faster, strace 6.1 delivers no signal at the entry of a call.)
    """
    calls = CALLS[group]
    return [
        "strace", "-D", "-f", "-qq", "-o", str(note),
        "-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={number}",
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Failing:
    """Which calls of a running process fail how: the ``first``-th to the ``last``-th of every thread."""

    calls: str
    error: str
    first: int
    last: int
    at: tuple[str, ...] = ()
    """Only those in these folders; empty: anywhere."""
    workers_only: bool = False
    """Leave the first thread out, which also writes to sockets and to standard output."""

    def __str__(self) -> str:
        return f"{self.calls} {self.error} {self.first}..{self.last}"


@contextlib.contextmanager
def failing(machine: Machine, fault: Failing, note: Path) -> Iterator[None]:
    """The calls fail meanwhile; afterwards nothing is traced any more."""
    pid = machine.pid
    if pid is None:
        yield
        return
    whom = machine.threads() if fault.workers_only else [pid]
    followed = [] if fault.workers_only else ["-f"]
    where = [part for folder in fault.at for part in ("-P", folder)]
    rule = f"inject={fault.calls}:error={fault.error}:when={fault.first}..{fault.last}"
    watched = [part for thread in whom for part in ("-p", str(thread))]
    command = ["strace", *followed, "-qq", "-o", str(note), *where, "-e", f"trace={fault.calls}", "-e", rule]
    if not watched:
        yield
        return
    with machine.hands:
        tracer = subprocess.Popen([*command, *watched], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: tracer.poll() is not None or _traced(whom), f"strace follows {machine.name}")
    try:
        yield
    finally:
        with machine.hands:
            if tracer.poll() is None:
                tracer.send_signal(signal.SIGINT)
            tracer.wait()


def _traced(threads: Sequence[int]) -> bool:
    """Whether somebody follows all of them that are still there."""
    for thread in threads:
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{thread}/status").read_text()
            if "TracerPid:\t0\n" in status:
                return False
    return True


def injected(note: Path) -> int:
    """How many calls failed, or were never entered, by what strace wrote."""
    if not note.exists():
        return 0
    text = note.read_text(errors="replace")
    return text.count("(INJECTED)") + text.count("+++ killed by SIGKILL +++")


def may_trace() -> str | None:
    """Why processes cannot be traced here; None when they can."""
    try:
        done = subprocess.run(
            ["strace", "-qq", "-o", os.devnull, "-e", "trace=none", "true"], capture_output=True, check=False
        )
    except OSError:
        return "strace is not there; install it (apt-get install strace)"
    return None if done.returncode == 0 else f"strace may not trace: {done.stderr.decode().strip()}"
