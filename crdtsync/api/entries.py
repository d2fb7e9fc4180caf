"""Entries of a room's view as a program sees them."""

from __future__ import annotations

from crdtsync.api.values import Entry
from crdtsync.core.tree.view import Placement


def entry_of(placed: Placement) -> Entry:
    """What stands there."""
    version = placed.version
    size_bytes = None if version is None else version.size_bytes
    return Entry(placed.path, placed.kind.value, size_bytes, placed.executable, placed.entry)
