"""Asks SQLite whether a whole file is sound, and tells damage from a disk that could not be read just now.

A read that fails with EIO is a malformed file to whoever ran the statement: SQLite turns its own
SQLITE_IOERR_CORRUPTFS into SQLITE_CORRUPT. Such a file must not be given up for it.
Source: https://www.sqlite.org/rescode.html#ioerr_corruptfs
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

ATTEMPTS: Final = 3
"""A disk that fails now and then is asked again; damage that stays is found by the last, too."""
_UNREAD: Final = re.compile(r"error code=(\d+)")


def damage(connection: sqlite3.Connection) -> str | None:
    """What is wrong with the file, None when nothing is. Reads all of it, about a second for a GiB.

    Raises sqlite3.Error when parts cannot be read, or when nothing can be made of it.
    """
    # Not quick_check: it overlooks a damaged key, behind which the rest of a log is not found.
    answer: str = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if answer == "ok":
        return None
    unread = _UNREAD.search(answer)
    if unread is not None and int(unread[1]) & 0xFF == sqlite3.SQLITE_IOERR:
        raise sqlite3.OperationalError("disk I/O error")
    return answer


def is_sound(path: Path) -> bool:
    """Whether the file, which nobody has open for writing, is a sound database after all.

    Raises sqlite3.Error when it cannot be read.
    """
    unreadable: sqlite3.Error | None = None
    for _ in range(ATTEMPTS):
        unreadable = None
        try:
            with closing(sqlite3.connect(path)) as connection:
                if damage(connection) is None:
                    return True
        except sqlite3.DatabaseError as problem:
            code = getattr(problem, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF
            if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                unreadable = problem
    if unreadable is not None:
        raise unreadable
    return False
