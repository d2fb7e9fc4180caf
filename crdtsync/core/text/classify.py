"""Decides whether a file is a text; bytes → text → bytes is the identity for what it calls one."""

from __future__ import annotations

from crdtsync.core.values import limits


def classify(data: bytes, known_text: bool) -> str | None:
    """The text that ``data`` is, or None for a blob.

    A text is valid UTF-8 without NUL, within TEXT_BECOMES_MAX_BYTES, or TEXT_REMAINS_MAX_BYTES if it was a
    text before (``known_text``). Line endings and a byte order mark are characters like any other.
    """
    limit = limits.TEXT_REMAINS_MAX_BYTES if known_text else limits.TEXT_BECOMES_MAX_BYTES
    if len(data) > limit or b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
