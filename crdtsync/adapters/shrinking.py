"""Gives the free pages of a SQLite file back to the file system, a few at a time, and the memory that holds
others to the C library; knows nothing of rows.

Source: https://www.sqlite.org/pragma.html#pragma_incremental_vacuum
"""

from __future__ import annotations

import sqlite3
from typing import Final

PAGES_AT_ONCE: Final = 128
"""Half a MiB: a millisecond or two, which a save that comes just then hardly notices."""
FREE_MIN_PAGES: Final = 512
FREE_SHARE: Final = 8
"""Fewer free pages than that, or than one in so many, are left: what is written next takes them."""


def allow_shrinking(connection: sqlite3.Connection) -> None:
    """To be called on a file without tables, before anything else; of no effect later."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")


def shrink(connection: sqlite3.Connection) -> bool:
    """Give some pages back; returns whether there are more. The file becomes shorter at the next checkpoint.

    Raises sqlite3.Error, with nothing changed.
    """
    free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    if free < FREE_MIN_PAGES or free * FREE_SHARE < pages:
        return False
    connection.executescript(
        f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})"
    )  # ``execute`` stops after one page
    after: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return after < free  # a file made by an older crdtsync gives nothing back


class Cache:
    """The pages that a connection holds in memory: SQLite keeps up to 2 MB of them for good."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._seen = self._let_go = 0
        """How many rows had been written at the last look, and when they were let go of."""

    def let_go_at_rest(self) -> bool:
        """Hold no page any more, if some may be held and nothing was written since the last call.

        Returns whether it was done. Raises sqlite3.Error.
        """
        seen, self._seen = self._seen, self._connection.total_changes
        if self._seen != seen or self._seen == self._let_go:
            return False
        self._connection.execute("PRAGMA shrink_memory")
        self._let_go = self._seen
        return True
