"""What it takes to join a folder, and what whoever shows or logs a replica is told; no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """Which room, where, as whom. ``differing`` None: ask the observer at a first join."""

    room: str
    directory: Path
    hub: str
    name: str
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None
    """Certificate authorities (PEM) to trust for a ``wss`` hub, and no others; None: the system's."""
    differing: ev.Differing | None = None
    read_only: bool = False
    """Follow the room, and send nothing that is changed here."""


class Observers:
    """The observer of a replica, and others that come and go; the first alone is asked."""

    def __init__(self, first: Observer) -> None:
        self._first = first
        self.others: set[Observer] = set()

    def notice(self, kind: str, path: str, message: str) -> None:
        for observer in (self._first, *self.others):
            observer.notice(kind, path, message)

    async def ask(self, question: ef.AskDiffering) -> ev.Differing:
        return await self._first.ask(question)

    def changed(self) -> None:
        for observer in (self._first, *self.others):
            observer.changed()


class Observer(Protocol):
    """Whoever shows or logs what a replica does. Called on the loop."""

    def notice(self, kind: str, path: str, message: str) -> None:
        """Something happened: ``sent``, ``received``, ``connected``, ``offline``, ``failed``, ..."""
        ...

    async def ask(self, question: ef.AskDiffering) -> ev.Differing:
        """A first join found files that differ, or tells that it found none."""
        ...

    def changed(self) -> None:
        """The status may have changed."""
        ...
