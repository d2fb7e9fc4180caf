"""As which Yjs clients this replica has typed, in this run and in those before.

What the hub tells of these was saved or typed on this machine, though a backup that was restored may have
taken it from what the replica remembers. What follows is left to ``passed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.records import PutMeta

RUNS_KEY: Final = "runs"
_KEPT: Final = 64


def runs_with(client_id: int, meta: Mapping[str, str], out: Outbox) -> tuple[int, ...]:
    """The clients of the last runs and, the last one, of the run that begins, which is written down."""
    before = (int(run, 16) for run in meta.get(RUNS_KEY, "").split())
    runs = (*before, client_id)[-_KEPT:]
    out.record(PutMeta(RUNS_KEY, " ".join(f"{run:x}" for run in runs)))
    return runs
