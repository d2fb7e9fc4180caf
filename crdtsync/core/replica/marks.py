"""How far the edits of programs were taken, remembered over a kill: whoever connects again asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

from crdtsync.core.replica.events import Mark
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.records import PutMeta

_KEY = "program:"
_SLOTS = 64
"""Rows: more programs than that overwrite each other, and may have an edit made twice after a kill."""


class Marks:
    def __init__(self, out: Outbox, meta: Mapping[str, str]) -> None:
        self._out = out
        self._taken: dict[str, int] = {}
        for key, value in meta.items():
            if key.startswith(_KEY):
                program, _, number = value.rpartition(" ")
                self._taken[program] = int(number)

    def taken(self, program: str) -> int:
        """The number of its last edit that was taken; 0 if none is known."""
        return self._taken.get(program, 0)

    def take(self, mark: Mark) -> None:
        """In the transaction of its edit."""
        self._taken[mark.program] = mark.number
        slot = crc32(mark.program.encode()) % _SLOTS
        self._out.record(PutMeta(f"{_KEY}{slot}", f"{mark.program} {mark.number}"))
