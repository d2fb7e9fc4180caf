"""Many rows in few SQLite statements: each statement hands Python's lock over to another thread and back."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

_PARAMETERS_MAX: Final = 512
"""Of one statement; every SQLite takes 999."""


def execute_rows(
    connection: sqlite3.Connection, before: str, rows: Sequence[Sequence[Any]], after: str = ""
) -> None:
    """Execute ``before (?, …), (?, …) … after`` with these rows, all of one length, in order.

    Statements come in few sizes, so that each is prepared once and found again.
    """
    at = 0
    while at < len(rows):
        width = len(rows[at])
        count = 1
        while count * 8 <= len(rows) - at and count * 8 * width <= _PARAMETERS_MAX:
            count *= 8
        part = rows[at : at + count]
        connection.execute(_statement(before, width, count, after), tuple(chain.from_iterable(part)))
        at += count


@lru_cache(maxsize=64)
def _statement(before: str, width: int, count: int, after: str) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{before} {', '.join([row] * count)} {after}"
