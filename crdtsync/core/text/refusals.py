"""Tells pycrdt's refusal of an update from what is nobody's to catch."""

from __future__ import annotations


def reraise_unless_refused(error: BaseException) -> None:
    """pycrdt refuses by errors, and by PanicException, which is a BaseException and cannot be imported."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
    if isinstance(error, MemoryError):
        raise error
