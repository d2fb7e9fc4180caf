"""Looks again, after a while, at what could not be read or not be sent; whoever met that puts it down."""

from __future__ import annotations

from collections.abc import Callable

from crdtsync.core.replica.state import ReplicaState


def recheck(state: ReplicaState, scan: Callable[[], object], now: float) -> None:
    """Ask for what is due. The folder itself is no path to be looked at: it is scanned."""
    for path in [path for path, due in state.rechecks.items() if due <= now]:
        del state.rechecks[path]
        if path:
            state.looking.want(path)
        else:
            scan()
