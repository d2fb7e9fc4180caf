"""How the values of the columns look in the Yjs document, and what is believed of those that others wrote."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from crdtsync.core.tree.rows import Origin, Version
from crdtsync.core.values import limits
from crdtsync.core.values.digests import is_digest
from crdtsync.core.values.ids import is_entry_id


def encode_version(version: Version) -> dict[str, Any]:
    encoded: dict[str, Any] = {"size": version.size_bytes, "by": version.by, "at": version.at_ms}
    if version.index is not None:
        encoded["index"] = version.index
    if version.target is not None:
        encoded["target"] = version.target
    return encoded


def decode_version(digest: str, value: object) -> Version | None:
    """None for what is no version; an index that is none is left out."""
    if not is_digest(digest) or not isinstance(value, dict):
        return None
    size = _whole(value.get("size"))
    if size is None or size > limits.BLOB_MAX_BYTES:
        return None
    index, target = value.get("index"), value.get("target")
    return Version(
        digest=digest,
        size_bytes=size,
        by=_string(value.get("by")),
        at_ms=_whole(value.get("at")) or 0,
        index=index if is_digest(index) else None,
        target=target if isinstance(target, str) else None,
    )


def encode_origin(origin: Origin) -> dict[str, Any]:
    encoded: dict[str, Any] = {"by": origin.by, "at": origin.at_ms}
    if origin.copy_of is not None:
        encoded["copy_of"] = origin.copy_of
    return encoded


def decode_origin(value: object) -> Origin:
    """Nobody's where nothing of it can be believed."""
    if not isinstance(value, dict):
        return Origin()
    copy_of = value.get("copy_of")
    by, at_ms = _string(value.get("by")), _whole(value.get("at")) or 0
    return Origin(by, at_ms, copy_of) if is_entry_id(copy_of) else _plain_origin(by, at_ms)


@lru_cache(maxsize=4096)
def _plain_origin(by: str, at_ms: int) -> Origin:
    """Of many files that came at once there are hundreds with the same."""
    return Origin(by, at_ms)


def _string(value: object) -> str:
    """A person's name: the same few in thousands of rows."""
    if not isinstance(value, str) or len(value) > limits.PERSON_NAME_SENT_MAX_CHARS:
        return ""
    return sys.intern(value)


def _whole(value: object) -> int | None:
    """Yjs numbers arrive as floats; whole and within 53 bits, or nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value < 1 << 53 or value != int(value):
        return None
    return int(value)
