"""Lets whoever was woken by what was just written run before the rest of what is done here.

The kernel likes to wake the reader of a socket on the core of its writer, where it waits for as long as that
one goes on: for a commit, or the books of a turn. See docs/decisions/0027-who-was-woken-runs-first.md.
"""

from __future__ import annotations

import os
from typing import Final

from crdtsync.core.values.limits import KiB

SHORT_MAX_BYTES: Final = 4 * KiB
"""A keystroke or a save is shorter; after longer messages more of them follow."""


def let_run(size_bytes: int) -> None:
    """After a message of so many bytes. Costs a system call if nobody waits for this core."""
    if size_bytes <= SHORT_MAX_BYTES:
        os.sched_yield()
