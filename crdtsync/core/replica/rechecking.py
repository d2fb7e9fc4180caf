"""What could not be read or not be sent, or is gone with its disk: looks again after a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.values.files import Absent, Seen
from crdtsync.core.values.paths import is_below

RECHECK_S: Final = 10.0
"""What could not be read is tried again after this long."""


class MissingDisk:
    """Finds out that what was mounted in the folder is there again, of which nobody tells.

    One of the files that are gone with it is looked at now and then; then all are looked for.
    """

    def __init__(self, state: ReplicaState, scan: Callable[[], object]) -> None:
        self._state = state
        self._scan = scan
        self._awaited: str | None = None

    def note(self, path: str, seen: Seen, now: float) -> None:
        """That was just found at the path."""
        if seen == Absent(unmounted=True) and self._awaited in (None, path):
            self._awaited = path
            self._state.rechecks[path] = now + RECHECK_S
        elif path == self._awaited:
            self._awaited = None
            self._scan()


def recheck(state: ReplicaState, scan: Callable[[], object], now: float) -> None:
    """Ask for what is due. The folder itself is no path to be looked at: it is scanned."""
    for path in [path for path, due in state.rechecks.items() if due <= now]:
        del state.rechecks[path]
        if path:
            state.looking.want(path)
        else:
            scan()


def forget_unknown(state: ReplicaState, below: str) -> list[str]:
    """What could not be read in a folder that has been scanned, which tells of it anew; returns the paths."""
    forgotten = [path for path in state.disk.unknown if path == below or is_below(path, below)]
    for path in forgotten:
        del state.disk.unknown[path]
        state.attention.pop(path, None)
        state.rechecks.pop(path, None)
    return forgotten
