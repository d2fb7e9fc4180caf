"""Who somebody is, as their environment and the system tell it."""

from __future__ import annotations

import getpass
import os
from typing import Final

from crdtsync.core.values import limits
from crdtsync.core.values.ids import printable

NAME_VARIABLE: Final = "CRDTSYNC_NAME"


def own_name(given: str | None) -> str:
    """Who the others are told that this is: ``given``, else ``CRDTSYNC_NAME``, else the login name.

    Made harmless, and cut to what can be sent (``PERSON_NAME_SENT_MAX_CHARS``).
    """
    return printable(
        given or os.environ.get(NAME_VARIABLE) or _login_name(), limits.PERSON_NAME_SENT_MAX_CHARS
    )


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user that has no name
        return "someone"
