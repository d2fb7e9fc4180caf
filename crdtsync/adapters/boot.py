"""Tells one start of the machine from another, so that it is known whether power may have been lost since."""

from __future__ import annotations

from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Linux: random(4)."""


def boot_id(source: Path = BOOT_ID) -> str | None:
    """A name of this start of the machine; None where the system does not tell."""
    try:
        return source.read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None
