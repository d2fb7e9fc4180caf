"""How far the edits of programs were taken, remembered over a kill: whoever connects again asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.core.replica.events import Mark
from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.records import PutMeta

_KEY: Final = "program:"
PROGRAMS_MAX: Final = 64
"""Of more, the one that was silent for longest is forgotten: an edit of it may be made twice after a kill."""


class Marks:
    def __init__(self, out: Outbox, meta: Mapping[str, str]) -> None:
        self._out = out
        self._taken: dict[str, tuple[str, int]] = {}
        """The row of each program, and the number; who spoke last comes last, as far as it is known."""
        for key, value in meta.items():
            program, _, number = value.rpartition(" ")
            if key.startswith(_KEY) and number.isdecimal():
                self._taken[program] = key, int(number)

    def taken(self, program: str) -> int:
        """The number of its last edit that was taken; 0 if none is known."""
        return self._taken.get(program, ("", 0))[1]

    def take(self, mark: Mark) -> None:
        """In the transaction of its edit."""
        key, _ = self._taken.pop(mark.program, ("", 0))
        self._taken[mark.program] = row = key or self._free(), mark.number
        self._out.record(PutMeta(row[0], f"{mark.program} {mark.number}"))

    def _free(self) -> str:
        if len(self._taken) >= PROGRAMS_MAX:
            return self._taken.pop(next(iter(self._taken)))[0]
        used = {key for key, _ in self._taken.values()}
        return next(key for key in (f"{_KEY}{row}" for row in range(PROGRAMS_MAX)) if key not in used)
