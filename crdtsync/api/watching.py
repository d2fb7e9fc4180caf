"""Tells a program how the files of a room change; a slow reader, how they differ from what it knows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from crdtsync.api.streams import Stream
from crdtsync.api.values import TreeChange
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId

_TAKEN_AT_ONCE: Final = 256


class Watch(Stream[TreeChange]):
    """Holds which entries may differ from what was told last, never a queue of changes."""

    def __init__(self, places: Iterable[Placement], get: Callable[[EntryId], Placement | None]) -> None:
        super().__init__()
        self._get = get
        self._told: dict[EntryId, tuple[str, str | None]] = {
            placed.entry: (placed.path, _digest(placed)) for placed in places
        }
        self._touched: dict[EntryId, None] = {}
        self._ready: deque[TreeChange] = deque()

    def touch(self, entries: Iterable[EntryId]) -> None:
        """These may be another than before."""
        if not self._ended:
            self._touched |= dict.fromkeys(entries)
            self._wake.set()

    def _take(self) -> TreeChange | None:
        while not self._ready and self._touched:
            for entry in list(self._touched)[:_TAKEN_AT_ONCE]:
                del self._touched[entry]
                self._compare(entry)
        return self._ready.popleft() if self._ready else None

    def _compare(self, entry: EntryId) -> None:
        told, placed = self._told.pop(entry, None), self._get(entry)
        if placed is not None:
            self._told[entry] = placed.path, _digest(placed)
        match told, placed:
            case None, None:
                return
            case (path, _), None:
                self._ready.append(TreeChange("deleted", path))
            case None, Placement():
                self._ready.append(TreeChange("created", placed.path))
            case (path, digest), Placement():
                if path != placed.path:
                    self._ready.append(TreeChange("moved", placed.path, path))
                if digest != _digest(placed) or (digest is None and path == placed.path):
                    self._ready.append(TreeChange("changed", placed.path))


def _digest(placed: Placement) -> str | None:
    """What tells one content from another; None for a text: that it was touched says enough."""
    match placed.kind:
        case Kind.TEXT:
            return None
        case Kind.DIR:
            return ""
        case Kind.BLOB | Kind.LINK:
            return None if placed.version is None else placed.version.digest
