"""The token by which a folder was joined, kept in its state folder (mode 600) for the next join.

It is kept with the address of its hub, and given to no other.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from crdtsync.adapters.durability import write_new_file
from crdtsync.core.values.reserved import STATE_FOLDER

NAME: Final = "token"
_MAX_BYTES: Final = 16 << 10


def save(state_folder: Path, hub: str, token: str) -> None:
    """Raises OSError."""
    new = state_folder / f"{NAME}.new"
    new.unlink(missing_ok=True)
    write_new_file(str(new), json.dumps({"hub": hub, "token": token}).encode() + b"\n")
    new.rename(state_folder / NAME)


def load(directory: Path, hub: str) -> str | None:
    """The token for that hub; None when there is none that only this user can read."""
    path = directory / STATE_FOLDER / NAME
    with suppress(OSError, ValueError, RecursionError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            content = file.read(_MAX_BYTES)
        private = not stat.S_IMODE(status.st_mode) & 0o077 and status.st_uid == os.geteuid()
        saved = json.loads(content)
        if private and isinstance(saved, dict) and saved.get("hub") == hub:
            token = saved.get("token")
            return token if isinstance(token, str) else None
    return None


def keep(directory: Path, state_folder: Path, hub: str, token: str | None) -> str | None:
    """Save a token that is not saved yet; returns what a person should know if that fails."""
    if token is None or token == load(directory, hub):
        return None
    try:
        save(state_folder, hub, token)
    except OSError as error:
        return f"the invite cannot be kept for the next join: {error.strerror}"
    return None
