"""Which recent versions of a text are kept; knows the rule and its limits, not where versions are stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.late import dataclass


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One stored version without its text; ``size_bytes`` is of the text in UTF-8, before any compression."""

    sequence: int
    digest: Digest
    at_s: float
    size_bytes: int


def outlived(
    newest_first: Iterable[StoredVersion], now_s: float, pinned: Collection[Digest]
) -> list[StoredVersion]:
    """Those of one text's versions that the limits (count, size, age) no longer keep.

    ``now_s`` is the time that the record under way tells; no clock is asked. What the ``pinned`` digests name
    is kept in any case: what disk and room agreed on, without which an edit of the disk has no base.
    """
    dropped = []
    count = 0
    size_bytes = 0
    full = False
    for version in newest_first:
        if version.digest not in pinned:
            full = (
                full
                or count >= limits.VERSIONS_MAX_COUNT
                or (count > 0 and size_bytes + version.size_bytes > limits.VERSIONS_MAX_BYTES)
            )
            if full or version.at_s < aged_before(now_s):
                dropped.append(version)
                continue
        count += 1
        size_bytes += version.size_bytes
    return dropped


def aged_before(now_s: float) -> float:
    """A version from before this time is too old to be the base of anything."""
    return now_s - limits.VERSIONS_MAX_AGE_S
