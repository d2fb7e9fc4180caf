"""Entries of a room's view as a program sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crdtsync.api.values import Entry
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.files import Kind


def entries_below(
    folder: str, places: Iterable[Placement], holds_below: Callable[[str], bool]
) -> list[Entry]:
    """The files, links and empty folders below a folder ("": all), by path."""
    below = f"{folder}/" if folder else ""
    found = [entry_of(placed, holds_below) for placed in places if placed.path.startswith(below)]
    return sorted((entry for entry in found if entry is not None), key=lambda entry: entry.path)


def entry_of(placed: Placement | None, holds_below: Callable[[str], bool]) -> Entry | None:
    """What stands there. A folder that somebody made is one as long as nothing is in it."""
    if placed is None or (placed.kind is Kind.DIR and holds_below(placed.path)):
        return None
    version = placed.version
    size_bytes = None if version is None else version.size_bytes
    return Entry(placed.path, placed.kind.value, size_bytes, placed.executable, placed.entry)
