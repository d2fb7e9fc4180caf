"""Which recent versions of a text are kept; knows the rule and its limits, not where versions are stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest


@dataclass(frozen=True, slots=True)
class Standing:
    """One stored version without its text.

    ``until_s`` is when a newer one took its place, or when its entry was dropped; None: it still stands.
    ``size_bytes`` is of the text in UTF-8, before any compression.
    """

    sequence: int
    digest: Digest
    at_s: float
    until_s: float | None
    size_bytes: int


def outlived(newest_first: Iterable[Standing], latest_s: float, pinned: Collection[Digest]) -> list[Standing]:
    """Those of one text's versions that the limits no longer keep.

    ``latest_s`` is the latest time that any record told; no clock is asked. A version ages from when it was
    replaced, not from when it was written: an editor may have loaded a file the moment before it changed,
    however old the file was. What still stands is kept, and so is what the ``pinned`` digests name (the
    contents that disk and room agreed on: without them an edit of the disk has no base).
    """
    dropped = []
    count = 0
    size_bytes = 0
    full = False
    for version in newest_first:
        if version.until_s is not None and version.digest not in pinned:
            full = (
                full
                or count >= limits.VERSIONS_MAX_COUNT
                or size_bytes + version.size_bytes > limits.VERSIONS_MAX_BYTES
            )
            if full or has_aged(version.until_s, latest_s):
                dropped.append(version)
                continue
        count += 1
        size_bytes += version.size_bytes
    return dropped


def has_aged(until_s: float, latest_s: float) -> bool:
    """Whether a version replaced at ``until_s`` is too old to be the base of anything."""
    return latest_s - until_s > limits.VERSIONS_MAX_AGE_S
