"""Gathers what one event leads to and gives it out in the order that keeps the promises:
records first, in one transaction, then what is said to the hub, then what is done on disk."""

from __future__ import annotations

from crdtsync.core.replica.effects import (
    Effect,
    LookAt,
    Notice,
    Persist,
    SendBinary,
    SendText,
    Steps,
)
from crdtsync.core.replica.records import PutHead, PutSynced, Record
from crdtsync.core.replica.steps import (
    KeepCopy,
    MakeFolder,
    MoveFile,
    RemoveFile,
    RemoveFolder,
    SetExecutable,
    Step,
    SwapFiles,
    WriteFile,
)

_STEP_ORDER: dict[type[Step], int] = {
    RemoveFile: 0,
    SwapFiles: 1,
    MoveFile: 1,
    RemoveFolder: 2,
    MakeFolder: 3,
    KeepCopy: 4,
    WriteFile: 5,
    SetExecutable: 6,
}
"""Room is made before it is taken; moves stay in the order in which they were planned."""


class Outbox:
    """The effects of one ``handle`` call."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._frames: list[str | bytes] = []
        self._steps: list[Step] = []
        self._others: list[Effect] = []
        self.looks: list[LookAt] = []

    def record(self, *records: Record) -> None:
        self._records += records

    def send(self, frame: str | bytes) -> None:
        self._frames.append(frame)

    def step(self, step: Step) -> None:
        self._steps.append(step)

    def effect(self, effect: Effect) -> None:
        """Anything else; comes after all of the above, in order."""
        self._others.append(effect)

    def notice(self, kind: str, path: str, message: str) -> None:
        self._others.append(Notice(kind, path, message))

    def take(self) -> list[Effect]:
        """All that was gathered, in the order of the promises; empties the outbox."""
        effects: list[Effect] = []
        if self._records:
            effects.append(Persist(_latest(self._records)))
        effects += [SendText(f) if isinstance(f, str) else SendBinary(f) for f in self._frames]
        if self._steps:
            effects.append(Steps(tuple(sorted(self._steps, key=_order))))
        effects += self._others
        self._records, self._frames, self._steps, self._others = [], [], [], []
        return effects


def _order(step: Step) -> tuple[int, int]:
    """Folders are removed innermost first and made outermost first."""
    rank = _STEP_ORDER[type(step)]
    depth = step.path.count("/")
    return rank, -depth if isinstance(step, RemoveFolder) else depth if isinstance(step, MakeFolder) else 0


def _latest(records: list[Record]) -> tuple[Record, ...]:
    """Drop rows that a later row of the same transaction replaces anyway."""
    seen: set[object] = set()
    kept: list[Record] = []
    for record in reversed(records):
        match record:
            case PutHead(head):
                key: object = (PutHead, head.document)
            case PutSynced(synced):
                key = (PutSynced, synced.entry)
            case _:
                kept.append(record)
                continue
        if key not in seen:
            seen.add(key)
            kept.append(record)
    kept.reverse()
    return tuple(kept)
