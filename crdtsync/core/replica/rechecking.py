"""What could not be read or not be sent: looks again after a while. Whoever met that puts it down."""

from __future__ import annotations

from collections.abc import Callable

from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.values.paths import is_below


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
