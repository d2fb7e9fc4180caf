"""Which cursors the hub honours: those whose rows it still has, whatever was restored or lost meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from crdtsync.core.hub.store import Epoch
from crdtsync.core.wire.control import Cursor


def resume_after(cursor: Cursor | None, epochs: Sequence[Epoch], durable: int) -> int | None:
    """The sequence after which a replica with ``cursor`` reads on; None: it must compare everything.

    A replica without a cursor has nothing from this room's hub, so it reads from the start. A cursor holds in
    the epoch that made it, up to where the next epoch began: what followed there is a future that this log
    does not have (the hub was restored from a backup), even if other rows bear its numbers now.
    """
    if cursor is None:
        return 0
    end = durable
    for epoch in reversed(epochs):
        if epoch.name == cursor.epoch:
            return cursor.sequence if cursor.sequence <= end else None
        end = epoch.start
    return None
