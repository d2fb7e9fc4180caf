"""What a start has to doubt after a kill or a power cut: which agreements hold, which files are whole, and
what nobody wrote."""

from __future__ import annotations

from collections.abc import Iterable

from crdtsync.core.replica.records import Synced, chain, confirmed
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.trees import OnDisk, is_that
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


def left_by_cut(
    state: ReplicaState, agreements: tuple[Synced, ...], path: str, seen: OnDisk
) -> Synced | None:
    """What is agreed of a text whose very file nobody has written to since one of the agreements, though it
    holds something else: the power cut made it that, or what it was before it was read."""
    if agreements[0].entry not in state.rebooted or seen.fingerprint is None:
        return None
    here = seen.fingerprint
    for each in reversed(agreements):
        if is_that(seen, each) and here.unwritten_since(each.fingerprint):
            return each._replace(path=path, digest=seen.digest, fingerprint=here, saved_here=False)
    return None
