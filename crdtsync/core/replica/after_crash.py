"""What a start has to doubt after a kill or a power cut: which agreements hold, and which files are whole."""

from __future__ import annotations

from collections.abc import Iterable

from crdtsync.core.replica.records import Synced, chain, confirmed
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.values.files import Kind


def recall_doubts(state: ReplicaState, rows: Iterable[Synced], *, same_boot: bool) -> None:
    """After a start: which agreements may not hold.

    ``same_boot``: no power was lost since they were written, so what was seen on disk did stay there; only
    what was merely intended may have been done or not.
    """
    for row in rows:
        stood = confirmed(row)
        if row.provisional is None and stood is not None:
            continue
        agreements = chain(row)
        never = row.digest is None  # of a folder, too: nothing is agreed of one twice
        if same_boot and stood is not None:
            at = agreements.index(stood)
            if at or row.digest is None:
                state.undurable[row.entry] = None if never else agreements[0]
            agreements = agreements[at:]
        elif never:
            state.unborn.add(row.entry)
        if len(agreements) > 1 or stood is None or row.entry in state.unborn:
            state.doubt(agreements)
            last = agreements[-1].digest
            if row.kind is Kind.TEXT and last is not None:
                # it may stand there, edited: others' changes, which come first, must leave its text known
                state.documents.intended[row.entry] = last


def recall_reboot(state: ReplicaState, rows: Iterable[Synced], boot: str | None, last: str | None) -> None:
    """``last`` is the start of the machine of which nothing was left in doubt."""
    if None not in (boot, last) and boot != last:
        state.rebooted.update(row.entry for row in rows if row.kind in (Kind.TEXT, Kind.BLOB))
