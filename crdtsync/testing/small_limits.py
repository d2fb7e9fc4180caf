"""Limits so small that the texts of a simulated world reach them: queues, frames, logs that are compacted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from crdtsync.core.hub import bounds
from crdtsync.core.values import limits

SMALL: Final[tuple[tuple[Any, str, int], ...]] = (
    (bounds, "QUEUE_LOW_BYTES", 400),
    (bounds, "QUEUE_HIGH_BYTES", 1200),
    (bounds, "UNCOMMITTED_MAX_BYTES", 2000),
    (bounds, "CHECK_INLINE_MAX_BYTES", 100),
    (limits, "FRAME_BATCH_BYTES", 400),
    (limits, "DOCUMENTS_PER_BATCH_MAX", 3),
    (limits, "COMPACT_AFTER_UPDATES", 6),
)
"""Modules, what they name so, and what it is instead."""


@contextmanager
def small_limits() -> Iterator[None]:
    """Within, they hold for everything in this process."""
    before = [(module, name, getattr(module, name)) for module, name, _ in SMALL]
    for module, name, value in SMALL:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
