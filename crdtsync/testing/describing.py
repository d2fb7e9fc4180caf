"""Events, steps and outcomes as one short line each for the trace, the same in every run."""

from __future__ import annotations

import re

from crdtsync.core.replica import events as ev
from crdtsync.testing.clock import readable


def described(event: ev.Event) -> str:
    """One line for the trace, the same in every run."""
    match event:
        case ev.BinaryFrame(data):
            return f"frame of {len(data)} bytes"
        case ev.Scanned(number, scan):
            return f"Scanned {number}: {sorted([*scan.files, *scan.links, *scan.folders])}"
        case ev.Looked(seen):
            return "Looked " + ", ".join(f"{path}: {short(each)}" for path, each in seen)
        case ev.Several(events):
            return " + ".join(map(described, events))
        case _:
            return short(event)


_SHORTER = (
    (
        re.compile(r"Fingerprint\(device=1, inode=(\d+), size_bytes=(\d+), .*?executable=(\w)\w*\)"),
        r"#\1/\2\3",
    ),
    (re.compile(r"\b([0-9a-f]{6})[0-9a-f]{18,58}\b"), r"\1"),
    (re.compile(r"(Text|Blob|Link)Content\((text|manifest|target)="), r"\1("),
    (re.compile(r"\b(fingerprint|content|path|kind|digest|outcome|step|entry|seen)="), ""),
)


def short(value: object) -> str:
    text = readable(repr(value))
    for pattern, shorter in _SHORTER:
        text = pattern.sub(shorter, text)
    return text if len(text) <= 400 else text[:397] + "..."
