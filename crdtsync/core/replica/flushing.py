"""Flushes under way: each waits for its scan, for quiet, for the hub's word, and for quiet again."""

from __future__ import annotations

from crdtsync.core.replica.effects import Flushed
from crdtsync.core.replica.state import ReplicaState

_PROBING = -1
"""Instead of a scan's number: the hub has been asked, and will answer."""


class Flushing:
    """Tells, by a Flushed, that all that was on disk is on the hub, and all that the hub had is on disk."""

    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self._waiting: dict[int, int | None] = {}

    def request(self, number: int, scan: int | None) -> None:
        """A flush was asked for; ``scan`` is the number of the scan that finds what is on disk now.

        None: what the first scan finds is meant, and there is no quiet before that.
        """
        self._waiting[number] = scan

    def caught_up(self) -> None:
        """A new session: what was asked on the old one has to be asked again."""
        for number, scan in self._waiting.items():
            if scan == _PROBING:
                self._waiting[number] = None

    def probed(self, number: int, quiet: bool) -> None:
        """All that the hub had when the probe arrived is here."""
        if number not in self._waiting:
            return
        if quiet:
            del self._waiting[number]
            self._state.out.effect(Flushed(number))
        else:
            self._waiting[number] = None

    def advance(self, quiet: bool) -> None:
        """At the end of every event."""
        for number, scan in list(self._waiting.items()):
            scanned = scan is None or not self._state.looking.scan_pending(scan)
            if scan != _PROBING and scanned and quiet:
                self._waiting[number] = _PROBING
                self._state.session.probe(number)

    def __bool__(self) -> bool:
        return bool(self._waiting)
