"""How commands print: plain lines, aligned tables, JSON and errors; names never reach a terminal raw."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

from crdtsync.cli.exit_codes import exit_code_of
from crdtsync.core.values.ids import printable
from crdtsync.errors import CrdtsyncError

LINE_MAX_CHARS = 4000


def say(text: str) -> None:
    """One line for a person."""
    print(printable(text, LINE_MAX_CHARS), flush=True)


def print_json(value: object) -> None:
    """One line; names that are not UTF-8 are escaped, so that it always is valid JSON."""
    print(json.dumps(value), flush=True)


def report(error: CrdtsyncError, *, as_json: bool) -> int:
    """Tell the error, once for a person and with ``as_json`` once for a program; returns the exit code."""
    code = exit_code_of(error)
    if as_json:
        print_json({"event": "error", "message": str(error), "code": code})
    print(f"crdtsync: {printable(str(error), LINE_MAX_CHARS)}", file=sys.stderr, flush=True)
    return code


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns aligned by what a terminal shows; the last one is as long as it is."""
    shown = [list(heads), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(_width(row[column]) for row in shown) for column in range(len(heads) - 1)]
    for row in shown:
        padded = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*padded, row[-1]]).rstrip())
    sys.stdout.flush()


def local_time(at_s: float) -> str:
    """To the second, in this machine's time zone; empty for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(at_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return ""


def plural(count: int, noun: str) -> str:
    """That many of them, for a person."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _width(text: str) -> int:
    """How many cells a terminal gives to ``text``."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
